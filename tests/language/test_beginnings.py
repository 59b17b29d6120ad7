"""What rows begin with is read once, and nothing that is said changes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from stillroom.core.objectives import IGNORED_LABEL
from stillroom.language.batching import causal
from stillroom.language.beginnings import WORTH, after, shared
from stillroom.language.encoding import Encoded
from stillroom.language.losses import answers

SIZES = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1,
}  # fmt: skip
BEGINNING = [5, 9, 3, 7] * 6
NETWORKS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=200)),
    "sliding": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=8)),
}


def batch(*rows: tuple[list[int], list[int]]) -> dict[str, torch.Tensor]:
    return causal([Encoded(prompt, answer, number) for number, (prompt, answer) in enumerate(rows)], 0)


@pytest.fixture(scope="module", params=NETWORKS)
def model(request):
    torch.manual_seed(0)
    return NETWORKS[request.param]().eval()


tokens = st.lists(st.integers(1, 39), min_size=1, max_size=8)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(tokens, tokens), min_size=2, max_size=5))
def test_the_same_is_said_as_by_reading_whole_rows(model, rows):
    whole = batch(*((BEGINNING + prompt, answer) for prompt, answer in rows))
    with torch.no_grad():
        expected = answers(model, whole, "causal", hidden=[1])
        rest, memory = after(model, whole)
        found = answers(model, rest, "causal", hidden=[1], memory=memory)
    assert torch.equal(found.labels, expected.labels)
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.hidden[1], expected.hidden[1], rtol=1e-4, atol=1e-5)


def test_what_is_shared_is_not_read_again():
    model = NETWORKS["llama"]()
    rest, memory = after(model, batch(([*BEGINNING, 1], [2]), ([*BEGINNING, 3], [4])))
    assert memory.get_seq_length() == len(BEGINNING)
    assert rest["input_ids"].tolist() == [[1, 2], [3, 4]]


def test_a_memory_that_forgets_is_not_shared():
    whole = batch(([*BEGINNING, 1], [2]), ([*BEGINNING, 3], [4]))
    rest, memory = after(NETWORKS["sliding"](), whole)
    assert memory is None
    assert torch.equal(rest["input_ids"], whole["input_ids"])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 3), max_size=20), st.lists(st.tuples(tokens, tokens), min_size=2, max_size=4))
def test_the_shared_part_is_the_same_in_all_rows_and_leaves_the_token_that_foretells_the_answer(beginning, rows):
    whole = batch(*((beginning + prompt, answer) for prompt, answer in rows))
    length = shared(whole)
    assert (whole["input_ids"][:, :length] == whole["input_ids"][:1, :length]).all()
    assert whole["attention_mask"][:, :length].all()
    assert (whole["labels"][:, : length + 1] == IGNORED_LABEL).all()
    assert length >= min(len(beginning), *(len(beginning) + len(prompt) - 1 for prompt, _ in rows))


def test_one_row_packed_rows_and_short_beginnings_are_read_whole():
    one = batch(([*BEGINNING, 1], [2]))
    two = batch(([*BEGINNING, 1], [2]), ([*BEGINNING, 3], [4]))
    again = {**two, "position_ids": two["position_ids"] % len(BEGINNING)}
    unmasked = {name: values for name, values in two.items() if name != "attention_mask"}
    assert [shared(these) for these in (one, again, unmasked)] == [0, 0, 0]
    short = batch(([*BEGINNING[: WORTH - 1], 1], [2]), ([*BEGINNING[: WORTH - 1], 3], [4]))
    assert shared(short) == WORTH - 1
    assert after(None, short)[1] is None
