from __future__ import annotations

import random

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from stillroom.core.errors import DataError
from stillroom.language import intervals
from stillroom.language.classes import accuracy, macro_f1

NAMES = ["good", "bad", "so-so", "rare"]


def rows(seed: int, said_of: list[str] = NAMES) -> tuple[list[str], list[str]]:
    rng = random.Random(seed)
    right = rng.choices(NAMES, [10, 5, 3, 0.5], k=60)
    return [one if rng.random() < 0.6 else rng.choice(said_of) for one in right], right


@pytest.mark.parametrize("seed", range(4))
def test_they_are_those_of_the_reference_sklearn(seed):
    said, right = rows(seed)
    present = sorted(set(right))
    assert accuracy(said, right).value == pytest.approx(accuracy_score(right, said))
    assert macro_f1(said, right).value == pytest.approx(
        f1_score(right, said, labels=present, average="macro", zero_division=0)
    )


def test_answers_outside_the_set_are_misses_and_no_classes_as_in_the_reference_sklearn():
    said, right = rows(1, ["I cannot say", "Good?"])
    expected = f1_score(right, said, labels=sorted(set(right)), average="macro", zero_division=0)
    assert macro_f1(said, right).value == pytest.approx(expected)
    assert macro_f1(["?"], ["good"]).value == 0


def test_a_missing_answer_is_a_miss():
    assert macro_f1([None, "bad"], ["good", "bad"]).value == 0.5
    assert accuracy([None, "bad"], ["good", "bad"]).value == 0.5


def test_a_resample_has_the_mean_over_the_classes_it_has_as_the_reference_sklearn():
    said, right = rows(2)
    drawn = np.random.default_rng(5).integers(0, len(right), (3, len(right)))
    values = intervals.resampled([macro_f1(said, right)], resamples=3, seed=5)[:, 0]
    for sample, value in zip(drawn, values, strict=True):
        mine, those = [said[i] for i in sample], [right[i] for i in sample]
        assert value == pytest.approx(f1_score(those, mine, average="macro", zero_division=0))


def test_of_several_references_the_one_that_was_answered_is_right():
    assert macro_f1(["b", "a", "c"], [["a", "b"], ["a"], ["a", "b"]]).value == pytest.approx((2 / 3 + 1) / 2)


def test_how_a_class_was_typed_is_overlooked_and_its_case_is_not():
    assert macro_f1(["so‑so "], ["so-so"]).value == 1
    assert macro_f1(["Good"], ["good"]).value == 0


def test_texts_are_refused():
    texts = [f"text {number}" for number in range(201)]
    with pytest.raises(DataError, match="201 different references"):
        macro_f1(texts, texts)
