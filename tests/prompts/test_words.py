from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError
from stillroom.prompts import words as rooms
from stillroom.prompts.words import LETTER, PUNCTUATION, join, split


def cut(text, cuts=()):
    words = split(text, cuts)
    return [text[a:b] for a, b in zip(words.start, words.end, strict=True)]


def left(text, *dropped):
    """The text without the named words, all of them."""
    words = split(text)
    kept = np.array([text[a:b] not in dropped for a, b in zip(words.start, words.end, strict=True)])
    return join(words, kept)[0]


def test_punctuation_around_a_word_is_a_word_of_its_own():
    assert cut('He said: "(well) don\'t!"') == ["He", "said", ":", '"(', "well", ")", "don't", '!"']


def test_punctuation_inside_a_word_belongs_to_it():
    assert cut("state-of-the-art 3.14 a@b.de __init__") == ["state-of-the-art", "3.14", "a@b.de", "__init__"]


def test_scripts_without_spaces_have_a_word_a_character():
    assert cut("我用Python3。") == ["我", "用", "Python3", "。"]
    assert cut("ที่นี่") == ["ที่", "นี่"]
    assert cut("ばﾊﾞ") == ["ば", "ﾊﾞ"]


def test_words_of_korean_and_right_to_left_scripts_are_cut_at_spaces():
    assert cut("빠른 갈색, שלום עולם!") == ["빠른", "갈색", ",", "שלום", "עולם", "!"]


@pytest.mark.parametrize(
    "one", ["👨\u200d👩\u200d👧", "👍🏽", "🇩🇪", "❤\ufe0f", "1\ufe0f\u20e3", "🏴\U000e0067\U000e007f", "e\u0301"]
)
def test_an_emoji_sequence_or_an_accented_letter_is_one_word(one):
    assert cut(one) == [one]
    assert cut(f"你{one}好") == ["你", one, "好"]


def test_flags_are_pairs_and_emoji_stand_alone():
    assert cut("🇩🇪🇫🇷😀😀x") == ["🇩🇪", "🇫🇷", "😀", "😀", "x"]


def test_markup_is_cut_from_what_it_touches_but_letters_are_never_parted():
    text = 'see<b>this</b>or{"a":"foo bar"}'
    assert cut(text, [3, 6, 10, 14]) == ["see", "<b>", "this", "</b>", 'or{"a":"foo', "bar", '"}']
    assert cut("unbelievable", [2, 8]) == ["unbelievable"]
    assert cut("(e\u0301)", [2, 99, 0, -1]) == ["(", "e\u0301", ")"]


def test_a_lone_surrogate_is_refused_in_one_sentence():
    with pytest.raises(DataError, match=r"lone surrogate\) at position 3"):
        split("abc\ud800")


def test_a_gap_becomes_the_white_space_before_the_later_word():
    assert left("one two   three", "two") == "one   three"
    assert left("one two, three", "two") == "one, three"
    assert left("one. ¿Two", "¿") == "one. Two"


def test_a_gap_that_held_a_newline_becomes_one_newline():
    assert left("one\n\n  two three", "two") == "one\nthree"
    assert left("one\n\n  two three", "three") == "one\n\n  two"


def test_two_words_never_run_together():
    assert left("one (two", "(") == "one two"
    assert left("one\t- (two", "-", "(") == "one two"
    assert left("3月5日", "月") == "3 5日"
    assert left("你(好)", "(") == "你好)"


def test_white_space_at_the_ends_stays_with_its_word():
    assert left(" \n one two \n", "two") == " \n one"
    assert left(" \n one two \n", "one") == "two \n"


def test_white_space_of_a_solid_stretch_stays():
    text = "do it:\n    x = 1\n    y = 2\nnow please"
    words = split(text)
    kept = np.array([text[a:b] not in ("it", ":", "now") for a, b in zip(words.start, words.end, strict=True)])
    assert join(words, kept)[0] == "do\nx = 1\n    y = 2\nplease"
    assert join(words, kept, np.array([[7, 27]]))[0] == "do\n    x = 1\n    y = 2\nplease"
    assert join(words, kept, np.array([[7, 26]]))[0] == "do\n    x = 1\n    y = 2\nplease"


def test_nothing_kept_is_nothing_and_no_words_are_the_text_itself():
    words = split("one two")
    assert join(words, np.zeros(2, dtype=bool))[0] == ""
    assert [join(split(text), np.zeros(0, dtype=bool))[0] for text in ("", " \n")] == ["", " \n"]


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_words_and_white_space_make_up_any_text(unicode_texts, data):
    text = data.draw(unicode_texts)
    words = split(text)
    assert all(not any(map(str.isspace, text[a:b])) and b > a for a, b in zip(words.start, words.end, strict=True))
    edges = [0, *np.stack((words.start, words.end), axis=1).ravel().tolist(), len(text)]
    assert all(text[a:b].strip() == "" for a, b in zip(edges[::2], edges[1::2], strict=True))
    assert join(words, np.ones(len(words), dtype=bool))[0] == text


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_a_character_is_never_cut(unicode_texts, data):
    text = data.draw(unicode_texts)
    words = split(text)
    for a in words.start.tolist():
        if a and not text[a - 1].isspace():
            assert not unicodedata.category(text[a]).startswith("M"), "a mark was parted from its letter"
            assert text[a - 1] != "\u200d"
            assert text[a] not in "\u200d\ufe0f"
    letters = words.kind == LETTER
    touching = words.end[:-1] == words.start[1:]
    assert not (letters[:-1] & letters[1:] & touching).any(), "two letters of a script with spaces were parted"


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_what_is_left_is_the_kept_words_with_the_gaps_that_the_rule_says(unicode_texts, data):
    text = data.draw(unicode_texts)
    words = split(text)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words))), dtype=bool)
    result, runs = join(words, kept)
    assert (result, runs.tolist()) == _slowly(words, kept)


def _slowly(words, kept):
    """The rule of gaps, a word at a time."""
    text, result, runs, previous = words.text, "", [], None
    if not len(words):
        return text, []
    for index in np.flatnonzero(kept).tolist():
        start, end = int(words.start[index]), int(words.end[index])
        if previous is None:
            result, runs = text[:start] * (index == 0), [[start, end]]
        elif previous == index - 1:
            result += text[runs[-1][1] : start]
            runs[-1][1] = end
        else:
            gap = text[runs[-1][1] : start]
            space = text[words.end[index - 1] : start]
            if "\n" in gap:
                space = "\n"
            elif not space and words.kind[index] != PUNCTUATION:
                fused = bool(words.kind[previous] == words.kind[index] == LETTER)
                space = ([char for char in gap if char.isspace()] or [" " * fused])[-1]
            result += space
            runs.append([start, end])
        result += text[start:end]
        previous = index
    return result + (text[runs[-1][1] :] if runs and kept[-1] else ""), runs


def test_classes_of_characters_are_found_once_and_kept():
    split("ℵ")
    assert rooms._kinds[ord("ℵ")] == LETTER
