"""Benchmarks of fev: the windows, scores and rows that fev itself makes of them."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from stillroom.bench.fev_tasks import METRICS, to_fev
from stillroom.bench.forecast import kind
from stillroom.bench.leaderboard import boards
from stillroom.bench.rows import assemble, read_rows
from stillroom.bench.tasks import load_suite, read_suite
from stillroom.core.errors import DataError, RecipeError

LEVELS = [0.1, 0.3, 0.5, 0.9]
COLUMNS = {
    "target": ["y", "z"],
    "known_dynamic_columns": ["price", "event"],
    "past_dynamic_columns": ["visits"],
    "static_columns": ["size", "colour"],
}


@pytest.fixture(scope="module")
def fev(tmp_path_factory):
    """The library, with a cache of its own."""
    import datasets

    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("cache")
    return pytest.importorskip("fev")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Parquet files: `lists` with one row a series, `long` with one a step, `weekly`, and `single` with one target."""
    folder = tmp_path_factory.mktemp("data")
    for name, freq, lengths in (("lists", "MS", (40, 31, 12, 36, 7)), ("weekly", "W-WED", (60, 50))):
        pq.write_table(table(lengths, freq), folder / f"{name}.parquet")
    pq.write_table(table((40, 30, 25), "D").select(["id", "timestamp", "y"]), folder / "single.parquet")
    rows = pq.read_table(folder / "lists.parquet").to_pandas()
    over_time = [name for name in rows if name not in ("id", "size", "colour")]
    rows.explode(over_time).infer_objects().astype({"y": float, "z": float}).to_parquet(folder / "long.parquet")
    return folder


def table(lengths: tuple[int, ...], freq: str) -> pa.Table:
    """Series that begin at different times, not in the order of their ids, with holes in the first target.

    All values are 64ths: fev rounds to single precision where it leaves out a series.
    """
    rng = np.random.default_rng(0)

    def noise(n):
        return rng.integers(-200, 200, n) / 64

    starts = [pd.Timestamp("2015-01-01") + i * pd.tseries.frequencies.to_offset(freq) for i in range(len(lengths))]
    y = [10 + np.arange(n) % 12 + noise(n) for n in lengths]
    for values in y:
        values[rng.random(len(values)) < 0.1] = np.nan
    return pa.table(
        {
            "id": [f"i{(7 * i) % 10}" for i in range(len(lengths))],
            "timestamp": [
                pd.date_range(s, periods=n, freq=freq).to_numpy() for s, n in zip(starts, lengths, strict=True)
            ],
            "y": y,
            "z": [noise(n) for n in lengths],
            "price": [noise(n) for n in lengths],
            "event": [[["none", "sale"][int(v > 1)] for v in noise(n)] for n in lengths],
            "visits": [rng.integers(0, 9, n) for n in lengths],
            "size": list(range(len(lengths))),
            "colour": [["red", "blue"][i % 2] for i in range(len(lengths))],
        }
    )


CONFIGS = {
    "one window": {"target": "y"},
    "windows that overlap": {"target": "y", "num_windows": 4, "window_step_size": 2, "seasonality": 1},
    "from the beginning": {"target": "y", "initial_cutoff": 9, "num_windows": 2},
    "from the end": {"target": "y", "initial_cutoff": -20, "num_windows": 3},
    "after a day": {"target": "y", "initial_cutoff": "2016-12-01"},
    "after a time between steps": {"target": "y", "initial_cutoff": "2016-12-15 08:00:00", "num_windows": 3},
    "weeks after a day": {"file": "weekly", "target": "y", "initial_cutoff": "2015-09-05", "num_windows": 3},
    "enough context": {"target": "y", "min_context_length": 20, "num_windows": 3},
    "little context": {"target": "y", "max_context_length": 8, "num_windows": 2},
    "everything": {**COLUMNS, "num_windows": 2, "max_context_length": 15},
    "a long file": {**COLUMNS, "file": "long", "num_windows": 2},
    "each target of some": {"generate_univariate_targets_from": ["z", "y"], "past_dynamic_columns": ["visits"]},
    "each target of all": {"file": "single", "generate_univariate_targets_from": "__ALL__"},
    "old names": {"target_column": "y", "num_rolling_windows": 2, "rolling_step_size": 3},
}


def task_of(config: dict, folder: Path) -> dict:
    """A task in fev's keys."""
    values = {key: value for key, value in config.items() if key != "file"}
    path = str(folder / f"{config.get('file', 'lists')}.parquet")
    return {"dataset_path": path, "horizon": 4, "seasonality": 3, "quantile_levels": LEVELS, **values}


