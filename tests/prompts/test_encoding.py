"""Looking up repeated pieces gives exactly the tokens and positions of each text by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from stillroom.prompts import encoding
from stillroom.prompts.encoding import encode
from stillroom.prompts.pieces import cuts_at

KINDS = ("bert", "distilbert", "xlm-roberta", "modernbert")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Cut even short texts, and read few pieces at once."""
    monkeypatch.setattr(encoding, "SHORT", 0)
    monkeypatch.setattr(encoding, "GROUP", 30)
    monkeypatch.setattr(encoding, "AT_ONCE", 2)


def check(backend, texts: list[str]) -> None:
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype="<u4")
    for blanks in {"", cuts_at(backend)}:
        found = encode(backend, texts, codes, blanks)
        alone = [backend.encode(text, add_special_tokens=False) for text in texts]
        places = np.append(0, np.cumsum([len(text) for text in texts])).tolist()
        assert found.counts.tolist() == [len(each) for each in alone]
        assert found.ids.tolist() == [number for each in alone for number in each.ids]
        spans = [(a + place, b + place) for each, place in zip(alone, places, strict=False) for a, b in each.offsets]
        assert list(zip(found.start.tolist(), found.end.tolist(), strict=True)) == spans


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_equal_those_of_each_text_alone(scorers, sentences, kind):
    backend = scorers[kind].tokenizer.backend_tokenizer
    check(
        backend, ["", *sentences, " ".join(sentences * 2), "", " one", "one", "  one ", "one one\none", *sentences, ""]
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_equal_those_of_any_texts_alone(scorers, unicode_texts, kind, data):
    check(scorers[kind].tokenizer.backend_tokenizer, data.draw(st.lists(unicode_texts, max_size=5)))


def test_no_text_has_no_token(scorers):
    check(scorers["bert"].tokenizer.backend_tokenizer, [])


def test_the_end_of_one_text_never_joins_the_middle_of_another():
    letters = {letter: number for number, letter in enumerate(["a", "b", "c", "Ġ", "Ċ", "ĠĊ"])}
    backend = Tokenizer(models.BPE(vocab=letters, merges=[("Ġ", "Ċ")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    check(backend, ["a b ", "c\n\nb c", "a c\n", "b \nc", "a \n\nb \nc b "])
