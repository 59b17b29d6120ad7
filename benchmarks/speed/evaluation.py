"""What evaluating forecasts costs, ours beside fev, utilsforecast and gluonts on the same arrays.

MASE and WQL of hourly series, horizon 24, levels 0.1 … 0.9, histories of 100 to 500 steps, season 24; 2 % of all
values are missing, one history in a hundred is constant and one is shorter than the season. Every library gets the data
in its own form, made beforehand, and is timed on what its user calls to score one model: `series.metrics.evaluate` on
arrays, `fev.Task.evaluation_summary` on predictions as a DatasetDict and as a list of dictionaries (the task's data is
loaded), `utilsforecast.evaluate` and `mqloss` on long frames, `gluonts.model.evaluate_forecasts` on QuantileForecasts.
The libraries take turns; medians of CPU seconds. Our values must equal those of gluonts to 1e-6.

Prints the table, or with `--json` the same as JSON, and exits 1 if a ratio is below its bar.

    python benchmarks/speed/evaluation.py [--series 1000 10000] [--repeats 9] [--json]
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}

import datasets
import fev
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from gluonts.ev.metrics import MASE, MeanWeightedSumQuantileLoss
from gluonts.model.evaluation import evaluate_forecasts
from gluonts.model.forecast import QuantileForecast
from threadpoolctl import threadpool_limits
from utilsforecast.evaluation import evaluate as utilsforecast_evaluate
from utilsforecast.losses import mase, mqloss

from stillroom.series.metrics import evaluate

BARS = {"fev, DatasetDict": 3.0, "fev, lists": 15.0, "gluonts": 100.0}
HORIZON, SEASON = 24, 24
LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
START = pd.Timestamp("2020-01-01")

Scores = tuple[float, float]
"""MASE and WQL."""


@dataclass(frozen=True, eq=False)
class Forecasts:
    """What happened, what was said, and the histories: (n, horizon), (n, horizon, levels), n of (time,)."""

    truth: np.ndarray
    quantiles: np.ndarray
    past: list[np.ndarray]


def make(count: int, seed: int) -> Forecasts:
    """Random walks around a daily season."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(100, 501, count)
    lengths[7::100] = rng.integers(3, SEASON, len(lengths[7::100]))
    walks = [10 + rng.normal(0, 0.3, length + HORIZON).cumsum() for length in lengths]
    series = [walk + 2 * np.sin(np.arange(len(walk)) * 2 * np.pi / SEASON) for walk in walks]
    truth = np.stack([values[-HORIZON:] for values in series])
    quantiles = np.sort(truth[..., None] + rng.normal(0, 2, (count, HORIZON, len(LEVELS))), axis=-1)
    past = [values[:-HORIZON] for values in series]
    for values in (truth, *past):
        values[rng.random(values.shape) < 0.02] = np.nan
    past[11::100] = [np.full_like(values, 5.0) for values in past[11::100]]
    return Forecasts(truth, quantiles, past)


def stillroom(made: Forecasts) -> Callable[[], Scores]:
    """The whole of `metrics.evaluate`: all its metrics, of which two are taken."""

    def run() -> Scores:
        totals = evaluate(made.truth, made.quantiles, LEVELS, made.past, SEASON).totals
        return totals["MASE"], totals["WQL"]

    return run


def fev_task(made: Forecasts, folder: Path) -> fev.Task:
    """A task with its data loaded, from a Parquet file with one row a series."""
    whole = [np.concatenate([past, truth]) for past, truth in zip(made.past, made.truth, strict=True)]
    ids = [f"{number:06d}" for number in range(len(whole))]  # fev sorts by them
    times = [pd.date_range(START, periods=len(values), freq="h").to_numpy() for values in whole]
    table = pa.table({"id": ids, "timestamp": times, "target": whole})
    path = folder / f"{len(whole)}.parquet"
    pq.write_table(table, path)
    task = fev.Task(
        dataset_path=str(path),
        horizon=HORIZON,
        seasonality=SEASON,
        eval_metric="MASE",
        extra_metrics=["WQL"],
        quantile_levels=LEVELS,
    )
    task.load_full_dataset(num_proc=1)
    return task


def fev_summary(task: fev.Task, predictions: datasets.DatasetDict | list[dict[str, np.ndarray]]) -> Scores:
    """What fev's user calls with the predictions of every window, here of one."""
    summary = task.evaluation_summary([predictions], model_name="model")
    return summary["MASE"], summary["WQL"]


def in_columns(made: Forecasts) -> dict[str, np.ndarray]:
    """The forecasts as fev's columns, each (n, horizon)."""
    columns = {str(level): made.quantiles[..., i] for i, level in enumerate(LEVELS)}
    return {"predictions": columns["0.5"], **columns}


def fev_dictionary(made: Forecasts, task: fev.Task) -> Callable[[], Scores]:
    """The form that fev recommends."""
    columns = datasets.Dataset.from_dict({name: list(values) for name, values in in_columns(made).items()})
    return partial(fev_summary, task, datasets.DatasetDict({"target": columns}))


