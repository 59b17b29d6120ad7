from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError
from stillroom.units.arrays import as_series, by_size, pad

shapes = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 40)), min_size=1, max_size=12)


def numbered(sizes):
    """Series no two values of which are the same."""
    return [1000.0 * place + np.arange(v * t).reshape(v, t) for place, (v, t) in enumerate(sizes)]


def test_an_array_of_one_variable_and_one_of_several_and_a_list_are_the_same_series():
    block = np.arange(24.0).reshape(3, 1, 8)
    for given_as in (block, block[:, 0], list(block), list(block[:, 0]), block[:, 0].tolist(), block.astype(int)):
        series = as_series(given_as)
        assert [one.dtype for one in series] == [np.dtype(np.float64)] * 3
        np.testing.assert_array_equal(np.stack(series), block)


def test_series_of_unequal_sizes_stay_as_they_are():
    sizes = [(1, 3), (4, 2), (2, 9)]
    assert [one.shape for one in as_series(numbered(sizes))] == sizes


def test_what_is_missing_is_nan_however_it_is_written():
    (values,) = as_series([[None, 1.0, float("nan"), 2]])
    np.testing.assert_array_equal(values, [[np.nan, 1.0, np.nan, 2.0]])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "There are no series: give at least one"),
        (np.zeros((0, 2, 5)), "There are no series: give at least one"),
        (np.zeros(5), r"must have the shape \(items, variables, time\) or \(items, time\), not \(5,\): put a single"),
        (np.zeros((1, 1, 1, 5)), r"must have the shape .* not \(1, 1, 1, 5\)"),
        ([np.zeros((0, 5))], "Series 0 has no variable: leave it out"),
        ([np.zeros(3), np.zeros((2, 0))], "Series 1 has no step: leave it out"),
        ([np.zeros((1, 2, 3))], r"Series 0 has the shape \(1, 2, 3\) instead of"),
        ([["a", "b"]], "Series 0 is not made of numbers"),
        (np.array([["a", "b"]]), "Series 0 is not made of numbers"),
        ([[1.0], [[1.0, 2.0], [3.0]]], "Series 1 is not made of numbers"),
        ([[1j, 2.0]], "Series 0 is not made of numbers"),
        ([[1.0, np.inf]], "Series 0 has infinite values: write NaN"),
        ([[1.0, 1e300]], r"Series 0 has values beyond 3.4e\+38: divide it"),
        ([np.zeros(5), np.zeros(1001)], "Series 1 has 1,001 steps, and at most 100 can be read: .* average every 11"),
        ("abc", "not as a str"),
        (7, "not as a int"),
    ],
)
def test_what_is_no_series_is_refused_in_one_sentence(data, sentence):
    with pytest.raises(DataError, match=sentence) as error:
        as_series(data, longest=100)
    assert "\n" not in str(error.value)


@settings(max_examples=60, deadline=None)
@given(sizes=shapes)
def test_padding_stands_on_the_left_in_time_and_last_among_variables(sizes):
    series = numbered(sizes)
    values, present = pad(series)
    assert values.dtype == torch.float32
    assert present.dtype == torch.bool
    assert values.shape == present.shape == (len(sizes), max(v for v, _ in sizes), max(t for _, t in sizes))
    for row, (variables, steps) in enumerate(sizes):
        assert present[row].sum() == variables * steps
        assert present[row, :variables, -steps:].all()
        np.testing.assert_array_equal(values[row, :variables, -steps:].numpy(), series[row].astype(np.float32))
    assert torch.isnan(values[~present]).all()


def test_a_missing_value_is_present_and_padding_is_not():
    values, present = pad([np.array([[np.nan, 1.0]]), np.array([[2.0]])])
    assert torch.isnan(values).tolist() == [[[True, False]], [[True, False]]]
    assert present.tolist() == [[[True, True]], [[False, True]]]


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(DataError, match="no series to put into a batch"):
        pad([])


@settings(max_examples=100, deadline=None)
@given(sizes=shapes, cells=st.integers(1, 400))
def test_every_series_is_in_one_batch_with_series_of_like_size(sizes, cells):
    series = numbered(sizes)
    batches = by_size(series, cells)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(series)))
    for batch in batches:
        variables, steps = zip(*(sizes[place] for place in batch), strict=True)
        assert len(set(variables)) == 1
        assert max(steps) <= 1.25 * min(steps) + 16
        assert len(batch) == 1 or len(batch) * max(variables) * max(steps) <= cells


def test_the_same_sizes_fill_batches_to_the_brim_and_the_widest_come_first():
    batches = by_size(numbered([(1, 10)] * 25 + [(3, 10)]), 100)
    assert [len(batch) for batch in batches] == [1, 10, 10, 5]
    assert batches[0].tolist() == [25]


def test_of_no_series_there_are_no_batches():
    assert by_size([]) == []
