"""What holds for any text: verbatim, exact to a word, independent of what else is compressed, within its cap."""

from __future__ import annotations

import json
import unicodedata
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.prompts import Compressor
from stillroom.prompts.protection import spans
from stillroom.prompts.words import split

KINDS = ("bert", "distilbert", "xlm-roberta", "modernbert")
RATES = st.floats(0.01, 1.0)


@pytest.fixture(scope="module")
def compressors(models):
    return {kind: Compressor.from_pretrained(models[kind]) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_what_is_left_is_the_original_word_for_word(compressors, unicode_texts, kind, data):
    text, rate = data.draw(unicode_texts), data.draw(RATES)
    protect = data.draw(st.sampled_from([(), ("number", "negation", "code"), None]))
    options = {"rate": rate} if protect is None else {"rate": rate, "protect": protect}
    result = compressors[kind].compress(text, **options)
    _check_verbatim(text, result.text, result.kept)
    assert bool(result.text.strip()) == bool(text.strip()), "never nothing of something"


def _check_verbatim(text, left, kept):
    """`left` is the stretches of the text in order, and between them nothing but what the gaps allow."""
    if not kept:
        assert left == "" or left == text
        return
    place = len(text[: kept[0][0]]) if left.startswith(text[: kept[0][1]]) else 0
    assert place == 0 or not text[: kept[0][0]].strip()
    end = None
    for start, stop in kept:
        assert start < stop
        assert not text[start].isspace()
        if end is not None:
            assert start > end
            gap = text[end:start]
            space = left[place : len(left) - len(left[place:].lstrip())]
            if "\n" in gap:
                assert space.startswith("\n")
            else:
                assert space in gap or space == " "
            place += len(space) if not left.startswith(text[start:stop], place) else 0
        assert left.startswith(text[start:stop], place), "the words of the original, untouched"
        for edge in (start, stop):
            if 0 < edge < len(text) and not text[edge].isspace() and not text[edge - 1].isspace():
                assert not unicodedata.combining(text[edge]), "no mark is parted from its letter"
        place, end = place + stop - start, stop
    assert not left[place:].strip()
    assert left[place:] in (text[end:], "")


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_the_rate_is_exact_to_the_tokens_of_one_word(compressors, unicode_texts, data):
    text, rate = data.draw(unicode_texts), data.draw(RATES)
    (tokens,) = compressors["bert"].scorer.tokenize([text])
    result = compressors["bert"].compress(text, rate=rate, protect=())
    edges = np.array(result.kept, dtype=int).reshape(-1, 2)
    inside = np.searchsorted(edges[:, 0], tokens.start, side="right") > np.searchsorted(
        edges[:, 1], tokens.start, "right"
    )
    words = split(text)
    costliest = np.bincount(np.searchsorted(words.end, tokens.start, side="right")).max() if len(tokens) else 0
    assert rate * len(tokens) - 1e-6 <= inside.sum() < rate * len(tokens) + max(costliest, 1)
    assert result.original_tokens == len(tokens)


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_the_rate_is_over_unprotected_text_and_protected_text_stays(compressors, unicode_texts, data):
    text, rate = data.draw(unicode_texts), data.draw(RATES)
    kept = compressors["bert"].compress(text, rate=rate).kept
    for start, end, share, _ in spans(text):
        if share is None and text[start:end].strip():
            first, last = start + len(text[start:end]) - len(text[start:end].lstrip()), len(text[:end].rstrip())
            assert any(a <= first and last <= b for a, b in kept), "protected text is cut"


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_a_cap_holds_unless_protection_alone_exceeds_it(compressors, unicode_texts, data):
    compressor = compressors[data.draw(st.sampled_from(KINDS))]
    text, cap = data.draw(unicode_texts), data.draw(st.integers(1, 80))
    counter = data.draw(st.sampled_from([None, "estimate", len]))
    result = compressor.compress(text, target_tokens=cap, counter=counter)
    bare = compressor.compress(text, target_tokens=1, counter=counter)
    assert result.over_budget == (result.compressed_tokens > cap)
    if result.over_budget:
        assert result.text == bare.text, "nothing but protected text"
    _check_verbatim(text, result.text, result.kept)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_a_result_depends_on_no_other_prompt(compressors, unicode_texts, kind, data):
    texts = data.draw(st.lists(unicode_texts, min_size=1, max_size=12))
    options = data.draw(st.sampled_from([{"rate": 0.4}, {"threshold": 0.5}, {"target_tokens": 9}]))
    alone = [compressors[kind].compress(text, **options) for text in texts]
    assert list(compressors[kind].compress_many(texts, **options)) == alone
    order = data.draw(st.permutations(range(len(texts))))
    shuffled = list(compressors[kind].compress_many((texts[i] for i in order), **options))
    assert shuffled == [alone[i] for i in order]
    messages = [{"role": "user", "content": text} for text in texts]
    if "target_tokens" not in options:
        assert list(compressors[kind].compress(messages, **options).parts) == alone


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_json_stays_parseable_with_its_keys(compressors, unicode_texts, data):
    leaves = st.one_of(unicode_texts, st.integers(), st.booleans(), st.none(), st.floats(-1e9, 1e9))
    objects = partial(st.dictionaries, st.text("abc", max_size=3))
    value = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | objects(inner), max_leaves=8)
    document = data.draw(st.dictionaries(st.text(max_size=5), value, min_size=1, max_size=4))
    style = data.draw(st.sampled_from([{}, {"indent": 2}, {"ensure_ascii": False}, {"separators": (",", ":")}]))
    text = json.dumps(document, **style)
    left = json.loads(compressors["bert"].compress(text, rate=data.draw(RATES)).text)
    assert _shape(left) == _shape(document)


def _shape(value):
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return str if isinstance(value, str) else value


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_cap_over_messages_holds_in_sum(compressors, unicode_texts, data):
    texts = data.draw(st.lists(unicode_texts, max_size=5))
    policy = st.sampled_from(["keep", "compress", 0.3])
    messages = [{"role": "user", "content": text, "compress": data.draw(policy)} for text in texts]
    cap = data.draw(st.integers(1, 200))
    result = compressors["bert"].compress(messages, target_tokens=cap)
    assert result.compressed_tokens == sum(part.compressed_tokens for part in result.parts)
    assert result.over_budget == (result.compressed_tokens > cap)
    if result.over_budget:
        assert result.compressed_tokens == compressors["bert"].compress(messages, target_tokens=1).compressed_tokens