def both(fev, config: dict, folder: Path):
    """The task as fev has it, and as a suite has it."""
    values = task_of(config, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of old names
        theirs = fev.Task(**values)
    theirs.load_full_dataset(num_proc=1)
    return theirs, read_suite({"tasks": [values]}, "mine").tasks[0]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_key_has_the_value_that_the_fev_reference_gives_it(fev, name):
    values = task_of(CONFIGS[name], Path("/some/where"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        expected = fev.Task(**values).to_dict()
    spec = read_suite({"tasks": [values]}, "mine").tasks[0]
    assert spec.fev == expected
    assert list(spec.fev) == [name for name in expected if name in spec.fev]


@pytest.mark.parametrize("name", CONFIGS)
def test_windows_are_those_of_the_fev_reference(fev, folder, name):
    theirs, spec = both(fev, CONFIGS[name], folder)
    data = kind.load(spec)
    windows = list(theirs.iter_windows(num_proc=1))
    assert len(windows) == len(data.windows)
    for window, (ours, truth) in zip(windows, data.windows, strict=True):
        past, future = (part.data.table.to_pandas().set_index("id") for part in window.get_input_data())
        wanted = window.get_ground_truth().data.table.to_pandas().set_index("id")
        items = {str(item.item_id): (item, row) for item, row in zip(ours.past, truth, strict=True)}
        if CONFIGS[name].get("generate_univariate_targets_from") == "__ALL__":  # of one column: nothing to tell apart
            items = {f"{item_id}_y": value for item_id, value in items.items()}
        assert sorted(items) == list(past.index)
        assert (ours.season_length, ours.prediction_length) == (theirs.seasonality, 4)
        for item_id, (item, row) in items.items():
            seen, ahead = past.loc[item_id], future.loc[item_id]
            for number, column in enumerate(theirs.target_columns):
                place = ours.past.targets.index(column) if theirs.is_multivariate else number
                np.testing.assert_array_equal(item.target[place], seen[column])
                np.testing.assert_array_equal(row[place], wanted.loc[item_id, column])
            times = np.concatenate([seen["timestamp"], ahead["timestamp"]])
            np.testing.assert_array_equal(ours.past.timestamps(item, 4).to_numpy().astype("M8[ns]"), times)
            assert sorted(item.past) == theirs.past_dynamic_columns
            assert sorted(item.known) == theirs.known_dynamic_columns
            assert item.static == {column: seen[column] for column in theirs.static_columns}
            for column, values in item.past.items():
                np.testing.assert_array_equal(values, seen[column])
            for column, values in item.known.items():
                np.testing.assert_array_equal(values, np.concatenate([seen[column], ahead[column]]))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same_forecasts_have_the_scores_of_the_fev_reference(fev, folder, name):
    extra = [metric for metric in METRICS if metric != "SQL"]
    theirs, spec = both(fev, {**CONFIGS[name], "eval_metric": "SQL", "extra_metrics": extra}, folder)
    data = kind.load(spec)
    rng = np.random.default_rng(1)
    answers, predictions = [], []
    for window, truth in data.windows:
        quantiles = np.sort(rng.normal(10, 5, (*truth.shape, len(LEVELS))), axis=-1)
        answers.append(quantiles.reshape(-1, len(LEVELS)))
        order = np.argsort([str(item.item_id) for item in window.past])
        names = window.past.targets if theirs.is_multivariate else theirs.target_columns
        predictions.append(
            {
                column: [
                    {"predictions": cells[:, 2], **{str(q): cells[:, i] for i, q in enumerate(LEVELS)}}
                    for cells in quantiles[order, number]
                ]
                for number, column in enumerate(names)
            }
        )
    kept = pd.DataFrame(np.concatenate(answers), columns=[str(level) for level in LEVELS])
    ours, summary = kind.score(spec, data, kept), theirs.evaluation_summary(predictions, model_name="random")
    assert ours["SQL"] == pytest.approx(summary["test_error"], rel=1e-9)
    for their_name, our_name in METRICS.items():
        assert ours[our_name] == pytest.approx(summary[their_name], rel=1e-9), their_name


def test_missing_forecasts_are_refused_by_the_fev_reference(fev, folder):
    task = fev.Task(**task_of({"file": "single", "target": "y"}, folder))
    task.load_full_dataset(num_proc=1)
    columns = {name: [[np.nan] * 4] * 3 for name in ("predictions", *map(str, LEVELS))}
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    with pytest.raises(ValueError, match="NaN"):
        task.evaluation_summary([rows], model_name="none")


def test_tasks_of_one_name_are_told_apart():
    task = {"dataset_path": "autogluon/fev_datasets", "dataset_config": "ETT_1H"}
    suite = read_suite({"tasks": [{**task, "horizon": h} for h in (1, 2)] + [{**task, "task_name": "mine"}]}, "mine")
    assert [task.id for task in suite.tasks] == ["ETT_1H", "ETT_1H-2", "mine"]
    assert suite.tasks[0].dataset == "hub:autogluon/fev_datasets/ETT_1H"


@pytest.mark.parametrize(
    ("more", "dataset"),
    [
        ({}, "ETTh"),
        ({"generate_univariate_targets_from": "__ALL__"}, "ETTh"),
        ({"target": "OT"}, "hub:autogluon/chronos_datasets_extra/ETTh"),
        ({"known_dynamic_columns": ["HUFL"]}, "hub:autogluon/chronos_datasets_extra/ETTh"),
    ],
)
def test_a_set_of_the_chronos_benchmarks_is_named_as_such_where_it_is_taken_as_it_is(more, dataset):
    task = {"dataset_path": "autogluon/chronos_datasets_extra", "dataset_config": "ETTh", **more}
    assert read_suite({"tasks": [task]}, "mine").tasks[0].dataset == dataset


def test_a_file_is_looked_for_beside_the_benchmark(tmp_path):
    (tmp_path / "tasks.yaml").write_text("tasks: [{dataset_path: shops.parquet}]")
    (task,) = load_suite(str(tmp_path / "tasks.yaml")).tasks
    assert (task.id, task.dataset) == ("shops", str((tmp_path / "shops.parquet").resolve()))


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"horzion": 3}, "unknown key 'horzion'; did you mean 'horizon'"),
        ({"horizon": "long"}, "horizon must be a whole number, not 'long'"),
        ({"static_columns": "size"}, "static_columns must be a list, not 'size'"),
        ({"window_step_size": "D"}, "window_step_size must be a number of steps, not 'D'"),
        ({"initial_cutoff": "soon"}, "initial_cutoff must be a number of steps, or a time such as 2024-01-31"),
        ({"eval_metric": "RMSSE"}, "eval_metric 'RMSSE' is not one of MASE, WQL"),
        ({"eval_metric": {"name": "MASE", "epsilon": 0.1}}, "is not one of MASE, WQL, .* without parameters"),
        ({"eval_metric": "WQL"}, "eval_metric 'WQL' needs quantile_levels"),
        ({"quantile_levels": [0.1, 0.9]}, "quantile_levels must include 0.5"),
        ({"target": ["a", "b"], "generate_univariate_targets_from": ["a"]}, "both say what to forecast: keep one"),
        ({"dataset_path": "s3://bucket/data.parquet"}, "must be a file here"),
        ({"dataset_path": "folder/*.parquet"}, "must be a file here"),
        ({"dataset_path": None}, "the key 'dataset_path' is missing"),
        ({"min_context_length": 0}, "min_context_length: Input should be greater than 0"),
    ],
)
def test_what_has_no_meaning_here_is_refused_by_its_key(more, sentence):
    with pytest.raises(RecipeError, match=sentence):
        read_suite({"tasks": [{"dataset_path": "a/b/data.parquet", **more}]}, "mine")


