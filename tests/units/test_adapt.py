from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch

from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.methods import METHODS
from stillroom.core.runs import Run
from stillroom.series.overlap import Index
from stillroom.units.adapt import adapt, attached, few, prepared
from stillroom.units.families import load
from stillroom.units.recipe import AdaptRecipe
from stillroom.units.sources import Source
from stillroom.units.units import Units
from stillroom.units.windows import Items, Labelled

FILLS = {"forecast": 1.0, "impute": 1.0}
MIX = {"context_lengths": [16, 32], "horizons": [4, 8], "variables": 2, "cells": 1200}


def seasons(count=30, steps=72, name="seasons", period=8):
    """Series with a season and a little noise: a random network has much to learn from them."""
    rng, time = np.random.default_rng(0), np.arange(steps)
    series = [
        (10 + 5 * np.sin(2 * np.pi * time / period + rng.uniform(0, 6)) + 0.2 * rng.normal(size=(1, steps))).astype(
            "float32"
        )
        for _ in range(count)
    ]
    cut = count // 3
    return Source(name, FILLS, 0.0, Items(series[cut:]), Items(series[:cut]), data=(name,))


@pytest.fixture(scope="module")
def speeds(make_shapes):
    """Slow waves and fast ones, half of them to learn from."""
    series, names = make_shapes(48, 32)
    labels = (names == "slow").astype(int)
    some = [values.astype(np.float32) for values in series]
    learn, held = (Labelled(some[part], labels=labels[part]) for part in (slice(24), slice(24, None)))
    return Source("speed", {"classify": 1.0}, 0.0, learn, held, ("fast", "slow"), ("shapes",))


