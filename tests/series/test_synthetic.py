from __future__ import annotations

import runpy
import time
import tracemalloc
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.series.synthetic import Composition, Kernel, bank, compose, covariance, draw, kernel_synth

SPEED = Path(__file__).parents[2] / "benchmarks" / "speed" / "kernel_synth.py"
LENGTH = 40

compositions = st.integers(0, 2**32).map(lambda seed: compose(np.random.default_rng(seed), LENGTH))


@pytest.fixture(scope="module")
def in_sklearn():
    """How the speed comparison says a composition in scikit-learn's words."""
    return runpy.run_path(str(SPEED))["peer_composition"]


def test_every_base_kernel_equals_scikit_learn_reference(in_sklearn):
    points = np.linspace(0.0, 1.0, LENGTH)[:, None]
    for kernel in bank(LENGTH):
        alone = Composition((kernel,), ())
        np.testing.assert_allclose(covariance(alone, LENGTH), in_sklearn(alone)(points), atol=1e-12, err_msg=kernel)


@settings(max_examples=60, deadline=None)
@given(composition=compositions)
def test_covariance_equals_scikit_learn_reference(in_sklearn, composition):
    expected = in_sklearn(composition)(np.linspace(0.0, 1.0, LENGTH)[:, None])
    np.testing.assert_allclose(covariance(composition, LENGTH), expected, rtol=1e-10, atol=1e-12)


def test_compositions_fold_from_the_left():
    white, constant = Kernel("white", 2.0), Kernel("constant", 3.0)
    matrix = covariance(Composition((white, constant, constant), ("+", "*")), 4)
    np.testing.assert_array_equal(matrix, 6.0 * np.eye(4) + 9.0)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(2, 2000), most=st.integers(1, 8))
def test_a_composition_joins_a_few_kernels_of_the_bank(seed, length, most):
    composition = compose(np.random.default_rng(seed), length, most)
    assert 1 <= len(composition.kernels) <= most
    assert len(composition.operations) == len(composition.kernels) - 1
    assert set(composition.kernels) <= set(bank(length))
    assert set(composition.operations) <= {"+", "*"}


def test_every_period_fits_at_least_twice():
    for length in (8, 64, 512, 1024):
        periods = [kernel.parameter * length for kernel in bank(length) if kernel.kind == "periodic"]
        assert periods
        assert max(periods) <= length / 2


@pytest.mark.parametrize("seed", range(6))
def test_draws_have_the_covariance_of_their_kernel(seed):
    rng = np.random.default_rng(seed)
    composition, count, length = compose(rng, 12), 20_000, 12
    series, expected = draw(composition, length, count, rng), covariance(composition, length)
    variance = np.diagonal(expected)
    deviation = np.sqrt((np.outer(variance, variance) + expected**2) / count)  # of a mean of products of normals
    assert series.shape == (count, length)
    # five deviations, and what the jitter adds
    assert np.all(np.abs(series.T @ series / count - expected) <= 5 * deviation + 1e-4 * variance.mean())
    assert np.all(np.abs(series.mean(axis=0)) <= 5 * np.sqrt(variance / count) + 1e-2 * np.sqrt(variance.mean()))


SINGULAR = {
    "a constant": Composition((Kernel("constant", 1.0),), ()),
    "a line through zero": Composition((Kernel("linear", 0.0),), ()),
    "a polynomial far from zero": Composition((Kernel("linear", 10.0),) * 5, ("*",) * 4),
    "nearly a constant": Composition((Kernel("rbf", 10.0), Kernel("rational_quadratic", 10.0)), ("*",)),
    "nothing": Composition((Kernel("constant", 0.0),), ()),
}


@pytest.mark.parametrize("composition", SINGULAR.values(), ids=SINGULAR)
def test_singular_kernels_are_drawn_and_stay_smooth(composition):
    series = draw(composition, 512, 4, np.random.default_rng(0))
    assert np.isfinite(series).all()
    deviation = np.sqrt(np.mean(np.diagonal(covariance(composition, 512)))) or 1.0
    assert np.diff(series, n=2, axis=1).std() <= 0.01 * deviation  # the jitter is all that is rough


def test_a_periodic_draw_repeats():
    series = draw(Composition((Kernel("periodic", 24 / 479),), ()), 480, 3, np.random.default_rng(1))
    np.testing.assert_allclose(series[:, 24:], series[:, :-24], atol=0.02)
    assert series.std() > 0.1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 9), more=st.integers(0, 9), draws=st.integers(1, 5))
def test_the_same_seed_gives_the_same_series_however_many_are_asked_for(seed, count, more, draws):
    first = list(kernel_synth(count, 16, draws=draws, seed=seed))
    longer = list(kernel_synth(count + more, 16, draws=draws, seed=seed))
    assert (len(first), len(longer)) == (count, count + more)
    for one, other in zip(first, longer, strict=False):  # products of other shapes round differently
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_another_seed_gives_other_series():
    one, other = (np.stack(list(kernel_synth(4, 32, seed=seed))) for seed in (0, 1))
    assert not np.array_equal(one, other)
    assert np.array_equal(one, np.stack(list(kernel_synth(4, 32, seed=0))))


def test_series_are_float64_of_the_length_asked_for():
    for series in kernel_synth(20, 100):
        assert (series.shape, series.dtype) == ((100,), np.float64)
        assert np.isfinite(series).all()


def test_draws_of_one_kernel_share_it_and_the_next_kernel_is_another():
    rng = np.random.default_rng(3)
    expected = np.concatenate([draw(compose(rng, 32), 32, 4, rng) for _ in range(3)])
    np.testing.assert_array_equal(np.stack(list(kernel_synth(12, 32, draws=4, seed=3))), expected)


def test_no_global_random_state_is_touched():
    before = np.random.get_state()  # noqa: NPY002 - the state that must not move
    list(kernel_synth(20, 32))
    after = np.random.get_state()  # noqa: NPY002
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_a_million_series_stream_at_once_in_bounded_memory():
    tracemalloc.start()
    try:
        began = time.process_time()
        stream = kernel_synth(1_000_000, 512, seed=1)
        next(stream)
        assert time.process_time() - began < 2.0
        seen = sum(1 for _ in islice(stream, 63))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == 63
    assert peak < 30e6  # a few covariance matrices; a million series are 4 GB
