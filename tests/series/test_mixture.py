from __future__ import annotations

import hashlib
import multiprocessing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stillroom.core.errors import RecipeError
from stillroom.series.mixture import REAL, SYNTHETIC, Mixture, beyond, coarser, imperfect, split

SHARES = {**dict.fromkeys(SYNTHETIC, 0.15), **dict.fromkeys(REAL, 0.15)}


def real_series():
    """Long, short and holed ones."""
    rng = np.random.default_rng(0)
    series = [rng.standard_normal(length).cumsum() for length in (500, 90, 12, 3)]
    series[0][100:110] = np.nan
    return series


def mixture(shares=SHARES, **changed):
    options = {"context_lengths": (16, 32), "prediction_length": 8, "batch_size": 24, "real": real_series(), "seed": 3}
    return Mixture(shares, **{**options, **changed})


def digest(batch):
    return hashlib.sha256(batch["context"].tobytes() + batch["target"].tobytes()).hexdigest()


def digests(indices):
    made = mixture()
    return [digest(made[index]) for index in indices]


def test_a_batch_depends_on_seed_and_index_alone():
    one, other = mixture(), mixture()
    forwards = [digest(one[index]) for index in range(4)]
    backwards = [digest(other[index]) for index in (3, 2, 1, 0)]
    assert forwards == backwards[::-1]
    assert digest(one[2]) == forwards[2]
    assert len(set(forwards)) == 4
    assert digest(mixture(seed=4)[0]) != forwards[0]


def test_another_process_makes_the_same_batches():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(digests, ([5, 1],)) == digests([5, 1])


def test_no_global_random_state_is_touched():
    before = np.random.get_state()  # noqa: NPY002 - the state that must not move
    mixture()[0]
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2] == after[2]


@settings(max_examples=40, deadline=None)
@given(index=st.integers(0, 2**40), seed=st.integers(0, 2**32))
def test_batches_have_one_of_the_context_lengths_and_the_whole_horizon(index, seed):
    batch = mixture(seed=seed)[index]
    assert batch["context"].shape in {(24, 16), (24, 32)}
    assert batch["target"].shape == (24, 8)
    assert {values.dtype for values in batch.values()} == {np.dtype(np.float32)}
    assert not any(np.isinf(values).any() for values in batch.values())


@pytest.mark.parametrize("name", SHARES)
def test_each_source_gives_windows_to_learn_from(name):
    batches = [mixture({name: 1.0})[index] for index in range(5)]
    assert np.mean([np.isfinite(batch["context"]).mean() for batch in batches]) > 0.3
    assert np.mean([np.isfinite(batch["target"]).any(axis=1).mean() for batch in batches]) > 0.6


def test_contexts_are_padded_on_the_left_and_at_least_half_as_long_as_asked_for():
    long = [np.random.default_rng(0).standard_normal(500)]
    context = mixture({"windows": 1.0}, real=long, context_lengths=(32,), batch_size=200)[0]["context"]
    seen = np.isfinite(context)
    lengths = seen.sum(axis=1)
    assert np.all(seen == (np.arange(32) >= 32 - lengths[:, None]))
    assert set(lengths) == set(range(16, 33))


def test_the_target_follows_its_context():
    ramp = np.arange(1000.0)
    batch = mixture({"windows": 1.0}, real=[ramp], context_lengths=(32,), batch_size=50)[0]
    step = batch["context"][:, -1] - batch["context"][:, -2]  # a window of a ramp, in its own unit
    expected = batch["context"][:, -1:] + step[:, None] * np.arange(1, 9)
    asked = np.isfinite(batch["target"])
    assert asked[:, 0].all()
    np.testing.assert_allclose(batch["target"][asked], expected[asked], rtol=1e-4)


def test_the_first_step_of_the_target_is_asked_for_most():
    long = [np.random.default_rng(0).standard_normal(500)]
    mixed = mixture({"windows": 1.0}, real=long, context_lengths=(64,), prediction_length=32, batch_size=400)
    asked = np.isfinite(mixed[0]["target"]).mean(axis=0)
    assert asked[:8].min() == 1.0
    assert np.all(np.diff(asked) <= 0)
    assert 0.4 < asked[-1] < 0.65


def test_a_real_series_shorter_than_the_horizon_is_learnt_from():
    batch = mixture({"windows": 1.0}, real=[np.array([1.0, 2.0, 4.0, 3.0, 5.0, 4.0])])[0]
    assert np.isfinite(batch["context"]).sum(axis=1).tolist() == [4] * 24
    asked = np.isfinite(batch["target"])
    assert asked[:, :2].all()
    assert not asked[:, 2:].any()


