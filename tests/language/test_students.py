"""Students are loaded by any name, as what they are, and nothing in a folder runs."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stillroom.core import registry
from stillroom.core.adapters import METHODS, AdapterSpec, trainable
from stillroom.core.errors import ModelError, RecipeError
from stillroom.language import handover
from stillroom.language.students import base_of, job, load

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_students.py"))))
LORA = AdapterSpec(method="lora")
IDS = torch.tensor([prompt[:5] for prompt in small.prompts() if len(prompt) >= 5][:3])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    found = {}

    def folder(name):
        if name not in found:
            found[name] = small.saved(name, tmp_path_factory.mktemp(name))
        return found[name]

    return folder


def logits(model):
    with torch.no_grad():
        return model.eval()(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits


def stirred(student, steps: int = 1):
    """Move what trains."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in student.model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    return student


def moving(student) -> set[str]:
    return {name for name, parameter in student.model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    ("name", "kind"), [("llama", "causal"), ("gpt2", "causal"), ("t5", "seq2seq"), ("bert", "classifier")]
)
def test_a_checkpoint_says_what_it_is(name, kind, folders):
    student = load(folders(name))
    assert student.kind == kind
    assert student.architecture.name == type(small.network(name)).__name__
    assert not student.model.training


def test_half_precision_is_loaded_in_full_unless_asked(tmp_path):
    small.network("llama").half().save_pretrained(tmp_path)
    small.tokenizer().save_pretrained(tmp_path)
    assert load(tmp_path).model.dtype is torch.float32
    assert load(tmp_path, dtype="bfloat16").model.dtype is torch.bfloat16


def test_classes_make_a_classifier_whose_head_is_drawn_from_the_seed(folders):
    state = torch.get_rng_state()
    first, same, other = (load(folders("llama"), classes=["b", "a", "b"], seed=seed) for seed in (1, 1, 2))
    assert first.kind == "classifier"
    assert first.classes == ("a", "b")
    assert first.model.config.id2label == {0: "a", 1: "b"}
    assert first.model.config.pad_token_id == first.tokenizer.pad_token_id
    assert torch.equal(first.model.score.weight, same.model.score.weight)
    assert not torch.equal(first.model.score.weight, other.model.score.weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_trained_classifier_keeps_its_classes_in_its_order(folders, tmp_path):
    student = load(folders("bert-mlm"), classes=["no", "yes"])
    student.model.config.id2label = {0: "yes", 1: "no"}
    handover.save(student, tmp_path, half=False)
    assert load(tmp_path).classes == load(tmp_path, classes=["no", "yes"]).classes == ("yes", "no")
    assert torch.equal(load(tmp_path).model.classifier.weight, student.model.classifier.weight)
    assert load(tmp_path, classes=["a", "b", "c"]).model.classifier.weight.shape[0] == 3


def test_the_pooler_that_a_checkpoint_lacks_is_trained_and_saved(folders, tmp_path):
    student = load(folders("bert-mlm"), adapter=AdapterSpec(method="qlora"), classes=["x", "y"], seed=5)
    assert student.architecture.head_modules == ("classifier", "bert.pooler.dense")
    assert any("pooler" in name for name in moving(student))
    handover.save(stirred(student), tmp_path)
    assert torch.allclose(logits(load(tmp_path, seed=77).model), logits(student.model), atol=1e-5)


def test_what_a_checkpoint_is_not_it_is_not_loaded_as(folders):
    bert, llama = folders("bert-mlm"), folders("llama")
    for kind in ("auto", "causal"):
        with pytest.raises(ModelError, match="is a BertForMaskedLM, which continues no text: give classes"):
            load(bert, kind)
    with pytest.raises(ModelError, match="cannot be loaded as an encoder-decoder"):
        load(llama, "seq2seq")
    with pytest.raises(RecipeError, match="Classes are a classifier's"):
        load(llama, "causal", classes=["a", "b"])
    with pytest.raises(RecipeError, match="two classes at least, and here is a"):
        load(llama, classes=["a", "a"])
    with pytest.raises(RecipeError, match="has no classes of its own"):
        load(llama, "classifier")
    with pytest.raises(RecipeError, match="prompt works on causal"):
        load(llama, classes=["a", "b"], adapter=AdapterSpec(method="prompt"))


def test_a_checkpoint_without_its_weights_is_no_student(folders, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(folders("llama"), tmp_path / "holes")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"its weights lack model\.layers\.1\.mlp\.up_proj"):
        load(folder)
    with pytest.raises(ModelError, match="its weights lack"):
        load(folder, classes=["a", "b"])
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelError, match="cannot be loaded as a causal language model"):
        load(folder)


