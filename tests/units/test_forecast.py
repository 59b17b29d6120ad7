"""Forecasts: quantiles at any level, of any horizon, in the units of the series."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import RecipeError
from stillroom.units.forecast import quantiles

NAN = np.nan
LEVELS = [0.1, 0.5, 0.9]


def test_a_forecast_is_what_the_network_says_in_the_units_of_the_series_reference(network, make_walk):
    series = make_walk(0, 2, 37, 0.1)
    (found,) = quantiles(network, [series], 10, network.config.quantiles)
    with torch.no_grad():
        said = network(torch.from_numpy(series)[None].float(), horizon=10, task="forecast")
    real = said.loc[..., None] + said.scale[..., None] * said.quantiles[:, :, -10:]
    np.testing.assert_allclose(found, np.sort(real[0].numpy(), axis=-1), atol=1e-4)


@pytest.mark.parametrize("horizon", [1, 4, 7, 100])
def test_any_horizon_that_leaves_a_history_is_one_pass(network, make_walk, horizon):
    (found,) = quantiles(network, [make_walk(0, 1, 200)], horizon, LEVELS)
    assert found.shape == (1, horizon, 3)
    assert np.isfinite(found).all()


def test_the_first_steps_of_whole_patches_are_those_of_any_horizon_that_reads_as_much(network, make_walk):
    """What a horizon is made up to whole patches with changes nothing of it."""
    series = [make_walk(0, 1, 40)]
    np.testing.assert_allclose(quantiles(network, series, 5)[0], quantiles(network, series, 8)[0][:, :5], atol=1e-5)


def test_levels_between_are_interpolated_and_tails_are_normal(network, make_walk):
    series = [make_walk(0, 1, 40)]
    (known,) = quantiles(network, series, 3)
    (found,) = quantiles(network, series, 3, [0.99, 0.25, 0.5])
    np.testing.assert_allclose(found[..., 1], (known[..., 1] + known[..., 2]) / 2, atol=1e-5)
    normal = NormalDist()
    further = normal.inv_cdf(0.99) / normal.inv_cdf(0.9)
    median = known[..., 4]
    np.testing.assert_allclose(found[..., 0], median + (known[..., 8] - median) * further, atol=1e-4)


def test_a_level_is_the_same_whatever_others_are_asked_for(network, make_walk):
    """Also where the network's own levels cross: they are put into order first."""
    series = [make_walk(0, 1, 40)]
    for number, level in enumerate(network.config.quantiles):
        (alone,), (together,) = quantiles(network, series, 6, [level]), quantiles(network, series, 6)
        np.testing.assert_array_equal(alone[..., 0], together[..., number])


@given(levels=st.lists(st.floats(0.001, 0.999), min_size=2, max_size=5), seed=st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_quantiles_do_not_cross(network, make_walk, levels, seed):
    (found,) = quantiles(network, [make_walk(seed, 1, 30)], 6, levels)
    assert (np.diff(found[..., np.argsort(levels, kind="stable")]) >= 0).all()


def test_scaling_and_shifting_a_series_scales_and_shifts_its_forecast(network, make_walk):
    series = make_walk(0, 2, 33, 0.2)
    (found,) = quantiles(network, [series], 8, LEVELS)
    (moved,) = quantiles(network, [1e-3 * series + 1e9], 8, LEVELS)
    np.testing.assert_allclose((moved - 1e9) / 1e-3, found, rtol=1e-2, atol=1e-2)  # 1e9 leaves 1e-7 of precision


def test_a_batch_forecasts_as_one_at_a_time(network, make_walk):
    series = [make_walk(0, 1, 30), make_walk(1, 1, 7), make_walk(2, 1, 28, 0.3), make_walk(3, 1, 300)]
    for together, one in zip(quantiles(network, series, 9), series, strict=True):
        np.testing.assert_allclose(together, quantiles(network, [one], 9)[0], atol=1e-4)


@pytest.mark.parametrize(
    ("history", "expected"),
    [([5.0] * 20, 5.0), ([NAN] * 12, 0.0), ([3.0], 3.0), ([NAN, 0.1, NAN, 0.1], 0.1), ([1e-300] * 9, 1e-300)],
)
def test_what_has_no_scale_forecasts_itself(network, history, expected):
    (found,) = quantiles(network, [np.array([history])], 5, LEVELS)
    assert (found == expected).all()


def test_hard_series_give_finite_forecasts(network):
    hard = [[1e30, -1e30, 0.0], [1e-200, 2e-200, NAN], [NAN] * 30 + [1.0, 2.0], [1e12, 1e12 + 1, NAN, NAN, NAN]]
    for found in quantiles(network, [np.array([values]) for values in hard], 6, [0.01, 0.5, 0.99]):
        assert np.isfinite(found).all()
    steep = np.array([[1e12, 1e12 + 1, 1e12, 1e12 + 1]])
    (found,) = quantiles(network, [steep], 4, [0.5])
    assert np.abs(found - 1e12).max() < 100  # single precision would lose the steps altogether


def test_a_long_history_is_cut_to_what_there_is_room_for_or_asked_for(network, make_walk):
    series = make_walk(0, 1, 500)
    (found,) = quantiles(network, [series], 28, LEVELS)
    np.testing.assert_allclose(found, quantiles(network, [series[:, -100:]], 28, LEVELS)[0], atol=1e-4)
    (short,) = quantiles(network, [series], 28, LEVELS, context_length=20)
    np.testing.assert_allclose(short, quantiles(network, [series[:, -20:]], 28, LEVELS)[0], atol=1e-4)
    assert np.abs(short - found).max() > 1e-3


def test_steps_before_the_first_observation_change_nothing(network, make_walk):
    series = make_walk(0, 2, 20)
    padded = np.concatenate([np.full((2, 13), NAN), series], axis=1)
    np.testing.assert_allclose(quantiles(network, [padded], 4)[0], quantiles(network, [series], 4)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("horizon", "levels", "message"),
    [
        (0, LEVELS, "between 1 and 124 for this model, not 0"),
        (125, LEVELS, "between 1 and 124 for this model, not 125"),
        (4, [0.0], "strictly between 0 and 1"),
        (4, [], "strictly between 0 and 1"),
    ],
)
def test_what_cannot_be_forecast_is_said_in_one_sentence(network, make_walk, horizon, levels, message):
    with pytest.raises(RecipeError, match=message):
        quantiles(network, [make_walk(0, 1, 9)], horizon, levels)
    with pytest.raises(RecipeError, match="context_length"):
        quantiles(network, [make_walk(0, 1, 9)], 4, LEVELS, context_length=0)