def recipe(method="prompt", steps=30, jobs=None, **more):
    train = {"steps": steps, "batch_size": 16, "eval_every": max(steps // 3, 1), "learning_rate": 0.02}
    mix = {**MIX, "jobs": jobs or {"forecast": 1.0, "impute": 1.0}}
    return {
        "sources": {},
        "mix": mix,
        "adapter": {"method": method},
        "train": {**train, **more.pop("train", {})},
        **more,
    }


def says(units, source):
    series = [values.astype(np.float64) for values in source.held_out.series]
    return units.forecast(series, 8)


@pytest.fixture(scope="module")
def knowing(make_network, tmp_path_factory):
    """A model that knows seasons of 8 steps: tokens alone can do nothing with a network that knows nothing."""
    plan = recipe("full", 60, jobs={"forecast": 1.0})
    return adapt(Units(make_network()), plan, tmp_path_factory.mktemp("knowing"), sources=[seasons()]).model


def test_tokens_alone_teach_a_network_that_knows_something_another_season(knowing, tmp_path):
    plan = recipe("prompt", 40, jobs={"forecast": 1.0}, train={"learning_rate": 0.05})
    adapted = adapt(knowing, plan, tmp_path, sources=[seasons(name="twelve", period=12)])
    assert adapted.verdict.gain > 0.02
    assert adapted.run.metrics["adapted"]["forecast/twelve"] < adapted.run.metrics["base"]["forecast/twelve"]


@pytest.mark.parametrize("method", ["full", "lora"])
def test_what_is_kept_is_better_on_what_judged_and_loads_again_without_its_base(units, tmp_path, method):
    source = seasons()
    before = copy.deepcopy(units.model.state_dict())
    adapted = adapt(units, recipe(method), tmp_path, sources=[source])
    assert adapted.verdict.keep
    assert adapted.run.metrics["adapted"]["forecast/seasons"] < adapted.run.metrics["base"]["forecast/seasons"]
    np.testing.assert_allclose(says(load(tmp_path), source), says(adapted.model, source), rtol=1e-2, atol=2e-2)
    assert all(torch.equal(before[name], weight) for name, weight in units.model.state_dict().items())
    assert type(adapted.model.model) is type(units.model)
    assert set(adapted.model.model.state_dict()) == set(before)


def test_with_prompt_only_tokens_move(units, speeds, tmp_path):
    jobs = {**FILLS, "classify": 1.0}
    adapted = adapt(units, recipe(jobs=jobs, steps=12), tmp_path, sources=[seasons(), speeds])
    after = torch.load(tmp_path / "checkpoints" / "checkpoint-12" / "weights.pt")["weights"]
    before = prepared(units.model, [speeds], seed=0).state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    others = {"tokens.prompts.detect", "tokens.prompts.gestures", "tokens.categories.gestures"}  # of tasks not trained
    assert moved == {name for name in before if name.startswith("tokens.")} - others
    assert adapted.run.cost["trained"] < 0.2 * adapted.run.cost["parameters"]  # of a network as tiny as this


def test_several_sets_and_jobs_are_learned_and_judged_at_once(units, speeds, tmp_path):
    jobs = {"forecast": 1.0, "classify": 1.0}
    adapted = adapt(units, recipe("full", jobs=jobs), tmp_path, sources=[seasons(), seasons(12, name="few"), speeds])
    metrics = adapted.run.metrics
    named = {"forecast/seasons", "forecast/few", "classify/speed", "accuracy/speed"}
    assert set(metrics["base"]) == set(metrics["adapted"]) == named
    assert metrics["items"] == {"forecast/seasons": 10, "forecast/few": 4, "classify/speed": 12}
    assert adapted.verdict.n == 26
    assert adapted.model.tasks["speed"] == ["fast", "slow"]
    assert "speed" not in units.tasks


def test_a_base_that_knows_the_series_already_is_kept_with_tokens_for_the_new_classes(units, speeds, tmp_path):
    """A rate that wrecks whatever it moves: no checkpoint is better than the start, so there is nothing to gain."""
    source = speeds
    plan = recipe("full", steps=3, jobs={"classify": 1.0}, train={"learning_rate": 100.0})
    adapted = adapt(units, plan, tmp_path, sources=[source])
    assert not adapted.verdict.keep
    assert adapted.verdict.sentence.startswith("Kept the baseline")
    kept = load(tmp_path)
    for name, weight in units.model.state_dict().items():
        torch.testing.assert_close(kept.model.state_dict()[name], weight, rtol=1e-3, atol=1e-4)
    shares = kept.classify(list(source.held_out.series), task="speed")
    assert shares.shape == (24, 2)


def test_the_run_says_what_was_learned_and_adds_what_its_base_was_trained_on(units, folder, tmp_path):
    first = adapt(units, recipe(steps=3), tmp_path / "a", sources=[seasons()])
    again = adapt(tmp_path / "a", recipe(steps=3), tmp_path / "b", sources=[seasons(12, 90, name="more")])
    run = Run.load(tmp_path / "b")
    assert (run.recipe["family"], run.recipe["verb"], run.recipe["base"]) == (
        "units", "adapt", str((tmp_path / "a").resolve())
    )  # fmt: skip
    assert first.run.data["trained_on"] == ["seasons"]
    assert again.run.data["trained_on"] == ["more", "seasons"]
    one, both = (Index.load(tmp_path / name / "trained_on.npz") for name in "ab")
    assert set(one.hashes.tolist()) < set(both.hashes.tolist())
    card = (tmp_path / "b" / "README.md").read_text()
    assert again.verdict.sentence in card
    assert json.loads((tmp_path / "b" / "config.json").read_text())["dtype"] == "float32"


def test_a_finished_adaptation_is_not_done_again_and_another_recipe_is_refused(units, tmp_path):
    first = adapt(units, recipe(steps=4), tmp_path, sources=[seasons()])
    weights = (tmp_path / "model.safetensors").read_bytes()
    again = adapt(units, recipe(steps=4), tmp_path, sources=[seasons()])
    assert again.run.metrics == first.run.metrics
    assert (tmp_path / "model.safetensors").read_bytes() == weights
    with pytest.raises(RecipeError, match="holds another run"):
        adapt(units, recipe("full", steps=4), tmp_path, sources=[seasons()])


def test_few_shot_leaves_the_first_part_of_series_and_a_share_of_every_class(speeds):
    source = seasons(12, 80)
    part = few(source, 0.25, seed=0)
    for own, whole in zip(part.train.series, source.train.series, strict=True):
        np.testing.assert_array_equal(own, whole[:, :20])
    labels = np.repeat([0, 1, 2], [60, 20, 3])
    many = Source("many", {"classify": 1.0}, 0, Labelled([np.zeros((1, 9))] * 83, labels=labels), None, ("a", "b", "c"))
    assert np.bincount(few(many, 0.05, seed=0).train.labels).tolist() == [3, 1, 1]
    assert np.bincount(few(many, 0.2, seed=0).train.labels).tolist() == [12, 4, 1]
    assert few(many, 1.0, seed=0) is many
    same, other = (few(many, 0.2, seed=seed).train.series for seed in (0, 1))
    assert len(same) == len(other)
    with pytest.raises(DataError, match=r"A share of 0.01 leaves no series of seasons 4 steps"):
        few(seasons(3, 80), 0.01, seed=0)


def test_few_shot_is_chosen_and_judged_by_the_same_items_at_every_share(units, speeds, tmp_path):
    runs = [
        adapt(units, recipe(steps=2, jobs={"classify": 1.0}, share=share), tmp_path / str(share), sources=[speeds]).run
        for share in (0.2, 1.0)
    ]
    assert runs[0].metrics["items"] == runs[1].metrics["items"] == {"classify/speed": 12}
    assert runs[0].data["series"] == {"speed": 4}
    assert runs[1].data["series"] == {"speed": 24}


def test_new_classes_begin_better_than_drawn_tokens_and_known_ones_stay(network, speeds):
    one, other = (prepared(network, [speeds], seed=0) for _ in range(2))
    assert torch.equal(one.tokens.categories["speed"], other.tokens.categories["speed"])
    assert "speed" not in network.config.tasks
    again = prepared(one, [speeds], seed=1)
    assert torch.equal(one.tokens.categories["speed"], again.tokens.categories["speed"])
    stranger = Source("gestures", {"classify": 1.0}, 0, speeds.train, None, ("fast", "slow"))
    with pytest.raises(ModelError, match="knows gestures with other classes"):
        prepared(network, [stranger], seed=0)


@pytest.mark.parametrize("method", ["prompt", "bitfit", "lora", "ia3"])
def test_every_method_starts_exactly_at_the_base_and_moves_tokens_and_little_else(network, method):
    plan = AdaptRecipe.of(recipe(method))
    adapted = attached(network, plan)
    values = torch.randn(2, 2, 24, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(adapted(values=values, horizon=8).quantiles, network(values, horizon=8).quantiles)
    moving = [name for name, weight in adapted.named_parameters() if weight.requires_grad]
    assert any("tokens" in name for name in moving)
    assert not any(weight.requires_grad for weight in network.parameters())


def test_what_cannot_be_adapted_is_said_in_one_sentence(units, speeds, tmp_path):
    with pytest.raises(RecipeError, match="Nothing says what to begin with"):
        adapt(None, recipe(), tmp_path / "a", sources=[seasons()])
    with pytest.raises(ModelError, match="nowhere"):
        adapt("nowhere", recipe(), tmp_path / "a", sources=[seasons()])
    with pytest.raises(RecipeError, match="prefix works on causal language models"):
        adapt(units, recipe("prefix"), tmp_path / "b", sources=[seasons()])
    nothing = Source("nothing", FILLS, 0, seasons().train, None)
    with pytest.raises(DataError, match="Nothing is held out"):
        adapt(units, recipe(), tmp_path / "c", sources=[nothing])
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_gives_a_verdict(make_network, speeds, tmp_path, method):
    units = Units(make_network(d_model=64, d_ff=64))
    jobs = {"forecast": 1.0, "classify": 1.0}
    if method in ("prefix", "p-tuning"):
        with pytest.raises(RecipeError, match="choose one of"):
            adapt(units, recipe(method, jobs=jobs), tmp_path, sources=[seasons(), speeds])
        return
    plan = recipe(method, steps=60, jobs=jobs)
    adapted = adapt(units, plan, tmp_path, sources=[seasons(), speeds])
    assert np.isfinite(adapted.verdict.gain)
    np.testing.assert_allclose(says(load(tmp_path), seasons()), says(adapted.model, seasons()), rtol=1e-2, atol=5e-2)


@pytest.mark.slow
def test_adapting_to_noise_keeps_the_base_in_18_of_20_seeds(units, tmp_path):
    """Noise can be forecast no better than by its quantiles, which a first adaptation teaches."""

    def noise(seed):
        rng = np.random.default_rng(seed)
        series = [rng.standard_normal((1, 96)).astype(np.float32) for _ in range(60)]
        return Source("noise", {"forecast": 1.0}, 0.0, Items(series[20:]), Items(series[:20]))

    jobs = {"forecast": 1.0}
    knows = adapt(units, recipe("full", 300, jobs=jobs), tmp_path / "knows", sources=[noise(100)]).model
    kept = 0
    for seed in range(20):
        plan = recipe("full", 40, jobs=jobs, train={"learning_rate": 1e-3, "seed": seed})
        kept += adapt(knows, plan, tmp_path / str(seed), sources=[noise(seed)]).verdict.keep
    assert kept <= 2
