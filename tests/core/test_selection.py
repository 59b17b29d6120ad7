from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.core.errors import RecipeError
from stillroom.core.selection import Selection


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=20))
def test_the_best_is_the_earliest_of_the_lowest_finite_values(values):
    selection = Selection("loss")
    improved = [selection.add(step, {"loss": value}) for step, value in enumerate(values)]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        assert selection.best is None
        assert not any(improved)
    else:
        assert selection.best == {"step": values.index(min(finite)), "loss": min(finite)}
        assert improved[int(selection.best["step"])]
        assert not any(improved[int(selection.best["step"]) + 1 :])


def test_patience_counts_validations_since_the_best():
    selection = Selection("loss", patience=2)
    given_up = []
    for step, value in enumerate([3.0, 2.0, 2.0, math.nan, 1.0]):
        selection.add(step, {"loss": value})
        given_up.append(selection.given_up)
    assert given_up == [False, False, False, True, False]


def test_without_patience_it_never_gives_up():
    selection = Selection("loss")
    for step in range(50):
        selection.add(step, {"loss": float(step)})
    assert not selection.given_up


def test_a_metric_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(RecipeError, match="'WQL'; it gives MASE, SQL"):
        Selection("WQL").add(0, {"MASE": 1.0, "SQL": 2.0})
