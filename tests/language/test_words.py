from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.language.words import forms, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I don't know, John's car won't.", ["I", "don't", "know", ",", "John's", "car", "won't", "."]),
        ("L'homme qu’il n'est plus aujourd'hui", ["L'", "homme", "qu’", "il", "n'", "est", "plus", "aujourd'hui"]),
        ("dell'arte, un'amica", ["dell'", "arte", ",", "un'", "amica"]),
        ("П'ять об’єктів", ["П'ять", "об’єктів"]),
        ("well-known... 1,000.50 3rd", ["well", "-", "known", "...", "1,000.50", "3rd"]),
        ("¿Qué?!", ["¿", "Qué", "?", "!"]),
        ("我有 2 本书。", ["我", "有", "2", "本", "书", "。"]),
        ("e\u0301te\u0301", ["été"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("", []),
    ],
)
def test_words_and_marks_are_parted(text, found):
    assert words(text) == found


@given(st.text())
def test_nothing_but_white_space_is_lost(text):
    assert "".join(words(text)) == "".join(unicodedata.normalize("NFC", text).split())


@given(st.text())
def test_white_space_between_words_does_not_matter(text):
    assert words(" \n".join(words(text))) == [again for word in words(text) for again in words(word)]


def test_forms_are_lower_case_without_marks_in_any_script():
    assert forms("Don't — Їжак, 2 ÉTÉS_x") == ["don", "t", "їжак", "2", "étés", "x"]
