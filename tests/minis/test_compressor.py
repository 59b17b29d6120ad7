"""The compressor as it is shipped: small, loadable by transformers, found by name, and able to tell what matters."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open

from stillroom.core.plain import to_plain
from stillroom.core.recipes import checked
from stillroom.core.registry import names, resolve_model
from stillroom.core.runs import Run
from stillroom.minis import compressor as folder
from stillroom.prompts.compressor import Compressor
from stillroom.prompts.family import find
from stillroom.prompts.train import TrainRecipe

TEXTS = {
    "en": "In the end, the board of the University of Oslo agreed, as far as we know, to pay Anna Berg 1,250 dollars.",
    "de": "Am Ende hat sich der Ausschuss, soweit wir wissen, darauf geeinigt, im Jahr 1987 das Schloss Neuschwanstein "
    "zu besuchen.",
    "fr": "En fin de compte, la commission a décidé, à ce que l'on sait, de voir la cathédrale de Strasbourg en 1987.",
    "es": "Al final, la comisión decidió, según lo que sabemos, visitar la catedral de Salamanca en el año 1987.",
}
MATTER = {
    "en": {"University", "Oslo", "1,250", "Anna", "Berg"},
    "de": {"1987", "Schloss", "Neuschwanstein"},
    "fr": {"cathédrale", "Strasbourg", "1987"},
    "es": {"catedral", "Salamanca", "1987"},
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def compressor():
    return find()


def test_the_folder_is_what_a_run_makes_and_nothing_else():
    expected = {"README.md", "config.json", "model.safetensors", "recipe.yaml", "run.json"}
    assert {path.name for path in folder.iterdir()} == expected | {"tokenizer.json", "tokenizer_config.json"}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 8_000_000


def test_weights_are_stored_in_half_precision_and_load_as_float32():
    with safe_open(folder / "model.safetensors", "pt") as stored:
        assert {stored.get_tensor(name).dtype for name in stored.keys()} == {torch.float16}  # noqa: SIM118 - no dict
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float32"
    from transformers import AutoModelForTokenClassification

    model = AutoModelForTokenClassification.from_pretrained(folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count <= 4_000_000
    assert Run.load(folder).cost["parameters"] == count
    assert model.config.id2label == {0: "drop", 1: "keep"}


def test_the_registry_finds_it_by_its_name(compressor):
    assert "compressor" in names("stillroom.models")
    assert resolve_model("compressor").source == str(folder)
    assert isinstance(compressor, Compressor)


def test_the_recipe_beside_it_is_the_one_it_was_made_by():
    run, recipe = Run.load(folder), checked(TrainRecipe, folder / "recipe.yaml")
    assert run.recipe == {"family": "prompts", "verb": "train", **to_plain(recipe.model_dump(mode="json"))}


def test_its_card_names_licence_and_data():
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "apache-2.0"
    for source in ("Filippova", "QMSum", "AMI", "CoS-E", "DISCO", "Common Voice", "WikiText-2"):
        assert source in text


def test_over_its_languages_names_and_numbers_outlive_the_other_words(compressor):
    matter, others = [], []
    for language, text in TEXTS.items():
        left = compressor.compress(text, rate=0.6, protect=())
        assert left.compressed_tokens <= 0.6 * left.original_tokens + 8
        kept = {word.strip(".,") for word in left.text.split()}
        for word in {word.strip(".,") for word in text.split()}:
            (matter if word in MATTER[language] else others).append(word in kept)
    assert np.mean(matter) > np.mean(others) + 0.2


def test_upstream_s_pipeline_gives_the_same_probabilities(compressor):
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    model, tokenizer = AutoModelForTokenClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for text in TEXTS.values():
        with torch.inference_mode():
            logits = model(**tokenizer(text, return_tensors="pt")).logits
        (ours,) = compressor.scorer.probabilities(compressor.scorer.tokenize([text]))
        np.testing.assert_allclose(ours, logits.softmax(-1)[0, 1:-1, 1].numpy(), atol=1e-4)


def test_scripts_that_it_does_not_know_lose_nothing_for_being_unknown(compressor):
    text = "敏捷的棕色狐狸跳过了懒狗。 Быстрая лиса прыгает."
    assert compressor.compress(text, rate=1.0).text == text
    assert compressor.compress(text, rate=0.5).text
