from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.core.errors import RecipeError
from stillroom.language.mixing import Mixture, apportioned, shares

TASKS = ["a"] * 60 + ["b"] * 30 + ["c"] * 10


def test_without_weights_each_row_counts_alike():
    assert shares({"a": 60, "b": 30, "c": 10}) == pytest.approx({"a": 0.6, "b": 0.3, "c": 0.1})
    assert shares({"a": 60, "b": 40}, {"a": None, "b": None}) == pytest.approx({"a": 0.6, "b": 0.4})


def test_weights_are_shares():
    assert shares({"a": 60, "b": 30}, {"a": 1, "b": 3}) == pytest.approx({"a": 0.25, "b": 0.75})


def test_a_high_temperature_makes_tasks_alike():
    assert shares({"a": 81, "b": 16}, temperature=4) == pytest.approx({"a": 0.6, "b": 0.4})  # fourth roots: 3 and 2
    assert shares({"a": 90, "b": 10}, temperature=1e9) == pytest.approx({"a": 0.5, "b": 0.5})


@pytest.mark.parametrize(
    ("weights", "temperature", "sentence"),
    [
        ({"d": 1.0}, 1.0, "no task 'd' to weigh: there are 'a', 'b'"),
        ({"a": 1.0}, 1.0, "task 'b' has no weight"),
        ({"a": 1.0, "b": 0.0}, 1.0, "above zero"),
        (None, 0.0, "above zero"),
        ({"a": 1.0, "b": 2.0}, 2.0, "leave out either"),
    ],
)
def test_mixtures_that_cannot_be_meant_are_refused(weights, temperature, sentence):
    with pytest.raises(RecipeError, match=sentence):
        shares({"a": 2, "b": 1}, weights, temperature)


def test_without_weights_each_pass_has_each_row_once_in_an_order_of_its_own():
    order = Mixture(TASKS)
    assert sorted(order(0)) == sorted(order(7)) == list(range(100))
    assert order(0).tolist() != order(1).tolist()


def test_each_pass_has_the_shares_that_were_asked_for():
    order = Mixture(TASKS, {"a": 1, "b": 1, "c": 2})
    for turn in range(3):
        drawn = [TASKS[row] for row in order(turn)]
        assert {name: drawn.count(name) for name in "abc"} == {"a": 25, "b": 25, "c": 50}


def test_no_row_of_a_task_comes_again_before_all_of_them_have():
    order = Mixture(TASKS, {"a": 1, "b": 1, "c": 2})
    rows = np.concatenate([order(turn) for turn in range(12)])
    for name in "abc":
        counts = np.bincount(rows, minlength=100)[[task == name for task in TASKS]]
        assert counts.max() - counts.min() <= 1


def test_the_order_is_a_function_of_the_pass_and_the_seed():
    first, other = Mixture(TASKS, {"a": 1, "b": 2, "c": 3}), Mixture(TASKS, {"a": 1, "b": 2, "c": 3})
    for turn in (3, 0, 3):
        assert first(turn).tolist() == other(turn).tolist()
    assert Mixture(TASKS, seed=1)(0).tolist() != Mixture(TASKS, seed=2)(0).tolist()


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 5), min_size=1), st.integers(6, 500))
def test_parts_add_up_are_at_least_one_and_within_one_of_their_share(weights, total):
    wanted = {name: weight / sum(weights.values()) for name, weight in weights.items()}
    parts = apportioned(wanted, total)
    assert all(part >= 1 for part in parts.values())
    exact = all(share * total >= 1 for share in wanted.values())
    assert sum(parts.values()) == total or not exact
    if exact:
        assert all(abs(parts[name] - share * total) < 1 + 1e-9 for name, share in wanted.items())
