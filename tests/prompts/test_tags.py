"""llmlingua's tags are read as llmlingua reads them, and nothing is lost beside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import RecipeError
from stillroom.prompts.span import Span
from stillroom.prompts.tags import original, parse


def test_stretches_have_the_rates_of_their_tags():
    kept, cut = "<llmlingua, compress=False>Keep this.</llmlingua>", "<llmlingua, rate=0.4>Cut that</llmlingua>"
    bare, spans = parse(f"{kept}{cut}<llmlingua> or so</llmlingua>")
    assert bare == "Keep this.Cut that or so"
    assert spans == [Span(0, 10, None, "tag"), Span(10, 18, 0.4, "tag")]


@pytest.mark.parametrize(
    ("tag", "rate"),
    [
        ("<llmlingua, rate=0.3>", 0.3),
        ("<llmlingua rate=0.3>", 0.3),
        ("<llmlingua , rate = .3 , compress = True >", 0.3),
        ("<llmlingua, compress=True, rate=1>", 1.0),
        ("<llmlingua, rate=0.3, compress=False>", None),
        ("<llmlingua, compress=false>", None),
    ],
)
def test_options_come_in_any_order_and_compress_false_beats_a_rate(tag, rate):
    assert parse(f"{tag}a < b</llmlingua>") == ("a < b", [Span(0, 5, rate, "tag")])


def test_text_outside_of_tags_stays():
    assert parse("one <llmlingua, rate=0.5>two</llmlingua> three") == ("one two three", [Span(4, 7, 0.5, "tag")])


def test_a_tag_missing_at_either_end_is_understood():
    assert parse("one</llmlingua><llmlingua, compress=False>two") == ("onetwo", [Span(3, 6, None, "tag")])


@pytest.mark.parametrize("text", ["", "no tags <here> at <llmlinguistics> all", "<llmlingua, rate=0.5></llmlingua>"])
def test_text_without_tagged_stretches_has_no_spans(text):
    bare, spans = parse(text)
    assert spans == []
    assert bare == text.removeprefix("<llmlingua, rate=0.5>").removesuffix("</llmlingua>")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<llmlingua><llmlingua, rate=0.5>a</llmlingua></llmlingua>", "within another"),
        ("<llmlingua>a</llmlingua> b</llmlingua>", "closes nothing"),
        ("<llmlingua, rate=2>a</llmlingua>", "rate 2"),
        ("<llmlingua, rate=0>a</llmlingua>", "rate 0"),
        ("<llmlingua, rate=0.3.3>a</llmlingua>", "cannot be read"),
        ("<llmlingua, speed=3>a</llmlingua>", "cannot be read"),
    ],
)
def test_a_tag_that_cannot_be_meant_is_named(text, words):
    with pytest.raises(RecipeError, match=words):
        parse(text)


PIECES = st.lists(st.tuples(st.sampled_from([None, 0.3, 1.0, False]), st.text("ab \n<é不", max_size=6)), max_size=6)


@settings(max_examples=100, deadline=None)
@given(PIECES)
def test_segments_are_those_of_llmlingua_where_it_reads_them(pieces):
    """The reference: the expression by which llmlingua 0.2.2 cuts a context into segments."""
    reference = pytest.importorskip("llmlingua").PromptCompressor.segment_structured_context
    pieces = [(rate, piece.replace("<", "")) for rate, piece in pieces if piece.replace("<", "")]
    names = {None: "", False: ", compress=False", 0.3: ", rate=0.3", 1.0: ", rate=1.0"}
    text = "".join(f"<llmlingua{names[rate]}>{piece}</llmlingua>" for rate, piece in pieces)
    if not pieces:
        return
    (whole,), (segments,), (rates,), (compress,) = reference(None, [text], 0.7)
    bare, spans = parse(text)
    assert bare == whole
    shares = [0.7] * len(bare)
    for start, end, rate, _ in spans:
        shares[start:end] = [1.0 if rate is None else rate] * (end - start)
    theirs = [1.0 if not on else rate for piece, rate, on in zip(segments, rates, compress, strict=True) for _ in piece]
    assert shares == theirs


@settings(max_examples=100, deadline=None)
@given(PIECES, st.data())
def test_stretches_find_their_way_back_to_the_text_with_tags(pieces, data):
    pieces = [(rate, piece.replace("<", "")) for rate, piece in pieces]
    text = "".join(
        piece if rate is None else f"<llmlingua, compress={rate is not False}>{piece}</llmlingua>"
        for rate, piece in pieces
    )
    bare, _ = parse(text)
    edges = sorted(data.draw(st.sets(st.integers(0, len(bare)), max_size=6)))
    stretches = np.array([*zip(edges[::2], edges[1::2], strict=False)], dtype=np.int64).reshape(-1, 2)
    found = original(text, stretches)
    assert "".join(text[a:b] for a, b in found) == "".join(bare[a:b] for a, b in stretches)
    assert (found[1:, 0] >= found[:-1, 1]).all()
    assert (found[:, 0] < found[:, 1]).all()
    assert not any("llmlingua" in text[a:b] for a, b in found)
