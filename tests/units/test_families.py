"""Models found and loaded: folders, Runs, adapters, and what is none of ours."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from stillroom.core import adapters, halves
from stillroom.core.adapters import AdapterSpec
from stillroom.core.errors import ModelError, RecipeError
from stillroom.core.runs import Run
from stillroom.units.architecture import UNITS
from stillroom.units.families import claims, find, load
from stillroom.units.units import Units


def test_a_folder_is_claimed_and_loads_as_what_was_saved(folder, units):
    assert claims(str(folder))
    loaded = load(folder)
    assert loaded.fingerprint() == units.fingerprint()
    assert loaded.tasks == units.tasks
    assert not loaded.model.training
    assert Units.load(folder).fingerprint() == find(str(folder)).fingerprint() == units.fingerprint()


def test_half_precision_weights_load_in_single_precision(network, tmp_path, make_walk):
    halves.save_pretrained(network, tmp_path)
    loaded = load(tmp_path)
    assert {weight.dtype for weight in loaded.model.parameters()} == {torch.float32}
    assert loaded.forecast([make_walk(0, 1, 20)], 3).shape == (1, 1, 3, 9)


def test_an_adapter_is_folded_into_its_base(folder, tmp_path, make_walk):
    from stillroom.units.model import UnitsModel

    base = UnitsModel.from_pretrained(folder)
    adapted = adapters.attach(base, AdapterSpec(method="lora", rank=2), UNITS)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    adapters.save(adapted, tmp_path / "adapter")
    assert claims(str(tmp_path / "adapter"))
    values = torch.from_numpy(make_walk(0, 2, 24))[None].float()
    with torch.no_grad():
        expected = adapted.eval()(values=values, task="impute").values
        loaded = load(tmp_path / "adapter", base=str(folder))
        assert torch.allclose(loaded.model(values=values, task="impute").values, expected, atol=1e-5)
    assert type(loaded.model) is UnitsModel
    assert not torch.allclose(load(folder).model(values=values, task="impute").values, expected, atol=1e-3)


def test_a_run_that_kept_its_base_gives_it_and_one_that_has_not_ended_says_so(folder, tmp_path, units):
    run = Run.create(tmp_path / "run", {"family": "units", "verb": "adapt", "base": str(folder)}, {"seed": 0})
    assert claims(str(run.folder))
    with pytest.raises(ModelError, match="has not ended"):
        load(run.folder)
    run.record(metrics={"verdict": {"keep": False}})
    assert load(run.folder).fingerprint() == units.fingerprint()


def test_a_folder_says_how_its_model_learns_classes_and_what_is_made_of_it_does_not(folder, tmp_path):
    own = shutil.copytree(folder, tmp_path / "own")
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps(config | {"lesson": {"head": "tokens", "steps": 7}}))
    loaded = load(own)
    assert loaded.lesson == {"head": "tokens", "steps": 7}
    loaded.model.save_pretrained(tmp_path / "next")
    assert load(tmp_path / "next").lesson == {}
    assert loaded.fingerprint() == load(folder).fingerprint()
    (own / "config.json").write_text(json.dumps(config | {"lesson": {"heads": "tokens"}}))
    with pytest.raises(RecipeError, match=r"own says how it learns classes, .* did you mean 'head'"):
        load(own)


def test_what_is_none_of_ours_is_not_claimed_and_is_refused_in_one_sentence(tmp_path, folder):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert not claims(str(tmp_path))
    assert not claims("somebody/units")
    assert not claims("seasonal-naive")
    with pytest.raises(ModelError, match="another family"):
        load(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelError, match=r"neither a config\.json nor an adapter"):
        load(tmp_path)
    with pytest.raises(ModelError, match="no model 'nowhere'"):
        load("nowhere")
    torn = shutil.copytree(folder, tmp_path / "torn")
    weights = (torn / "model.safetensors").read_bytes()
    (torn / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelError, match="no UniTS model that can be read"):
        load(torn)
    bad = shutil.copytree(folder, tmp_path / "bad")
    (bad / "config.json").write_text(json.dumps(json.loads((bad / "config.json").read_text()) | {"patch_size": 5}))
    with pytest.raises(ModelError, match="no UniTS model that can be read"):
        load(bad)


def test_an_adapter_without_its_base_says_so(folder, tmp_path):
    from stillroom.units.model import UnitsModel

    gone = shutil.copytree(folder, tmp_path / "gone")
    adapted = adapters.attach(UnitsModel.from_pretrained(gone), AdapterSpec(method="lora", rank=2), UNITS)
    adapters.save(adapted, tmp_path / "adapter")
    shutil.rmtree(gone)
    with pytest.raises(ModelError, match=r"belongs on .*gone, which is not there"):
        load(tmp_path / "adapter")
