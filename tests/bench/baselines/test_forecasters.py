"""Baselines: the last season repeated, and statsforecast's models beside statsforecast itself."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.bench.baselines import forecasters as baselines
from stillroom.core.errors import MissingError
from stillroom.series.panel import Item, Panel
from stillroom.series.windows import Window

LEVELS = (0.1, 0.25, 0.5, 0.9)


def window(*histories, horizon: int = 6, season: int = 4) -> Window:
    """Each history is (time,) or (targets, time)."""
    arrays = [np.atleast_2d(np.asarray(history, dtype=float)) for history in histories]
    items = tuple(Item(f"i{n}", pd.Timestamp("2000-01-01"), array) for n, array in enumerate(arrays))
    return Window(Panel(items, "QS", tuple(f"y{n}" for n in range(len(arrays[0])))), horizon, season)


def noisy_year(length: int = 60, season: int = 4, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 100 + np.arange(length) + 10.0 * (np.arange(length) % season) + rng.normal(size=length)


def test_seasonal_naive_repeats_the_last_season_at_every_level():
    forecast = baselines.seasonal_naive().predict(window([0, 0, 0, 0, 1, 2, 3, 4]), LEVELS)
    assert forecast.shape == (1, 1, 6, 4)
    for level in range(4):
        assert forecast[0, 0, :, level].tolist() == [1, 2, 3, 4, 1, 2]


def test_seasonal_naive_takes_the_last_observed_value_for_a_missing_one():
    forecast = baselines.repeat_season(np.array([7, 1, np.nan, 3, np.nan]), 4, 4)
    assert forecast.tolist() == [1, 1, 3, 3]


def test_seasonal_naive_forecasts_zero_where_nothing_was_observed():
    assert baselines.repeat_season(np.full(5, np.nan), 3, 2).tolist() == [0, 0, 0]


@given(
    st.lists(st.one_of(st.just(np.nan), st.floats(-1e6, 1e6)), min_size=1, max_size=30),
    st.integers(1, 12),
    st.integers(1, 12),
)
def test_seasonal_naive_is_always_finite_and_within_what_was_observed(history, horizon, season):
    forecast = baselines.repeat_season(np.array(history), horizon, season)
    observed = np.append(np.array(history)[~np.isnan(history)], [] if np.isfinite(history).any() else 0.0)
    assert forecast.shape == (horizon,)
    assert (forecast >= observed.min() - 1e-6).all()
    assert (forecast <= observed.max() + 1e-6).all()


@pytest.mark.parametrize("name", ["AutoETS", "AutoTheta", "AutoARIMA"])
def test_quantiles_equal_statsforecast_intervals_reference(name):
    from statsforecast import models

    history = noisy_year()
    forecast = baselines.Statistical(name).predict(window(history), LEVELS)[0, 0]
    reference = getattr(models, name)(season_length=4).forecast(y=history, h=6, level=[50, 80])
    np.testing.assert_allclose(forecast[:, 0], reference["lo-80"], rtol=1e-6)
    np.testing.assert_allclose(forecast[:, 1], reference["lo-50"], rtol=1e-6)
    np.testing.assert_allclose(forecast[:, 2], reference["mean"], rtol=1e-6)
    np.testing.assert_allclose(forecast[:, 3], reference["hi-80"], rtol=1e-6)


@pytest.mark.parametrize("model", [baselines.auto_ets, baselines.auto_theta, baselines.auto_arima])
def test_every_target_of_every_item_gets_sorted_finite_quantiles(model):
    rows = np.stack([noisy_year(seed=1), noisy_year(seed=2)])
    gaps = rows.copy()
    gaps[0, :3], gaps[1, 20:25], gaps[0, -1] = np.nan, np.nan, np.nan
    fitted = model()
    forecast = fitted.predict(window(rows, gaps), LEVELS)
    assert forecast.shape == (2, 2, 6, 4)
    assert np.isfinite(forecast).all()
    assert (np.diff(forecast, axis=-1) >= 0).all()
    assert fitted.notes == ""


def test_only_the_median_can_be_asked_for():
    assert baselines.auto_theta().predict(window(noisy_year()), (0.5,)).shape == (1, 1, 6, 1)


def test_gaps_are_interpolated_and_leading_ones_dropped():
    assert baselines.fill(np.array([np.nan, 1, np.nan, 3, np.nan])).tolist() == [1, 2, 3, 3]


def test_a_history_of_less_than_two_seasons_is_fitted_without_a_season():
    history = noisy_year(length=20)
    with_season = baselines.auto_theta().predict(window(history, season=12), LEVELS)
    without = baselines.auto_theta().predict(window(history, season=1), LEVELS)
    np.testing.assert_array_equal(with_season, without)


def test_a_series_too_short_to_fit_gets_seasonal_naive_and_the_notes_say_so():
    model = baselines.auto_ets()
    short, empty = [1, 2, 3, 4, 5], [np.nan] * 5
    forecast = model.predict(window(short, empty), LEVELS)
    np.testing.assert_array_equal(forecast, baselines.seasonal_naive().predict(window(short, empty), LEVELS))
    assert model.notes == "seasonal naive instead on 2 of 2 series (fewer than 8 observations)"


def test_croston_equals_statsforecast_and_says_the_same_at_every_level_reference():
    from statsforecast.models import CrostonOptimized

    rng = np.random.default_rng(3)
    demand = np.where(rng.random(80) < 0.2, rng.poisson(5, 80) + 1.0, 0.0)
    forecast = baselines.croston_optimized().predict(window(demand), LEVELS)[0, 0]
    expected = CrostonOptimized().forecast(y=demand, h=6)["mean"]
    assert (expected > 0).all()
    np.testing.assert_allclose(forecast, np.repeat(expected[:, None], len(LEVELS), axis=1))


def test_croston_takes_zeros_gaps_and_several_series_at_once():
    never, once = np.zeros(30), np.append(np.zeros(29), 3.0)
    gaps = np.where(np.arange(30) % 5 == 0, np.nan, np.tile([0.0, 0.0, 2.0], 10))
    model = baselines.croston_optimized()
    forecast = model.predict(window(never, once, gaps), LEVELS)
    assert forecast.shape == (3, 1, 6, 4)
    assert np.isfinite(forecast).all()
    assert not forecast[0].any()
    assert model.notes == ""


def test_croston_leaves_negative_and_short_series_to_seasonal_naive_and_says_so():
    model = baselines.croston_optimized()
    histories = window(-np.arange(20.0), [0, 0, 1, 0])
    np.testing.assert_array_equal(
        model.predict(histories, LEVELS), baselines.seasonal_naive().predict(histories, LEVELS)
    )
    assert model.notes == "seasonal naive instead on 2 of 2 series (negative values are no demand)"


STATISTICAL = [baselines.auto_ets, baselines.auto_theta, baselines.auto_arima, baselines.croston_optimized]


@pytest.mark.parametrize("make", STATISTICAL)
def test_without_statsforecast_none_is_made_and_the_sentence_names_the_extra(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    with pytest.raises(MissingError, match=r"pip install 'stillroom-bench\[baselines\]'"):
        make()


def test_making_them_imports_nothing_heavy():
    code = (
        "import sys; from stillroom.bench.baselines import forecasters as f;"
        "[make() for make in (f.auto_ets, f.auto_theta, f.auto_arima, f.croston_optimized)];"
        "print(sorted({'statsforecast', 'pandas', 'numba', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("model", STATISTICAL)
def test_a_constant_series_is_forecast_as_constant(model):
    np.testing.assert_allclose(model().predict(window(np.full(40, 5.0)), LEVELS), 5.0, atol=1e-3)
