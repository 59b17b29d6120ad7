"""The matrix of adapter methods and model families, cell by cell, on tiny random networks and one fixed batch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stillroom.core.adapters import (
    AdapterSpec,
    after_step,
    attach,
    load,
    merge,
    quantization,
    read_manifest,
    save,
    size,
    supported,
    trainable,
)
from stillroom.core.errors import CorruptError, ModelError, RecipeError

MATRIX = """
method      causal-lm  token-classifier  t5   bolt  chronos2   what trains
full        yes        yes               yes  yes   yes        .*
bitfit      no         yes               no   yes   yes        .*\\.bias
lora        yes        yes               yes  yes   yes        .*lora_[AB].*
rslora      yes        yes               yes  yes   yes        .*lora_[AB].*
dora        yes        yes               yes  yes   yes        .*lora_([AB]|magnitude).*
adalora     yes        yes               yes  yes   yes        .*lora_[ABE].*
qlora       yes        yes               yes  yes   yes        .*lora_[AB].*
ia3         yes        yes               yes  yes   yes        .*ia3_l.*
vera        yes        yes               yes  yes   yes        .*vera_lambda.*
fourierft   yes        yes               yes  yes   yes        .*fourierft_spectrum.*
prompt      yes        no                yes  no    no         prompt_encoder.*
prefix      yes        no                yes  no    no         prompt_encoder.*
p-tuning    yes        no                yes  no    no         prompt_encoder.*
"""
HEAD, *ROWS = [line.split() for line in MATRIX.strip().splitlines()]
FAMILIES = HEAD[1:6]
CELLS = [(row[0], family, row[i] == "yes") for row in ROWS for i, family in enumerate(FAMILIES, start=1)]
WORKING = [(method, family) for method, family, works in CELLS if works]
REFUSED = [(method, family) for method, family, works in CELLS if not works]
WHAT_TRAINS = {row[0]: row[6] for row in ROWS}
PROMPTS = {"prompt", "prefix", "p-tuning"}
STEPS = 12


def names(cells: list[tuple[str, str]]) -> list[str]:
    return ["-".join(cell) for cell in cells]


def load_base(tiny, spec: AdapterSpec):
    config = quantization(spec, tiny.architecture)
    return tiny.load(quantization_config=config) if config else tiny.load()


def train(tiny, model, steps: int = STEPS) -> list[float]:
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.03)
    losses = []
    for step in range(steps):
        # Bolt masks the target it is given in place
        loss = model.train()(**{name: tensor.clone() for name, tensor in tiny.batch.items()}).loss
        loss.backward()
        optimizer.step()
        after_step(model, step)
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def snapshot(model) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def near(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-4)


@dataclass
class Cell:
    method: str
    tiny: Any
    spec: AdapterSpec
    model: Any
    folder: Path
    start: torch.Tensor
    before: dict[str, torch.Tensor]
    losses: list[float]
    output: torch.Tensor

    def reload(self):
        return load(load_base(self.tiny, self.spec), self.folder, self.tiny.architecture)


@pytest.fixture(scope="module")
def cell(request, tiny_models, tmp_path_factory) -> Cell:
    """One cell of the matrix, trained and saved."""
    method, family = request.param
    tiny, spec = tiny_models[family], AdapterSpec(method=method)
    torch.manual_seed(0)
    model = attach(load_base(tiny, spec), spec, tiny.architecture, total_steps=STEPS)
    start, before = tiny.predict(model), snapshot(model)
    losses = train(tiny, model)
    folder = tmp_path_factory.mktemp(f"{method}-{family}")
    save(model, folder)
    return Cell(method, tiny, spec, model, folder, start, before, losses, tiny.predict(model))


each_cell = pytest.mark.parametrize("cell", WORKING, ids=names(WORKING), indirect=True)
each_merging_cell = pytest.mark.parametrize(
    "cell",
    [c for c in WORKING if c[0] not in PROMPTS],
    ids=names([c for c in WORKING if c[0] not in PROMPTS]),
    indirect=True,
)


@each_cell
def test_training_lowers_the_loss_on_its_batch(cell):
    assert cell.losses[-1] < 0.95 * cell.losses[0]


@each_cell
def test_only_what_the_method_trains_moves(cell):
    heads = "|".join(rf"|.*\b{head}\..*" for head in cell.tiny.architecture.head_modules)
    trains = re.compile(WHAT_TRAINS[cell.method] + heads)
    moved = []
    for name, parameter in cell.model.named_parameters():
        if parameter.requires_grad:
            assert trains.fullmatch(name)
            moved.append(not torch.equal(parameter, cell.before[name]))
        else:
            assert torch.equal(parameter, cell.before[name])
    assert sum(moved) > len(moved) / 2  # a decoder of one step has attention that nothing can move


@each_cell
def test_a_saved_adapter_reloads_to_the_same_output(cell):
    model = cell.reload()
    assert near(cell.tiny.predict(model), cell.output)
    assert trainable(model)[0] == 0
    assert not near(cell.output, cell.start)


@each_merging_cell
def test_an_untrained_adapter_predicts_as_its_base(cell):
    if cell.method == "qlora":
        with cell.model.disable_adapter():
            base = cell.tiny.predict(cell.model)
    else:
        base = cell.tiny.predict(cell.tiny.load())
    assert near(cell.start, base)


@each_merging_cell
def test_a_merged_model_is_plain_and_predicts_as_the_adapted_one(cell, tmp_path):
    expected = cell.output
    if cell.method == "qlora":  # the base's rounding to 4 bit goes; what was learned stays
        expected = cell.tiny.predict(load(cell.tiny.load(), cell.folder, cell.tiny.architecture))
    merged = merge(cell.reload(), cell.tiny.load)
    assert type(merged) is cell.tiny.model_class
    merged.save_pretrained(tmp_path)
    again = replace(cell.tiny, folder=tmp_path).load()
    assert again.state_dict().keys() == cell.tiny.load().state_dict().keys()
    assert near(cell.tiny.predict(merged), expected)
    assert near(cell.tiny.predict(again), expected)


@pytest.mark.parametrize(("method", "family"), REFUSED, ids=names(REFUSED))
def test_a_refused_cell_says_in_one_sentence_what_works_instead(method, family, tiny_models):
    tiny = tiny_models[family]
    base = tiny.load()
    with pytest.raises(RecipeError) as refusal:
        attach(base, AdapterSpec(method=method), tiny.architecture)
    sentence = str(refusal.value)
    assert sentence.startswith(method)
    assert sentence.endswith(f"choose one of {', '.join(supported(base, tiny.architecture))}.")
    assert sentence.count(".") == 1
    assert set(supported(base, tiny.architecture)) == {m for m, f in WORKING if f == family}


@pytest.mark.parametrize("cell", [c for c in WORKING if c[0] in PROMPTS], indirect=True)
def test_a_prompt_cannot_be_merged_and_says_so(cell):
    with pytest.raises(RecipeError, match="extra input and cannot be merged"):
        merge(cell.reload(), cell.tiny.load)


@pytest.mark.parametrize("method", sorted(PROMPTS))
def test_a_prompted_t5_generates_what_its_forward_pass_says(method, tiny_models):
    tiny = tiny_models["t5"]
    model = attach(tiny.load(), AdapterSpec(method=method), tiny.architecture).eval()
    asked = {"input_ids": tiny.batch["input_ids"], "attention_mask": torch.ones(4, 12, dtype=torch.bool)}
    told = model.generate(
        **asked, max_new_tokens=4, do_sample=False, return_dict_in_generate=True, output_logits=True, eos_token_id=None
    )
    with torch.no_grad():
        logits = model(**asked, decoder_input_ids=told.sequences[:, :-1]).logits
    assert near(torch.stack(told.logits, dim=1), logits)


# The spec


def test_an_unknown_method_is_answered_with_the_nearest_one():
    with pytest.raises(RecipeError, match="no adapter method 'lorra': did you mean 'lora'"):
        AdapterSpec(method="lorra")


def test_a_strength_that_the_method_does_not_have_is_refused():
    with pytest.raises(RecipeError, match="'bitfit' has no 'rank': it takes no strength at all"):
        AdapterSpec(method="bitfit", rank=4)


def test_a_whole_dump_of_a_spec_is_that_spec_again():
    spec = AdapterSpec(method="lora", rank=4, target_modules=["q"])
    assert AdapterSpec(**spec.model_dump()) == spec


def test_the_strength_sets_the_size(tiny_models):
    tiny = tiny_models["bolt"]
    small, large = (
        trainable(attach(tiny.load(), AdapterSpec(method="lora", rank=rank), tiny.architecture))[0] for rank in (2, 8)
    )
    assert large == 4 * small


def test_target_modules_limit_where_the_adapter_goes(tiny_models):
    tiny = tiny_models["t5"]
    model = attach(tiny.load(), AdapterSpec(method="lora", target_modules=["SelfAttention.v"]), tiny.architecture)
    adapted = {name.split(".lora_")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert len(adapted) == 3
    assert all(name.endswith("SelfAttention.v") for name in adapted)


def test_unknown_target_modules_are_answered_with_those_there_are(tiny_models):
    tiny = tiny_models["chronos2"]
    with pytest.raises(RecipeError, match="no linear layer 'q_proj': it has hidden_layer, k, o"):
        attach(tiny.load(), AdapterSpec(method="lora", target_modules=["q_proj"]), tiny.architecture)


def test_the_module_of_recipes_needs_no_torch():
    code = "import sys, stillroom.core.adapters, stillroom.chronos.architectures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# AdaLoRA


def test_adalora_ends_with_the_rank_it_was_given_on_average(tiny_models):
    tiny = tiny_models["t5"]
    model = attach(tiny.load(), AdapterSpec(method="adalora", rank=4), tiny.architecture, total_steps=STEPS)
    values = [p for name, p in model.named_parameters() if "lora_E" in name]
    assert {len(p) for p in values} == {6}
    train(tiny, model)
    kept = [int((p != 0).sum()) for p in values]
    assert sum(kept) <= 4 * len(kept)
    assert len(set(kept)) > 1  # some layers need more than others, which is the point


def test_adalora_asks_for_the_length_of_the_training(tiny_models):
    tiny = tiny_models["bolt"]
    with pytest.raises(RecipeError, match="say how many steps"):
        attach(tiny.load(), AdapterSpec(method="adalora"), tiny.architecture)


# Four bits


def test_qlora_refuses_a_base_in_full_precision_and_lora_one_in_four_bits(tiny_models):
    tiny, qlora = tiny_models["bolt"], AdapterSpec(method="qlora")
    with pytest.raises(ModelError, match="quantization_config"):
        attach(tiny.load(), qlora, tiny.architecture)
    with pytest.raises(ModelError, match="only qlora trains"):
        attach(load_base(tiny, qlora), AdapterSpec(method="lora"), tiny.architecture)


@pytest.mark.parametrize("family", FAMILIES)
def test_four_bits_leave_out_what_the_family_says_and_count_as_the_weights_they_stand_for(family, tiny_models):
    tiny, spec = tiny_models[family], AdapterSpec(method="qlora")
    base = load_base(tiny, spec)
    kept = (*tiny.architecture.skip_modules, *tiny.architecture.head_modules)
    quantised = {n for n, m in base.named_modules() if type(m).__name__ == "Linear4bit"}
    assert quantised
    assert not [name for name in quantised if any(part in kept for part in name.split("."))]
    assert trainable(base)[1] == trainable(tiny.load())[1]


def test_training_in_four_bits_is_the_same_after_a_prediction(tiny_models):
    tiny, spec = tiny_models["bolt"], AdapterSpec(method="qlora")
    gradients = []
    for predicts in (False, True):
        torch.manual_seed(0)
        model = attach(load_base(tiny, spec), spec, tiny.architecture)
        if predicts:
            tiny.predict(model)
        model.train()(**{name: tensor.clone() for name, tensor in tiny.batch.items()}).loss.backward()
        gradients.append([p.grad for p in model.parameters() if p.requires_grad])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_merging_four_bits_asks_for_the_base_in_full_precision(tiny_models):
    tiny, spec = tiny_models["bolt"], AdapterSpec(method="qlora")
    model = attach(load_base(tiny, spec), spec, tiny.architecture)
    with pytest.raises(RecipeError, match="give load_base"):
        merge(model)


# Folders


@pytest.mark.parametrize(
    ("method", "files"),
    [
        ("lora", {"adapter_model.safetensors", "adapter_config.json", "stillroom_adapter.json"}),
        ("bitfit", {"biases.safetensors", "stillroom_adapter.json"}),
        ("full", {"model.safetensors", "config.json", "stillroom_adapter.json"}),
    ],
)
def test_a_folder_holds_what_moved_and_nothing_else(method, files, tiny_models, tmp_path):
    tiny = tiny_models["bolt"]
    for earlier in ("lora", "bitfit"):  # a folder that held another adapter before
        save(attach(tiny.load(), AdapterSpec(method=earlier), tiny.architecture), tmp_path)
    save(attach(tiny.load(), AdapterSpec(method=method), tiny.architecture), tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == files
    assert read_manifest(tmp_path).base == str(tiny.folder)


def test_peft_itself_reads_a_saved_lora_as_reference(tiny_models, tmp_path):
    peft = pytest.importorskip("peft")
    tiny = tiny_models["t5"]
    model = attach(tiny.load(), AdapterSpec(method="lora", rank=4), tiny.architecture)
    train(tiny, model, 2)
    save(model, tmp_path)
    assert near(tiny.predict(peft.PeftModel.from_pretrained(tiny.load(), tmp_path)), tiny.predict(model))


def test_upstreams_chronos2_pipeline_reads_a_saved_lora_as_reference(tiny_models, tmp_path):
    chronos = pytest.importorskip("chronos")
    tiny = tiny_models["chronos2"]
    model = attach(tiny.load(), AdapterSpec(method="lora"), tiny.architecture)
    train(tiny, model, 2)
    save(model, tmp_path)
    assert near(tiny.predict(chronos.Chronos2Pipeline.from_pretrained(tmp_path).model), tiny.predict(model))


def test_loading_imports_nothing_that_a_strangers_config_names(tiny_models, tmp_path, monkeypatch):
    tiny = tiny_models["bolt"]
    save(attach(tiny.load(), AdapterSpec(method="lora"), tiny.architecture), tmp_path)
    (tmp_path / "stranger.py").write_text("raise SystemExit('a stranger was let in')")
    monkeypatch.syspath_prepend(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    config |= {"megatron_config": {"a": 1}, "megatron_core": "stranger", "base_model_name_or_path": "no/where"}
    config["auto_mapping"] = {"base_model_class": "Stranger", "parent_library": "stranger"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    load(tiny.load(), tmp_path, tiny.architecture)
    assert "stranger" not in sys.modules


def test_an_adapter_of_another_architecture_is_refused(tiny_models, tmp_path):
    bolt, chronos2 = tiny_models["bolt"], tiny_models["chronos2"]
    save(attach(bolt.load(), AdapterSpec(method="lora"), bolt.architecture), tmp_path)
    with pytest.raises(ModelError, match="for Chronos-Bolt, not for Chronos-2"):
        load(chronos2.load(), tmp_path, chronos2.architecture)


@pytest.mark.parametrize("method", ["lora", "bitfit"])
def test_an_adapter_of_another_size_of_base_is_refused(method, tiny_models, tmp_path):
    tiny = tiny_models["bolt"]
    save(attach(tiny.load(), AdapterSpec(method=method), tiny.architecture), tmp_path)
    config = tiny.load().config
    config.d_ff, config.d_model = 32, 64
    with pytest.raises(ModelError, match=f"does not fit this base: put it on {tiny.folder}"):
        load(tiny.model_class(config), tmp_path, tiny.architecture)


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "stillroom_adapter.json"])
def test_a_torn_file_is_called_corrupt(file, tiny_models, tmp_path):
    tiny = tiny_models["bolt"]
    save(attach(tiny.load(), AdapterSpec(method="lora"), tiny.architecture), tmp_path)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:20])
    with pytest.raises(CorruptError, match="train again"):
        load(tiny.load(), tmp_path, tiny.architecture)


def test_a_folder_without_adapter_or_with_a_file_missing_is_refused(tiny_models, tmp_path):
    tiny = tiny_models["bolt"]
    with pytest.raises(ModelError, match="holds no adapter of ours"):
        load(tiny.load(), tmp_path, tiny.architecture)
    save(attach(tiny.load(), AdapterSpec(method="lora"), tiny.architecture), tmp_path)
    (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match="lacks a file"):
        load(tiny.load(), tmp_path, tiny.architecture)


def test_a_model_without_adapter_cannot_be_saved_as_one(tiny_models, tmp_path):
    with pytest.raises(ModelError, match="call attach or load first"):
        save(tiny_models["bolt"].load(), tmp_path)


def test_the_size_is_said_in_words(tiny_models):
    tiny = tiny_models["bolt"]
    model = attach(tiny.load(), AdapterSpec(method="lora", rank=1), tiny.architecture)
    moving, total = trainable(model)
    assert size(model) == f"{moving:,} of {total:,} parameters train ({100 * moving / total:.2f}%)."
