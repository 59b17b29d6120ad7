"""What is read from a model's files before it is loaded."""

from __future__ import annotations

import json

import pytest

from stillroom.bench.lineage import trace, trained_on
from stillroom.core.errors import MissingError
from stillroom.core.registry import ResolvedModel, resolve_model
from stillroom.core.runs import Run


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "model.safetensors").write_bytes(b"weights")
    (path / "config.json").write_text("{}")
    return path


def lineage(path):
    return trace(ResolvedModel(str(path), str(path), lambda: None))


def test_weights_and_settings_make_the_hash_and_nothing_else_does(folder):
    before = lineage(folder).weights
    (folder / "README.md").write_text("a card")
    (folder / "checkpoint-10").mkdir()
    (folder / "checkpoint-10" / "model.safetensors").write_bytes(b"others")
    assert lineage(folder).weights == before
    (folder / "config.json").write_text('{"context_length": 64}')
    changed = lineage(folder).weights
    assert changed != before
    (folder / "model.safetensors").write_bytes(b"weightS")
    assert lineage(folder).weights not in (before, changed)


def test_bytes_on_disk_are_those_of_weights_and_settings(folder):
    assert lineage(folder).bytes_on_disk == len(b"weights") + len("{}")


def test_an_adapter_is_another_model_when_its_base_changes(folder, tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"delta")
    (adapter / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": str(folder)})
    )
    before = lineage(adapter)
    assert before.adapter == "lora"
    assert before.base_model == str(folder)
    (folder / "model.safetensors").write_bytes(b"weightS")
    assert lineage(adapter).weights != before.weights


def test_a_run_says_what_it_was_made_of(folder):
    recipe = {
        "teacher": "big",
        "trained_on": ["m4_hourly"],
        "adapter": {"method": "dora", "rank": 4},
        "base_model": "x/y",
    }
    Run.create(folder, recipe, {"seed": 0}).record(cost={"train_seconds": 12.5})
    found = lineage(folder)
    assert (found.teacher, found.trained_on, found.train_seconds) == ("big", ("m4_hourly",), 12.5)
    assert (found.adapter, found.base_model) == ("dora", "x/y")


@pytest.mark.parametrize(
    ("card", "names"),
    [
        ("---\ntrained_on: [m4_hourly, nn5]\n---\n# Card", ("m4_hourly", "nn5")),
        ("---\ntrained_on: nn5\n---\n", ("nn5",)),
        ("---\nlicense: mit\n---\n", ()),
        ("---\n: [\n---\n", ()),
        ("# Card\n---\ntrained_on: nn5\n---\n", ()),
    ],
)
def test_the_card_says_what_a_model_was_trained_on(folder, card, names):
    (folder / "README.md").write_text(card)
    assert trained_on(folder) == names


def test_a_baseline_is_known_by_its_package_and_version():
    assert trace(resolve_model("seasonal-naive")).weights.startswith("stillroom-bench==")


def test_a_hub_id_that_cannot_be_had_is_one_sentence(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(MissingError, match="nobody/nothing is not in the local Hugging Face cache"):
        trace(ResolvedModel("nobody/nothing", "nobody/nothing", lambda: None))


def test_a_hub_id_is_known_by_the_commit_in_the_local_cache(tmp_path, monkeypatch, folder):
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--somebody--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir()
    folder.rename(repository / "snapshots" / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = trace(ResolvedModel("somebody/model", "somebody/model", lambda: None))
    assert found.weights == f"hub:{commit}"
    assert found.bytes_on_disk == len(b"weights") + len("{}")