def fev_lists(made: Forecasts, task: fev.Task) -> Callable[[], Scores]:
    """One dictionary a series."""
    columns = in_columns(made)
    rows = [{name: values[i] for name, values in columns.items()} for i in range(len(made.truth))]
    return partial(fev_summary, task, rows)


def utilsforecast(made: Forecasts) -> Callable[[], Scores]:
    """MASE by series and the pinball loss by series, from which WQL follows."""
    ids = np.arange(len(made.truth))
    lengths = [len(values) for values in made.past]
    names = [f"model-{level}" for level in LEVELS]
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(ids, HORIZON),
            "ds": np.concatenate([np.arange(length, length + HORIZON) for length in lengths]),
            "y": made.truth.ravel(),
            "model": made.quantiles[..., LEVELS.index(0.5)].ravel(),
            **{name: made.quantiles[..., i].ravel() for i, name in enumerate(names)},
        }
    )
    history = pd.DataFrame(
        {
            "unique_id": np.repeat(ids, lengths),
            "ds": np.concatenate([np.arange(length) for length in lengths]),
            "y": np.concatenate(made.past),
        }
    )

    def run() -> Scores:
        scaled = utilsforecast_evaluate(frame, [partial(mase, seasonality=SEASON)], models=["model"], train_df=history)
        losses = mqloss(frame, models={"model": names}, quantiles=np.array(LEVELS))
        target = frame.groupby("unique_id")["y"]
        total = 2 * (losses["model"].to_numpy() * target.count().to_numpy()).sum()
        return float(scaled["model"].mean()), float(total / frame["y"].abs().sum())

    return run


def gluonts(made: Forecasts) -> Callable[[], Scores]:
    """Its own evaluation of its own forecast objects."""
    start = pd.Period(START, "h")
    keys = [str(level) for level in LEVELS]
    pairs = SimpleNamespace(  # all that it asks of its test data
        input=[{"start": start, "target": values} for values in made.past],
        label=[{"start": start + len(past), "target": row} for past, row in zip(made.past, made.truth, strict=True)],
    )
    forecasts = [
        QuantileForecast(np.ascontiguousarray(cells.T), start_date=start + len(past), forecast_keys=keys)
        for past, cells in zip(made.past, made.quantiles, strict=True)
    ]

    def run() -> Scores:
        metrics = [MASE(), MeanWeightedSumQuantileLoss(quantile_levels=LEVELS)]
        row = evaluate_forecasts(forecasts, test_data=pairs, metrics=metrics, seasonality=SEASON).iloc[0]
        return float(row.iloc[0]), float(row.iloc[1])

    return run


def measure(count: int, repeats: int, folder: Path) -> list[dict[str, object]]:
    """One row a library: CPU milliseconds, how many times ours, and the values."""
    made = make(count, seed=0)
    task = fev_task(made, folder)
    contenders = {
        "stillroom": stillroom(made),
        "fev, DatasetDict": fev_dictionary(made, task),
        "fev, lists": fev_lists(made, task),
        "utilsforecast": utilsforecast(made),
        "gluonts": gluonts(made),
    }
    turns = dict.fromkeys(contenders, repeats) | {"gluonts": min(repeats, 3 if count <= 1000 else 1)}  # takes seconds
    values: dict[str, Scores] = {}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(-1, repeats):
        for name, run in contenders.items():
            if turn < turns[name] and not (turn < 0 and name == "gluonts"):  # turn -1 warms up
                gc.collect()
                started = time.process_time()
                values[name] = run()
                seconds[name] += [time.process_time() - started] * (turn >= 0)
    np.testing.assert_allclose(values["stillroom"], values["gluonts"], rtol=1e-6)
    ours = np.median(seconds["stillroom"])
    return [
        {
            "series": count,
            "library": name,
            "milliseconds": 1000 * float(np.median(seconds[name])),
            "repeats": len(seconds[name]),
            "ratio": float(np.median(seconds[name]) / ours),
            "bar": BARS.get(name),
            "MASE": values[name][0],
            "WQL": values[name][1],
        }
        for name in contenders
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="MASE and WQL beside fev, utilsforecast and gluonts: CPU seconds.")
    parser.add_argument("--series", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--repeats", type=int, default=9, help="turns of each library (default 9; gluonts fewer)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # gluonts logs every batch with a missing value
    pa.set_cpu_count(1)
    with threadpool_limits(1), warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # means of nothing, where a series has no seasonal error
        rows = [row for count in options.series for row in measure(count, options.repeats, Path(folder))]
    passed = all(row["ratio"] >= row["bar"] for row in rows if row["bar"])
    if options.json:
        print(json.dumps({"horizon": HORIZON, "levels": LEVELS, "passed": passed, "rows": rows}))
        return 0 if passed else 1
    for row in rows:
        bar = f"bar {row['bar']:.0f}x" if row["bar"] else ""
        print(
            f"{row['series']:6d} series  {row['library']:17s} {row['milliseconds']:10.2f} ms  "
            f"{row['ratio']:7.1f}x  {bar:9s}  MASE {row['MASE']:.6f}  WQL {row['WQL']:.6f}"
        )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