@pytest.mark.parametrize("series", [np.array([np.nan, np.nan]), np.array([7.0]), np.zeros(3)])
def test_a_real_series_that_says_nothing_gives_rows_without_infinities(series):
    batch = mixture({"windows": 1.0}, real=[series])[0]
    assert not np.isinf(batch["context"]).any()
    assert not np.isinf(batch["target"]).any()


def test_shares_are_scaled_to_sum_to_one():
    doubled = {name: 2 * share for name, share in SHARES.items()}
    assert digest(mixture(doubled)[0]) == digest(mixture()[0])


def test_a_source_takes_its_share_of_the_rows():
    ones = [np.ones(100)]
    batch = mixture({"windows": 0.75, "kernel_synth": 0.25}, real=ones, batch_size=400)[0]
    constant = np.nanmax(batch["context"], axis=1) == np.nanmin(batch["context"], axis=1)
    assert 0.65 < constant.mean() < 0.85


def test_real_series_are_drawn_by_their_weights():
    both = [np.zeros(100), np.random.default_rng(0).standard_normal(100)]
    batch = mixture({"windows": 1.0}, real=both, weights=np.array([0.9, 0.1]), batch_size=400)[0]
    assert 0.85 < (np.nan_to_num(batch["context"]) == 0).all(axis=1).mean() < 0.95


def test_an_unknown_source_is_refused_with_those_there_are():
    with pytest.raises(RecipeError, match=r"no source of series called 'seasonl'; choose from kernel_synth, seasonal"):
        mixture({"seasonl": 1.0})


def test_real_shares_without_real_series_are_refused():
    with pytest.raises(RecipeError, match="none were given; name a file or drop the real shares"):
        mixture({"seasonal": 0.5, "mixup": 0.5}, real=())
    mixture({"seasonal": 1.0, "mixup": 0.0}, real=())[0]


series = arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e3, 1e3) | st.just(np.nan))


@settings(max_examples=100, deadline=None)
@given(values=series, keep=st.integers(1, 40), horizon=st.integers(1, 20))
def test_context_and_target_are_neighbouring_stretches_of_the_window(values, keep, horizon):
    window = np.concatenate([np.full(max(horizon + keep - len(values), 0), np.nan), values])
    context, target = (part[0] for part in split(window[None], np.array([keep]), horizon))
    assert (len(context), len(target)) == (len(window) - horizon, horizon)
    first = np.flatnonzero(np.isfinite(window))
    observed = window[first[0] :] if len(first) else window[:0]
    ahead = min(horizon, max(len(observed) // 3, 1))
    np.testing.assert_array_equal(target[ahead:], np.nan)
    if len(observed) > 1:
        np.testing.assert_array_equal(target[:ahead], observed[-ahead:])
        kept = min(keep, len(observed) - ahead)
        np.testing.assert_array_equal(context[-kept:], observed[-ahead - kept : -ahead])
        np.testing.assert_array_equal(context[:-kept], np.nan)


def test_a_step_too_far_from_its_context_to_be_forecast_is_marked():
    context = np.array([[1.0, -1.0, np.nan, 1.0, -1.0], [5.0] * 5])
    target = np.array([[19.0, -21.0, np.nan], [5.0, 5.1, np.nan]])
    assert beyond(context, target).tolist() == [[False, True, False], [False, True, False]]


def test_imperfections_touch_a_minority_of_the_windows_and_leave_the_given_ones_alone():
    windows = np.random.default_rng(0).standard_normal((1000, 60))
    before = windows.copy()
    rough = imperfect(windows, np.random.default_rng(1))
    np.testing.assert_array_equal(windows, before)
    touched = (rough != windows).any(axis=1)
    assert 0.1 < touched.mean() < 0.4
    assert 0.02 < np.isnan(rough).any(axis=1).mean() < 0.08
    assert np.isnan(rough).mean(axis=1).max() < 0.6
    rounded = [len(np.unique(row[np.isfinite(row)])) < 40 for row in rough]
    assert 0.02 < np.mean(rounded) < 0.15


def test_imperfections_of_a_constant_are_finite():
    with np.errstate(all="raise"):
        rough = imperfect(np.full((200, 30), 4.0), np.random.default_rng(0))
    assert set(np.unique(rough[np.isfinite(rough)])) == {4.0}


@settings(max_examples=60, deadline=None)
@given(values=series, factor=st.integers(1, 8), shortest=st.integers(1, 10))
def test_a_coarser_series_averages_whole_blocks_that_end_where_the_series_ends(values, factor, shortest):
    found = coarser(values, (factor,), shortest)
    steps = len(values) // factor
    assert len(found) == (steps >= shortest)
    for made in found:
        blocks = [values[len(values) - (steps - k) * factor :][:factor] for k in range(steps)]
        expected = [np.nanmean(block) if np.isfinite(block).any() else np.nan for block in blocks]
        np.testing.assert_allclose(made, expected, rtol=1e-9, atol=1e-9)
