from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stillroom.units.augment import augmented, cropped, jittered, warped

series = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 3), st.integers(1, 50)), elements=st.floats(-1e3, 1e3) | st.just(np.nan)
)
seeds = st.integers(0, 2**32)


def random(seed=0):
    return np.random.default_rng(seed)


def waves(variables=2, steps=100):
    return np.sin(np.arange(steps) / 7 + np.arange(variables)[:, None])


@settings(max_examples=150, deadline=None)
@given(values=series, seed=seeds)
def test_a_changed_series_has_the_same_variables_and_no_more_steps_and_nothing_infinite(values, seed):
    before = values.copy()
    changed = augmented(values, random(seed))
    assert len(changed) == len(values)
    assert 0.8 * values.shape[1] <= changed.shape[1] <= values.shape[1]
    assert not np.isinf(changed).any()
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(changed, augmented(values, random(seed)))


@settings(max_examples=50, deadline=None)
@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100), seed=seeds)
def test_changes_are_free_of_scale(scale, shift, seed):
    plain = augmented(waves(), random(seed))
    scaled = augmented(scale * waves() + shift, random(seed))
    np.testing.assert_allclose(scaled, scale * plain + shift, atol=1e-9 * (scale + abs(shift)), rtol=1e-9)


@settings(max_examples=100, deadline=None)
@given(seed=seeds)
def test_some_value_of_every_variable_is_left(seed):
    assert np.isfinite(augmented(waves(3, 5), random(seed))).any(axis=1).all()


def test_noise_is_small_beside_each_variable_and_leaves_what_is_missing():
    values = waves(2, 400) * [[1.0], [1000.0]]
    values[0, 7] = np.nan
    spread = [np.nanstd(jittered(values, random(seed)) - values, axis=1) for seed in range(40)]
    assert np.max(spread / np.nanstd(values, axis=1)) < 0.06
    assert np.min(spread) > 0
    assert np.isnan(jittered(values, random())).sum() == 1


def test_a_constant_variable_has_no_noise():
    np.testing.assert_array_equal(jittered(np.full((1, 20), 5.0), random()), np.full((1, 20), 5.0))


@settings(max_examples=50, deadline=None)
@given(seed=seeds)
def test_time_runs_forward_at_nearly_its_own_pace_and_ends_where_it_ended(seed):
    ramp = np.stack([np.arange(101.0), np.arange(101.0)])
    moved = warped(ramp, random(seed))
    steps = np.diff(moved[0])
    assert (steps > 0.75).all()
    assert (steps < 1.25).all()
    assert moved[0, [0, -1]] == pytest.approx([0, 100])
    np.testing.assert_array_equal(moved[0], moved[1])


@settings(max_examples=50, deadline=None)
@given(seed=seeds, steps=st.integers(1, 60))
def test_a_cut_leaves_a_stretch_of_the_series(seed, steps):
    left = cropped(np.arange(float(steps))[None], random(seed))[0]
    assert len(left) >= max(0.8 * steps, min(16, steps))
    np.testing.assert_array_equal(np.diff(left), 1.0)
    assert 0 <= left[0] <= left[-1] < steps
