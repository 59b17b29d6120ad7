"""A text gives the same tokens, cut into pieces or not; and where that is not sure, it is not cut."""

from __future__ import annotations

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from stillroom.prompts.pieces import cuts, cuts_at

WHITESPACE = pre_tokenizers.WhitespaceSplit()
METASPACE = pre_tokenizers.Metaspace(prepend_scheme="always")
LEARN = ["one two, three.", "  def one():\n    return two\n", "Größe und naïve été", "你好 世界 ok", "a1 b2 (c3) 4.5"]

ODD = [*"aeB1éß語。, .'-\n\t \u0301▁Ġ[]ﾞ¨ﷺ", "  ", "[MASK]", "one"]  # what tokenizers may treat in their own ways


def pieces(text: str, blanks: str = " \n") -> list[str]:
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    edges = np.array([0, len(text)])
    return [text[begin:end] for begin, end in pairwise([0, *cuts(codes, blanks, edges), len(text)])]


def tokenizer(pre_tokenizer, normalizer=None, model=None) -> Tokenizer:
    made = Tokenizer(model or models.BPE())
    if pre_tokenizer is not None:
        made.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        made.normalizer = normalizer
    return made


def trained(pre_tokenizer, normalizer, model) -> Tokenizer:
    from tokenizers import trainers

    made = tokenizer(pre_tokenizer, normalizer, model)
    kinds = {models.BPE: trainers.BpeTrainer, models.Unigram: trainers.UnigramTrainer}
    special = {"special_tokens": ["[UNK]", "[MASK]"], "show_progress": False, "vocab_size": 150}
    if isinstance(model, models.Unigram):
        special["unk_token"] = "[UNK]"
    made.train_from_iterator(LEARN, kinds.get(type(model), trainers.WordPieceTrainer)(**special))
    made.add_special_tokens([AddedToken("[MASK]", lstrip=True)])
    return made


TRAINED = {
    "bert": (
        pre_tokenizers.BertPreTokenizer(),
        normalizers.BertNormalizer(),
        models.WordPiece(unk_token="[UNK]"),
    ),
    "xlm-roberta": (
        pre_tokenizers.Sequence([WHITESPACE, METASPACE]),
        normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]),
        models.Unigram(),
    ),
    "metaspace": (METASPACE, normalizers.NFKC(), models.Unigram()),
    "byte-level": (pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC(), models.BPE()),
    "byte-level-prefixed": (pre_tokenizers.ByteLevel(add_prefix_space=True), None, models.BPE()),
}


@pytest.fixture(scope="module")
def backends():
    return {name: trained(*parts) for name, parts in TRAINED.items()}


def test_pieces_begin_with_the_white_space_before_a_word():
    assert pieces("one two,  three\n\n  four") == ["one", " two,", "  three", "\n\n  four"]


def test_white_space_at_the_ends_of_a_text_is_not_cut_off():
    assert pieces(" one ") == [" one "]


def test_marks_and_joiners_are_not_cut_from_what_they_stand_on():
    for text in ["a \u0301b", "a \u200db", "a \ufe0fb", "a\u0301 b", "a \uff9eb", "a\t b"]:
        assert pieces(text) == [text]


def test_each_text_is_cut_by_itself():
    texts = ["one ", "two", " three", "", "f g"]
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype="<u4")
    edges = np.append(0, np.cumsum([len(text) for text in texts]))
    assert cuts(codes, " ", edges).tolist() == [len("one two three") + 1]


@settings(max_examples=150, deadline=None)
@given(text=st.lists(st.sampled_from(ODD), max_size=120).map("".join))
@pytest.mark.parametrize("name", TRAINED)
def test_tokens_are_the_same_cut_or_not(backends, name, text):
    backend = backends[name]
    blanks = cuts_at(backend)
    assert blanks
    cut = [backend.encode(piece, add_special_tokens=False).ids for piece in pieces(text, blanks)]
    assert list(chain.from_iterable(cut)) == backend.encode(text, add_special_tokens=False).ids


@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", ["bert", "distilbert", "xlm-roberta", "modernbert"])
def test_models_read_pieces_of_any_text(scorers, unicode_texts, kind, data):
    text = data.draw(unicode_texts)
    backend = scorers[kind].backend
    assert cuts_at(backend)
    cut = [backend.encode(piece, add_special_tokens=False).ids for piece in pieces(text, cuts_at(backend))]
    assert list(chain.from_iterable(cut)) == backend.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize(
    ("pre_tokenizer", "blanks"),
    [
        (WHITESPACE, " \n"),
        (pre_tokenizers.Whitespace(), " \n"),
        (pre_tokenizers.BertPreTokenizer(), " \n"),
        (pre_tokenizers.ByteLevel(add_prefix_space=False), " \n"),
        (pre_tokenizers.ByteLevel(add_prefix_space=True), " "),
        (METASPACE, " "),
        (pre_tokenizers.Sequence([WHITESPACE, METASPACE]), " \n"),
        (None, ""),
        (pre_tokenizers.Metaspace(prepend_scheme="first"), ""),
        (pre_tokenizers.Metaspace(split=False), ""),
        (pre_tokenizers.ByteLevel(use_regex=False), ""),
        (pre_tokenizers.Digits(), ""),
        (pre_tokenizers.Sequence([pre_tokenizers.Digits(), WHITESPACE]), ""),
        (pre_tokenizers.Sequence([WHITESPACE, pre_tokenizers.Metaspace(prepend_scheme="first")]), ""),
    ],
)
def test_texts_are_cut_only_for_tokenizers_that_split_at_white_space(pre_tokenizer, blanks):
    assert cuts_at(tokenizer(pre_tokenizer)) == blanks


@pytest.mark.parametrize(
    ("normalizer", "blanks"),
    [
        (normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]), " \n"),
        (normalizers.Replace(" ", "x"), ""),
        (normalizers.Prepend("▁"), ""),
        (normalizers.Sequence([normalizers.NFC(), normalizers.Strip()]), ""),
    ],
)
def test_normalizers_must_leave_white_space_alone(normalizer, blanks):
    assert cuts_at(tokenizer(WHITESPACE, normalizer)) == blanks


@pytest.mark.parametrize("token", [AddedToken("two words"), AddedToken("[X]", rstrip=True), AddedToken("\n")])
def test_added_tokens_that_reach_over_white_space_forbid_cuts(token):
    made = tokenizer(WHITESPACE)
    made.add_tokens([token])
    assert cuts_at(made) == ""
