"""Estimates of memory and speed, beside what PyTorch really keeps and does."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from stillroom.core.adapters import AdapterSpec, attach, quantization
from stillroom.core.settings import TrainSettings
from stillroom.language.architectures import architecture_of
from stillroom.language.footprint import matmul_rate, memory, shape

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_students.py"))))
DROPOUT = {
    "t5": {"dropout_rate": 0.1},
    "bert": {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1},
}
SETTINGS = TrainSettings(steps=1, learning_rate=1e-4, select_by="x")


def kept(model, batch) -> int:
    """Bytes that autograd keeps of a forward pass besides the parameters."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    storages, alive = {}, []

    def keep(tensor):
        alive.append(tensor)  # else its memory is given to another
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        model.train()(**batch)
    return sum(size for place, size in storages.items() if place not in own)


@pytest.mark.parametrize("length", [32, 120])
@pytest.mark.parametrize(
    ("family", "method"),
    [("llama", "full"), ("llama", "lora"), ("qwen3", "full"), ("neox", "full"), ("t5", "full"), ("bert", "full")],
)
def test_activations_are_estimated_within_a_third(family, method, length):
    network = small.network(family, **DROPOUT.get(family, {}))
    base = shape(network, AdapterSpec(method=method), architecture_of(network))
    model = attach(network, AdapterSpec(method=method), architecture_of(network))
    ids = torch.randint(5, 200, (3, length))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if family == "t5":
        batch["decoder_input_ids"] = ids
    logits = 4 * 3 * length * len(small.tokenizer()) if base.vocabulary else 0
    found = memory(base, model, AdapterSpec(method=method), SETTINGS, rows=3, length=length, answers=0)
    assert found["activations"] + logits == pytest.approx(kept(model, batch), rel=1 / 3)


def test_weights_in_4_bit_take_what_bitsandbytes_takes_reference(tmp_path):
    network, spec = small.network("llama"), AdapterSpec(method="qlora")
    network.save_pretrained(tmp_path)
    architecture = architecture_of(network)
    real = type(network).from_pretrained(tmp_path, quantization_config=quantization(spec, architecture))
    size = 0
    for parameter in real.parameters():
        size += parameter.numel() * parameter.element_size()
        state = getattr(parameter, "quant_state", None)
        if state is not None:
            size += state.absmax.numel() * state.absmax.element_size()
            size += state.state2.absmax.numel() * state.state2.absmax.element_size()
    assert shape(network, spec, architecture).weight_bytes == pytest.approx(size, rel=0.01)


def test_a_matmul_rate_is_one_that_machines_have():
    assert 1e8 < matmul_rate() < 1e16
    assert matmul_rate() == matmul_rate()
