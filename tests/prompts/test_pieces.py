"""A long text gives the same tokens, cut into pieces or not; and where that is not sure, it is not cut."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from stillroom.prompts import pieces as module
from stillroom.prompts.pieces import pieces, reads_pieces

WHITESPACE = pre_tokenizers.WhitespaceSplit()


def tokenizer(pre_tokenizer, normalizer=None) -> Tokenizer:
    made = Tokenizer(models.BPE(unk_token="?"))
    made.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        made.normalizer = normalizer
    return made


def test_pieces_are_the_text_in_order(monkeypatch):
    monkeypatch.setattr(module, "LENGTH", 10)
    text = "one two three four five six seven eight nine ten"
    assert "".join(pieces(text)) == text
    assert pieces(text)[0] == "one two three"
    assert all(piece.startswith(" ") for piece in pieces(text)[1:])


def test_a_text_without_single_spaces_stays_whole(monkeypatch):
    monkeypatch.setattr(module, "LENGTH", 4)
    for text in ["x" * 50, "今天天气很好。" * 9, "a  b  c  d  e  f  g", "a\nb\nc\nd\ne\nf\ng\nh", ""]:
        assert pieces(text) == [text]


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet="aB1éß語。, .'-\n\t \u0301▁Ġ[]<>", max_size=200), length=st.integers(1, 20))
@pytest.mark.parametrize("kind", ["bert", "distilbert", "xlm-roberta", "modernbert"])
def test_tokens_are_the_same_cut_or_not(scorers, kind, text, length):
    backend = scorers[kind].tokenizer.backend_tokenizer
    assert reads_pieces(backend)
    whole = backend.encode(text, add_special_tokens=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LENGTH", length)
        parts = pieces(text)
    cut = [backend.encode(part, add_special_tokens=False).ids for part in parts]
    assert list(chain.from_iterable(cut)) == whole.ids


@pytest.mark.parametrize(
    "pre_tokenizer",
    [
        WHITESPACE,
        pre_tokenizers.Whitespace(),
        pre_tokenizers.BertPreTokenizer(),
        pre_tokenizers.ByteLevel(add_prefix_space=True),
        pre_tokenizers.Metaspace(prepend_scheme="always"),
        pre_tokenizers.Sequence([WHITESPACE, pre_tokenizers.Metaspace()]),
    ],
)
def test_tokenizers_that_split_at_spaces_read_pieces(pre_tokenizer):
    assert reads_pieces(tokenizer(pre_tokenizer, normalizers.NFKC()))
    assert reads_pieces(tokenizer(pre_tokenizer))


@pytest.mark.parametrize(
    "pre_tokenizer",
    [
        None,
        pre_tokenizers.Metaspace(prepend_scheme="first"),
        pre_tokenizers.Metaspace(split=False),
        pre_tokenizers.ByteLevel(use_regex=False),
        pre_tokenizers.Digits(),
        pre_tokenizers.Sequence([pre_tokenizers.Digits(), WHITESPACE]),
        pre_tokenizers.Sequence([WHITESPACE, pre_tokenizers.Metaspace(prepend_scheme="first")]),
    ],
)
def test_tokenizers_that_may_look_across_spaces_get_the_whole_text(pre_tokenizer):
    made = Tokenizer(models.BPE()) if pre_tokenizer is None else tokenizer(pre_tokenizer)
    assert not reads_pieces(made)


@pytest.mark.parametrize(
    ("normalizer", "reads"),
    [
        (normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]), True),
        (normalizers.Replace(" ", "x"), False),
        (normalizers.Prepend("▁"), False),
        (normalizers.Sequence([normalizers.NFC(), normalizers.Strip()]), False),
    ],
)
def test_normalizers_must_leave_spaces_alone(normalizer, reads):
    assert reads_pieces(tokenizer(WHITESPACE, normalizer)) is reads


@pytest.mark.parametrize("token", [AddedToken("two words"), AddedToken("[X]", rstrip=True)])
def test_added_tokens_that_reach_over_spaces_forbid_pieces(token):
    made = tokenizer(WHITESPACE)
    made.add_tokens([token])
    assert not reads_pieces(made)
