from __future__ import annotations

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.language.grammar import words
from stillroom.language.grammar.words import CLOSING, KINDS, OPENING, Word, sentence

plain = st.text("aäbcdéfñoœz", min_size=1, max_size=6)
elided = plain.map("{}'".format) | plain.map("{}’".format)
texts = st.lists(plain | elided | st.sampled_from([*CLOSING, *OPENING, ""]), max_size=12)


def test_the_examples_in_the_docstrings_hold():
    assert not doctest.testmod(words).failed


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (["he", "is", "late", "."], "He is late."),
        (["no", ",", "he", "is", "not", "!"], "No, he is not!"),
        (["¿", "qué", "hora", "es", "?"], "¿Qué hora es?"),
        (["¡", "la", "vida", "!"], "¡La vida!"),
        (["hoy", ",", "¿", "vienes", "?"], "Hoy, ¿vienes?"),
        (["l'", "été", "n’", "est", "pas", "là", "."], "L'été n’est pas là."),
        (["élise", "chante"], "Élise chante"),
        (["", "the", "", "cat", ""], "The cat"),
        (["he", "works", "at", "eight", "o'clock"], "He works at eight o'clock"),
        (["I", "know", "Anna"], "I know Anna"),
        (["?"], "?"),
        ([], ""),
    ],
)
def test_marks_and_elided_words_stick_to_their_neighbours(parts, said):
    assert sentence(parts) == said


@settings(deadline=None)
@given(texts)
def test_a_sentence_has_no_blank_where_none_is_written(parts):
    said = sentence(parts)
    assert said == said.strip()
    assert "  " not in said
    for place, letter in enumerate(said):
        if letter == " ":
            assert said[place - 1] not in OPENING + "'’"
            assert said[place + 1] not in CLOSING


@settings(deadline=None)
@given(texts)
def test_a_sentence_starts_with_a_capital_and_has_no_other_change(parts):
    said, together = sentence(parts).replace(" ", ""), "".join(parts)
    first = next((place for place, letter in enumerate(together) if letter.isalpha()), None)
    if first is None:
        assert said == together
        return
    assert said[first].isupper()
    assert said[:first] + said[first + 1 :] == together[:first] + together[first + 1 :]
    assert said.lower() == together


@settings(deadline=None)
@given(texts)
def test_a_word_left_out_leaves_no_trace(parts):
    assert sentence(parts) == sentence([part for part in parts if part])


@settings(deadline=None)
@given(st.lists(plain, min_size=1))
def test_words_stand_apart_by_one_blank(parts):
    assert sentence(parts).lower().split(" ") == parts


@settings(deadline=None)
@given(texts)
def test_a_sentence_is_a_sentence_already(parts):
    assert sentence([sentence(parts)]) == sentence(parts)


def test_a_word_is_right_unswapped_and_kept_from_misspellings_unless_it_says_so():
    word = Word("cat")
    assert (dict(word.wrong), word.swaps, word.spellable) == ({}, False, False)
    assert len(KINDS) == len(set(KINDS)) == 7