def test_pickles_are_not_read_and_code_is_not_run(folders, tmp_path):
    folder = shutil.copytree(folders("llama"), tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save(small.network("llama").state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded as a causal language model"):
        load(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoConfig": "strange.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "strange.py").write_text("raise SystemExit('a stranger was let in')")
    with pytest.raises(ModelError, match="cannot be loaded as a model"):
        load(folder)


def test_four_bits_that_change_nothing_are_refused(folders):
    with pytest.raises(ModelError, match="No layer of FalconForCausalLM can be put into 4 bit: choose lora"):
        load(folders("falcon"), adapter=AdapterSpec(method="qlora"))


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("bitfit", "adalora", "p-tuning")])
def test_a_saved_student_predicts_the_same_and_can_be_trained_further(method, folders, tmp_path):
    spec = AdapterSpec(method=method)
    student = stirred(load(folders("llama"), adapter=spec))
    handover.save(student, tmp_path, half=False)
    again = load(tmp_path)
    assert torch.allclose(logits(again.model), logits(student.model), atol=1e-4)
    assert trainable(again.model)[0] == 0 or method == "full"
    onward = load(tmp_path, adapter=spec)
    assert moving(onward) == moving(student)
    assert torch.allclose(logits(onward.model), logits(student.model), atol=1e-4)


def test_a_prompt_written_by_a_network_goes_on_without_it(folders, tmp_path):
    spec = AdapterSpec(method="p-tuning")
    student = stirred(load(folders("llama"), adapter=spec))
    handover.save(student, tmp_path)
    onward = load(tmp_path, adapter=spec)
    before = logits(onward.model)
    assert torch.allclose(before, logits(student.model), atol=1e-4)
    assert moving(onward) == {"prompt_encoder.default.embedding.weight"}
    handover.save(stirred(onward), tmp_path / "further")
    assert not torch.allclose(logits(onward.model), before, atol=1e-3)
    assert torch.allclose(logits(load(tmp_path / "further").model), logits(onward.model), atol=1e-4)


def test_biases_come_back_and_go_on(folders, tmp_path):
    spec = AdapterSpec(method="bitfit")
    student = stirred(load(folders("distilbert"), adapter=spec))
    handover.save(student, tmp_path)
    again, onward = load(tmp_path), load(tmp_path, adapter=spec)
    assert again.classes == student.classes
    assert torch.allclose(logits(again.model), logits(student.model), atol=1e-5)
    assert moving(onward) == moving(student)


def test_another_adapter_on_an_adapter_is_refused(folders, tmp_path):
    handover.save(load(folders("llama"), adapter=LORA), tmp_path)
    with pytest.raises(RecipeError, match=r"has a lora adapter already: .*merge it first"):
        load(tmp_path, adapter=AdapterSpec(method="lora", rank=4))
    with pytest.raises(ModelError, match="makes a causal language model: it cannot be loaded as another"):
        load(tmp_path, "seq2seq")
    spec = AdapterSpec(method="adalora")
    handover.save(load(folders("llama"), adapter=spec, total_steps=9), tmp_path)
    with pytest.raises(RecipeError, match="over one training, which is over"):
        load(tmp_path, adapter=spec)


def test_an_adapter_of_a_classifier_brings_its_classes(folders, tmp_path):
    student = stirred(load(folders("llama"), adapter=LORA, classes=["u", "v", "w"]))
    handover.save(student, tmp_path)
    again = load(tmp_path)
    assert again.kind == "classifier"
    assert again.classes == base_of(tmp_path).classes == ("u", "v", "w")
    assert torch.allclose(logits(again.model), logits(student.model), atol=1e-5)
    with pytest.raises(ModelError, match="makes a classifier of u, v, w"):
        load(tmp_path, classes=["u", "v"])


def test_the_base_of_an_adapter_must_be_here_and_a_mini_is_found_by_its_name(folders, tmp_path, monkeypatch):
    handover.save(load(folders("llama"), adapter=LORA), tmp_path)
    manifest = json.loads((tmp_path / "stillroom_adapter.json").read_text())
    assert manifest["base"] == str(folders("llama"))
    (tmp_path / "stillroom_adapter.json").write_text(json.dumps({**manifest, "base": "/gone/away"}))
    with pytest.raises(ModelError, match="stands on /gone/away, which is not here"):
        load(tmp_path)
    elsewhere = "/elsewhere/site-packages/stillroom/minis/toddler"
    (tmp_path / "stillroom_adapter.json").write_text(json.dumps({**manifest, "base": elsewhere}))
    monkeypatch.setattr(registry, "names", lambda group: ["toddler"])
    monkeypatch.setattr(registry, "get", lambda group, name: folders("llama"))
    assert load(tmp_path).kind == "causal"


def test_an_adapters_first_weights_come_from_the_seed(folders):
    first, same, other = (load(folders("llama"), adapter=LORA, seed=seed).model for seed in (1, 1, 2))
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"
    weights = [model.get_parameter(name) for model in (first, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_config_alone_tells_the_job():
    config = small.network("llama").config
    config.architectures = ["LlamaForCausalLM"]
    assert job("it", config, "auto", None) == ("causal", None)
    assert job("it", config, "classifier", ("n", "y")) == ("classifier", ("n", "y"))
