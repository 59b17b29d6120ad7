from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from stillroom.chronos.bench import family
from stillroom.chronos.families import claims, load
from stillroom.core.errors import MissingError, ModelError, RecipeError


@pytest.mark.parametrize("kind", ["bolt", "chronos2", "t5"])
def test_a_folder_loads_as_its_family_in_single_precision_reference(folders, kind):
    from chronos import BaseChronosPipeline

    model = load(folders[kind])
    upstream = BaseChronosPipeline.from_pretrained(folders[kind], dtype="float32")
    assert model.kind == kind
    assert model.context_length == upstream.model_context_length
    assert model.prediction_length == upstream.model_prediction_length
    assert {p.dtype for p in model.model.parameters()} == {torch.float32}
    for ours, theirs in zip(model.model.state_dict().values(), upstream.inner_model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_half_precision_checkpoint_loads_in_single_precision(folders, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(folders["bolt"], tmp_path / "half")
    weights = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    assert {p.dtype for p in load(folder).model.parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", ["bolt", "chronos2", "t5"])
def test_the_family_claims_its_folders_and_hub_ids(folders, kind):
    assert claims(str(folders[kind]))
    assert family.claims(str(folders[kind]))
    assert family.load(str(folders[kind])).kind == kind


def test_the_family_claims_nothing_else(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert claims("amazon/chronos-bolt-tiny")
    assert not claims(str(tmp_path))
    assert not claims("somebody/moirai")
    assert not claims("seasonal-naive")


@pytest.mark.parametrize("content", [None, "{", '{"model_type": "t5"}', '{"chronos_config": {}, "model_type": "t5"}'])
def test_a_folder_without_a_chronos_model_is_refused_in_one_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelError, match="no Chronos model"):
        load(tmp_path)


def test_a_name_that_is_neither_folder_nor_hub_id_is_refused():
    with pytest.raises(ModelError, match="no model 'nowhere'"):
        load("nowhere")


def test_torn_weights_are_refused(folders, tmp_path):
    folder = shutil.copytree(folders["bolt"], tmp_path / "torn")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelError, match="no Chronos model that can be read"):
        load(folder)


def test_code_that_comes_with_a_model_never_runs(folders, tmp_path):
    folder = shutil.copytree(folders["bolt"], tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n")
    assert load(folder).kind == "bolt"
    assert not (tmp_path / "ran").exists()


def test_a_hub_id_without_network_says_what_to_do(tmp_path):
    code = "from stillroom.chronos.families import load\nload('amazon/chronos-bolt-nano')"
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    answer = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=False)
    assert f"{MissingError.__name__}: amazon/chronos-bolt-nano is not in the local cache" in answer.stderr


def test_finding_a_model_imports_no_torch(folders):
    code = f"import sys\nfrom stillroom.chronos.bench import family\nassert family.claims({str(folders['bolt'])!r})\n"
    subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], check=True)


@pytest.mark.parametrize(
    ("kind", "method"),
    [(kind, method) for kind in ("bolt", "chronos2", "t5") for method in ("lora", "full", "ia3")]
    + [("bolt", "bitfit"), ("chronos2", "bitfit")],
)
def test_an_adapter_folder_loads_on_its_base_to_the_same_forecast(folders, frame, tmp_path, kind, method):
    from stillroom.chronos.architectures import ARCHITECTURES
    from stillroom.core import adapters

    base = load(folders[kind])
    spec = adapters.AdapterSpec(method=method)
    network = adapters.attach(base.model, spec, ARCHITECTURES[kind])
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    adapters.save(network, tmp_path)
    expected = base.with_network(network).predict(_window(frame), [0.1, 0.5, 0.9])
    loaded = load(tmp_path)
    np.testing.assert_allclose(loaded.predict(_window(frame), [0.1, 0.5, 0.9]), expected, atol=1e-6)
    assert np.abs(expected - load(folders[kind]).predict(_window(frame), [0.1, 0.5, 0.9])).max() > 1e-3


def test_an_adapter_whose_base_is_gone_says_so_and_takes_another_place(folders, tmp_path):
    from stillroom.chronos.architectures import ARCHITECTURES
    from stillroom.core import adapters

    base = shutil.copytree(folders["bolt"], tmp_path / "base")
    network = adapters.attach(load(base).model, adapters.AdapterSpec(method="lora"), ARCHITECTURES["bolt"])
    adapters.save(network, tmp_path / "adapter")
    moved = base.rename(tmp_path / "moved")
    with pytest.raises(ModelError, match="say where its base is now"):
        load(tmp_path / "adapter")
    assert load(tmp_path / "adapter", base=str(moved)).kind == "bolt"


def test_an_unknown_precision_is_refused(folders):
    with pytest.raises((ModelError, RecipeError), match="float32 or bfloat16"):
        load(folders["bolt"], dtype="float8")


def _window(frame):
    from stillroom.series.panel import Item, Panel
    from stillroom.series.windows import Window

    items = tuple(Item(k, None, v["target"].to_numpy()[None]) for k, v in frame.groupby("item_id"))
    return Window(Panel(items, None), 8, 1)
