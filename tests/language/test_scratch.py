from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stillroom.language.scratch import CHAT, END, PAD, SPECIAL, Shape, network, vocabulary

TEXTS = [
    "She writes long letters to them.",
    "Élise écrit à Zoë, n'est-ce pas ?",
    "¿Qué hora es, señor?",
    "Wir schreiben heute einen Brief.",
] * 9
SHAPE = Shape(
    vocab_size=320, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
    max_position_embeddings=128,
)  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return vocabulary(TEXTS, SHAPE)


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_can_be_written_in_its_tokens(tokenizer, text):
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_a_vocabulary_has_the_marks_the_bytes_and_as_many_tokens_as_asked(tokenizer):
    assert len(tokenizer) == 320
    assert [tokenizer.convert_tokens_to_ids(mark) for mark in SPECIAL] == list(range(5))
    assert (tokenizer.pad_token, tokenizer.eos_token, tokenizer.bos_token) == (PAD, END, None)
    fewest = vocabulary(["a"], SHAPE)
    assert len(fewest) == 5 + 256
    assert len(fewest("é☃").input_ids) == len("é☃".encode())


def test_nothing_is_put_around_a_text(tokenizer):
    ids = tokenizer("a letter").input_ids
    assert ids == tokenizer("a letter", add_special_tokens=False).input_ids
    assert not set(ids) & set(tokenizer.all_special_ids)
    assert set(tokenizer("a")) == {"input_ids", "attention_mask"}


def test_words_of_the_texts_become_tokens(tokenizer):
    assert len(tokenizer("letters").input_ids) < len("letters")
    assert len(tokenizer("qqqqqqq").input_ids) == len("qqqqqqq")


def test_a_chat_is_a_mark_the_text_and_the_end_mark_turn_by_turn(tokenizer):
    turns = [{"role": role, "content": role[0]} for role in ("system", "user", "assistant", "user")]
    said = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert said == (
        "<|system|>s<|end|><|user|>u<|end|><|assistant|>a<|end|><|user|>u<|end|><|assistant|>"
    )  # fmt: skip
    ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    assert ids.count(tokenizer.eos_token_id) == 4
    assert tokenizer.decode(ids) == said


def test_a_vocabulary_comes_back_from_its_folder(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again.chat_template == CHAT
    assert again.model_max_length == 128
    assert (again.pad_token, again.eos_token, again.bos_token) == (PAD, END, None)
    for text in TEXTS:
        assert again(text).input_ids == tokenizer(text).input_ids


def test_the_same_texts_make_the_same_vocabulary(tokenizer):
    assert vocabulary(iter(TEXTS), SHAPE).get_vocab() == tokenizer.get_vocab()


def test_a_network_has_the_stated_sizes(tokenizer):
    model = network(SHAPE, tokenizer)
    wide, inner = SHAPE.hidden_size, SHAPE.intermediate_size
    layer = 4 * wide * wide + 3 * wide * inner + 2 * wide
    assert sum(p.numel() for p in model.parameters()) == len(tokenizer) * wide + 2 * layer + wide
    assert model.lm_head.weight is model.model.embed_tokens.weight
    config = model.config
    assert (config.num_attention_heads, config.max_position_embeddings) == (4, 128)
    assert (config.pad_token_id, config.eos_token_id, config.bos_token_id) == (0, 1, None)
    assert model.generation_config.eos_token_id == 1


def test_a_network_is_as_large_as_its_tokenizer_and_not_as_was_wished_for():
    assert network(SHAPE, vocabulary(["a"], SHAPE)).config.vocab_size == 261


def test_weights_start_at_a_spread_of_one_over_the_root_of_the_width(tokenizer):
    model = network(SHAPE, tokenizer)
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            assert weight.std().item() == pytest.approx(SHAPE.hidden_size**-0.5, rel=0.1), name


def test_weights_are_drawn_from_the_seed_and_nothing_else_moves(tokenizer):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, again, other = (network(SHAPE, tokenizer, seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


@pytest.mark.parametrize("wrong", [{"hidden_size": 0}, {"num_hidden_layers": -1}, {"depth": 3}, {"vocab_size": 1.5}])
def test_sizes_that_are_none_are_refused(wrong):
    with pytest.raises(ValidationError):
        Shape(**wrong)
