from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.series.patterns import CALENDAR, FAMILIES, noise, periods, seasonal, shapes, trends

MAKERS = {**FAMILIES, "trends": trends, "noise": noise}


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 6), length=st.integers(8, 160))
def test_every_family_is_finite_and_of_the_shape_asked_for(name, seed, count, length):
    series = MAKERS[name](np.random.default_rng(seed), count, length)
    assert (series.shape, series.dtype) == ((count, length), np.float64)
    assert np.isfinite(series).all()


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_seed_gives_the_same_series_and_no_global_random_state_is_touched(name):
    before = np.random.get_state()  # noqa: NPY002 - the state that must not move
    one, again, other = (MAKERS[name](np.random.default_rng(seed), 5, 64) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2] == after[2]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(8, 600))
def test_seasons_are_whole_steps_and_fit_one_and_a_half_times(seed, length):
    drawn = periods(np.random.default_rng(seed), 50, length)
    assert np.all(drawn == np.round(drawn))
    assert drawn.min() >= 2
    assert drawn.max() <= max(length / 1.5, 4) + 0.5


def test_most_seasons_are_those_of_the_calendar():
    drawn = periods(np.random.default_rng(0), 5000, 512)
    assert 0.88 < np.isin(drawn, CALENDAR).mean() < 1.0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 5), length=st.integers(20, 200))
def test_a_shape_repeats_exactly_with_mean_zero_and_variance_one(seed, count, length):
    rng = np.random.default_rng(seed)
    period = periods(rng, count, length)
    season = shapes(rng, period, length)
    for row, steps in zip(season, period.astype(int), strict=True):
        np.testing.assert_allclose(row[steps:], row[:-steps], atol=1e-6)
    np.testing.assert_allclose(season.mean(axis=1), 0.0, atol=1e-9)
    np.testing.assert_allclose(season.std(axis=1), 1.0, atol=1e-6)


def autocorrelation(series, lag):
    """Of each row at its own lag, after a centred moving average over that lag took the trend away."""
    out = np.empty(len(series))
    for row, (values, steps) in enumerate(zip(series, lag, strict=True)):
        total = np.cumsum(np.concatenate([[0.0], values]))
        level = (total[steps:] - total[:-steps]) / steps
        rest = values[steps // 2 : steps // 2 + len(level)] - level
        out[row] = np.corrcoef(rest[steps:], rest[:-steps])[0, 1]
    return out


def test_seasonal_series_repeat_their_season_and_others_do_not():
    count, length = 300, 400
    lag = periods(np.random.default_rng(7), count, length).astype(int)  # the first thing that `seasonal` draws
    lag = np.minimum(lag, length // 4)
    season = autocorrelation(seasonal(np.random.default_rng(7), count, length), lag)
    plain = autocorrelation(FAMILIES["autoregressive"](np.random.default_rng(7), count, length), lag)
    assert np.median(season) > 0.6
    assert np.median(plain) < 0.1


def test_a_part_of_the_seasonal_series_is_multiplicative_and_positive():
    series = seasonal(np.random.default_rng(0), 500, 100)
    assert 0.25 < (series > 0).all(axis=1).mean() < 0.5


def test_noise_has_unit_variance():
    variance = noise(np.random.default_rng(0), 400, 400).var(axis=1)
    assert 0.8 < variance.mean() < 1.1


def test_autoregressions_do_not_explode():
    series = FAMILIES["autoregressive"](np.random.default_rng(0), 200, 500)
    assert np.abs(series).max() < 500  # a sum of as many steps of unit variance, at the very most


def test_intermittent_demand_is_counts_with_many_zeros():
    demand = FAMILIES["intermittent"](np.random.default_rng(0), 200, 200)
    assert np.all(demand == np.round(demand))
    assert demand.min() == 0
    assert 0.1 < ((demand == 0).mean(axis=1) > 0.3).mean() < 0.9
