"""The whole runner against figures that others published."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stillroom.bench.compare import beside_published, read_published
from stillroom.bench.executor import in_process
from stillroom.bench.runner import make_plan, run
from stillroom.bench.tasks import Suite, load_suite

# The copies of three data sets differ a little from those that the figures were computed on.
TOLERANCE = {"monash_m1_quarterly": 5e-5, "monash_nn5_weekly": 9e-5, "monash_m3_monthly": 1.2e-4}


@pytest.fixture(scope="module")
def scores(tmp_path_factory) -> pd.DataFrame:
    if "STILLROOM_DATA" not in os.environ:
        pytest.skip("STILLROOM_DATA is not set: the benchmarks' series are in the data folder")
    folder = Path(os.environ["STILLROOM_DATA"]) / "forecasting" / "chronos"
    here = {path.name.removesuffix(".jsonl.gz") for path in folder.glob("*.jsonl.gz")}
    both = [task for name in ("i", "ii") for task in load_suite(f"chronos-benchmark-{name}").tasks]
    suite = Suite("here", "", tuple(task for task in both if task.dataset in here))
    return run(make_plan(suite, [], tmp_path_factory.mktemp("scores"), strict=True), executor=in_process)


@pytest.mark.parametrize("metric", ["MASE", "WQL"])
def test_seasonal_naive_equals_the_published_reference(scores, metric):
    published = read_published().query("model == 'seasonal-naive'").set_index("task")
    assert len(scores) == 15
    assert (scores["status"] == "ok").all(), scores["reason"].dropna().tolist()
    for row in scores.itertuples():
        expected = published.loc[row.dataset, metric]
        assert getattr(row, metric) == pytest.approx(expected, rel=TOLERANCE.get(row.dataset, 1e-6)), row.dataset


def test_published_models_put_in_as_ours_come_out_as_published(scores):
    tiny = read_published().query("model == 'amazon/chronos-bolt-tiny'").assign(model="mine")
    tiny = tiny[tiny["task"].isin(scores["dataset"])].assign(dataset=tiny["task"])
    made = beside_published(pd.concat([scores, tiny]), "here")
    assert [(comparison.name, len(comparison.tasks)) for comparison in made] == [
        ("chronos-benchmark-i", 2),
        ("chronos-benchmark-ii", 13),
    ]
    for comparison in made:
        table = comparison.table.set_index("model")
        assert 0 < comparison.difference < 1e-3
        assert comparison.left_out == ()
        for metric in ("relative_WQL", "relative_MASE"):
            assert table.loc["mine", metric] == pytest.approx(table.loc["amazon/chronos-bolt-tiny", metric], rel=1e-4)
    assert np.round(table.loc["mine", ["relative_WQL", "relative_MASE"]].tolist(), 3).tolist() == [0.734, 0.887]


def test_the_published_table_holds_ten_models_on_all_tasks():
    published = read_published()
    for name in ("chronos-benchmark-i", "chronos-benchmark-ii"):
        rows = published[published["suite"] == name]
        tasks = {task.dataset for task in load_suite(name).tasks}
        assert rows["model"].nunique() == 10
        for _, of_model in rows.groupby("model"):
            assert sorted(of_model["task"]) == sorted(tasks)
    assert published[["MASE", "WQL"]].notna().all(axis=None)
    assert published["source"].str.startswith("https://").all()
    in_domain = (published["suite"] == "chronos-benchmark-i") & (published["model"] != "seasonal-naive")
    assert (published["leakage"] == in_domain).all()
