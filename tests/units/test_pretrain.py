from __future__ import annotations

import gzip
import json
import signal

import numpy as np
import pytest
import torch
from safetensors import safe_open

from stillroom.core.errors import DataError, MissingError, RecipeError
from stillroom.core.runs import Run
from stillroom.series.overlap import Index
from stillroom.units.families import load
from stillroom.units.pretrain import pretrain
from stillroom.units.recipe import PretrainRecipe
from stillroom.units.sources import read

SHAPE = {
    "patch_size": 4, "d_model": 16, "num_layers": 1, "num_heads": 2, "d_ff": 16, "prompt_tokens": 2, "operator_size": 4,
    "max_length": 128,
}  # fmt: skip
TRAIN = {
    "steps": 12, "batch_size": 8, "learning_rate": 0.01, "optimizer": "muon", "ema": 0.9, "eval_every": 4,
    "save_every": 3, "precision": "bf16",
}  # fmt: skip


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, make_shapes):
    """All four jobs, on thirty noisy seasonal series, on made ones, and on shapes of two classes."""
    folder = tmp_path_factory.mktemp("sources")
    rng, time = np.random.default_rng(0), np.arange(150)
    waves = [np.sin(2 * np.pi * time / 12 + k) + 0.1 * rng.standard_normal(150).cumsum() for k in range(30)]
    rows = [{"source": "waves", "item_id": str(k), "target": values.tolist()} for k, values in enumerate(waves)]
    corpus = folder / "series.jsonl.gz"
    corpus.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    (learn, names), (test, tested) = make_shapes(24, 24), make_shapes(8, 24, seed=1)
    np.savez(folder / "speed.npz", X_train=np.stack(learn), y_train=names, X_test=np.stack(test), y_test=tested)
    return {
        "model": SHAPE,
        "sources": {
            "series": [{"path": str(corpus), "name": "waves", "held_out": 0.3, "factors": [1, 2]}],
            "synthetic": {"shares": {"seasonal": 1.0}, "jobs": {"impute": 1.0}},
            "classes": [{"source": str(folder / "speed.npz"), "held_out": 0.25}],
        },
        "mix": {
            "jobs": {"forecast": 3, "impute": 2, "detect": 1, "classify": 2},
            "context_lengths": [16, 32], "horizons": [4, 8], "variables": 2, "cells": 600,
        },
        "smoothing": 0.05,
        "card": {"title": "Waves", "text": "It knows waves."},
        "train": TRAIN,
    }  # fmt: skip


@pytest.fixture(scope="module")
def trained(recipe, tmp_path_factory):
    return pretrain(recipe, tmp_path_factory.mktemp("run") / "model")


def test_the_folder_loads_as_float32_from_half_the_bytes_and_knows_its_tasks(trained):
    with safe_open(trained.folder / "model.safetensors", "pt") as stored:
        assert {stored.get_tensor(name).dtype for name in stored.keys()} == {torch.float16}  # noqa: SIM118 - no dict
    assert json.loads((trained.folder / "config.json").read_text())["dtype"] == "float32"
    units = load(trained.folder)
    assert {weight.dtype for weight in units.model.parameters()} == {torch.float32}
    assert units.tasks == {"forecast": None, "impute": None, "detect": None, "speed": ["fast", "slow"]}


def test_what_is_shipped_is_the_network_that_was_chosen(trained):
    step = trained.metrics["chosen_at"]["step"]
    checkpoint = torch.load(trained.folder / "checkpoints" / f"checkpoint-{step}" / "weights.pt")
    shipped = load(trained.folder).model.state_dict()
    for name, average in checkpoint["averages"].items():
        torch.testing.assert_close(shipped[name], average, rtol=1e-3, atol=1e-4)


def test_training_gets_better_on_held_out_series_by_every_job(trained):
    history = json.loads((trained.folder / "checkpoints" / "history.json").read_text())["history"]
    best = trained.metrics["chosen_at"]
    assert best in history
    assert best["loss"] < history[0]["loss"]
    jobs = {"forecast/waves", "impute/waves", "impute/synthetic", "detect/waves", "classify/speed"}
    assert set(best) == {"step", "loss", "accuracy/speed", *jobs}


