"""One scale for all, and batches that change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from stillroom.units.asking import answers, row, standardised

NAN = np.nan
VALUES = st.one_of(st.just(NAN), st.floats(-1e30, 1e30, allow_subnormal=False))


def test_a_standardised_variable_has_numpys_mean_and_deviation_reference():
    rng = np.random.default_rng(0)
    series = rng.normal(7.0, 3.0, size=(3, 40))
    series[0, ::3] = NAN
    values, loc, scale = standardised(series)
    np.testing.assert_allclose(loc[:, 0], np.nanmean(series, axis=1))
    np.testing.assert_allclose(scale[:, 0], np.nanstd(series, axis=1))
    np.testing.assert_array_equal(np.isnan(values), np.isnan(series))


def test_a_constant_and_an_unknown_variable_have_no_scale():
    values, loc, scale = standardised(np.array([[0.1, NAN, 0.1, 0.1], [NAN] * 4, [5.0, NAN, NAN, NAN]]))
    assert loc[:, 0].tolist() == [0.1, 0.0, 5.0]
    assert scale[:, 0].tolist() == [0.0, 0.0, 0.0]
    assert np.nan_to_num(values).tolist() == [[0.0] * 4] * 3


@given(series=arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=VALUES))
@settings(max_examples=100, deadline=None)
def test_what_was_standardised_comes_back(series):
    values, loc, scale = standardised(series)
    assert np.isfinite(loc).all()
    assert np.isfinite(scale).all()
    seen = ~np.isnan(series)
    largest = np.where(seen, np.abs(series), 0.0).max(axis=1, keepdims=True)
    assert (np.abs((loc + scale * values - series)[seen]) <= 1e-9 * np.broadcast_to(largest, series.shape)[seen]).all()


def test_a_batch_of_unequal_series_answers_as_one_at_a_time(network, make_walk):
    series = [make_walk(0, 2, 30, 0.2), make_walk(1, 1, 9), make_walk(2, 2, 25), make_walk(3, 3, 61)]
    together: dict[int, np.ndarray] = {}
    for places, said in answers(network, series, task="forecast", horizon=6):
        for number, place in enumerate(places.tolist()):
            variables, steps = series[place].shape
            together[place] = row(said.values, number, variables, steps + 6)
    assert sorted(together) == [0, 1, 2, 3]
    for place, one in enumerate(series):
        ((_, said),) = answers(network, [one], task="forecast", horizon=6)
        np.testing.assert_allclose(together[place], said.values[0].numpy(), atol=1e-5)


def test_the_network_is_left_in_the_mode_it_was_in_and_has_no_gradients(make_network, make_walk):
    network = make_network(seed=1).train()
    for _, said in answers(network, [make_walk(0, 1, 12)], task="impute"):
        assert not network.training
        assert not said.values.requires_grad
    assert network.training


def test_no_random_number_is_drawn(network, make_walk):
    before = torch.get_rng_state()
    list(answers(network, [make_walk(0, 1, 12)], task="impute"))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("task", ["forecast", "gestures"])
def test_every_task_answers(network, make_walk, task):
    ((_, said),) = answers(network, [make_walk(0, 2, 12)], task=task)
    assert (said.class_logits is not None) == (task == "gestures")
