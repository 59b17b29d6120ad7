"""Two tables side by side, by hand-made rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stillroom.bench.compare import beside_folder, beside_published, compare, read_published
from stillroom.core.errors import DataError

SUITE = "chronos-benchmark-ii"
TINY = "amazon/chronos-bolt-tiny"


def scores(**models: dict[str, float]) -> pd.DataFrame:
    """Rows by model and task; MASE is twice WQL; the data set of task `a` is `data-a`."""
    return pd.DataFrame(
        [
            {
                "suite": "mine",
                "task": task,
                "kind": "forecast",
                "dataset": f"data-{task}",
                "model": model.replace("_", "-"),
                "status": "ok",
                "WQL": value,
                "MASE": 2 * value,
                "leakage": False,
            }
            for model, values in models.items()
            for task, value in values.items()
        ]
    )


def as_ours(published: pd.DataFrame, *models: str) -> pd.DataFrame:
    """Published rows as if they had been computed here, under ids of our own."""
    rows = published[published["model"].isin(models) & (published["suite"] == SUITE)]
    return rows.drop(columns="source").assign(dataset=rows["task"], task="my-" + rows["task"], suite="mine")


def test_published_rows_put_in_as_ours_come_out_exactly_as_published():
    published = read_published()
    mine = as_ours(published, "seasonal-naive", TINY).replace(TINY, "mine")
    [made] = beside_published(mine, "here")
    table = made.table.set_index("model")
    assert (made.name, len(made.tasks), len(table)) == (SUITE, 27, 11)
    assert made.difference == 0
    naive, tiny = (
        published[(published["model"] == m) & (published["suite"] == SUITE)] for m in ("seasonal-naive", TINY)
    )
    for metric in ("WQL", "MASE"):
        expected = np.exp(np.mean(np.log(tiny[metric].to_numpy() / naive[metric].to_numpy())))
        assert table.loc["mine", f"relative_{metric}"] == pytest.approx(expected, rel=1e-12)
        assert table.loc[TINY, f"relative_{metric}"] == table.loc["mine", f"relative_{metric}"]


def test_every_row_says_its_source_and_the_baseline_stands_there_once():
    [made] = beside_published(as_ours(read_published(), "seasonal-naive", TINY).replace(TINY, "mine"), "my-folder")
    sources = made.table.set_index("model")["source"]
    assert sources["mine"] == "my-folder"
    assert sources["seasonal-naive"] == "both"
    assert sources.drop(["mine", "seasonal-naive"]).str.startswith("https://github.com/").all()


def test_only_common_tasks_count():
    mine = as_ours(read_published(), "seasonal-naive", TINY).replace(TINY, "mine")
    part = mine[mine["dataset"].isin(["ETTh", "ercot", "m5"])]
    [made] = beside_published(
        part.drop(index=part.index[(part["dataset"] == "m5") & (part["model"] == "mine")]), "here"
    )
    assert made.tasks == ("ETTh", "ercot")
    assert made.left_out == ("m5",)
    assert "left out, as not both tables have them in full: m5" in made.remarks


def test_a_model_that_lacks_a_common_task_is_left_out():
    ours = scores(seasonal_naive={"a": 1, "b": 4}, mine={"a": 0.5, "b": 1}).assign(source="ours")
    theirs = scores(seasonal_naive={"a": 2, "b": 8}, whole={"a": 1, "b": 8}, part={"a": 1}).assign(source="theirs")
    made = compare(ours, theirs, "x")
    assert list(made.table["model"]) == ["mine", "whole", "seasonal-naive"]
    assert made.left_out == ("part",)
    assert made.table["relative_WQL"].tolist() == pytest.approx([0.125**0.5, 0.5**0.5, 1])


def test_baselines_that_disagree_are_a_warning_that_names_the_task():
    ours = scores(seasonal_naive={"a": 1, "b": 4}, mine={"a": 0.5, "b": 1}).assign(source="ours")
    theirs = scores(seasonal_naive={"a": 1, "b": 4.02}, other={"a": 1, "b": 8}).assign(source="theirs")
    made = compare(ours, theirs, "x")
    assert made.difference == pytest.approx(0.02 / 4.02)
    assert made.differs_on[1] == "b"
    assert made.remarks[0].startswith("warning: the scores of seasonal-naive in both tables differ by 0.50% on b (")
    close = compare(ours, theirs.replace(4.02, 4.0002).replace(8.04, 8.0004), "x")
    assert close.remarks == ["the scores of seasonal-naive in both tables differ by at most 5e-05, relative (WQL of b)"]


def test_a_failure_counts_as_the_baseline_of_its_own_table():
    ours = scores(seasonal_naive={"a": 1, "b": 4}, mine={"a": 0.5, "b": np.nan}).assign(source="ours")
    ours.loc[ours["WQL"].isna(), "status"] = "failed"
    made = compare(ours, scores(seasonal_naive={"a": 1, "b": 4}).assign(source="theirs"), "x")
    mine = made.table.set_index("model").loc["mine"]
    assert mine["relative_WQL"] == pytest.approx(0.5**0.5)
    assert mine["failures"] == 1


def test_a_model_whose_rows_are_all_skipped_takes_no_part():
    ours = scores(seasonal_naive={"a": 1, "b": 4}, absent={"a": 1}, mine={"a": 0.5, "b": 1}).assign(source="ours")
    ours.loc[ours["model"] == "absent", "status"] = "skipped"
    made = compare(ours, scores(seasonal_naive={"a": 1, "b": 4}).assign(source="theirs"), "x")
    assert list(made.table["model"]) == ["mine", "seasonal-naive"]


def test_two_folders_are_compared_by_kind_and_may_hold_the_same_model():
    first = scores(seasonal_naive={"a": 1, "b": 4}, mine={"a": 0.5, "b": 1})
    second = scores(seasonal_naive={"a": 1, "b": 4}, mine={"a": 0.25, "b": 1})
    [made] = beside_folder(first, second, ("one", "two"))
    assert made.name == "forecast"
    assert made.table[["model", "source"]].to_numpy().tolist() == [
        ["mine", "two"],
        ["mine", "one"],
        ["seasonal-naive", "both"],
    ]


def test_what_cannot_be_compared_is_said():
    mine = scores(seasonal_naive={"a": 1}, mine={"a": 0.5})
    with pytest.raises(DataError, match="none of the data sets in here has published scores"):
        beside_published(mine, "here")
    with pytest.raises(DataError, match="no kind of task in common"):
        beside_folder(mine, mine.assign(kind="coins"), ("one", "two"))
    with pytest.raises(DataError, match="no task in common"):
        beside_folder(mine, scores(seasonal_naive={"z": 1}), ("one", "two"))
    with pytest.raises(DataError, match="no scores of the baseline"):
        beside_folder(mine, scores(other={"a": 1}), ("one", "two"))
    twice = pd.concat([mine, mine.assign(task="again")])
    with pytest.raises(DataError, match="two tasks are on the data set ETTh"):
        beside_published(twice.assign(dataset="ETTh"), "here")


def test_a_table_of_your_own_needs_only_the_columns_it_names(tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text(
        "kind,suite,dataset,model,source,MASE\n"
        "forecast,s,data-a,seasonal-naive,a paper,2\n"
        "forecast,s,data-a,other,a paper,1\n"
        "forecast,s,data-b,seasonal-naive,a paper,\n"
    )
    [made] = beside_published(scores(seasonal_naive={"a": 1, "b": 1}, mine={"a": 0.5, "b": 1}), "here", path)
    assert made.metrics == ("MASE",)
    assert made.tasks == ("data-a",)
    assert made.table["relative_MASE"].tolist() == [0.5, 0.5, 1]
    path.write_text("dataset,model,MASE\nETTh,seasonal-naive,2\n")
    with pytest.raises(DataError, match="lacks the column kind, suite, source"):
        read_published(path)
    with pytest.raises(DataError, match="cannot be read as CSV"):
        read_published(tmp_path / "none.csv")