def test_the_run_says_what_it_was_made_of(trained, recipe):
    run = Run.load(trained.folder)
    assert (run.recipe["family"], run.recipe["verb"]) == ("units", "pretrain")
    assert run.recipe["sources"]["series"][0]["held_out"] == 0.3
    assert run.recipe["model"]["quantiles"] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert run.seeds == {"seed": 0}
    assert run.data["trained_on"] == sorted([recipe["sources"]["classes"][0]["source"], "waves"])
    assert run.cost["parameters"] == sum(weight.numel() for weight in load(trained.folder).model.parameters())
    card = (trained.folder / "README.md").read_text()
    assert "# Waves\n\nIt knows waves." in card
    assert "license: apache-2.0\n" in card
    assert "- waves\n" in card


def test_the_folder_holds_an_index_of_what_was_trained_on_and_of_nothing_else(trained, recipe):
    index, sources = Index.load(trained.folder / "trained_on.npz"), read(PretrainRecipe.of(recipe).sources)
    assert index.every == 64
    learned = [series for source in sources for series in source.learnt()]
    held = [row for source in sources if source.name == "waves" for values in source.held_out.series for row in values]
    assert index.shared(np.concatenate(learned)) > 0.8  # a window over the seam of two series is in neither
    assert index.shared(np.concatenate(held)) < 0.2


def test_a_finished_pretraining_is_not_done_again(trained, recipe):
    weights = (trained.folder / "model.safetensors").read_bytes()
    again = pretrain(recipe, trained.folder)
    assert again.metrics == trained.metrics
    assert (trained.folder / "model.safetensors").read_bytes() == weights


def test_another_recipe_does_not_go_on_in_the_same_folder(trained, recipe):
    with pytest.raises(RecipeError, match=r"holds another run, whose recipe.smoothing is 0.05 and not 0.1"):
        pretrain({**recipe, "smoothing": 0.1}, trained.folder)


def test_made_series_alone_are_trained_on_and_held_out(recipe, tmp_path):
    made = {"synthetic": {"shares": {"seasonal": 1.0}}}
    mix = {name: value for name, value in recipe["mix"].items() if name != "jobs"}
    run = pretrain({**recipe, "sources": made, "mix": mix, "train": {**TRAIN, "steps": 2}}, tmp_path / "model")
    assert run.data == {"trained_on": [], "series": {}}
    assert not (run.folder / "trained_on.npz").exists()
    assert np.isfinite(run.metrics["chosen_at"]["loss"])


def test_what_cannot_be_trained_on_is_said_before_a_folder_is_made(recipe, tmp_path):
    def without(**changed):
        return pretrain({**recipe, **changed}, tmp_path / "model")

    with pytest.raises(RecipeError, match="names no sources"):
        without(sources={}, mix={**recipe["mix"], "jobs": {"impute": 1}})
    with pytest.raises(RecipeError, match="No source serves the job classify"):
        without(sources={"series": recipe["sources"]["series"]})
    with pytest.raises(DataError, match="no labelled data set"):
        without(sources={"classes": [{"source": "nowhere.npz"}]})
    with pytest.raises(MissingError, match="needs an environment variable"):
        without(sources={"series": [{"path": "$NOWHERE_AT_ALL/a.jsonl", "name": "a"}]})
    with pytest.raises(RecipeError, match="heads of an even width"):
        without(model={**SHAPE, "num_heads": 5})
    assert not (tmp_path / "model").exists()


# Kills


@pytest.fixture(scope="module")
def training():
    return "stillroom.units.pretrain", "pretrain"


@pytest.fixture(scope="module")
def uninterrupted(start, recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "model"
    assert start(recipe, folder, None) == 0
    return shipped(folder)


def shipped(folder):
    """What a user gets: weights, configuration, index, and what the run says it reached."""
    files = {name: (folder / name).read_bytes() for name in ("model.safetensors", "config.json")}
    return files | {"index": Index.load(folder / "trained_on.npz").hashes.tobytes(), "run": Run.load(folder).metrics}


# renames of this recipe: the record, seven checkpoints (0, 3, 4, 6, 8, 9, 12), history, config, the record, the card
@pytest.mark.parametrize("die_at", [4, 9])
def test_a_pretraining_that_was_killed_goes_on_to_the_same_model(die_at, start, recipe, uninterrupted, tmp_path):
    assert start(recipe, tmp_path / "model", die_at) == -signal.SIGKILL
    assert start(recipe, tmp_path / "model", None) == 0
    assert shipped(tmp_path / "model") == uninterrupted
