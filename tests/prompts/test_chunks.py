"""Cuts fall at the ends of sentences, else between words, and chunks are never too long."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.prompts.chunks import cut


def codes_of(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def characters(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A tokenizer for tests: each character that is no white space is a token."""
    start = np.array([place for place, letter in enumerate(text) if not letter.isspace()], dtype=np.int64)
    return codes_of(text), start, start + 1


def chunks_of(text: str, limit: int) -> list[str]:
    codes, start, end = characters(text)
    cuts = cut(codes, start, end, limit)
    return [text[start[a] : end[b - 1]] for a, b in pairwise(cuts)]


def test_a_text_without_tokens_has_no_chunk():
    assert cut(*characters(" \n"), 5).tolist() == [0]


def test_a_short_text_is_one_chunk():
    assert cut(*characters("ab cd"), 4).tolist() == [0, 4]


def test_cuts_fall_at_the_ends_of_sentences():
    text = "One two three. Four five six! Seven eight?"
    assert chunks_of(text, 18) == ["One two three.", "Four five six!", "Seven eight?"]


def test_a_closing_quote_stays_with_its_sentence():
    assert chunks_of('He said "go away." Then she went off', 18) == ['He said "go away."', "Then she went off"]


def test_a_dot_within_a_number_ends_no_sentence():
    assert chunks_of("about 3.1415926 or so it was", 14) == ["about 3.1415926", "or so it was"]


def test_a_newline_ends_a_sentence():
    assert chunks_of("a heading here\nand text below it", 16) == ["a heading here", "and text below it"]


def test_chinese_sentences_end_without_white_space():
    assert chunks_of("今天天气很好。我们去公园吧。", 8) == ["今天天气很好。", "我们去公园吧。"]


def test_without_sentences_cuts_fall_between_words():
    assert all(chunk.strip("abcdef ") == "" and "abcdef" in chunk for chunk in chunks_of("abcdef " * 9, 20))
    assert {len(chunk.split()) for chunk in chunks_of("abcdef " * 9, 20)} == {3}


def test_one_endless_word_is_cut_evenly():
    assert [len(chunk) for chunk in chunks_of("x" * 25, 10)] == [9, 8, 8]


def test_a_character_of_several_tokens_is_not_cut():
    places = np.repeat(np.arange(10), 3)  # byte-level tokenizers take three tokens for a Chinese character
    cuts = cut(codes_of("语" * 10), places, places + 1, 8)
    assert all(place % 3 == 0 for place in cuts)


def test_a_character_of_more_tokens_than_a_chunk_is_cut_all_the_same():
    places = np.zeros(20, dtype=np.int64)
    cuts = cut(codes_of("语"), places, places + 1, 8)
    assert np.diff(cuts).max() <= 8
    assert cuts[-1] == 20


def test_no_chunk_is_left_with_a_handful_of_tokens():
    lengths = np.diff(cut(*characters("word " * 130), 510))
    assert lengths.tolist() == [260, 260]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab1 .,!?\n。中'\"", max_size=300), st.integers(1, 40))
def test_chunks_are_never_too_long_and_hold_every_token_once(text, limit):
    codes, start, end = characters(text)
    cuts = cut(codes, start, end, limit)
    assert cuts[0] == 0
    assert cuts[-1] == len(start)
    lengths = np.diff(cuts)
    assert np.all(lengths > 0)
    assert np.all(lengths <= limit)


@pytest.mark.parametrize("limit", [50, 510])
def test_there_are_about_as_few_chunks_as_can_be(limit):
    random = np.random.default_rng(0)
    words = ["w" * random.integers(1, 9) + random.choice(["", "", "", "", ",", "."]) for _ in range(3000)]
    codes, start, end = characters(" ".join(words))
    assert len(cut(codes, start, end, limit)) - 1 <= 1.25 * np.ceil(len(start) / limit) + 1
