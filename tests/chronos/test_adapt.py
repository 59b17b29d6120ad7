from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from stillroom.chronos.adapt import adapt, merge
from stillroom.chronos.families import load
from stillroom.chronos.recipe import AdaptRecipe
from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.methods import METHODS
from stillroom.series.heldout import hold_out
from stillroom.series.panel import Item, Panel

LEVELS = [0.1, 0.5, 0.9]


def recipe(method="lora", steps=40, **train):
    rate = {"full": 3e-3}.get(method, 1e-2)
    settings = {"steps": steps, "batch_size": 16, "eval_every": steps // 2, "learning_rate": rate, **train}
    return {"prediction_length": 8, "adapter": {"method": method}, "train": settings}


def forecasts(model, panel):
    return model.predict(hold_out(panel, 8).judge[0], LEVELS)


@pytest.mark.parametrize("kind", ["bolt", "chronos2", "t5"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_what_is_kept_is_better_and_loads_again_with_ours_and_merged_or_full_with_upstreams_reference(
    folders, make_seasons, tmp_path, kind, method
):
    from chronos import BaseChronosPipeline

    panel = make_seasons(80 if kind == "t5" else 24, 96)  # a T5's samples are noise on its evidence
    base = load(folders[kind])
    before = {name: tensor.clone() for name, tensor in base.model.state_dict().items()}
    steps = 80 if kind == "t5" else 40
    adapted = adapt(base, panel, recipe(method, steps, learning_rate=3e-2 if kind == "t5" else 1e-2), tmp_path)
    assert adapted.verdict.keep, adapted.verdict.sentence
    assert adapted.run.metrics["adapted"]["WQL"] < adapted.run.metrics["base"]["WQL"]
    assert all(torch.equal(tensor, before[name]) for name, tensor in base.model.state_dict().items())

    expected = forecasts(adapted.model, panel)
    np.testing.assert_allclose(forecasts(load(tmp_path), panel), expected, atol=1e-4)
    plain = tmp_path if method == "full" else merge(tmp_path, tmp_path / "merged")
    pipeline = BaseChronosPipeline.from_pretrained(plain, dtype="float32")
    upstream = load(folders[kind]).with_network(pipeline.inner_model.eval())
    if kind != "t5":  # a rounding error may flip a token that T5 draws
        np.testing.assert_allclose(forecasts(upstream, panel), expected, atol=1e-4)
    else:
        assert forecasts(upstream, panel).mean() == pytest.approx(expected.mean(), rel=0.05)


def test_a_rejected_adapter_leaves_the_base_and_the_run_says_so(folders, make_seasons, tmp_path):
    base, panel = load(folders["bolt"]), make_seasons(24, 60)
    adapted = adapt(base, panel, recipe(steps=2, learning_rate=1e-9), tmp_path)
    assert not adapted.verdict.keep
    assert adapted.model is base
    assert adapted.run.metrics["verdict"]["keep"] is False
    assert "Kept the baseline" in (tmp_path / "README.md").read_text()
    assert not list(tmp_path.glob("*.safetensors"))
    np.testing.assert_array_equal(forecasts(load(tmp_path), panel), forecasts(base, panel))


def test_fewer_than_twenty_series_are_thin_evidence(folders, make_seasons, tmp_path):
    adapted = adapt(folders["bolt"], make_seasons(19, 60), recipe(steps=2), tmp_path)
    assert adapted.verdict.thin
    assert "evidence is thin" in adapted.verdict.sentence


def test_the_run_records_what_one_must_know(folders, make_seasons, tmp_path):
    panel = make_seasons(20, 60)
    short = Panel((*panel.items, Item("short", None, np.ones((1, 9)))), "h")
    adapted = adapt(folders["bolt"], short, recipe(steps=2, seed=7), tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["recipe"]["base"] == str(folders["bolt"].resolve())
    assert record["recipe"]["train"]["steps"] == 2
    assert record["seeds"] == {"seed": 7}
    assert record["data"] == {"series": short.fingerprint()}
    assert record["metrics"]["series"] == {"judged": 20, "too_short": 1, "too_short_to_train_on": 0}
    assert adapted.run.cost["train_seconds"] > 0


def test_a_finished_run_is_taken_up_and_another_recipe_in_its_folder_is_refused(folders, make_seasons, tmp_path):
    panel = make_seasons(20, 60)
    first = adapt(folders["bolt"], panel, recipe(steps=4), tmp_path)
    again = adapt(folders["bolt"], panel, recipe(steps=4), tmp_path)
    assert first.verdict == again.verdict
    with pytest.raises(RecipeError, match="holds another run"):
        adapt(folders["bolt"], panel, recipe(steps=5), tmp_path)


def test_chronos2_adapts_to_several_targets_and_covariates(folders, tmp_path):
    random = np.random.default_rng(0)

    def item(i):
        price = random.standard_normal(60)
        target = np.stack([price, -price]) * 3 + 0.1 * random.standard_normal((2, 60))
        return Item(f"s{i}", None, target, known={"price": price})

    panel = Panel(tuple(item(i) for i in range(20)), "D", ("a", "b"))
    adapted = adapt(folders["chronos2"], panel, recipe(steps=10), tmp_path)
    assert adapted.verdict.n == 20
    assert adapted.model.predict(hold_out(panel, 8).choose[0], LEVELS).shape == (20, 2, 8, 3)


def test_a_horizon_beyond_one_pass_is_trained_as_far_as_a_pass_reaches(folders, make_seasons, tmp_path):
    adapted = adapt(folders["bolt"], make_seasons(20, 96), {**recipe(steps=2), "prediction_length": 20}, tmp_path)
    assert adapted.verdict.n == 20


@pytest.mark.parametrize(("kind", "method"), [("bolt", "prompt"), ("chronos2", "prefix"), ("t5", "bitfit")])
def test_cells_outside_the_matrix_are_refused_before_training(folders, season_panel, tmp_path, kind, method):
    with pytest.raises(RecipeError, match="choose one of"):
        adapt(folders[kind], season_panel, recipe(method), tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_what_cannot_be_adapted_is_said_in_one_sentence(folders, make_seasons, tmp_path):
    panel = make_seasons(20, 60)
    with pytest.raises(DataError, match="long enough to train on"):
        adapt(folders["bolt"], make_seasons(5, 20), recipe(), tmp_path / "a")
    two = Panel(tuple(Item(i.item_id, None, np.repeat(i.target, 2, axis=0)) for i in panel), "h", ("a", "b"))
    with pytest.raises(ModelError, match="forecasts one target and was given 2"):
        adapt(folders["bolt"], two, recipe(), tmp_path / "b")
    with pytest.raises(ModelError, match="no adapter: there is nothing to merge"):
        merge(folders["bolt"], tmp_path / "c")


def noise_panel(seed: int) -> Panel:
    random = np.random.default_rng(seed)
    return Panel(tuple(Item(i, None, random.standard_normal((1, 120))) for i in range(30)), None)


@pytest.fixture(scope="module")
def knows_noise(folders):
    """A Bolt that already answers white noise as well as one can: the quantiles of a normal, whatever the history."""
    base = load(folders["bolt"])
    with torch.no_grad():
        base.model.output_patch_embedding.residual_layer.weight.zero_()
        base.model.output_patch_embedding.output_layer.weight.mul_(0.1)
    return base


def kept_on_noise(base, seeds, tmp_path) -> int:
    settings = AdaptRecipe.of(recipe(steps=40, learning_rate=1e-3))
    return sum(adapt(base, noise_panel(seed), settings, tmp_path / str(seed)).verdict.keep for seed in seeds)


def test_adapting_to_white_noise_keeps_the_base(knows_noise, tmp_path):
    assert kept_on_noise(knows_noise, range(3), tmp_path) <= 1


@pytest.mark.slow
def test_adapting_to_white_noise_keeps_the_base_in_18_of_20_seeds(knows_noise, tmp_path):
    assert kept_on_noise(knows_noise, range(20), tmp_path) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bolt", "chronos2", "t5"])
@pytest.mark.parametrize("method", METHODS)
def test_every_cell_of_the_matrix_trains_and_gives_a_verdict(folders, season_panel, tmp_path, kind, method):
    refused = {
        "bolt": ("prompt", "prefix", "p-tuning"),
        "chronos2": ("prompt", "prefix", "p-tuning"),
        "t5": ("bitfit",),
    }
    if method in refused[kind]:
        with pytest.raises(RecipeError, match="choose one of"):
            adapt(folders[kind], season_panel, recipe(method), tmp_path)
        return
    adapted = adapt(folders[kind], season_panel, recipe(method, steps=20), tmp_path)
    assert np.isfinite(adapted.verdict.gain)
    np.testing.assert_allclose(
        forecasts(load(tmp_path), season_panel), forecasts(adapted.model, season_panel), atol=1e-3
    )


@pytest.mark.slow
def test_a_kill_in_mid_training_changes_nothing_in_the_end(folders, season_panel, tmp_path):
    from safetensors.torch import load_file

    data = tmp_path / "seasons.csv"
    season_panel.to_frame().to_csv(data, index=False, float_format="%.17g")
    plan = recipe(steps=60, eval_every=5)
    adapt(folders["bolt"], data, plan, tmp_path / "whole")

    code = (
        "import sys, json\nfrom stillroom.chronos import adapt\n"
        "adapt(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4])"
    )
    arguments = [sys.executable, "-c", code, folders["bolt"], data, json.dumps(plan), tmp_path / "killed"]
    child = subprocess.Popen([str(a) for a in arguments], env=os.environ | {"OMP_NUM_THREADS": "1"})
    while not list((tmp_path / "killed").glob("checkpoints/checkpoint-2?")):
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert json.loads((tmp_path / "killed" / "run.json").read_text())["metrics"] == {}
    with pytest.raises(ModelError, match="has not ended"):
        load(tmp_path / "killed")

    adapt(folders["bolt"], data, plan, tmp_path / "killed")
    whole, killed = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(tensor, killed[name]) for name, tensor in whole.items())
