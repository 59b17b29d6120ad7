"""Gaps: every one filled, nothing else touched."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from stillroom.units.impute import fill

NAN = np.nan


def test_a_gap_gets_what_the_network_says_reference(network, make_walk):
    series = make_walk(0, 2, 40, 0.3)
    (found,) = fill(network, [series])
    with torch.no_grad():
        said = network(torch.from_numpy(series)[None].float(), task="impute")
    expected = (said.loc + said.scale * said.values)[0].numpy()
    gaps = np.isnan(series)
    np.testing.assert_allclose(found[gaps], expected[gaps], atol=1e-4)


@given(
    series=arrays(
        np.float64,
        array_shapes(min_dims=2, max_dims=2, max_side=20),
        elements=st.one_of(st.just(NAN), st.floats(-1e30, 1e30)),
    )
)
@settings(max_examples=40, deadline=None)
def test_every_gap_gets_a_number_and_what_was_observed_stays_as_it_was(network, series):
    before = series.copy()
    (found,) = fill(network, [series])
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[~np.isnan(before)], before[~np.isnan(before)])
    np.testing.assert_array_equal(series, before)  # what it was given is not written to


def test_a_series_without_gaps_comes_back_and_is_another_array(network, make_walk):
    series = make_walk(0, 1, 20)
    (found,) = fill(network, [series])
    np.testing.assert_array_equal(found, series)
    assert not np.shares_memory(found, series)


def test_a_constant_goes_on_and_the_unknown_is_zero(network, make_walk):
    series = np.stack([np.full(16, NAN), np.full(16, 7.25), make_walk(0, 1, 16)[0]])
    series[1:, 4:9] = NAN
    (found,) = fill(network, [series])
    assert found[0].tolist() == [0.0] * 16
    assert found[1].tolist() == [7.25] * 16


def test_scaling_and_shifting_a_series_scales_and_shifts_its_filling(network, make_walk):
    series = make_walk(0, 2, 30, 0.3)
    (found,), (moved,) = fill(network, [series]), fill(network, [40 * series - 3e6])
    np.testing.assert_allclose((moved + 3e6) / 40, found, atol=1e-3)


def test_long_series_are_filled_in_pieces_that_agree_on_every_step(network, make_walk):
    series = make_walk(0, 2, 300, 0.2)
    (found,) = fill(network, [series])
    assert np.isfinite(found).all()
    # the first piece answers for its steps up to the middle of what the second one reads as well
    (first,) = fill(network, [series[:, :128]])
    np.testing.assert_allclose(found[:, :112], first[:, :112], atol=1e-3)


def test_only_the_piece_that_has_a_gap_is_looked_at(network, make_walk, monkeypatch):
    from stillroom.units import impute

    asked = []
    ask = impute.answers
    monkeypatch.setattr(impute, "answers", lambda model, some, **how: asked.extend(some) or ask(model, some, **how))
    series = make_walk(0, 1, 400)
    series[0, 200] = NAN
    fill(network, [series, make_walk(1, 1, 50)], longest=40)
    assert [one.shape for one in asked] == [(1, 40)]


@pytest.mark.parametrize("length", [1, 3, 4, 5])
def test_series_about_as_long_as_a_patch_are_filled(network, length):
    series = np.arange(2.0 * length).reshape(2, length)
    series[0, 0] = NAN
    assert np.isfinite(fill(network, [series])[0]).all()
