from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from stillroom.chronos.families import load
from stillroom.chronos.forecast import forecast
from stillroom.core.errors import DataError, ModelError, RecipeError

LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


@pytest.fixture(scope="module")
def models(folders):
    return {kind: load(folder) for kind, folder in folders.items()}


@pytest.fixture(scope="module")
def rich(frame):
    """The frame with a second target, a past covariate, a known one and a category, and what is known of the future."""
    random = np.random.default_rng(1)
    rich = frame.assign(
        other=random.standard_normal(len(frame)),
        wind=random.standard_normal(len(frame)),
        price=random.standard_normal(len(frame)),
        sky=random.choice(["clear", "rain", "snow"], len(frame)),
    )
    last = frame.groupby("item_id", sort=False)["timestamp"].max()
    future = pd.concat(
        [
            pd.DataFrame({"item_id": name, "timestamp": pd.date_range(end, periods=11, freq="h")[1:]})
            for name, end in last.items()
        ],
        ignore_index=True,
    )
    sky = random.choice(["clear", "rain", "hail"], len(future))  # hail was never seen before
    return rich, future.assign(price=random.standard_normal(len(future)), sky=sky)


def test_bolt_forecasts_as_upstream_does_reference(models, frame):
    for horizon in (3, 8, 20):
        upstream = models["bolt"].pipeline.predict_df(frame, prediction_length=horizon)
        ours = forecast(models["bolt"], frame, horizon)
        pd.testing.assert_frame_equal(ours, upstream, atol=1e-5, rtol=1e-5, check_dtype=True)


@pytest.mark.parametrize("horizon", [3, 8, 40])
def test_chronos2_forecasts_as_upstream_does_reference(models, frame, horizon):
    upstream = models["chronos2"].pipeline.predict_df(frame, prediction_length=horizon)
    ours = forecast(models["chronos2"], frame, horizon)
    pd.testing.assert_frame_equal(ours, _in_order(upstream), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("targets", ["target", ["target", "other"]])
def test_chronos2_takes_covariates_and_several_targets_as_upstream_does_reference(models, rich, targets):
    frame, future = rich
    upstream = models["chronos2"].pipeline.predict_df(frame, future, target=targets, prediction_length=10)
    ours = forecast(models["chronos2"], frame, 10, future_frame=future, targets=targets)
    pd.testing.assert_frame_equal(ours, _in_order(upstream), atol=1e-5, rtol=1e-5)
    without = forecast(models["chronos2"], frame, 10, targets=targets, covariates=())
    assert np.abs(without["predictions"] - ours["predictions"]).max() > 1e-3


def test_t5_draws_what_upstream_draws_from_the_same_seed_reference(models, frame):
    one = frame[frame["item_id"] == "a"]
    torch.manual_seed(0)
    upstream = models["t5"].pipeline.predict_df(one, prediction_length=12)
    pd.testing.assert_frame_equal(forecast(models["t5"], one, 12), upstream, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["bolt", "t5"])
def test_bolt_and_t5_refuse_covariates_and_targets_but_forecast_without_them(models, rich, kind):
    frame, future = rich
    with pytest.raises(ModelError, match="takes no covariates and was given other, price, sky, wind"):
        forecast(models[kind], frame, 10, future_frame=future)
    with pytest.raises(ModelError, match="forecasts one target and was given 2"):
        forecast(models[kind], frame, 10, targets=["target", "other"], covariates=())
    assert len(forecast(models[kind], frame, 10, covariates=())) == 30


@pytest.mark.parametrize("levels", [[0.5], [0.9, 0.1], [0.05, 0.25, 0.975], np.arange(0.1, 1.0, 0.1)])
def test_each_level_has_a_column_in_the_order_asked_for(models, frame, levels):
    for model in models.values():
        answer = forecast(model, frame, 4, levels)
        assert list(answer.columns[4:]) == [str(level) for level in levels]
        ascending = answer[[str(level) for level in sorted(levels)]].to_numpy()
        assert (np.diff(ascending, axis=1) >= 0).all()


def test_a_folder_and_a_frame_of_one_series_are_enough(folders, frame):
    one = frame[frame["item_id"] == "b"].drop(columns="item_id")
    answer = forecast(str(folders["bolt"]), one, 4)
    assert len(answer) == 4
    assert (answer["timestamp"] > one["timestamp"].max()).all()


def test_the_users_frames_are_not_changed(models, rich):
    frame, future = rich
    before = frame.copy(), future.copy()
    forecast(models["chronos2"], frame, 10, future_frame=future)
    pd.testing.assert_frame_equal(frame, before[0])
    pd.testing.assert_frame_equal(future, before[1])


def test_what_cannot_be_forecast_is_said_in_one_sentence(models, rich):
    frame, future = rich
    with pytest.raises(DataError, match="no rows"):
        forecast(models["bolt"], frame.iloc[:0], 4)
    with pytest.raises(DataError, match="no column 'sales'"):
        forecast(models["bolt"], frame, 4, targets="sales")
    with pytest.raises(RecipeError, match="at least 1"):
        forecast(models["bolt"], frame, 0)
    with pytest.raises(DataError, match="12 steps need as many"):
        forecast(models["chronos2"], frame, 12, future_frame=future)


def _in_order(upstream: pd.DataFrame) -> pd.DataFrame:
    """Upstream leaves crossing quantiles as they are; ours rise."""
    levels = [str(level) for level in LEVELS]
    return upstream.assign(**dict(zip(levels, np.sort(upstream[levels].to_numpy(), axis=1).T, strict=True)))


def test_a_covariate_without_a_future_counts_as_past_only(models):
    from stillroom.series.panel import Item, Panel

    values, price = np.sin(np.arange(40.0))[None], np.arange(40.0)
    start = pd.Timestamp("2024-01-01")
    known = forecast(models["chronos2"], Panel((Item("a", start, values, known={"price": price}),), "D"), 4)
    past = forecast(models["chronos2"], Panel((Item("a", start, values, past={"price": price}),), "D"), 4)
    pd.testing.assert_frame_equal(known, past)
