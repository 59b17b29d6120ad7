"""The kind impute: its windows, what a model may see, what is refused, and the protocol it follows."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from stillroom.bench.baselines.imputers import interpolate, linear_interpolation, seasonal_interpolation
from stillroom.bench.executor import in_process
from stillroom.bench.impute import ImputeData, kind, runs
from stillroom.bench.kinds import Stopwatch
from stillroom.bench.runner import make_plan, run
from stillroom.bench.tasks import load_suite, read_suite, read_task
from stillroom.core.errors import DataError, ModelError, RecipeError

STEPS = 400


@pytest.fixture
def towns(tmp_path):
    """A CSV file: hourly load and temperature of two towns, the first with missing values of its own."""
    rng = np.random.default_rng(5)
    hours = np.arange(STEPS)
    frames = [
        pd.DataFrame(
            {
                "town": town,
                "hour": pd.date_range("2024-01-01", periods=STEPS, freq="h"),
                "load": 50 + 20 * np.sin(2 * np.pi * hours / 24) + rng.normal(size=STEPS),
                "warmth": 10 + 5 * np.sin(2 * np.pi * (hours + 6) / 24) + rng.normal(size=STEPS),
            }
        )
        for town in ("ash", "oak")
    ]
    frames[0].loc[300:310, "load"] = np.nan
    path = tmp_path / "towns.csv"
    pd.concat(frames).to_csv(path, index=False)
    return path


@pytest.fixture
def task(towns):
    """Make a task on the towns."""

    def make(**keys):
        values = {"id": "towns", "kind": "impute", "dataset": str(towns), "item_id": "town", "timestamp": "hour"}
        values |= {"targets": ["load", "warmth"], "window": 48, "ratio": 0.25}
        return read_task(values | keys, "task towns")

    return make


class Answers:
    """Fills along straight lines, and does then what the test says."""

    def __init__(self, then):
        self.then = then

    def impute(self, series, season_length):
        filled = linear_interpolation().impute(series, season_length)
        return self.then(filled)


def predict(model, spec):
    data = kind.load(spec)
    return data, kind.predict(model, spec, data, Stopwatch())


def test_windows_are_cut_after_the_train_part_and_in_its_standard_deviations(task, towns):
    spec = task(train=0.5, stride=24)
    data = kind.load(spec)
    assert data.truth.shape == data.hidden.shape == (2 * 7, 2, 48)
    assert data.start.tolist() == [200, 224, 248, 272, 296, 320, 344] * 2
    assert data.number.tolist() == [0, 1, 2, 3, 4, 5, 6] * 2
    assert data.item.tolist() == [0] * 7 + [1] * 7
    assert data.season_length == 24
    oak = pd.read_csv(towns).query("town == 'oak'")["warmth"].to_numpy()
    expected = (oak[224:272] - oak[:200].mean()) / oak[:200].std()
    np.testing.assert_allclose(data.truth[8, 1], expected)


def test_train_and_test_parts_can_be_given_in_steps(task):
    data = kind.load(task(train=100, test=[150, 300]))
    assert data.start.tolist() == [150, 198, 246] * 2


def test_a_quarter_of_what_was_observed_is_hidden_in_every_variable_of_every_window(task):
    data = kind.load(task())
    observed = (~np.isnan(data.truth)).sum(axis=2)
    assert (np.abs(data.hidden.sum(axis=2) - observed / 4) < 1).all()
    assert np.isnan(data.truth).any()
    assert not np.isnan(data.truth[data.hidden]).any()
    assert data.size == data.hidden.sum()


def test_an_item_has_the_same_gaps_whoever_else_is_there(task):
    both, alone = kind.load(task()), kind.load(task(max_series=1))
    np.testing.assert_array_equal(alone.hidden, both.hidden[both.item == 0])
    one = kind.load(task(targets=["warmth"]))
    np.testing.assert_array_equal(one.hidden[:, 0], both.hidden[:, 1])
    assert not np.array_equal(kind.load(task(seed=1)).hidden, both.hidden)


def test_blocks_are_hidden_in_each_variable_by_itself(task):
    data = kind.load(task(mask="block", block_length=12))
    oak = data.hidden[data.item == 1]
    for window in oak:
        for row in window:
            assert row.sum() == 12
            assert np.ptp(np.flatnonzero(row)) == 11
    assert not np.array_equal(oak[:, 0], oak[:, 1])


def test_a_model_sees_windows_with_gaps_and_never_what_is_hidden(task):
    seen = []

    class Looks:
        def impute(self, series, season_length):
            seen.extend(values.copy() for values in series)
            assert season_length == 24
            for values in series:
                values[np.isnan(values)] = 0.0  # one that writes into what it was given
            return series

    data, predictions = predict(Looks(), task())
    gaps = data.hidden | np.isnan(data.truth)
    np.testing.assert_array_equal(np.isnan(np.stack(seen)), gaps)
    np.testing.assert_array_equal(np.stack(seen)[~gaps], data.truth[~gaps])
    assert kind.score(task(), data, predictions)["MAE"] == pytest.approx(np.abs(data.truth[data.hidden]).mean())


def test_predictions_have_a_row_for_every_hidden_value(task):
    data, predictions = predict(linear_interpolation(), task())
    assert len(predictions) == data.size
    assert predictions.columns.tolist() == ["window", "item_id", "variable", "step", "value"]
    row = predictions[(predictions["item_id"] == "oak") & (predictions["variable"] == "warmth")].iloc[0]
    (place,) = np.flatnonzero((data.item == 1) & (data.number == row["window"]))
    window = np.where(data.hidden[place, 1], np.nan, data.truth[place, 1])
    assert data.hidden[place, 1, row["step"] - 1]
    assert row["value"] == interpolate(window)[row["step"] - 1]


def test_scores_are_of_the_hidden_values_reference(task):
    spec = task()
    data, predictions = predict(linear_interpolation(), spec)
    squares, sizes = [], []
    for truth, hidden in zip(data.truth.reshape(-1, 48), data.hidden.reshape(-1, 48), strict=True):
        kept = pd.Series(np.where(hidden, np.nan, truth)).interpolate(limit_direction="both").to_numpy()
        squares += [(a - b) ** 2 for a, b, h in zip(kept, truth, hidden, strict=True) if h]
        sizes += [abs(a - b) for a, b, h in zip(kept, truth, hidden, strict=True) if h]
    scores = kind.score(spec, data, predictions)
    assert scores["MSE"] == pytest.approx(sum(squares) / len(squares))
    assert scores["MAE"] == pytest.approx(sum(sizes) / len(sizes))
    assert scores["RMSE"] == pytest.approx(scores["MSE"] ** 0.5)


def test_the_truth_scores_perfectly(task):
    data = kind.load(task())

    class Knows:
        def impute(self, series, season_length):
            return list(np.nan_to_num(data.truth))

    predictions = kind.predict(Knows(), task(), data, Stopwatch())
    assert kind.score(task(), data, predictions) == {"MAE": 0, "MSE": 0, "RMSE": 0, "R2": 1}


@pytest.mark.parametrize(
    ("then", "sentence"),
    [
        pytest.param(lambda filled: filled[1:], "5 windows came back instead of 6", id="a-window-less"),
        pytest.param(lambda filled: [f[0] for f in filled], r"the shape \(48,\) instead of \(2, 48\)", id="flat"),
        pytest.param(lambda filled: [f.T for f in filled], r"the shape \(48, 2\) instead of", id="turned"),
        pytest.param(lambda filled: [f * np.nan for f in filled], "576 of 576 values .* not finite", id="blank"),
        pytest.param(lambda filled: [f + 0.5 for f in filled], "values came back changed, by up to 0.5", id="up"),
        pytest.param(lambda filled: [f * 1e-3 for f in filled], "an imputer fills gaps and leaves", id="another-unit"),
    ],
)
def test_answers_that_are_no_filling_are_refused_in_a_sentence(then, sentence, task):
    with pytest.raises(ModelError, match=sentence):
        predict(Answers(then), task())


def test_a_model_that_computes_in_float32_is_believed(task):
    data, predictions = predict(Answers(lambda filled: [f.astype(np.float32) for f in filled]), task())
    assert kind.score(task(), data, predictions)["MAE"] > 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ratio": 1.0}, "ratio: Input should be less than 1"),
        ({"window": 1}, "window: Input should be greater than 1"),
        ({"mask": "blok"}, "mask: Input should be 'point' or 'block'"),
        ({"mask": "block"}, "block_length goes with mask: block"),
        ({"block_length": 4}, "block_length goes with mask: block"),
        ({"mask": "block", "block_length": 48}, "must be less than the window of 48 steps"),
        ({"train": 1.5}, "must be a share between 0 and 1, or a whole number of steps"),
        ({"train": 0}, "must be a share between 0 and 1"),
        ({"variables": ["ash", "ash"]}, "variables names an item twice"),
        ({"test": [300, 200]}, "test must name its first step"),
        ({"past_covariates": ["load"]}, "unknown key 'past_covariates'"),
        ({"windw": 24}, "did you mean 'window'"),
    ],
)
def test_keys_that_cannot_be_meant_are_refused(change, sentence, task):
    with pytest.raises(RecipeError, match=sentence):
        task(**change)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"window": 200}, DataError, "task towns: item 'ash' has 400 steps, but a window of 200 after step 240 needs"),
        ({"train": 100, "test": [150, 500]}, DataError, "needs at least 500"),
        ({"train": 200, "test": [100, 300]}, RecipeError, "begins at step 100, within the 200 steps of the train part"),
        ({"train": 0.001}, DataError, "in the 0 steps of the train part, a variable has no observed value"),
        ({"ratio": 0.001}, DataError, "no window has observed values enough to hide 0.001 of them"),
        ({"variables": ["ash", "elm"], "targets": ["load"]}, DataError, "task towns: There is no item 'elm'"),
        ({"variables": ["ash", "oak"]}, DataError, "2 variables already"),
    ],
)
def test_tasks_that_their_data_cannot_carry_are_refused_before_anything_is_computed(change, error, sentence, task):
    with pytest.raises(error, match=sentence):
        kind.load(task(**change))


def test_items_that_are_kept_apart_can_be_taken_together_as_variables(task):
    apart = kind.load(task(targets=["warmth"]))
    together = kind.load(task(targets=["warmth"], variables=["oak", "ash"]))
    assert together.panel.targets == ("oak", "ash")
    np.testing.assert_array_equal(together.truth[:, 0], apart.truth[apart.item == 1, 0])
    np.testing.assert_array_equal(together.truth[:, 1], apart.truth[apart.item == 0, 0])


def test_items_that_do_not_cover_the_same_steps_cannot_be_one(task, towns):
    frame = pd.read_csv(towns)
    frame[(frame["town"] == "ash") | (frame["hour"] >= "2024-01-03")].to_csv(towns, index=False)
    with pytest.raises(DataError, match="'ash' and 'oak' do not cover the same steps"):
        kind.load(task(targets=["warmth"], variables=["ash", "oak"]))


def test_examples_show_the_best_the_median_and_the_worst_gap_in_the_units_of_the_data(task, towns):
    spec = task()
    data, predictions = predict(linear_interpolation(), spec)
    examples = kind.examples(spec, data, predictions)
    assert [example.rank for example in examples] == ["best", "median", "worst"]
    assert examples[0].value <= examples[1].value <= examples[2].value
    frame = pd.read_csv(towns)
    for example in examples:
        town, column = example.item.split(", ")
        values = frame[frame["town"] == town][column].to_numpy()
        history, truth, prediction = example.lines
        assert [line.role for line in example.lines] == ["history", "truth", "prediction"]
        known = values[history.x]
        gap = np.isnan(history.y) & ~np.isnan(known)
        np.testing.assert_allclose(history.y[~np.isnan(history.y)], known[~np.isnan(history.y)])
        np.testing.assert_allclose(truth.y[gap], known[gap])
        in_spans = np.zeros(len(gap), dtype=bool)
        for span in example.spans:
            in_spans |= (history.x >= span.start) & (history.x <= span.end)
        np.testing.assert_array_equal(in_spans, gap)
        deviation = data.deviation[["ash", "oak"].index(town), ["load", "warmth"].index(column)]
        assert np.abs(prediction.y - truth.y)[gap].mean() / deviation == pytest.approx(example.value)


def test_a_copy_of_one_series_in_a_training_set_is_found(task, towns):
    from stillroom.series.overlap import Index

    oak = pd.read_csv(towns).query("town == 'oak'")["warmth"].to_numpy()
    data = kind.load(task())
    assert data.shared(Index.of([oak])) == 1
    assert data.shared(Index.of([np.random.default_rng(0).normal(size=400)])) == 0


def test_the_demo_runs_and_is_scored_again_from_what_was_kept(tmp_path):
    suite = load_suite("demo-impute")
    scores = run(make_plan(suite, ["seasonal-interpolation"], tmp_path), executor=in_process)
    assert scores["status"].eq("ok").all()
    for row in scores.itertuples():
        (spec,) = (task for task in suite.tasks if task.id == row.task)
        again = kind.score(spec, kind.load(spec), pd.read_parquet(tmp_path / row.predictions))
        assert {name: getattr(row, name) for name in again} == again
    table = scores.pivot_table(index="task", columns="model", values="MSE")
    assert (table["seasonal-interpolation"] < table["linear-interpolation"]).all()


def test_windows_longer_than_the_data_are_refused_before_anything_is_computed(tmp_path, towns):
    values = {"id": "far", "kind": "impute", "dataset": str(towns), "item_id": "town", "timestamp": "hour"}
    values |= {"targets": ["load"], "window": 999, "ratio": 0.5}
    with pytest.raises(DataError, match="a window of 999 after step 240 needs at least 1239"):
        make_plan(read_suite({"tasks": [values]}, "mine"), [], tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---- the protocol of Time-Series-Library


def test_the_ett_suite_has_its_windows_parts_and_ratios():
    tasks = load_suite("imputation-ett").tasks
    assert len(tasks) == 24
    assert [task.ratio for task in tasks if task.mask == "point"] == [0.125, 0.25, 0.375, 0.5] * 4
    assert {(task.id, task.ratio, task.block_length) for task in tasks if task.mask == "block"} == {
        *((f"{name}-block-0.25", 0.25, 24) for name in ("ETTh1", "ETTh2", "ETTm1", "ETTm2")),
        *((f"{name}-block16-{ratio}", ratio, 16) for name in ("ETTh1", "ETTh2") for ratio in (0.25, 0.5)),
    }
    for task in tasks:
        hour = 4 if "ETTm" in task.id else 1  # steps an hour
        month = 30 * 24 * hour
        assert (task.window, task.stride, task.train) == (96, 1, 12 * month)
        assert task.test == (16 * month - 96, 20 * month)
        names = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
        assert task.variables == tuple(f"{task.id[:5]}_{name}" for name in names)


@pytest.fixture
def ett() -> tuple[np.ndarray, ImputeData]:
    """ETTh1 as (steps, variables), and the task with an eighth hidden."""
    if "STILLROOM_DATA" not in os.environ:
        pytest.skip("STILLROOM_DATA is not set: ETTh is in the data folder")
    from stillroom.bench.panels import read_panel

    spec = load_suite("imputation-ett").tasks[0]
    items = {item.item_id: item.target[0] for item in read_panel(spec)}
    return np.stack([items[name] for name in spec.variables], axis=1), kind.load(spec)


def test_blocks_of_16_steps_hide_their_share_and_both_baselines_fill_them(ett):
    for spec in (task for task in load_suite("imputation-ett").tasks if "block16" in task.id):
        data = kind.load(spec.model_copy(update={"stride": 8}))
        lengths = [last - first + 1 for row in data.hidden.reshape(-1, 96) for first, last in runs(row)]
        assert {length % 16 for length in lengths} == {0}  # blocks may touch
        assert data.hidden.mean() == pytest.approx(spec.ratio, abs=0.01)
        for baseline in (linear_interpolation(), seasonal_interpolation()):
            assert 0 < kind.score(spec, data, kind.predict(baseline, spec, data, Stopwatch()))["MSE"] < 3


def test_windows_equal_those_of_time_series_library_reference(ett):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    raw, data = ett
    # As Dataset_ETT_hour of Time-Series-Library does with seq_len 96 and pred_len 0.
    scaler = preprocessing.StandardScaler().fit(raw[: 12 * 30 * 24])
    test = scaler.transform(raw)[16 * 30 * 24 - 96 : 20 * 30 * 24]
    assert len(data.truth) == len(test) - 96 + 1 == 2881
    for window in (0, 1, 1500, 2880):
        np.testing.assert_allclose(data.truth[window], test[window : window + 96].T, rtol=1e-9)


def test_exact_shares_score_as_values_hidden_by_chance_do_reference(ett):
    _, data = ett
    spec = load_suite("imputation-ett").tasks[0]
    ours = kind.score(spec, data, kind.predict(linear_interpolation(), spec, data, Stopwatch()))["MSE"]
    by_chance = np.random.default_rng(0).random(data.truth.shape) <= spec.ratio
    errors = [
        np.square(interpolate(np.where(hidden, np.nan, truth)) - truth)[hidden]
        for truth, hidden in zip(data.truth.reshape(-1, 96), by_chance.reshape(-1, 96), strict=True)
    ]
    assert ours == pytest.approx(np.concatenate(errors).mean(), rel=0.02)
