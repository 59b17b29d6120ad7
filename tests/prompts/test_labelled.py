from __future__ import annotations

import numpy as np
import pytest

from stillroom.core.errors import DataError
from stillroom.prompts.labelled import training_data

TEXT = "the council of the city adopted the long report"


def table(*answers: str | None) -> list[dict]:
    return [{"key": str(n), "row_id": f"r{n}", "input": TEXT, "answer": a} for n, a in enumerate(answers)]


def test_rows_become_examples_in_the_order_of_the_table():
    kept, tally = training_data(table("council adopted report", "city report"))
    assert [example.source for example in kept] == ["r0", "r1"]
    assert [w for w, keep in zip(kept[0].words, kept[0].keep, strict=True) if keep] == ["council", "adopted", "report"]
    assert kept[0].keep.dtype == np.float32
    assert (tally.rows, tally.varied, tally.misaligned) == (2, 0, 0)
    assert tally.rate == pytest.approx(5 / 18)


def test_rows_without_a_use_are_left_out_and_counted():
    rows = [
        *table("council report", None, "", "  "),
        {"input": TEXT, "answer": "the council", "finish_reason": "length"},
    ]
    kept, tally = training_data(rows)
    assert len(kept) == 1
    assert (tally.rows, tally.unanswered, tally.cut_short) == (5, 3, 1)


def test_the_worst_by_variation_go_first_and_then_the_worst_by_gap():
    made_up = "council happily adopted whatever"
    said_twice = "report report report report"
    rows = table(*["council report"] * 8, made_up, said_twice)
    kept, tally = training_data(rows, variation_percentile=90, gap_percentile=88)
    assert (tally.varied, tally.misaligned, len(kept)) == (1, 1, 8)
    assert all(example.variation_rate == example.alignment_gap == 0 for example in kept)
    assert len(training_data(rows, 100, 100)[0]) == 10


def test_perfect_answers_all_stay():
    # the published filter drops what equals its threshold, and so a table of perfect answers whole
    assert len(training_data(table(*["council report"] * 20))[0]) == 20


def test_percentiles_are_numpys_over_the_rows_that_are_left_reference():
    chance = np.random.default_rng(0)
    words = TEXT.split()
    answers = [" ".join(chance.choice([*words, "x", "y"], size=6)) for _ in range(60)]
    everything = training_data(table(*answers), 100, 100)[0]
    variation = np.array([example.variation_rate for example in everything])
    first = variation <= np.percentile(variation, 95)
    gap = np.array([example.alignment_gap for example in everything])
    second = first & (gap <= np.percentile(gap[first], 90))
    kept, tally = training_data(table(*answers))
    assert [example.source for example in kept] == [f"r{n}" for n in np.flatnonzero(second)]
    assert (tally.varied, tally.misaligned) == ((~first).sum(), (first & ~second).sum())


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"input": "x"}], "row 1 of the label table has no answer"),
        ([{"text": "x"}], "has no input and answer"),
        ([{"input": 3, "answer": "x"}], "has no text in input"),
        ([{"input": "x", "answer": None}], "none of the 1 rows has an answer"),
        ([], "none of the 0 rows"),
    ],
)
def test_a_table_that_cannot_be_learnt_from_is_refused_in_a_sentence(rows, sentence):
    with pytest.raises(DataError, match=sentence):
        training_data(rows)


def test_a_percentile_outside_the_hundred_is_refused():
    with pytest.raises(DataError, match="between 0 and 100, not at 101"):
        training_data(table("x"), 101)
