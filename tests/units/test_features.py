"""What the frozen network makes of a series, as a row of numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.units import features as made
from stillroom.units.features import features, pace_of, resampled

NAN = np.nan


@given(before=st.integers(1, 60), after=st.integers(1, 60))
def test_a_resampled_line_is_a_line_and_a_constant_a_constant(before, after):
    line = np.stack([np.linspace(0.0, 1.0, before) if before > 1 else np.array([0.5]), np.full(before, 3.0)])
    found = resampled(line, after)
    assert found.shape == (2, after)
    np.testing.assert_allclose(found[1], 3.0)
    if after > 1 and before > 1:
        np.testing.assert_allclose(np.diff(found[0], n=2), 0.0, atol=1 / before)


def test_fewer_steps_are_means_and_more_are_interpolated_reference():
    values = np.array([[1.0, 3.0, 5.0, 7.0, NAN, NAN]])
    np.testing.assert_array_equal(resampled(values, 3), [[2.0, 6.0, NAN]])
    np.testing.assert_array_equal(resampled(values, 6), values)
    np.testing.assert_array_equal(resampled(np.array([[0.0, 2.0, NAN]]), 5), [[0.0, 1.0, 2.0, NAN, NAN]])
    assert np.isnan(resampled(np.full((1, 3), NAN), 7)).all()


def test_the_longest_series_sets_the_pace_of_all(network):
    config = network.config  # patches of 4 steps, at most 128 steps
    assert pace_of([np.zeros((1, 16)), np.zeros((1, 8))], config) == 8.0
    assert pace_of([np.zeros((1, 1000))], config) == pytest.approx(0.128)


def test_every_series_has_a_row_of_finite_numbers(network, make_walk):
    hard = [make_walk(0, 2, 30), make_walk(1, 2, 9, 0.5), np.full((2, 4), NAN), np.full((2, 1), 1e30)]
    rows = features(network, hard, 2.0)
    width = 2 * 6 * network.config.d_model  # two views, six ways to pool
    assert rows.shape == (4, 2 * width + 2 * 2 + 1)
    assert np.isfinite(rows).all()


def test_a_row_does_not_depend_on_the_other_series(network, make_walk):
    series = [make_walk(0, 1, 30), make_walk(1, 1, 17, 0.2), make_walk(2, 1, 28)]
    together = features(network, series, 1.5)
    for row, one in zip(together, series, strict=True):
        np.testing.assert_allclose(row, features(network, [one], 1.5)[0], atol=1e-4)


def test_the_features_of_many_variables_are_projected_and_keep_their_order(network, make_walk, monkeypatch):
    monkeypatch.setattr(made, "WIDEST", 200)
    series = make_walk(0, 8, 20)
    rows = features(network, [series, series[::-1]], 1.0)
    own = rows[:, : 8 * 25].reshape(2, 8, 25)
    np.testing.assert_allclose(own[0], own[1][::-1], atol=1e-4)
    again = features(network, [series], 1.0)
    np.testing.assert_allclose(again[0], rows[0], atol=1e-4)


@given(patches=st.integers(1, 9))
@settings(max_examples=9, deadline=None)
def test_quarters_cover_every_patch(patches):
    import torch

    states = torch.eye(patches)[None]  # each patch has a feature of its own
    quarters = made._pooled(states)[0].reshape(6, patches)[2:]
    assert (quarters.sum(dim=0) > 0).all()
    np.testing.assert_allclose(quarters.sum(dim=1), 1.0, atol=1e-6)
