"""GluonTS predictors as models: what they are given, what is made of their answers, and GluonTS's scores of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stillroom.bench.baselines.forecasters import SeasonalNaive
from stillroom.bench.forecast import DECILES, kind
from stillroom.bench.gluonts_models import GluonTSForecaster, entries, period
from stillroom.bench.kinds import Stopwatch
from stillroom.bench.tasks import read_suite
from stillroom.core.errors import ModelError
from stillroom.core.protocols import Forecaster
from stillroom.series.panel import Item, Panel
from stillroom.series.records import from_records
from stillroom.series.windows import Window, cut

predictors = pytest.importorskip("gluonts.model.predictor")


@pytest.fixture
def data():
    """A GluonTS data set: holes in history and truth, a series shorter than the season, one with a constant history."""
    rng = np.random.default_rng(0)
    made = []
    for number, length in enumerate((100, 80, 30, 60)):
        target = 20 + 5 * np.sin(np.arange(length) * 2 * np.pi / 24) + rng.normal(size=length)
        target[rng.random(length) < 0.1] = np.nan
        target[0] = 20.0
        start = pd.Period("2020-01-01", "h")
        made.append({"item_id": f"i{number}", "start": start, "target": target.astype(np.float32)})
    made[3]["target"][:-12] = 7.0
    return made


class Recorder(predictors.RepresentablePredictor):
    """Notes what it is given, and forecasts how many steps of each target it has seen, plus 10 a level."""

    def __init__(self, prediction_length=3, lead_time=0):
        super().__init__(prediction_length, lead_time)
        self.given = []

    def predict(self, dataset, **_):
        from gluonts.model.forecast import QuantileForecast

        for entry in dataset:
            self.given.append(entry)
            seen = np.isfinite(entry["target"]).sum(axis=-1)
            arrays = np.broadcast_to(seen, (3, self.prediction_length, *np.shape(seen)))
            arrays = arrays + 10.0 * np.arange(3).reshape(3, 1, *[1] * np.ndim(seen))
            yield QuantileForecast(arrays, entry["start"], ["0.1", "0.5", "0.9"], item_id=entry["item_id"])


def window(prediction_length=3, targets=1, freq="MS", **covariates):
    items = [Item("a", pd.Timestamp("2020-01-01"), np.arange(12.0 * targets).reshape(targets, 12), **covariates)]
    if not covariates:
        items.append(Item("b", pd.Timestamp("2020-02-01"), np.full((targets, 7), np.nan)))
    return Window(Panel(tuple(items), freq, tuple(f"t{i}" for i in range(targets))), prediction_length, 12)


def test_a_wrapped_predictor_is_a_forecaster():
    assert isinstance(GluonTSForecaster(Recorder()), Forecaster)


def test_every_item_is_an_entry_with_a_period_and_single_precision():
    model = GluonTSForecaster(Recorder())
    answer = model.predict(window(), [0.1, 0.5, 0.9])
    assert answer.tolist() == [[[[12, 22, 32]] * 3], [[[0, 10, 20]] * 3]]
    first = model.predictor.given[0]
    assert (first["item_id"], first["start"]) == ("a", pd.Period("2020-01", "M"))
    assert first["target"].dtype == np.float32
    assert set(first) == {"item_id", "start", "target"}
    assert np.isnan(model.predictor.given[1]["target"]).all()


def test_levels_that_a_quantile_forecast_has_not_are_what_gluonts_interpolates():
    answer = GluonTSForecaster(Recorder()).predict(window(), [0.1, 0.3, 0.5])
    assert answer[0, 0, 0].tolist() == pytest.approx([12, 17, 22])


def test_several_targets_are_forecast_one_by_one_or_as_one_series():
    apart, together = Recorder(), Recorder()
    expected = GluonTSForecaster(apart).predict(window(targets=2), [0.1, 0.5])
    answer = GluonTSForecaster(together, multivariate=True).predict(window(targets=2), [0.1, 0.5])
    np.testing.assert_array_equal(answer, expected)
    assert [np.shape(entry["target"]) for entry in apart.given] == [(12,), (12,), (7,), (7,)]
    assert [np.shape(entry["target"]) for entry in together.given] == [(2, 12), (2, 7)]


def test_covariates_of_numbers_are_given_and_words_are_left_out_and_told():
    known = {"price": np.arange(15.0), "event": np.array(["x"] * 15, dtype=object), "sale": np.ones(15)}
    past = {"visits": np.arange(12.0)}
    model = GluonTSForecaster(Recorder())
    model.predict(window(known=known, past=past, static={"size": 3, "colour": "red"}), [0.5])
    (entry,) = model.predictor.given
    assert entry["feat_dynamic_real"].tolist() == [list(range(15)), [1] * 15]
    assert entry["past_feat_dynamic_real"].tolist() == [list(range(12))]
    assert entry["feat_static_real"].tolist() == [3]
    assert not set(entry) & {"feat_dynamic_cat", "feat_static_cat"}
    assert model.notes == "covariates left out, as they are words: colour, event"


def test_entries_of_a_gluonts_data_set_come_back_as_they_were():
    entry = {
        "item_id": "a",
        "start": pd.Period("2020-01-01", "D"),
        "target": np.arange(5, dtype=np.float32),
        "feat_dynamic_real": np.arange(14, dtype=np.float32).reshape(2, 7),
        "feat_dynamic_cat": np.arange(7, dtype=np.int32)[None],
        "past_feat_dynamic_real": np.arange(5, dtype=np.float32)[None],
        "feat_static_real": np.array([0.5, 1.5], dtype=np.float32),
        "feat_static_cat": np.array([3, 4], dtype=np.int32),
    }
    (again,) = entries(from_records([entry]))
    assert set(again) == set(entry)
    for name, value in entry.items():
        np.testing.assert_array_equal(again[name], value)
        assert getattr(again[name], "dtype", None) == getattr(value, "dtype", None)


@pytest.mark.parametrize(
    ("start", "freq"),
    [
        ("2020-01-31", "ME"), ("2020-01-01", "MS"), ("2020-01-01", "2MS"), ("2020-01-31", "M"), ("2020-01-01", "BMS"),
        ("2020-01-01", "QS"), ("2020-02-01", "QS-FEB"), ("2020-03-31", "QE"), ("2019-11-30", "QE-NOV"),
        ("2020-01-01", "YS"), ("2020-07-01", "YS-JUL"), ("2020-06-30", "YE-JUN"), ("2020-01-01", "W-WED"),
        ("2020-01-06", "B"), ("2020-01-01", "D"), ("2020-01-01 05:00", "h"), ("2020-01-01", "H"),
        ("2020-01-01", "15min"),
    ],
)  # fmt: skip
def test_every_step_lies_in_its_period(start, freq):
    item = Item("a", pd.Timestamp(start), np.zeros((1, 30)))
    first = period(item.start, freq)
    for step, time in enumerate(Panel((item,), freq).timestamps(item)):
        own = first + step
        assert own.start_time <= time <= own.end_time


def test_a_longer_forecast_is_cut_and_a_shorter_one_refused():
    assert GluonTSForecaster(Recorder(9)).predict(window(), [0.5]).shape == (2, 1, 3, 1)
    with pytest.raises(ModelError, match="looks 2 steps ahead, but 3 are asked for"):
        GluonTSForecaster(Recorder(2)).predict(window(), [0.5])


def test_a_predictor_that_leaves_out_steps_is_refused():
    with pytest.raises(ModelError, match="leaves out 1 steps"):
        GluonTSForecaster(Recorder(lead_time=1)).predict(window(), [0.5])


def test_a_forecast_too_few_is_refused():
    class Lazy(Recorder):
        def predict(self, dataset, **_):
            yield next(super().predict(dataset))

    with pytest.raises(ModelError, match="gave 1 forecasts of 2 series"):
        GluonTSForecaster(Lazy()).predict(window(), [0.5])


def test_a_forecast_of_another_shape_is_refused():
    class Doubles(Recorder):
        def predict(self, dataset, **_):
            yield from super().predict([{**entry, "target": np.ones((2, 5))} for entry in dataset])

    with pytest.raises(ModelError, match=r"shape \(3, 2\) for 3 steps of 1 targets"):
        GluonTSForecaster(Doubles()).predict(window(), [0.5])


def by_gluonts(data, predictor, windows, season):
    """MASE and mean weighted quantile loss of GluonTS's own evaluation of the predictor on the last windows."""
    from gluonts.dataset.split import OffsetSplitter
    from gluonts.ev.metrics import MASE, MeanWeightedSumQuantileLoss
    from gluonts.model.evaluation import evaluate_model

    horizon = predictor.prediction_length
    _, template = OffsetSplitter(offset=-horizon * windows).split(data)
    metrics = [MASE(), MeanWeightedSumQuantileLoss(quantile_levels=list(DECILES))]
    test = template.generate_instances(prediction_length=horizon, windows=windows)
    return evaluate_model(predictor, test_data=test, metrics=metrics, seasonality=season).iloc[0].to_numpy()