def test_a_cutoff_that_leaves_no_room_is_refused(folder):
    spec = read_suite({"tasks": [task_of({"target": "y", "initial_cutoff": -3}, folder)]}, "mine").tasks[0]
    with pytest.raises(RecipeError, match="offset -3 leaves no room"):
        kind.load(spec)


def test_extra_metrics_that_are_not_computed_are_told():
    tasks = [{"dataset_path": "a/b.parquet", "extra_metrics": ["WQL", "RMSLE", {"name": "WAPE", "epsilon": 1.0}]}]
    with pytest.warns(UserWarning, match="not computed here: RMSLE, {'name': 'WAPE', 'epsilon': 1.0}"):
        read_suite({"tasks": tasks}, "mine")


@pytest.fixture(scope="module")
def scored(folder, tmp_path_factory) -> Path:
    """What the command leaves of a benchmark of fev's, with a failure and a leak put into its rows."""
    out = tmp_path_factory.mktemp("scores")
    tasks = [
        {**task_of(CONFIGS[name], folder), "task_name": name, "eval_metric": "WQL", "extra_metrics": ["MASE"]}
        for name in ("one window", "windows that overlap", "everything", "each target of all")
    ]
    (out / "tasks.yaml").write_text(yaml.safe_dump({"tasks": tasks}))
    command = [Path(sys.executable).with_name("stillroom"), "bench", "run", out / "tasks.yaml", "--out", out]
    models = ["--model", "auto-theta", "--model", "auto-ets", "--executor", "in-process"]
    subprocess.run([*map(str, command), *models], check=True, capture_output=True)
    for path in (out / "rows").glob("everything-auto-theta*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "failed", "metrics": {}}))
    for path in (out / "rows").glob("one-window-auto-ets*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"leakage": True}))
    return out


def test_exported_scores_have_the_leaderboard_of_the_fev_reference(fev, scored, stillroom):
    file, baseline = str(scored / "scores.csv"), "seasonal-naive"
    done = stillroom("bench", "to-fev", scored, file)
    assert (done.returncode, done.stderr) == (0, f"12 scores: {file}\n")
    options = {"baseline_model": baseline, "missing_strategy": "impute"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        relative = fev.pivot_table(file, baseline_model=baseline)
        theirs = fev.leaderboard(file, **options, n_resamples=10)
        pairs = fev.pairwise_comparison(file, **options)
        by_mase = fev.leaderboard(file, **options, metric_column="MASE")
    assert relative.isna().sum().to_dict() == {"auto-ets": 0, "auto-theta": 1, baseline: 0}
    (board,) = boards(assemble(scored))
    errors = board.errors["WQL"] / board.errors["WQL"][:, [board.models.index(baseline)]]
    for number, model in enumerate(board.models):
        np.testing.assert_allclose(np.sort(relative[model].fillna(1.0)), np.sort(errors[:, number]), rtol=1e-9)
        row = board.table.set_index("model").loc[model]
        assert theirs.loc[model, "skill_score"] == pytest.approx(row["skill"], abs=1e-9)
        assert by_mase.loc[model, "skill_score"] == pytest.approx(1 - row["relative_MASE"], abs=1e-9)
        assert theirs.loc[model, "win_rate"] == pytest.approx(row["win_rate"], abs=1e-9)
        assert theirs.loc[model, "num_failures"] == row["failures"]
        assert theirs.loc[model, "training_corpus_overlap"] == row["leakage"] / 4
        assert theirs.loc[model, "median_inference_time_s"] > 0
    assert pairs.loc[("auto-ets", baseline), "skill_score"] == pytest.approx(theirs.loc["auto-ets", "skill_score"])


def test_an_exported_row_says_the_task_as_the_fev_reference_does(fev, folder, scored):
    row = next(row for row in read_rows(scored).values() if row["task"] == "everything" and row["status"] == "ok")
    (summary,) = to_fev([row]).to_dict("records")
    config = {**CONFIGS["everything"], "task_name": "everything", "eval_metric": "WQL", "extra_metrics": ["MASE"]}
    theirs, _ = both(fev, config, folder)
    cells = {name: [1.0] * 4 for name in ("predictions", *map(str, LEVELS))}
    predictions = [{"y": [cells] * items, "z": [cells] * items} for items in (4, 5)]  # one is too short at first
    expected = theirs.evaluation_summary(predictions, model_name=row["model"])
    assert list(summary)[: len(expected) - 2] == list(expected)[:-2]  # the last two are metrics
    unlike = {"test_error", "WQL", "MASE", "training_time_s", "inference_time_s", "dataset_fingerprint"}
    for name in expected.keys() - unlike:
        assert summary[name] == expected[name], name


@pytest.mark.parametrize(("metric", "ours"), [("MASE", "MASE"), ("wape", "ND"), ({"name": "SQL"}, "SQL")])
def test_the_error_that_is_exported_is_the_metric_of_the_task(scored, metric, ours):
    row = next(row for row in read_rows(scored).values() if row["status"] == "ok")
    row["spec"]["fev"]["eval_metric"] = metric
    assert to_fev([row])["test_error"].tolist() == [row["metrics"][ours]]


def test_an_extra_metric_with_parameters_is_not_exported_as_the_one_without(scored):
    row = next(row for row in read_rows(scored).values() if row["status"] == "ok")
    row["spec"]["fev"]["extra_metrics"] = [{"name": "WAPE", "epsilon": 1.0}]
    assert "WAPE" not in to_fev([row])


def test_tasks_that_do_not_come_from_fev_are_exported_too(fev, shops, tmp_path, stillroom):
    where = ["--target", "sales", "--item-id", "shop", "--timestamp", "month", "--out", tmp_path]
    done = stillroom("bench", "run", "--data", shops, "--prediction-length", 6, *where)
    assert done.returncode == 0, done.stderr
    rows = list(read_rows(tmp_path).values())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = fev.pivot_table(to_fev(rows)).reset_index()
    assert table["seasonal-naive"].tolist() == [rows[0]["metrics"]["WQL"]]
    assert table[["dataset_path", "horizon", "initial_cutoff", "target"]].to_numpy().tolist() == [
        [str(shops), 6, "-6", "sales"]
    ]


def test_scores_of_other_kinds_and_skipped_ones_are_none_of_fev():
    rows = [{"kind": "classify", "status": "ok"}, {"kind": "forecast", "status": "skipped"}]
    with pytest.raises(DataError, match="no scores of forecast tasks"):
        to_fev(rows)


def test_another_file_than_csv_is_refused(scored, stillroom):
    done = stillroom("bench", "to-fev", scored, scored / "scores.txt")
    assert (done.returncode, "scores.txt must end in .csv" in done.stderr) == (2, True)
