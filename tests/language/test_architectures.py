"""What is known of language models is enough for every adapter: the matrix of methods and families, cell by cell."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stillroom.core.adapters import METHODS, AdapterSpec, after_step, attach, load, quantization, save, supported
from stillroom.core.errors import RecipeError
from stillroom.language.architectures import architecture_of, kind_of

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_students.py"))))

PROMPTS = ("prompt", "prefix", "p-tuning")
WITHOUT = {
    "llama": ("bitfit",),  # it has no biases
    "t5": ("bitfit",),
    "bert": PROMPTS,  # no prompt can join what is read from both sides and not gone on from
}
CELLS = [(family, method) for family, refused in WITHOUT.items() for method in METHODS if method not in refused]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return cache(lambda family: small.saved(family, tmp_path_factory.mktemp(family)))


def loaded(folders, family: str, spec: AdapterSpec):
    kind = type(small.network(family))
    config = quantization(spec, architecture_of(small.network(family)))
    return kind.from_pretrained(folders(family), **({"quantization_config": config} if config else {})).eval()


def batch(family: str) -> dict[str, torch.Tensor]:
    ids = torch.tensor([row[:6] for row in small.prompts(8, 12) if len(row) >= 6][:3])
    labels = torch.tensor([0, 1, 2]) if family in ("bert", "deberta", "distilbert", "llama-classifier") else ids
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def logits(model, family: str) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(**batch(family)).logits


def trained(model, family: str, steps: int = 2):
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.03)
    for step in range(steps):
        model.train()(**batch(family)).loss.backward()
        optimizer.step()
        after_step(model, step)
        optimizer.zero_grad()
    return model


@pytest.mark.parametrize(("family", "method"), CELLS, ids=[f"{family}-{method}" for family, method in CELLS])
def test_an_adapter_learns_and_comes_back_from_disk(family, method, folders, tmp_path):
    spec, architecture = AdapterSpec(method=method), architecture_of(small.network(family))
    torch.manual_seed(0)
    model = attach(loaded(folders, family, spec), spec, architecture, total_steps=10)
    before = logits(model, family)
    after = logits(trained(model, family), family)
    save(model, tmp_path)
    again = logits(load(loaded(folders, family, spec), tmp_path, architecture), family)
    assert not torch.allclose(before, after, atol=1e-3)
    assert torch.allclose(after, again, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", WITHOUT)
def test_what_does_not_work_is_said_in_a_sentence(family):
    model = small.network(family)
    architecture = architecture_of(model)
    assert set(METHODS) - set(supported(model, architecture)) == set(WITHOUT[family])
    for method in WITHOUT[family]:
        with pytest.raises(RecipeError, match=f"{architecture.name}.* choose one of full, "):
            attach(model, AdapterSpec(method=method), architecture)


@pytest.mark.parametrize(
    ("family", "targets", "feedforward", "heads"),
    [
        ("llama", "q_proj k_proj v_proj o_proj", "down_proj", ""),
        ("qwen3", "q_proj k_proj v_proj o_proj", "down_proj", ""),
        ("gpt2", "c_attn attn.c_proj", "mlp.c_proj", ""),
        ("neox", "query_key_value attention.dense", "dense_4h_to_h", ""),
        ("falcon", "query_key_value self_attention.dense", "dense_4h_to_h", ""),
        ("t5", "q k v o", "wo", ""),
        ("bert", "query key value attention.output.dense", "output.dense", "classifier"),
        ("deberta", "attention.output.dense query_proj key_proj value_proj", "output.dense", "pooler classifier"),
        ("distilbert", "q_lin k_lin v_lin out_lin", "lin2", "pre_classifier classifier"),
        ("llama-classifier", "q_proj k_proj v_proj o_proj", "down_proj", "score"),
    ],
)
def test_the_layers_of_attention_are_found_by_name_also_without_weights(family, targets, feedforward, heads):
    network = small.network(family)
    with torch.device("meta"):
        found = architecture_of(type(network)(network.config))
    assert found.target_modules == tuple(targets.split())
    assert found.feedforward_modules == tuple(feedforward.split())
    assert found.head_modules == tuple(heads.split())
    assert found.name == type(network).__name__


@pytest.mark.parametrize("method", ["lora", "dora", "adalora", "ia3", "vera", "fourierft", "qlora"])
def test_layers_with_a_transposed_weight_are_adapted_too(method, folders):
    """GPT-2's are no `Linear`."""
    spec, architecture = AdapterSpec(method=method), architecture_of(small.network("gpt2"))
    model = attach(loaded(folders, "gpt2", spec), spec, architecture, total_steps=10)
    before = logits(model, "gpt2")
    assert not torch.allclose(before, logits(trained(model, "gpt2"), "gpt2"), atol=1e-3)


@pytest.mark.parametrize("family", ["qwen3", "falcon"])
def test_a_prefix_has_the_shape_of_caches_that_are_not_the_networks_width(family):
    model = small.network(family)
    model = attach(model, AdapterSpec(method="prefix"), architecture_of(model))
    assert torch.isfinite(logits(trained(model, family), family)).all()


def test_a_network_without_a_known_name_is_adapted_in_all_its_linear_layers_but_the_last():
    network = small.network("llama")
    for layer in network.model.layers:
        layer.strange_in, layer.strange_out = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            delattr(layer.self_attn, name)
    found = architecture_of(network)
    assert found.target_modules == ("down_proj", "gate_proj", "strange_in", "strange_out", "up_proj")


def test_what_a_checkpoint_lacks_trains_whole_beside_the_adapter():
    network = small.network("bert")
    found = architecture_of(network, untrained=["bert.pooler.dense.weight", "bert.pooler.dense.bias"])
    assert found.head_modules == ("classifier", "bert.pooler.dense")
    model = attach(network, AdapterSpec(method="lora"), found)
    assert any("pooler.dense.modules_to_save" in name for name, p in model.named_parameters() if p.requires_grad)


@pytest.mark.parametrize(("family", "kept"), [("llama", "lm_head"), ("t5", "lm_head"), ("bert", "classifier")])
def test_the_output_layer_stays_out_of_4_bit(family, kept, folders):
    model = loaded(folders, family, AdapterSpec(method="qlora"))
    four = {name for name, module in model.named_modules() if type(module).__name__ == "Linear4bit"}
    assert four
    assert not any(name.endswith(kept) for name in four)
    assert model.get_submodule(kept).weight.dtype is torch.float32


def test_kinds_are_told_apart():
    assert [kind_of(small.network(name)) for name in ("gpt2", "t5", "distilbert")] == [
        "causal",
        "seq2seq",
        "classifier",
    ]
