"""Looking up repeated pieces gives exactly the tokens and positions of each text by itself."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from stillroom.prompts import encoding
from stillroom.prompts.encoding import Lexicon

KINDS = ("bert", "distilbert", "xlm-roberta", "modernbert")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Cut even short texts, and read few pieces at once."""
    monkeypatch.setattr(encoding, "SHORT", 0)
    monkeypatch.setattr(encoding, "GROUP", 30)
    monkeypatch.setattr(encoding, "AT_ONCE", 2)


def check(lexicon: Lexicon, texts: list[str]) -> None:
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype="<u4")
    found = lexicon.encode(texts, codes)
    alone = [lexicon.backend.encode(text, add_special_tokens=False) for text in texts]
    places = np.append(0, np.cumsum([len(text) for text in texts])).tolist()
    assert found.counts.tolist() == [len(each) for each in alone]
    assert lexicon.count(texts, codes).tolist() == found.counts.tolist()
    assert found.ids.tolist() == [number for each in alone for number in each.ids]
    spans = [(a + place, b + place) for each, place in zip(alone, places, strict=False) for a, b in each.offsets]
    assert list(zip(found.start.tolist(), found.end.tolist(), strict=True)) == spans


@pytest.fixture(scope="module")
def lexicons(scorers) -> dict[str, Lexicon]:
    return {kind: Lexicon(scorer.backend) for kind, scorer in scorers.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("short", [0, 10**6])
def test_tokens_equal_those_of_each_text_alone(lexicons, sentences, monkeypatch, kind, short):
    monkeypatch.setattr(encoding, "SHORT", short)
    odd = ["", " one", "one", "  one ", "one one\none", ""]
    for _ in range(2):  # the second time all is known
        check(lexicons[kind], ["", *sentences, " ".join(sentences * 2), *odd, *sentences, ""])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_equal_those_of_any_texts_alone(lexicons, unicode_texts, kind, data):
    check(lexicons[kind], data.draw(st.lists(unicode_texts, max_size=5)))


def test_no_text_has_no_token(lexicons):
    check(lexicons["bert"], [])


def test_a_lexicon_that_has_grown_too_large_forgets(lexicons, sentences, monkeypatch):
    monkeypatch.setattr(encoding, "MOST", 200)
    lexicon = pickle.loads(pickle.dumps(lexicons["bert"]))
    for sentence in sentences * 2:
        check(lexicon, [sentence])
        assert len("".join(lexicon._numbers)) <= 200


def test_special_tokens_are_text_in_another_process_too(scorers):
    lexicon = pickle.loads(pickle.dumps(Lexicon(scorers["bert"].backend)))
    assert scorers["bert"].tokenizer.sep_token_id not in lexicon.backend.encode("one [SEP] two").ids[1:-1]


def test_threads_may_share_a_lexicon(scorers, sentences):
    lexicon = Lexicon(scorers["bert"].backend)
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda place: check(lexicon, sentences[place % 5 : place]), range(40)):
            pass


def test_the_end_of_one_text_never_joins_the_middle_of_another():
    letters = {letter: number for number, letter in enumerate(["a", "b", "c", "Ġ", "Ċ", "ĠĊ"])}
    backend = Tokenizer(models.BPE(vocab=letters, merges=[("Ġ", "Ċ")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    check(Lexicon(backend), ["a b ", "c\n\nb c", "a c\n", "b \nc", "a \n\nb \nc b "])
