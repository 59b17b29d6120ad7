from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.prompts.detokenise import detokenise, locate


@pytest.mark.parametrize(
    "text",
    [
        "Police said 2 people didn't pay $ 5 , they 're gone .",
        "`` It 's over , '' she said ( twice ) .",
        "the presidents ' day : 5 % of it",
        "wait ... what ?!",
        "'s",
        "",
    ],
)
def test_each_token_is_where_it_is_said_to_be(text):
    tokens = text.split()
    written, start, end = detokenise(tokens)
    quotes = {"``": '"', "''": '"'}
    assert [written[a:b] for a, b in zip(start, end, strict=True)] == [quotes.get(t, t) for t in tokens]


def test_spaces_stand_where_a_person_would_put_them():
    tokens = [
        "``",
        "It",
        "'s",
        "over",
        ",",
        "''",
        "she",
        "said",
        "(",
        "twice",
        ")",
        ";",
        "they",
        "do",
        "n't",
        "owe",
        "$",
        "5",
        ".",
    ]
    assert detokenise(tokens)[0] == "\"It's over,\" she said (twice); they don't owe $5."


@given(st.lists(st.text("ab.,'(", min_size=1, max_size=3), max_size=12))
def test_nothing_but_spaces_is_added(tokens):
    text, start, end = detokenise(tokens)
    assert text.replace(" ", "") == "".join({"``": '"', "''": '"'}.get(token, token) for token in tokens)
    assert (start[1:] >= end[:-1]).all()


def test_tokens_are_found_in_the_text_they_were_cut_from():
    start, end = locate(["do", "n't", "do", "it", "."], "Well: don't  do it.")
    assert list(zip(start.tolist(), end.tolist(), strict=True)) == [(6, 8), (8, 11), (13, 15), (16, 18), (18, 19)]
    assert locate(["it", "do"], "do it") is None
