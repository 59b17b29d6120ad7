from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.series.mixup import mix, ts_mixup, window

seeds = st.integers(0, 2**32)


def marked(count):
    """Series that each differ from zero at one step of their own, so that a mixture shows what it is made of."""
    return list(np.eye(count))


@settings(max_examples=50, deadline=None)
@given(seed=seeds, most=st.integers(1, 5))
def test_weights_sum_to_one_over_at_most_k_series(seed, most):
    mixed = ts_mixup(marked(12), 20, 12, np.random.default_rng(seed), max_mixed=most)
    np.testing.assert_allclose(mixed.sum(axis=1), 12.0)  # each series counts 12 once divided by its mean of 1/12
    parts = (mixed > 0).sum(axis=1)
    assert parts.min() >= 1
    assert parts.max() <= most


def test_one_two_and_three_series_are_mixed_by_default():
    parts = (ts_mixup(marked(50), 300, 50, np.random.default_rng(0)) > 0).sum(axis=1)
    assert set(parts) == {1, 2, 3}
    assert 0.25 < (parts == 1).mean() < 0.42


@settings(max_examples=50, deadline=None)
@given(seed=seeds, count=st.integers(1, 4))
def test_a_mixture_lies_between_its_scaled_windows(seed, count):
    rng = np.random.default_rng(seed)
    windows = rng.standard_normal((count, 30)) * rng.uniform(0.01, 1000, (count, 1))
    scaled = windows / np.abs(windows).mean(axis=1, keepdims=True)
    mixed = mix(windows, rng)
    assert np.all(mixed <= scaled.max(axis=0) + 1e-9)
    assert np.all(mixed >= scaled.min(axis=0) - 1e-9)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e9])
def test_the_unit_of_a_series_does_not_matter(unit):
    series = [np.sin(np.arange(40.0)), np.arange(1.0, 41.0)]
    expected = ts_mixup(series, 10, 20, np.random.default_rng(1))
    other = ts_mixup([series[0] * unit, series[1]], 10, 20, np.random.default_rng(1))
    np.testing.assert_allclose(other, expected)


def test_what_is_missing_in_any_window_is_missing_in_the_mixture_and_nothing_else_is():
    windows = np.random.default_rng(0).standard_normal((3, 10))
    windows[0, 2] = windows[2, 7] = np.nan
    mixed = mix(windows, np.random.default_rng(1))
    assert np.flatnonzero(np.isnan(mixed)).tolist() == [2, 7]


def test_missing_values_do_not_count_for_the_scale():
    whole, holed = np.full((1, 8), 5.0), np.full((1, 8), 5.0)
    holed[0, :4] = np.nan
    for windows in (whole, holed):
        np.testing.assert_allclose(mix(windows, np.random.default_rng(0))[4:], 1.0)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_windows_of_zeros_or_of_nothing_stay_what_they_are(value):
    with np.errstate(all="raise"):
        mixed = mix(np.full((2, 6), value), np.random.default_rng(0))
    np.testing.assert_array_equal(mixed, np.full(6, value))


@settings(max_examples=60, deadline=None)
@given(seed=seeds, steps=st.integers(1, 60), length=st.integers(1, 60))
def test_a_window_is_a_stretch_of_its_series_padded_on_the_left(seed, steps, length):
    values = np.arange(float(steps))
    cut = window(values, length, np.random.default_rng(seed))
    assert (cut.shape, cut.dtype) == ((length,), np.float64)
    kept = cut[np.isfinite(cut)]
    assert len(kept) == min(steps, length)
    assert np.isnan(cut[: length - len(kept)]).all()
    np.testing.assert_array_equal(np.diff(kept), 1.0)


def test_short_series_are_mixed_with_gaps_on_the_left():
    mixed = ts_mixup([np.ones(5), np.ones(9)], 50, 12, np.random.default_rng(0))
    assert np.isnan(mixed[:, :3]).all()
    assert np.isfinite(mixed[:, 7:]).all()
    np.testing.assert_allclose(mixed[:, 7:], 1.0)


def test_a_series_of_no_weight_is_never_drawn():
    mixed = ts_mixup(marked(4), 200, 4, np.random.default_rng(0), weights=np.array([0.5, 0.0, 0.25, 0.25]))
    assert (mixed > 0).any(axis=0).tolist() == [True, False, True, True]


def test_the_same_generator_gives_the_same_mixtures_and_no_global_random_state_is_touched():
    series = [np.random.default_rng(i).standard_normal(50) for i in range(5)]
    before = np.random.get_state()  # noqa: NPY002 - the state that must not move
    one, again, other = (ts_mixup(series, 8, 20, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2] == after[2]
