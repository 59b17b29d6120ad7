"""Quantiles at any levels: between those that are there, and beyond them."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.series.levels import at_levels, in_order

DECILES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
WANTED = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6)


@given(want=st.lists(st.floats(0.1, 0.9), min_size=1, max_size=6, unique=True))
@settings(max_examples=50, deadline=None)
def test_between_levels_interpolation_equals_numpys_reference(want):
    have, values = np.array([0.1, 0.5, 0.9]), np.array([0.0, 1.0, 7.0])
    for tails in ("flat", "normal"):
        np.testing.assert_allclose(at_levels(values, have, want, tails=tails), np.interp(want, have, values), atol=1e-9)


def test_levels_that_are_there_are_taken_as_they_are():
    values = np.arange(9.0) ** 2
    for tails in ("flat", "normal"):
        assert at_levels(values, DECILES, [0.9, 0.1, 0.5], tails=tails).tolist() == [64.0, 0.0, 16.0]


def test_beyond_the_outermost_levels_quantiles_are_flat_or_those_of_a_normal_distribution():
    normal = NormalDist(3.0, 2.0)
    values = np.array([normal.inv_cdf(level) for level in DECILES])
    want = [0.001, 0.05, 0.95, 0.99]
    assert at_levels(values, DECILES, want).tolist() == [values[0], values[0], values[-1], values[-1]]
    np.testing.assert_allclose(
        at_levels(values, DECILES, want, tails="normal"), [normal.inv_cdf(level) for level in want], rtol=1e-12
    )


def test_each_tail_is_as_wide_as_its_own_side():
    skewed = at_levels(np.array([-1.0, 0.0, 10.0]), [0.1, 0.5, 0.9], [0.01, 0.99], tails="normal")
    assert skewed[1] == pytest.approx(-10 * skewed[0])


def test_without_a_level_on_both_sides_of_the_median_there_are_no_tails():
    assert at_levels(np.array([1.0, 2.0]), [0.5, 0.9], [0.01, 0.99], tails="normal").tolist() == [1.0, 2.0]


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=9),
    want=WANTED,
    tails=st.sampled_from(["flat", "normal"]),
)
@settings(max_examples=100, deadline=None)
def test_quantiles_do_not_cross_whatever_the_model_said(values, want, tails):
    found = at_levels(np.array(values), np.linspace(0.1, 0.9, len(values)), want, tails=tails)
    assert (np.diff(found[np.argsort(want, kind="stable")]) >= 0).all()


def test_values_are_put_in_the_order_of_levels_that_need_not_ascend():
    assert in_order(np.array([[1.0, 2.0, 3.0]]), [0.9, 0.1, 0.5]).tolist() == [[3.0, 1.0, 2.0]]
