from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.language.exact import normalise, normalised, strict


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It’s late", "It's late"),
        ("« Oui »", '" Oui "'),
        ("„so“ — nie", '"so" - nie'),
        (" two\u00a0 words\n", "two words"),
        ("cafe\u0301", "café"),
        ("ﬁn…", "fin..."),
        ("l´eau", "l'eau"),
        ("10⁻", "10-"),
    ],
)
def test_how_it_was_typed_is_overlooked(one, other):
    assert normalise(one) == normalise(other)
    assert normalised([one], [other]).value == 1
    assert strict([one], [other]).value == 0


@pytest.mark.parametrize(("one", "other"), [("Polish", "polish"), ("Yes.", "Yes"), ("well-known", "well known")])
def test_case_and_punctuation_count(one, other):
    assert normalised([one], [other]).value == 0


@given(st.text())
def test_what_is_normalised_stays_as_it_is(text):
    assert normalise(normalise(text)) == normalise(text)


@given(st.lists(st.text(), min_size=1))
def test_every_text_matches_itself(texts):
    assert strict(texts, texts).value == 1
    assert normalised(texts, texts).value == 1


def test_any_of_several_references_will_do():
    assert strict(["b", "x"], [["a", "b"], ["a", "b"]]).value == 0.5


def test_a_missing_prediction_is_wrong_even_where_nothing_is_right():
    assert normalised([None, ""], ["", ""]).value == 0.5
    assert strict([None, ""], ["", ""]).value == 0.5
