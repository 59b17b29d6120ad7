"""What is handed over loads without us, and says the same."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stillroom.core.adapters import AdapterSpec
from stillroom.core.errors import ModelError, RecipeError
from stillroom.language.handover import merge, save, save_model
from stillroom.language.students import load

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_students.py"))))
IDS = torch.tensor([prompt[:5] for prompt in small.prompts() if len(prompt) >= 5][:3])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    network = small.network("llama")
    network.generation_config.update(do_sample=True, temperature=0.7, max_new_tokens=33)
    folder = tmp_path_factory.mktemp("base")
    network.save_pretrained(folder)
    small.tokenizer().save_pretrained(folder)
    return folder


def logits(model):
    with torch.no_grad():
        return model.eval()(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits


def trained(folder, method: str, **options):
    student = load(folder, adapter=AdapterSpec(method=method), **options)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in student.model.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn_like(parameter)
    return student


def test_full_weights_load_with_plain_transformers_reference(base, tmp_path):
    from transformers import AutoModelForCausalLM

    student = trained(base, "full")
    save(student, tmp_path / "whole", half=False)
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "whole")), logits(student.model))
    save(student, tmp_path / "half")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "half")
    assert again.dtype is torch.float32
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, student.model.state_dict()[name].half().float())
    size = {name: (tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")}
    assert size["half"] < 0.6 * size["whole"]


@pytest.mark.parametrize("method", ["lora", "qlora", "ia3", "prompt"])
def test_an_adapter_loads_with_plain_peft_reference(method, base, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from stillroom.core.adapters import quantization

    student = trained(base, method)
    save(student, tmp_path)
    config = quantization(AdapterSpec(method=method), student.architecture)
    plain = AutoModelForCausalLM.from_pretrained(base, **({"quantization_config": config} if config else {}))
    for module in plain.modules():  # else bitsandbytes rounds to bfloat16 on CPUs that have it, 1 % of these logits
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    again = PeftModel.from_pretrained(plain, tmp_path)
    assert torch.allclose(logits(again), logits(student.model), atol=1e-4)
    assert AutoTokenizer.from_pretrained(tmp_path).get_vocab() == student.tokenizer.get_vocab()
    assert not list(tmp_path.glob("model*.safetensors"))


@pytest.mark.parametrize("method", ["lora", "dora", "adalora", "ia3", "vera", "fourierft"])
def test_merged_weights_say_what_base_and_adapter_said(method, base, tmp_path):
    from transformers import AutoModelForCausalLM

    student = trained(base, method, total_steps=9)
    save(student, tmp_path / "adapter")
    merged = merge(tmp_path / "adapter", tmp_path / "merged", half=False)
    assert torch.allclose(logits(merged.model), logits(student.model), atol=1e-4)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert torch.equal(logits(plain), logits(merged.model))
    assert not (tmp_path / "merged" / "stillroom_adapter.json").exists()


def test_merging_from_4_bit_loses_nothing_but_the_rounding_of_the_base(base, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    student = trained(base, "qlora")
    save(student, tmp_path / "adapter")
    merged = merge(tmp_path / "adapter", tmp_path / "merged", half=False)
    in_full = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "adapter")
    assert torch.allclose(logits(merged.model), logits(in_full), atol=1e-4)
    with student.model.disable_adapter():
        rounding = (logits(student.model) - logits(load(base).model)).norm()
    assert (logits(merged.model) - logits(student.model)).norm() < 1.5 * rounding


def test_merged_classifiers_keep_their_head_and_classes(base, tmp_path):
    student = trained(base, "lora", classes=["n", "y"])
    save(student, tmp_path / "adapter")
    merged = merge(tmp_path / "adapter", tmp_path / "merged", half=False)
    assert merged.classes == ("n", "y")
    assert torch.allclose(logits(merged.model), logits(student.model), atol=1e-5)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_chat_template_and_generation_config_stay(method, base, tmp_path):
    from transformers import AutoTokenizer, GenerationConfig

    save(trained(base, method), tmp_path / "saved")
    if method == "lora":
        merge(tmp_path / "saved", tmp_path / "plain")
    folder = tmp_path / ("plain" if method == "lora" else "saved")
    assert AutoTokenizer.from_pretrained(folder).chat_template == small.tokenizer().chat_template
    own = GenerationConfig.from_pretrained(folder)
    assert (own.do_sample, own.temperature, own.max_new_tokens) == (True, 0.7, 33)


def test_an_adapters_folder_says_what_it_makes_and_not_how_it_was_loaded(base, tmp_path):
    save(trained(base, "qlora"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["dtype"] == "float32"
    assert "quantization_config" not in config


def test_tied_weights_are_written_once_and_come_back(llama, tmp_path):
    from safetensors.torch import load_file

    student = load(llama)
    assert student.model.config.tie_word_embeddings
    save_model(student.model, student.tokenizer, tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    assert torch.allclose(logits(load(tmp_path).model), logits(student.model), atol=0.05)


def test_a_weight_too_large_for_half_precision_stays_whole(base, tmp_path):
    student = load(base)
    with torch.no_grad():
        student.model.lm_head.weight[0, 0] = 1e6
    save(student, tmp_path)
    weight = load(tmp_path).model.lm_head.weight
    assert weight[0, 0] == 1e6
    assert torch.equal(weight, student.model.lm_head.weight)


def test_a_folder_holds_what_was_saved_last(base, tmp_path):
    lora, full = trained(base, "lora"), trained(base, "full")
    for student in (full, lora, full):
        save(student, tmp_path, half=False)
        assert torch.allclose(logits(load(tmp_path).model), logits(student.model), atol=1e-5)


def test_what_cannot_be_merged_says_so(base, tmp_path):
    save(trained(base, "prompt"), tmp_path / "prompt")
    with pytest.raises(RecipeError, match="extra input and cannot be merged"):
        merge(tmp_path / "prompt", tmp_path / "out")
    with pytest.raises(ModelError, match="holds no adapter of ours"):
        merge(base, tmp_path / "out")
    with pytest.raises(RecipeError, match="is not empty: give a new folder"):
        merge(tmp_path / "prompt", tmp_path / "prompt")
    assert not (tmp_path / "out").exists()
