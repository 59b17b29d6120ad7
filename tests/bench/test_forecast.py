"""The kind forecast from a CSV file to scores: targets, windows, covariates, and a model of an outside package."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stillroom.bench.executor import in_process
from stillroom.bench.forecast import kind
from stillroom.bench.runner import make_plan, run
from stillroom.bench.tasks import read_suite
from stillroom.core.errors import DataError, MissingError

OUTSIDE = '''
import numpy as np


class Pricing:
    """Knows that 1000 - 5 x price is sold and a tenth of it comes back: one value, at all levels."""

    def predict(self, window, quantile_levels):
        points = []
        for item in window.past:
            assert len(item.known["price"]) == item.length + window.prediction_length
            assert len(item.past["visitors"]) == item.length == item.target.shape[1]
            sold = 1000 - 5 * item.known["price"][item.length :]
            points.append(np.stack([sold, sold / 10]) * {"coast": 1, "hills": 2}[item.static["region"]])
        return np.repeat(np.stack(points)[..., None], len(quantile_levels), axis=-1)
'''

LENGTH, HORIZON = 60, 7
COLUMNS = {
    "item_id": "shop",
    "timestamp": "day",
    "targets": ["sold", "returned"],
    "known_covariates": ["price"],
    "past_covariates": ["visitors"],
    "static_covariates": ["region"],
}


@pytest.fixture
def pricing(tmp_path, monkeypatch):
    """The package `priced`, installed as an outsider's would be; it brings the model `pricing`."""
    folder = tmp_path / "site"
    info = folder / "priced-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "priced.py").write_text(OUTSIDE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: priced\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stillroom.models]\npricing = priced:Pricing\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "priced", raising=False)
    return "pricing"


@pytest.fixture
def sales(tmp_path) -> Path:
    """A CSV file: daily sales and returns of two shops, which follow from the price alone."""
    rng = np.random.default_rng(2)
    frames = []
    for shop, region, times in (("a", "coast", 1), ("b", "hills", 2)):
        price = rng.integers(50, 150, LENGTH).astype(float)
        sold = (1000 - 5 * price) * times
        frames.append(
            pd.DataFrame(
                {
                    "shop": shop,
                    "region": region,
                    "day": pd.date_range("2024-03-01", periods=LENGTH, freq="D"),
                    "price": price,
                    "visitors": rng.integers(100, 900, LENGTH),
                    "sold": sold,
                    "returned": sold / 10,
                }
            )
        )
    path = tmp_path / "sales.csv"
    pd.concat(frames).to_csv(path, index=False)
    return path


def suite(sales: Path, *tasks: dict):
    defaults = {"dataset": str(sales), "prediction_length": HORIZON, "season_length": 7, **COLUMNS}
    return read_suite({"defaults": defaults, "tasks": list(tasks)}, "mine")


def run_here(tasks, models, out: Path) -> pd.DataFrame:
    scores = run(make_plan(tasks, models, out), executor=in_process)
    assert scores["status"].eq("ok").all(), scores["reason"].tolist()
    return scores.set_index(["task", "model"])


def test_an_outside_model_reads_the_horizon_of_known_covariates_and_no_more(sales, pricing, tmp_path):
    scores = run_here(suite(sales, {"id": "sales", "windows": 3}), [pricing], tmp_path / "out")
    row = scores.loc["sales", pricing]
    assert row["MASE"] == pytest.approx(0, abs=1e-12)
    assert row["WQL"] == pytest.approx(0, abs=1e-12)
    assert scores.loc["sales", "seasonal-naive"]["MASE"] > 0.5
    assert row["size"] == 3 * 2 * 2 * HORIZON


def test_kept_forecasts_have_a_row_for_every_window_item_target_and_step(sales, pricing, tmp_path):
    scores = run_here(suite(sales, {"id": "sales", "windows": 3}), [pricing], tmp_path / "out")
    kept = pd.read_parquet(tmp_path / "out" / scores.loc["sales", pricing]["predictions"])
    keys = ["window", "item_id", "target_name", "step"]
    assert kept[keys].drop_duplicates().shape[0] == len(kept) == 3 * 2 * 2 * HORIZON
    frame = pd.read_csv(sales)
    for row in kept[kept["step"] == 1].itertuples():
        shop = frame[frame["shop"] == row.item_id]
        expected = shop[row.target_name].iloc[LENGTH - HORIZON * (3 - row.window)]
        assert kept.loc[row.Index, "0.5"] == pytest.approx(expected)


