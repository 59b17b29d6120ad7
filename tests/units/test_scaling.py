"""One scale for each variable, of what is known of it, in arrays and in tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from stillroom.units.scaling import normalised, standardised

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


@given(seed=st.integers(0, 999), time=st.integers(1, 40), loc=st.sampled_from([0.0, -3.0, 1e4]))
@settings(max_examples=25, deadline=None)
def test_scaling_is_by_the_mean_and_deviation_of_what_is_known(seed, time, loc):
    rng = np.random.default_rng(seed)
    walks = rng.normal(size=(2, 3, time)).cumsum(axis=-1) + loc
    values = torch.from_numpy(np.where(rng.random(walks.shape) < 0.3, NAN, walks))
    found_loc, found_scale, normal = normalised(values, values.isfinite())
    for row, variable in np.ndindex(2, 3):
        known = values[row, variable][values[row, variable].isfinite()].numpy()
        flat = len(set(known)) < 2
        mean, deviation = (known.mean() if len(known) else 0.0), (1.0 if flat else known.std())
        np.testing.assert_allclose(
            [found_loc[row, variable, 0], found_scale[row, variable, 0]], [mean, deviation], rtol=1e-9
        )
        expected = np.nan_to_num((values[row, variable].numpy() - mean) / deviation)
        np.testing.assert_allclose(normal[row, variable], expected, atol=1e-5)


@pytest.mark.parametrize("value", [0.1, -1e30, 123456.7])
def test_a_variable_of_one_value_has_it_as_its_loc(value):
    values = torch.full((1, 2, 9), value)
    values[0, 0, 3] = values[0, 1] = NAN
    loc, scale, normal = normalised(values, values.isfinite())
    assert loc.flatten().tolist() == [torch.tensor(value).item(), 0.0]
    assert scale.flatten().tolist() == [1.0, 1.0]
    assert not normal.any()


@pytest.mark.parametrize("size", [1e-40, 1e-30, 1e30])
def test_values_at_the_ends_of_single_precision_are_scaled_too(size):
    loc, scale, normal = normalised(
        torch.tensor([[[1.0, 2.0, 3.0, 6.0]]]) * size, torch.ones(1, 1, 4, dtype=torch.bool)
    )
    assert torch.stack([loc, scale]).isfinite().all()
    if size > 1e-38:
        torch.testing.assert_close(normal[0, 0], torch.tensor([-1.0690, -0.5345, 0.0, 1.6036]), atol=1e-3, rtol=1e-3)
    assert normal.abs().max() < 2
