from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.prompts.detokenise import detokenise
from stillroom.prompts.examples import Example
from stillroom.prompts.mixture import NONE, Corpus, Documents, joined, piece, token_labels
from stillroom.prompts.scorer import Tokens

WORDS = ["fox", "dog", "file", "Friday", "1,250.00", "agreed", "names", "the"]


def example(words, keep, source="a") -> Example:
    return Example(*detokenise(words), np.array(keep, dtype=np.float32), source)


sentences = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from([0.0, 0.4, 1.0])), min_size=1, max_size=9).map(
    lambda drawn: example(*zip(*drawn, strict=True))
)


def corpus(count, words, source, seed=0):
    random = np.random.default_rng(seed)
    return [example(random.choice(WORDS, words).tolist(), random.integers(0, 2, words), source) for _ in range(count)]


@pytest.fixture(scope="module")
def short():
    return corpus(20, 6, "short")


@pytest.fixture
def documents(scorers, short):
    def make(examples=short, sentences=(1, 2, 4), **options):
        return Documents([Corpus(examples, 1.0, sentences)], scorers["distilbert"], **{"tokens": 256, **options})

    return make


def test_a_batch_depends_on_its_number_and_the_seed_alone(documents):
    one, other = documents(), documents()
    later = other[70]
    for name, values in one[3].items():
        assert torch.equal(values, other[3][name])
    assert torch.equal(one[70]["input_ids"], later["input_ids"])
    assert not torch.equal(one[3]["input_ids"], documents(seed=1)[3]["input_ids"])


def test_special_tokens_and_padding_have_no_label_and_everything_else_here_has_one(documents, scorers):
    tokenizer = scorers["distilbert"].tokenizer
    for index in range(4):
        batch = documents()[index]
        special = torch.isin(batch["input_ids"], torch.tensor(tokenizer.all_special_ids))
        special &= batch["input_ids"] != tokenizer.unk_token_id
        assert torch.equal(batch["labels"] == NONE, special)
        assert torch.equal(batch["attention_mask"] == 0, batch["input_ids"] == tokenizer.pad_token_id)


def test_batches_keep_to_the_budget_and_little_of_them_is_padding(documents):
    batches = [documents()[index] for index in range(32)]
    sizes = [batch["input_ids"].numel() for batch in batches]
    assert 0.8 * 256 < np.mean(sizes) < 1.3 * 256
    assert np.mean([batch["attention_mask"].float().mean() for batch in batches]) > 0.9


def test_weights_are_shares_of_the_words_whatever_the_length_of_texts_and_documents(scorers):
    corpora = [
        Corpus(corpus(20, 20, "long"), 3.0, (1, 3)),
        Corpus(corpus(20, 5, "short"), 1.0, (6,)),
        Corpus(corpus(2, 400, "meeting"), 2.0, (16,)),
    ]
    stream, random = Documents(corpora, scorers["distilbert"], tokens=256), np.random.default_rng(0)
    words = {"long": 0, "short": 0, "meeting": 0}
    for drawn in (stream.document(random) for _ in range(3000)):
        words[drawn.source] += len(drawn.keep)
    shares = [count / sum(words.values()) for count in words.values()]
    assert shares == pytest.approx([3 / 6, 1 / 6, 2 / 6], abs=0.03)


def test_a_document_has_as_many_sentences_as_the_recipe_says(documents):
    drawn = [documents(sentences=(1, 3)).document(np.random.default_rng(seed)) for seed in range(40)]
    assert {len(one.keep) for one in drawn} == {6, 18}


def test_of_a_long_text_a_piece_is_taken(documents):
    stream = documents(corpus(1, 500, "meeting"), (1, 3))
    drawn = [stream.document(np.random.default_rng(seed)) for seed in range(40)]
    assert {len(one.keep) for one in drawn} == {30, 90}
    assert len({one.text for one in drawn}) > 30


def test_paragraphs_are_joined_until_a_document_has_its_sentences(documents):
    drawn = documents(corpus(9, 90, "paragraphs"), (7,)).document(np.random.default_rng(0))
    assert len(drawn.keep) == 90 + 90 + 30


def test_the_longest_documents_are_cut_to_what_the_model_reads(documents, scorers):
    stream = documents(corpus(1, 500, "meeting"), (10,))
    limit = scorers["distilbert"].limit + len(scorers["distilbert"].frame)
    assert all(stream[index]["input_ids"].shape[1] == limit for index in range(4))


def test_some_documents_lose_their_capitals(documents):
    drawn = [documents(lowercase=0.5).document(np.random.default_rng(seed)).text for seed in range(200)]
    assert 0.35 < np.mean([text == text.lower() for text in drawn]) < 0.65


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(sentences, min_size=1, max_size=5), seed=st.integers(0, 99))
def test_joined_sentences_are_the_same_words_with_the_same_labels(parts, seed):
    whole = joined(parts, np.random.default_rng(seed))
    assert whole.words == [word for part in parts for word in part.words]
    assert whole.keep.tolist() == [value for part in parts for value in part.keep]
    assert whole.text.split() == " ".join(part.text for part in parts).split()


@settings(max_examples=40, deadline=None)
@given(one=sentences, words=st.integers(1, 12), seed=st.integers(0, 99))
def test_a_piece_is_a_run_of_words_with_their_labels(one, words, seed):
    taken = piece(one, words, np.random.default_rng(seed))
    count = min(words, len(one.keep))
    runs = [(one.words[at : at + count], one.keep[at : at + count].tolist()) for at in range(len(one.keep) - count + 1)]
    assert (taken.words, taken.keep.tolist()) in runs


@settings(max_examples=40, deadline=None)
@given(one=sentences)
def test_the_label_of_a_token_is_that_of_the_word_it_begins_in(scorers, one):
    for scorer in scorers.values():
        [tokens] = scorer.tokenize([one.text])
        for start, label in zip(tokens.start.tolist(), token_labels(one, tokens).tolist(), strict=True):
            inside = [
                float(keep)
                for first, end, keep in zip(one.start, one.end, one.keep, strict=True)
                if first <= start < end
            ]
            assert label == (inside[0] if inside else NONE)


def test_what_no_word_was_labelled_for_has_no_label():
    nothing = np.empty(0, dtype=np.int64)
    tokens = Tokens(np.array([5, 6]), np.array([0, 3]), np.array([2, 5]), np.array([0, 2]))
    assert token_labels(Example("ab cd", nothing, nothing, nothing.astype("f4"), "x"), tokens).tolist() == [NONE, NONE]


def test_what_a_teacher_says_stands_beside_the_labels(documents):
    def teacher(texts, tokens):
        assert all(text.count(" ") or text for text in texts)
        return [np.full(len(one), 0.25, dtype=np.float32) for one in tokens]

    batch = documents(teacher=teacher)[0]
    assert torch.equal(batch["teacher"] == 0.25, batch["labels"] != NONE)
