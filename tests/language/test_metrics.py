from __future__ import annotations

import doctest
import random
import subprocess
import sys

import numpy as np
import pytest

from stillroom.core.errors import DataError, RecipeError
from stillroom.language import metrics
from stillroom.language.metrics import METRICS, score

RIGHT = ["She goes home at 8.", "Two cats sat on 3 mats.", "He has 42 dogs today."]
SOURCES = ["She go home at 8.", "Two cat sat on 3 mats.", "He have 42 dog today."]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_goes_from_nothing_to_one(name):
    assert score(name, RIGHT, RIGHT, SOURCES).value == pytest.approx(1)
    assert score(name, [None] * 3, RIGHT, SOURCES).value == 0


@pytest.mark.parametrize("name", METRICS)
def test_better_is_higher(name):
    one, two = score(name, [RIGHT[0], None, None], RIGHT, SOURCES), score(name, [*RIGHT[:2], None], RIGHT, SOURCES)
    assert one.value < two.value < 1


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_adds_up_over_rows_in_any_order_and_vectorised(name):
    order = random.Random(0).sample(range(3), 3)
    scored = score(name, SOURCES, RIGHT, SOURCES)
    turned = score(name, *([column[place] for place in order] for column in (SOURCES, RIGHT, SOURCES)))
    assert turned.value == pytest.approx(scored.value)
    assert scored.take(order).value == pytest.approx(scored.value)
    stacked = np.stack([scored.parts.sum(0), scored.parts[0], 2 * scored.parts[1]])
    np.testing.assert_allclose(scored.of_sums(stacked), [scored.of_sums(sums) for sums in stacked])


@pytest.mark.parametrize("name", METRICS)
def test_any_of_several_references_counts(name):
    apart = score(name, RIGHT, [["Nothing of the sort 7", one] for one in RIGHT], SOURCES).value
    assert apart == pytest.approx(1)


@pytest.mark.parametrize("name", METRICS)
def test_rows_that_do_not_fit_are_said(name):
    with pytest.raises(DataError, match="predictions"):
        score(name, ["a"], ["a", "b"], ["a"])


def test_a_name_that_is_not_known_gets_the_nearest():
    with pytest.raises(RecipeError, match="did you mean edit_f05"):
        score("edit_f0.5", [], [])
    with pytest.raises(RecipeError, match="there are exact, strict"):
        score("perplexity", [], [])


def test_the_example_holds():
    assert doctest.testmod(metrics).failed == 0


def test_neither_torch_nor_the_scorers_are_loaded_to_name_a_metric():
    script = "import sys, stillroom.language.metrics; print({'torch', 'sacrebleu', 'rouge_score'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == "set()\n"
