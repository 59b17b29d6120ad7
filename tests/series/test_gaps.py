"""What is hidden from an imputer, and what its filling is worth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stillroom.core.errors import DataError
from stillroom.series.gaps import METRICS, evaluate, hide, scale_of

observed_windows = arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 40)))
ratios = st.floats(0.01, 0.99)
blocks = st.integers(1, 12)


@given(observed_windows, ratios, blocks, st.integers(0, 5))
def test_the_share_of_the_observed_values_that_is_hidden_is_exact_to_one_block(observed, ratio, block, seed):
    hidden = hide(observed, ratio, seed, "item", "variable", block_length=block)
    for row, seen in zip(hidden, observed, strict=True):
        if seen.sum() > block:  # else one block would be everything
            assert abs(row.sum() - ratio * seen.sum()) < block
        else:
            assert not row.any()


@given(observed_windows, ratios, blocks)
def test_only_observed_values_are_hidden_and_never_all_of_them(observed, ratio, block):
    hidden = hide(observed, ratio, 0, block_length=block)
    assert not (hidden & ~observed).any()
    assert ((observed & ~hidden).any(axis=1) == observed.any(axis=1)).all()


@given(observed_windows, ratios, blocks)
def test_gaps_are_whole_blocks_of_observed_values(observed, ratio, block):
    for row, seen in zip(hide(observed, ratio, 0, block_length=block), observed, strict=True):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row[seen], [0]])))
        assert ((edges[1::2] - edges[::2]) % block == 0).all()  # blocks may touch


@given(observed_windows, ratios, blocks)
def test_the_same_key_hides_the_same_and_more_windows_change_nothing_of_the_first(observed, ratio, block):
    hidden = hide(observed, ratio, 3, "a", "x", block_length=block)
    more = np.concatenate([observed, ~observed])
    np.testing.assert_array_equal(hide(more, ratio, 3, "a", "x", block_length=block)[: len(observed)], hidden)


def test_other_seeds_items_and_variables_hide_other_values():
    observed = np.ones((4, 96), dtype=bool)
    masks = [hide(observed, 0.25, *key) for key in [(0, "a", "x"), (1, "a", "x"), (0, "b", "x"), (0, "a", "y")]]
    assert len({mask.tobytes() for mask in masks}) == 4


@pytest.mark.parametrize(
    ("block", "expected"),
    [(1, ["..#...##.#.#", "#.....#.#.#."]), (3, ["..###...###.", "###.....###."])],
)
def test_what_is_hidden_is_the_same_on_every_machine_and_in_every_version(block, expected):
    observed = np.ones((2, 12), dtype=bool)
    observed[1, 3:6] = False
    hidden = hide(observed, 0.4, 7, "ETTh1", "OT", block_length=block)
    assert ["".join("#" if value else "." for value in row) for row in hidden] == expected


@pytest.mark.parametrize(("ratio", "block"), [(0.25, 1), (0.1, 1), (0.25, 24), (0.1, 7)])
def test_the_mean_share_over_many_windows_is_the_ratio_even_where_blocks_do_not_divide_it(ratio, block):
    share = hide(np.ones((4000, 50), dtype=bool), ratio, 0, block_length=block).mean()
    deviation = block / 50 / 2 / np.sqrt(4000)  # a block more or less, at most half of the windows each
    assert abs(share - ratio) < 5 * deviation


def test_every_value_is_hidden_as_often_as_any_other():
    often = hide(np.ones((20_000, 16), dtype=bool), 0.25, 0).mean(axis=0)
    assert np.abs(often - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 20_000)


def test_every_arrangement_of_blocks_is_equally_likely():
    hidden = hide(np.ones((30_000, 7), dtype=bool), 4 / 7, 0, block_length=2)
    hidden = hidden[hidden.sum(axis=1) == 4]
    _, counts = np.unique(hidden, axis=0, return_counts=True)
    assert len(counts) == 10  # two blocks of two among seven values
    assert np.abs(counts / len(hidden) - 0.1).max() < 5 * np.sqrt(0.1 * 0.9 / len(hidden))


def test_variables_are_scaled_by_what_was_observed_of_them():
    mean, deviation = scale_of(np.array([[1, 3, np.nan, 5], [0.1, 0.1, 0.1, np.nan]]))
    np.testing.assert_allclose(mean, [3, 0.1])
    np.testing.assert_allclose(deviation, [np.sqrt(8 / 3), 1])  # a constant is not divided by 0


def test_a_variable_without_any_value_cannot_be_scaled():
    with pytest.raises(DataError, match="no observed value"):
        scale_of(np.array([[1.0, 2.0], [np.nan, np.nan]]))


def test_scaling_equals_scikit_learn_reference():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    train = np.random.default_rng(0).normal(3, 5, (4, 200))
    train[2, 50:90] = np.nan
    reference = preprocessing.StandardScaler().fit(train.T)
    mean, deviation = scale_of(train)
    np.testing.assert_allclose(mean, reference.mean_)
    np.testing.assert_allclose(deviation, reference.scale_)


def test_metrics_equal_scikit_learn_reference():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    truth = rng.normal(size=500)
    filled = truth + rng.normal(0.1, 0.5, size=500)
    scores = evaluate(truth, filled)
    assert tuple(scores) == METRICS
    reference = {
        "MAE": metrics.mean_absolute_error(truth, filled),
        "MSE": metrics.mean_squared_error(truth, filled),
        "RMSE": metrics.root_mean_squared_error(truth, filled),
        "R2": metrics.r2_score(truth, filled),
    }
    assert scores == pytest.approx(reference, rel=1e-12)


def test_metrics_of_a_perfect_filling_of_a_constant_and_of_nothing():
    assert evaluate(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == {"MAE": 0, "MSE": 0, "RMSE": 0, "R2": 1}
    constant = evaluate(np.array([2.0, 2.0]), np.array([3.0, 1.0]))
    assert (constant["MAE"], constant["MSE"]) == (1, 1)
    assert np.isnan(constant["R2"])
    assert all(np.isnan(value) for value in evaluate(np.empty(0), np.empty(0)).values())