def by_us(data, model, horizon, windows, season):
    """The same of the task kind."""
    from stillroom.bench.forecast import ForecastData

    task = {"id": "a", "dataset": "given", "prediction_length": horizon, "windows": windows, "season_length": season}
    spec = read_suite({"tasks": [task]}, "mine").tasks[0]
    panel = from_records(data)
    ours = ForecastData(panel, cut(panel, horizon, windows=windows, season_length=season))
    scores = kind.score(spec, ours, kind.predict(model, spec, ours, Stopwatch()))
    return [scores["MASE"], scores["WQL"]]


def seasonal():
    from gluonts.model.seasonal_naive import SeasonalNaivePredictor

    return SeasonalNaivePredictor(prediction_length=6, season_length=24)


def moving():
    from gluonts.model.trivial.mean import MovingAveragePredictor

    return MovingAveragePredictor(prediction_length=6, context_length=5)


def drift():
    statsforecast = pytest.importorskip("gluonts.ext.statsforecast")
    return statsforecast.RandomWalkWithDriftPredictor(prediction_length=6, quantile_levels=list(DECILES))


@pytest.mark.parametrize("windows", [1, 2])
@pytest.mark.parametrize("make", [seasonal, moving, drift])
def test_scores_are_those_of_the_gluonts_reference(data, make, windows):
    if make is not seasonal:  # which alone fills the holes of a history
        for entry in data:
            entry["target"][:-6] = np.nan_to_num(entry["target"][:-6], nan=19.0)
    predictor = make()
    expected = by_gluonts(data, predictor, windows, season=24)
    assert by_us(data, GluonTSForecaster(predictor), 6, windows, season=24) == pytest.approx(expected, rel=1e-6)


def test_its_seasonal_naive_scores_as_ours(data):
    del data[2]  # shorter than the season: GluonTS repeats the mean, and ours what there is
    ours, theirs = (by_us(data, model, 6, 2, 24) for model in (SeasonalNaive(), GluonTSForecaster(seasonal())))
    assert theirs == pytest.approx(ours, rel=1e-6)


def test_a_torch_estimator_trained_for_a_few_steps_scores_as_in_the_gluonts_reference(data, tmp_path):
    pytest.importorskip("lightning", reason="GluonTS's torch models need lightning, which is not installed")
    import torch
    from gluonts.torch import SimpleFeedForwardEstimator

    torch.manual_seed(0)
    options = {"max_epochs": 1, "accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    predictor = SimpleFeedForwardEstimator(
        prediction_length=6, context_length=12, batch_size=4, num_batches_per_epoch=5,
        trainer_kwargs={**options, "default_root_dir": tmp_path},
    ).train(data)  # fmt: skip
    model = GluonTSForecaster(predictor)
    expected = by_gluonts(data, predictor, 2, season=24)
    assert by_us(data, model, 6, 2, season=24) == pytest.approx(expected, rel=1e-6)
    from stillroom.bench.worker import count_parameters

    assert count_parameters(model) > 1000