def test_the_score_of_several_targets_is_the_mean_of_their_own(sales, tmp_path):
    tasks = suite(
        sales,
        {"id": "both", "windows": 2},
        {"id": "sold", "windows": 2, "targets": ["sold"]},
        {"id": "returned", "windows": 2, "targets": ["returned"]},
    )
    scores = run_here(tasks, [], tmp_path / "out").reset_index().set_index("task")
    for metric in ("MASE", "WQL", "MAE", "RMSE"):
        assert scores.loc["both", metric] == pytest.approx(scores.loc[["sold", "returned"], metric].mean())
    assert scores.loc["sold", "MAE"] == pytest.approx(10 * scores.loc["returned", "MAE"])


def test_windows_are_pooled_reference(sales, tmp_path):
    tasks = suite(sales, {"id": "sold", "windows": 3, "targets": ["sold"], "quantile_levels": [0.1, 0.5, 0.8]})
    scores = run_here(tasks, ["auto-theta"], tmp_path / "out")
    row = scores.loc["sold", "auto-theta"]
    kept = pd.read_parquet(tmp_path / "out" / row["predictions"])
    truth = np.stack([truth[:, 0] for _, truth in kind.load(tasks.tasks[0]).windows]).ravel()
    losses = []
    for level in (0.1, 0.5, 0.8):
        error = truth - kept[str(level)].to_numpy()
        losses.append(2 * np.where(error > 0, level * error, (level - 1) * error).sum() / np.abs(truth).sum())
    assert row["WQL"] == pytest.approx(np.mean(losses))
    assert row["MAE"] == pytest.approx(np.abs(truth - kept["0.5"]).mean())


def test_one_value_at_all_levels_is_a_forecast_whose_wql_is_its_absolute_error(sales, tmp_path):
    scores = run_here(suite(sales, {"id": "sold", "windows": 2}), ["croston-optimized"], tmp_path / "out")
    for _, row in scores.iterrows():  # seasonal naive says one value, too
        assert row["WQL"] == pytest.approx(row["ND"])
        assert row["CROSSING"] == 0


@pytest.mark.parametrize("change", [{"prediction_length": 60}, {"windows": 9}, {"windows": 3, "step": 30}])
def test_a_horizon_longer_than_the_data_is_refused_before_anything_is_computed(change, sales, pricing, tmp_path):
    with pytest.raises(DataError, match="Item 'a' has 60 steps, but these windows need at least"):
        make_plan(suite(sales, {"id": "fits"}, {"id": "sales", **change}), [pricing], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_ends_with_2_and_one_sentence_for_a_horizon_longer_than_the_data(sales, stillroom, tmp_path):
    done = stillroom(
        "bench", "run", "--data", sales, "--item-id", "shop", "--timestamp", "day", "--target", "sold",
        "--prediction-length", 90, "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "has 60 steps, but these windows need at least 91" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


def test_a_column_that_is_not_there_is_named(sales, tmp_path):
    with pytest.raises(DataError, match="weather"):
        make_plan(suite(sales, {"id": "sales", "known_covariates": ["weather"]}), [], tmp_path)


@pytest.mark.parametrize("model", ["auto-ets", "auto-theta", "auto-arima", "croston-optimized"])
def test_a_library_that_is_not_installed_is_missed_while_planning(model, sales, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    with pytest.raises(MissingError, match="needs statsforecast: pip install"):
        make_plan(suite(sales, {"id": "sales"}), [model], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_ends_with_2_before_anything_runs_where_a_library_is_not_installed(stillroom, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['statsforecast'] = None\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    arguments = ("bench", "run", "demo-forecast", "--out", tmp_path / "out", "--model")
    done = stillroom(*arguments, "croston-optimized", env=environment)
    assert done.returncode == 2
    assert "pip install 'stillroom-bench[baselines]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_only_what_is_asked_for_is_kept_of_the_levels(sales, tmp_path):
    tasks = suite(sales, {"id": "sold", "targets": ["sold"], "quantile_levels": [0.5]})
    scores = run_here(tasks, ["auto-theta"], tmp_path / "out")
    row = scores.loc["sold", "auto-theta"]
    kept = pd.read_parquet(tmp_path / "out" / row["predictions"])
    assert kept.columns.tolist() == ["window", "item_id", "target_name", "step", "0.5"]
    assert row["WQL"] == pytest.approx(row["ND"])
    assert json.loads(row["versions"])["statsforecast"]
