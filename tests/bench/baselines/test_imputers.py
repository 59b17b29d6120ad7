"""Imputers without weights: what they fill, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.bench.baselines import imputers
from stillroom.core.protocols import Imputer

NAN = np.nan
BOTH = [imputers.linear_interpolation, imputers.seasonal_interpolation]
series_with_gaps = st.lists(st.one_of(st.just(NAN), st.floats(-1e6, 1e6)), min_size=1, max_size=60).map(np.array)


@pytest.mark.parametrize("make", BOTH)
def test_they_have_the_protocol(make):
    assert isinstance(make(), Imputer)


@pytest.mark.parametrize("make", BOTH)
@given(values=series_with_gaps, season=st.integers(1, 12))
def test_every_gap_gets_a_number_and_what_was_observed_stays_as_it_was(make, values, season):
    rows = np.stack([values, values[::-1]])
    kept = rows.copy()
    (filled,) = make().impute([rows], season)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~np.isnan(kept)], kept[~np.isnan(kept)])
    np.testing.assert_array_equal(rows, kept)  # what it was given is not written to


def test_gaps_are_filled_along_straight_lines_and_edges_with_the_nearest():
    (filled,) = imputers.linear_interpolation().impute([np.array([[NAN, 2, NAN, NAN, 5, NAN]])], 1)
    assert filled.tolist() == [[2, 2, 3, 4, 5, 5]]


@pytest.mark.parametrize("make", BOTH)
def test_a_series_without_any_value_becomes_zero(make):
    assert make().impute([np.full((1, 6), NAN)], 2)[0].tolist() == [[0] * 6]


@given(series_with_gaps)
def test_straight_lines_equal_pandas_reference(values):
    expected = pd.Series(values).interpolate(limit_direction="both").fillna(0.0)
    np.testing.assert_allclose(imputers.interpolate(values), expected, rtol=1e-9, atol=1e-6)


def test_a_season_is_continued_over_a_gap_much_better_than_by_a_line():
    steps = np.arange(96)
    truth = np.sin(2 * np.pi * steps / 24) + 0.01 * steps
    given_ = truth.copy()
    given_[30:54] = NAN  # a whole season
    errors = {make: np.abs(make().impute([given_[None]], 24)[0][0] - truth)[30:54].mean() for make in BOTH}
    assert errors[imputers.seasonal_interpolation] < 0.5 * errors[imputers.linear_interpolation]


def test_a_season_of_which_steps_were_never_observed_is_still_filled():
    values = np.tile([0.0, 1.0, NAN, 5.0], 4)
    (filled,) = imputers.seasonal_interpolation().impute([values[None]], 4)
    np.testing.assert_allclose(filled[0, 2::4], 3.0)  # between its neighbours, as nothing else is known


@pytest.mark.parametrize("season", [1, 7])
def test_a_window_of_less_than_two_seasons_is_filled_along_straight_lines(season):
    values = np.random.default_rng(0).normal(size=13)
    values[[2, 3, 9]] = NAN
    linear, seasonal = (make().impute([values[None]], season)[0] for make in BOTH)
    np.testing.assert_array_equal(linear, seasonal)
