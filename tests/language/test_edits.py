from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError
from stillroom.language import edits as module
from stillroom.language.edits import Edit, applied, edits, f05
from stillroom.language.words import words

WORDS = st.lists(st.sampled_from(["a", "A", "the", "then", "cat", "cats", ",", ".", "go", "gone"]), max_size=9)


def found(source: str, target: str) -> list[tuple[int, int, str]]:
    return [(edit.start, edit.end, " ".join(edit.replacement)) for edit in edits(words(source), words(target))]


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("She go home .", "She goes home .", [(1, 2, "goes")]),
        ("I am in home", "I am at home", [(2, 3, "at")]),
        ("I like the music", "I like music", [(2, 3, "")]),
        ("He is doctor", "He is a doctor", [(2, 2, "a")]),
        ("I have seen not him", "I have not seen him", [(2, 4, "not seen")]),
        ("weil ich habe das gesehen", "weil ich das gesehen habe", [(2, 5, "das gesehen habe")]),
        ("l'école est grand", "L'école est grande", [(0, 1, "L'"), (3, 4, "grande")]),
        ("it is late", "It is late.", [(0, 1, "It"), (3, 3, ".")]),
        ("He go school", "He went to school", [(1, 2, "went to")]),
        ("However he have go", "However, he has gone", [(1, 1, ","), (2, 3, "has"), (3, 4, "gone")]),
        ("«Так» - сказав", "«Так» — сказав", [(3, 4, "—")]),
        ("", "Now .", [(0, 0, "Now"), (0, 0, ".")]),
        ("Now .", "", [(0, 1, ""), (1, 2, "")]),
        ("the same", "the same", []),
    ],
)
def test_edits_are_the_mistakes_one_by_one(source, target, expected):
    assert found(source, target) == expected


def test_neighbouring_words_without_likeness_are_one_edit():
    assert found("we look upon it", "we study it") == [(1, 3, "study")]


def test_one_change_is_one_edit_whatever_else_changes():
    """The place of a doubled word is free; a system and a reference must choose the same."""
    assert found("a the the cat sat", "a the cat sat") == [(1, 2, "")]
    assert found("a the the cat sat", "a the cat slept") == [(1, 2, ""), (4, 5, "slept")]
    assert found("A the the cat sat", "a the cat sat") == [(0, 1, "a"), (1, 2, "")]
    assert found("a b", "a a c") == [(0, 0, "a"), (1, 2, "c")]


@given(WORDS, WORDS)
def test_edits_made_in_the_source_give_the_target(source, target):
    made = edits(source, target)
    assert applied(source, made) == target
    assert all(one.end <= other.start for one, other in pairwise(made))
    assert all(source[edit.start : edit.end] != list(edit.replacement) for edit in made)


@given(st.text(), st.text())
@settings(max_examples=50)
def test_edits_of_texts_give_the_words_of_the_target(source, target):
    assert applied(words(source), edits(words(source), words(target))) == words(target)


@given(WORDS, WORDS)
def test_the_band_costs_nothing(source, target):
    wide = max(len(source), len(target)) + 1
    cost, _ = module._table(source, target, wide)
    step = abs(len(source) - len(target)) + 1
    near, _ = module._table(source, target, step)
    assert near >= cost
    if near < module.GAP * (2 * step + 2 - abs(len(source) - len(target))):
        assert near == cost


@given(WORDS, WORDS)
def test_cost_is_levenshtein_where_words_have_nothing_in_common(source, target):
    """Against the textbook's recursion, with words that share no letter and in an order that cannot be swapped."""
    ours = [f"{number:d}" for number in range(len(source))]
    theirs = ["abcdefghij"[number] for number in range(len(target))]
    cost, _ = module._table(ours, theirs, 10)
    both = min(len(ours), len(theirs))
    assert cost == module.UNLIKE * both + module.GAP * (max(len(ours), len(theirs)) - both)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_who_says_the_reference_has_one_and_who_copies_has_none(rows):
    sources, targets = [" ".join(source) for source, _ in rows], [" ".join(target) for _, target in rows]
    wrong = any(words(source) != words(target) for source, target in zip(sources, targets, strict=True))
    assert f05(targets, targets, sources).value == 1
    assert f05(sources, targets, sources).value == (0 if wrong else 1)


def test_f05_is_that_of_the_counts():
    source = "She go to home yesterday ."
    reference = "She went home yesterday ."  # go → went, to → nothing: neighbours, so one edit
    assert found(source, reference) == [(1, 3, "went")]
    said = ["She went home yesterday .", "She goes to home , yesterday .", "She go to home yesterday ."]
    assert f05(said, [reference] * 3, [source] * 3).parts.tolist() == [[1, 0, 0], [0, 2, 1], [0, 0, 1]]
    precision, recall = 1 / 3, 1 / 3
    expected = (1 + 0.25) * precision * recall / (0.25 * precision + recall)
    assert f05(said, [reference] * 3, [source] * 3).value == pytest.approx(expected)


def test_precision_counts_more_than_recall():
    source, reference = ["he have two cat ."] * 4, ["He has two cats ."] * 4
    careful = f05(["he has two cat ."] * 4, reference, source).value
    bold = f05(["He has two cats ,  or not ."] * 4, reference, source).value
    assert careful == pytest.approx(1.25 * 1 / 3 / (0.25 + 1 / 3))
    assert bold == pytest.approx(1.25 * 3 / (1.25 * 3 + 2))


def test_each_row_takes_the_reference_that_suits_it_best():
    source = "I am agree with he"
    references = ["I agree with him", "I am in agreement with him"]
    assert f05([references[1]], [references], [source]).value == 1
    assert f05([source], [[*references, source]], [source]).value == 1
    assert f05([source], [references], [source]).parts.tolist() == [[0, 0, 2]]


def test_without_edits_on_either_side_all_is_right():
    assert f05(["fine"], ["fine"], ["fine"]).value == 1


def test_an_edit_where_none_was_needed_is_wrong():
    assert f05(["Fine"], ["fine"], ["fine"]).value == 0


def test_a_missing_prediction_is_never_right():
    assert f05([None], ["all is well"], ["all is well"]).parts.tolist() == [[0, 1, 0]]
    assert f05([None], ["all is fine"], ["all are fine"]).value == 0


def test_sources_are_needed_one_a_row():
    with pytest.raises(DataError, match="edits are those of a source"):
        f05(["a"], ["b"], [])


def test_the_same_edits_are_found_in_every_process():
    pairs = [["a B c d , e f", "b A d c e , f g"], ["the the cats", "cat the then"]]
    script = (
        "import json, sys; from stillroom.language.edits import edits; "
        "print([edits(s.split(), t.split()) for s, t in json.loads(sys.argv[1])])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script, json.dumps(pairs)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in "123"
    }
    assert said == {f"{[edits(s.split(), t.split()) for s, t in pairs]}\n"}


def test_edits_sort_by_place():
    assert sorted([Edit(2, 2, ("b",)), Edit(1, 2, ())]) == [Edit(1, 2, ()), Edit(2, 2, ("b",))]
