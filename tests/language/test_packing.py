from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from stillroom.core.errors import RecipeError
from stillroom.core.objectives import IGNORED_LABEL
from stillroom.language.batching import Batched, causal, packed
from stillroom.language.encoding import Encoded
from stillroom.language.packing import check

VOCABULARY = 50
EXACT = 1e-10  # in double precision: single would hide a small leak behind its rounding
NEARLY = 1e-5  # transformers' eager attention takes its softmax in single precision whatever the network's is
SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 128, "initializer_range": 0.3,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def made(name, attention="sdpa"):
    import transformers

    torch.manual_seed(0)
    config = {
        "llama": lambda: transformers.LlamaConfig(**SIZES, num_key_value_heads=2),
        "mistral": lambda: transformers.MistralConfig(**SIZES, num_key_value_heads=2, sliding_window=4),
        "qwen": lambda: transformers.Qwen2Config(**SIZES, num_key_value_heads=2),
        "neox": lambda: transformers.GPTNeoXConfig(**SIZES),
        "gpt2": lambda: transformers.GPT2Config(
            vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=128, initializer_range=0.3
        ),
        "bloom": lambda: transformers.BloomConfig(
            vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.3
        ),
        "mamba": lambda: transformers.MambaConfig(
            vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, state_size=8, initializer_range=0.3
        ),
    }[name]()
    return transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval().double()


def some_rows(count=12):
    random = np.random.default_rng(0)
    return [
        Encoded(
            random.integers(1, VOCABULARY, size=asked).tolist(), random.integers(1, VOCABULARY, size=said).tolist(), n
        )
        for n, (asked, said) in enumerate(random.integers(1, 9, size=(count, 2)))
    ]


@pytest.mark.parametrize(("attention", "tolerance"), [("sdpa", EXACT), ("eager", NEARLY)])
@pytest.mark.parametrize("name", ["llama", "mistral", "qwen", "neox", "gpt2"])
def test_the_logits_of_packed_rows_are_those_of_the_rows_alone(name, attention, tolerance):
    model, rows = made(name, attention), some_rows()
    batch = packed([rows[:5], rows[5:]], 0)
    with torch.no_grad():
        together = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
        for sequence, logits in zip((rows[:5], rows[5:]), together, strict=True):
            begin = 0
            for row in sequence:
                alone = model(input_ids=torch.tensor([row.input_ids])).logits[0]
                torch.testing.assert_close(logits[begin : begin + len(row)], alone, rtol=0, atol=tolerance)
                begin += len(row)


def test_rows_learn_the_same_packed_and_padded():
    model, rows = made("llama"), some_rows()
    grads = []
    for batch in (causal(rows, 0), packed([rows[:5], rows[5:]], 0)):
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "position_ids") if name in batch}
        logits, labels = model(**inputs, use_cache=False).logits[:, :-1], batch["labels"][:, 1:]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED_LABEL)
        grads.append(torch.autograd.grad(loss, list(model.parameters())))
    for padded, together in zip(*grads, strict=True):
        torch.testing.assert_close(padded, together, rtol=0, atol=EXACT)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["llama", "mistral", "qwen", "neox", "gpt2"])
def test_networks_that_keep_packed_rows_apart_pass(name, attention):
    model = made(name, attention).train()
    check(model)
    assert model.training


@pytest.mark.parametrize("name", ["bloom", "mamba"])
def test_networks_in_which_a_row_sees_the_one_before_are_refused(name):
    with pytest.raises(RecipeError, match=r"rows cannot be packed for .*leave packing out"):
        check(made(name, "eager"))


def test_an_adapter_with_a_learned_prompt_is_refused_and_lora_is_not():
    from peft import LoraConfig, PromptTuningConfig, get_peft_model

    check(get_peft_model(made("llama"), LoraConfig(task_type="CAUSAL_LM")))
    with pytest.raises(RecipeError, match="rows cannot be packed"):
        check(get_peft_model(made("llama"), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)))


def test_batches_keep_their_rows_apart():
    model, rows = made("llama"), some_rows(40)
    by_start = {tuple(row.input_ids): row for row in rows}
    batches, seen = Batched(rows, size=2, pad=0, packing=40), 0
    for number in range(batches.batches_of()):
        batch = batches[number]
        with torch.no_grad():
            together = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
        for ids, places, logits in zip(batch["input_ids"], batch["position_ids"], together, strict=True):
            starts = [*(places == 0).nonzero().flatten().tolist(), len(ids)]
            for begin, end in pairwise(starts):
                row = by_start.get(tuple(ids[begin:end].tolist()))
                if row is not None:
                    seen += 1
                    alone = model(input_ids=torch.tensor([row.input_ids])).logits[0]
                    torch.testing.assert_close(logits[begin:end], alone, rtol=0, atol=EXACT)
    assert seen == len(rows)
