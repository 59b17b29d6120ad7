import pandas as pd
import pytest

from stillroom.demo import forecast


def test_the_tables_hold_what_the_runner_scored(tour):
    result = forecast.run(tour, tasks=2)
    assert tour.title in (tour.out / "leaderboard.html").read_text()
    scores = pd.read_parquet(result.files[0]).pivot_table("WQL", "task", "model")
    assert len(scores) == 2
    assert len(scores.columns) == 3
    board, by_set = result.tables
    assert {row[0] for row in board.rows} == {"tiny", "auto-theta", "seasonal-naive"}
    for name, _, _, tiny, theta in by_set.rows:
        row = scores.loc[name]
        assert float(tiny) == pytest.approx(row[tour.name] / row["seasonal-naive"], abs=0.005)
        assert float(theta) == pytest.approx(row["auto-theta"] / row["seasonal-naive"], abs=0.005)


def test_a_second_run_computes_nothing_anew(tour):
    first = forecast.run(tour, tasks=1)
    rows = sorted((tour.folder("forecast") / "rows").iterdir())
    written = [path.stat().st_mtime_ns for path in rows]
    second = forecast.run(tour, tasks=1)
    assert [path.stat().st_mtime_ns for path in rows] == written
    assert second.numbers["relative_WQL"] == first.numbers["relative_WQL"]
