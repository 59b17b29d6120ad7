from __future__ import annotations

import numpy as np
import pytest

from stillroom.core.errors import DataError
from stillroom.language.scored import Scored, mean, several


def test_a_value_is_made_of_the_sums_over_rows():
    scored = Scored(np.array([[1.0, 4.0], [2.0, 6.0]]), lambda sums: sums[..., 0] / sums[..., 1])
    assert len(scored) == 2
    assert scored.value == 0.3
    assert scored.take([1]).value == pytest.approx(1 / 3)
    assert scored.take(np.array([True, False])).value == 0.25


def test_a_mean_is_a_mean():
    assert mean([True, False, True, True]).value == 0.75
    assert mean([0.25, 0.5]).value == 0.375


def test_one_reference_or_several_are_allowed_in_each_row():
    assert several(["a", None], ["b", ["c", "d"]]) == [("b",), ("c", "d")]


@pytest.mark.parametrize(
    ("predictions", "references", "said"),
    [
        ([], [], "no predictions"),
        (["a"], ["a", "b"], "1 predictions and 2 references"),
        (["a", "b"], ["a", []], "row 1 has no reference"),
        (["a"], [None], "row 0 has no reference"),
    ],
)
def test_what_cannot_be_judged_is_said_in_a_sentence(predictions, references, said):
    with pytest.raises(DataError, match=said):
        several(predictions, references)
