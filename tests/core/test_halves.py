import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from stillroom.core.halves import halved, save_pretrained


@pytest.fixture
def model():
    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        tie_word_embeddings=True,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def test_weights_lie_in_half_precision_and_load_in_full(model, tmp_path):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_pretrained(model, tmp_path)
    assert {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "float32"
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, before[name].half().float())
        assert torch.equal(model.state_dict()[name], before[name])


def test_in_full_precision_nothing_is_rounded(model, tmp_path):
    save_pretrained(model, tmp_path, half=False)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in loaded.state_dict().items())


def test_tied_weights_are_written_once(model, tmp_path):
    save_pretrained(model, tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")


def test_what_half_precision_cannot_hold_stays_as_it_is():
    weights = {"large": torch.tensor([1e6]), "small": torch.tensor([0.5]), "count": torch.tensor([7])}
    assert {name: tensor.dtype for name, tensor in halved(weights).items()} == {
        "large": torch.float32,
        "small": torch.float16,
        "count": torch.int64,
    }
