"""Slips of the keyboard: as many as said, readable, the same every time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.language.noisy import disturbed

TEXT = "Yesterday 12 letters were written to the garden's owner, and nobody answered."
LONG = re.compile(r"[^\W\d_]{4,}")


def words(text):
    return text.split(" ")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 1.0])
def test_so_many_words_have_a_slip_and_no_others(share):
    changed = [one for one, other in zip(words(TEXT), words(disturbed(TEXT, share)), strict=True) if one != other]
    assert len(changed) == round(share * len(LONG.findall(TEXT)))
    assert all(LONG.search(word) for word in changed)


def test_nothing_is_changed_without_noise_or_without_words():
    assert disturbed(TEXT, 0) == TEXT
    assert disturbed("12 ± 3, to be or not", 1.0) == "12 ± 3, to be or not"


def test_the_smallest_noise_hits_one_word():
    changed = [one != other for one, other in zip(words(TEXT), words(disturbed(TEXT, 1e-6)), strict=True)]
    assert sum(changed) == 1


def test_a_larger_share_has_the_slips_of_a_smaller():
    some, more = words(disturbed(TEXT, 0.3)), words(disturbed(TEXT, 0.5))
    assert all(one in (before, other) for before, one, other in zip(words(TEXT), some, more, strict=True))
    assert sum(one != other for one, other in zip(some, more, strict=True)) == 2


def test_the_same_seed_makes_the_same_slips_and_another_others():
    assert disturbed(TEXT, 0.5) == disturbed(TEXT, 0.5)
    assert len({disturbed(TEXT, 0.5, seed) for seed in range(5)}) == 5


@given(st.text(max_size=60), st.floats(0, 1), st.integers(0, 3))
def test_digits_marks_and_white_space_stay(text, share, seed):
    def others(text):
        return re.sub(r"[^\W\d_]+", "a", text)

    assert others(disturbed(text, share, seed)) == others(text)


@given(st.lists(st.text("aàbßcжz", min_size=4, max_size=9), min_size=1, max_size=6))
def test_a_slip_keeps_the_first_letter_and_changes_the_length_by_one_at_most(found):
    for before, after in zip(found, words(disturbed(" ".join(found), 1.0)), strict=True):
        assert after != before
        assert after[0] == before[0]
        assert abs(len(after) - len(before)) <= 1
