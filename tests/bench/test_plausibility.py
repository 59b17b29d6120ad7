"""What is flagged, and above all what is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stillroom.bench.plausibility import flags


def rows(**models: list[float]) -> pd.DataFrame:
    """Forecast scores by model, one a task; MASE is twice WQL."""
    return pd.DataFrame(
        [
            {
                "task": f"t{task}",
                "kind": "forecast",
                "model": model.replace("_", "-"),
                "status": "ok",
                "WQL": value,
                "MASE": 2 * value,
                "CROSSING": 0.0,
                "MISSING": 0.0,
            }
            for model, values in models.items()
            for task, value in enumerate(values)
        ]
    )


@pytest.fixture
def good() -> pd.DataFrame:
    return rows(seasonal_naive=[1.0, 2, 4], mine=[0.9, 2, 1], other=[0.5, 3, 4])


def test_plausible_scores_have_no_flag(good):
    found = flags(good)
    assert found.empty
    assert list(found.columns) == ["task", "model", "flag"]


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("CROSSING", 0.003, "0.003 of all neighbouring quantiles are in the wrong order"),
        ("MISSING", 0.25, "0.25 of the forecast is missing and escapes the metrics"),
        ("WQL", np.nan, "WQL is not a number"),
        ("WQL", 0.01, "relative to seasonal-naive, MASE is 0.9 and WQL 0.01: they tell different stories"),
        ("MASE", 20, "relative to seasonal-naive, MASE is 10 and WQL 0.9: they tell different stories"),
        ("AUC_ROC", 0.2, "AUC_ROC is 0.20, worse than guessing: do high scores mean normal?"),
        ("AUC", 0.4, "AUC is 0.40, worse than guessing: are the classes mixed up?"),
        ("R2", -0.1, "R2 is -0.10: the mean of what was hidden would have been a better guess"),
    ],
)
def test_a_suspicious_value_has_a_sentence(good, column, value, sentence):
    good.loc[3, column] = value
    assert flags(good).to_numpy().tolist() == [["t0", "mine", sentence]]


def test_metrics_may_disagree_up_to_ten_times(good):
    good.loc[3, "MASE"] = 2 * 0.9 * 9.9
    assert flags(good).empty
    good.loc[3, "MASE"] = 2 * 0.9 / 10.1
    assert len(flags(good)) == 1


def test_a_model_with_the_scores_of_the_baseline_is_probably_the_baseline():
    found = flags(rows(seasonal_naive=[1, 2, 4], copy=[1, 2, 4], mine=[1, 2, 3]))
    assert found[["task", "model"]].to_numpy().tolist() == [["every task", "copy"]]
    assert flags(rows(seasonal_naive=[1, 2], copy=[1, 2])).empty  # two tasks may be chance
    assert flags(rows(seasonal_naive=[0, 0, 0, 1], both_perfect=[0, 0, 0, 1])).empty


def test_a_task_that_nobody_can_do_is_flagged_once(good):
    good.loc[good["task"] == "t1", ["status", "WQL", "MASE"]] = ["failed", np.nan, np.nan]
    assert flags(good)[["task", "model"]].to_numpy().tolist() == [["t1", "every model"]]


def test_failed_and_skipped_rows_are_not_suspicious(good):
    good.loc[3, ["status", "WQL", "MASE", "CROSSING"]] = ["failed", np.nan, np.nan, np.nan]
    good.loc[good["task"] == "t2", ["status", "WQL", "MASE"]] = ["skipped", np.nan, np.nan]
    assert flags(good).empty


def test_a_kind_that_is_not_installed_is_judged_by_single_metrics(good):
    good.loc[3, ["MISSING", "WQL"]] = [0.5, 1e9]
    assert flags(good.assign(kind="coins"))["flag"].str.contains("missing").tolist() == [True]


def test_a_task_that_gives_nobody_a_number_is_no_model_s_fault(good):
    task = good["task"].iloc[0]
    good.loc[good["task"] == task, "WQL"] = np.nan
    assert flags(good).empty
