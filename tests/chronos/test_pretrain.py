from __future__ import annotations

import gzip
import json
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from chronos import BaseChronosPipeline
from chronos.chronos_bolt import ChronosBoltPipeline, InstanceNorm
from safetensors import safe_open

from stillroom.chronos.pretrain import (
    LAGS,
    PretrainRecipe,
    assess,
    held_out_windows,
    pretrain,
    repeated,
    synthetic_windows,
)
from stillroom.chronos.scratch import bolt
from stillroom.core.errors import RecipeError
from stillroom.core.runs import Run
from stillroom.series.corpus import read
from stillroom.series.mixture import Mixture
from stillroom.series.overlap import Index

SHAPE = {"d_model": 16, "d_ff": 32, "num_heads": 2, "num_layers": 1, "context_length": 32, "prediction_length": 8}
TRAIN = {
    "steps": 12, "batch_size": 8, "learning_rate": 0.01, "optimizer": "muon", "ema": 0.9, "eval_every": 4,
    "save_every": 3, "precision": "bf16", "select_by": "relative_WQL",
}  # fmt: skip


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """All that a real recipe has, on thirty noisy seasonal series."""
    path = tmp_path_factory.mktemp("corpus") / "series.jsonl.gz"
    rng, time = np.random.default_rng(0), np.arange(150)
    series = [np.sin(2 * np.pi * time / 12 + k) + 0.1 * rng.standard_normal(150).cumsum() for k in range(30)]
    rows = [{"source": "waves", "item_id": str(k), "target": values.tolist()} for k, values in enumerate(series)]
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return {
        "prediction_length": 8,
        "model": SHAPE,
        "corpus": {"path": str(path), "name": "waves", "held_out": 0.3, "factors": [1, 2]},
        "shares": {"seasonal": 0.3, "kernel_synth": 0.2, "windows": 0.3, "mixup": 0.2},
        "context_lengths": [16, 32],
        "card": {"title": "Waves", "text": "It knows waves.", "license": "apache-2.0"},
        "train": TRAIN,
    }


@pytest.fixture(scope="module")
def trained(recipe, tmp_path_factory):
    return pretrain(recipe, tmp_path_factory.mktemp("run") / "model")


@pytest.fixture(scope="module")
def chosen(trained, recipe):
    """The training network as it was when it was chosen: the averaged weights of the best checkpoint."""
    step = trained.metrics["chosen_at"]["step"]
    checkpoint = torch.load(trained.folder / "checkpoints" / f"checkpoint-{step}" / "weights.pt")
    network = bolt(PretrainRecipe.of(recipe).model, seed=9)
    network.load_state_dict(checkpoint["averages"], strict=False)
    return network.eval()


def test_the_folder_loads_with_upstream_as_float32_from_half_the_bytes(trained):
    with safe_open(trained.folder / "model.safetensors", "pt") as stored:
        assert {stored.get_tensor(name).dtype for name in stored.keys()} == {torch.float16}  # noqa: SIM118 - no dict
    assert json.loads((trained.folder / "config.json").read_text())["dtype"] == "float32"
    pipeline = BaseChronosPipeline.from_pretrained(trained.folder)
    assert isinstance(pipeline, ChronosBoltPipeline)
    assert {parameter.dtype for parameter in pipeline.model.parameters()} == {torch.float32}
    assert pipeline.quantiles == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])


def test_forecasts_of_the_folder_equal_those_of_the_network_that_was_chosen(trained, chosen):
    contexts = torch.from_numpy(np.random.default_rng(0).standard_normal((20, 32)).cumsum(1)).float() * 50 + 1000
    shipped = BaseChronosPipeline.from_pretrained(trained.folder).predict(contexts)
    exact = ChronosBoltPipeline(chosen).predict(contexts)
    error = (shipped - exact).abs().amax(dim=(1, 2)) / contexts.std(dim=1)
    assert error.max() < 1e-2
    assert error.max() > 0  # else the weights were not halved


def test_training_gets_better_than_the_starting_weights(trained):
    history = json.loads((trained.folder / "checkpoints" / "history.json").read_text())["history"]
    assert trained.metrics["chosen_at"] in history
    assert trained.metrics["chosen_at"]["relative_WQL"] < history[0]["relative_WQL"]


def test_the_run_says_what_it_was_made_of(trained, recipe):
    run = Run.load(trained.folder)
    assert (run.recipe["family"], run.recipe["verb"]) == ("chronos", "pretrain")
    assert run.recipe["corpus"]["held_out"] == 0.3
    assert run.seeds == {"seed": 0}
    real = read(PretrainRecipe.of(recipe).corpus)
    assert run.data == {"trained_on": ["waves"], "series": len(real.train), "held_out": len(real.held_out)}
    assert run.cost["parameters"] == sum(
        tensor.numel() for tensor in bolt(PretrainRecipe.of(recipe).model).parameters()
    )
    card = (trained.folder / "README.md").read_text()
    assert "# Waves\n\nIt knows waves." in card
    assert "license: apache-2.0\n" in card
    assert "trained_on:\n- waves\n" in card


def test_the_folder_holds_an_index_of_what_was_trained_on(trained, recipe):
    index, real = Index.load(trained.folder / "trained_on.npz"), read(PretrainRecipe.of(recipe).corpus)
    assert index.every == 64
    assert index.shared(np.concatenate(real.train)) > 0.8  # a window over the seam of two series is in neither
    assert index.shared(np.concatenate(real.held_out)) < 0.2


def test_a_finished_pretraining_is_not_done_again(trained, recipe):
    weights = (trained.folder / "model.safetensors").read_bytes()
    again = pretrain(recipe, trained.folder)
    assert again.metrics == trained.metrics
    assert (trained.folder / "model.safetensors").read_bytes() == weights


def test_another_recipe_does_not_go_on_in_the_same_folder(trained, recipe):
    with pytest.raises(RecipeError, match=r"holds another run, whose recipe.shares.seasonal is 0.3 and not 0.4"):
        pretrain({**recipe, "shares": {"seasonal": 0.4}}, trained.folder)


def test_synthetic_series_alone_are_trained_on_and_held_out(recipe, tmp_path):
    plain = {**recipe, "corpus": None, "shares": {"seasonal": 1.0}, "train": {**TRAIN, "steps": 2}}
    run = pretrain(plain, tmp_path / "model")
    assert run.data == {"trained_on": [], "series": 0, "held_out": 0}
    assert not (run.folder / "trained_on.npz").exists()
    assert np.isfinite(run.metrics["chosen_at"]["relative_WQL"])


# Kills


@pytest.fixture(scope="module")
def training():
    return "stillroom.chronos.pretrain", "pretrain"


@pytest.fixture(scope="module")
def uninterrupted(start, recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "model"
    assert start(recipe, folder, None) == 0
    return shipped(folder)


def shipped(folder):
    """What a user gets: weights, configuration, index, and what the run says it reached."""
    files = {name: (folder / name).read_bytes() for name in ("model.safetensors", "config.json")}
    return files | {"index": Index.load(folder / "trained_on.npz").hashes.tobytes(), "run": Run.load(folder).metrics}


# renames of this recipe: the record, seven checkpoints (0, 3, 4, 6, 8, 9, 12), the history, the record, the card
@pytest.mark.parametrize("die_at", [1, 4, 7, 10])
def test_a_pretraining_that_was_killed_goes_on_to_the_same_model(die_at, start, recipe, uninterrupted, tmp_path):
    assert start(recipe, tmp_path / "model", die_at) == -signal.SIGKILL
    assert start(recipe, tmp_path / "model", None) == 0
    assert shipped(tmp_path / "model") == uninterrupted


# The held-out yardstick


class Repeating(torch.nn.Module):
    """The yardstick itself as a Bolt-like network, its errors stretched by a factor."""

    def __init__(self, targets, stretched):
        super().__init__()
        self.chronos_config = SimpleNamespace(context_length=512)
        self.instance_norm, self.output_patch_embedding = InstanceNorm(), torch.nn.Identity()
        self.num_quantiles = 9
        self.targets, self.stretched = targets, stretched

    def forward(self, context):
        target = self.targets[len(context)]
        ahead = repeated(context.numpy(), target.shape[1])
        ahead = torch.from_numpy(target + self.stretched * (ahead - target)).float()
        normalised = self.instance_norm(ahead, self.instance_norm(context)[1])[0]
        self.output_patch_embedding(normalised[:, None].expand(-1, 9, -1))


@pytest.mark.parametrize("stretched", [0.5, 1.0, 2.0])
def test_repeating_the_best_season_scores_one_and_half_its_errors_a_half(stretched):
    rng = np.random.default_rng(0)
    series = [10 + np.sin(np.arange(60)) + 0.3 * rng.standard_normal((rows, 60)).cumsum(1) for rows in (7, 5)]
    windows = {str(len(rows)): (rows[:, :48], rows[:, 48:]) for rows in series}
    network = Repeating({len(rows): rows[:, 48:] for rows in series}, stretched)
    with torch.no_grad():
        scores = assess(windows, network)
    assert scores == pytest.approx({"relative_WQL": stretched, "relative_MAE": stretched}, rel=1e-4)


def test_steps_without_a_truth_are_not_judged():
    rng = np.random.default_rng(0)
    series = rng.standard_normal((6, 60)).cumsum(1)
    holed = series.copy()
    holed[:, 55:] = np.nan
    network = Repeating({6: series[:, 48:]}, 1.0)
    with torch.no_grad():
        scores = assess({"a": (holed[:, :48], holed[:, 48:])}, network)
    assert scores == pytest.approx({"relative_WQL": 1.0, "relative_MAE": 1.0}, rel=1e-4)


@pytest.mark.parametrize("lag", LAGS)
def test_the_lag_that_repeats_best_is_repeated(lag):
    season = np.random.default_rng(lag).standard_normal(lag) if lag > 1 else np.array([3.0])
    whole = np.tile(season, 600 // lag + 2)[:600]
    np.testing.assert_array_equal(repeated(whole[None, :500], 100)[0], whole[500:])


def test_a_lag_is_found_in_spite_of_gaps_and_a_context_of_nothing_does_no_harm():
    series = np.stack([np.tile(np.arange(12.0), 6), np.full(72, np.nan)])
    series[0, 10:20] = np.nan
    with pytest.warns(RuntimeWarning, match="Mean of empty slice"):
        ahead = repeated(series, 12)
    np.testing.assert_array_equal(ahead[0], np.arange(12.0))
    assert np.isnan(ahead[1]).all()


def test_held_out_windows_come_from_the_held_out_series_alone_and_are_always_the_same(recipe):
    real = read(PretrainRecipe.of(recipe).corpus)
    windows, again = held_out_windows(real, horizon=8), held_out_windows(real, horizon=8)
    assert set(windows) == {"waves/30", "waves/90"}
    whole = Index.of(real.held_out)
    for name, (context, target) in windows.items():
        assert (context.shape[1], target.shape[1]) == (int(name.partition("/")[2]), 8)
        np.testing.assert_array_equal(context, again[name][0])
        assert all(whole.shared(row) == 1.0 for row in np.concatenate([context, target], axis=1))


def test_held_out_windows_that_are_constant_or_mostly_missing_judge_nothing(recipe):
    real = read(PretrainRecipe.of(recipe).corpus)
    real.held_out[:] = [np.ones(150), np.where(np.arange(150) % 2, np.nan, 1.0) * np.arange(150)]
    real.held_out_sources[:] = ["a", "b"]
    assert held_out_windows(real, horizon=8) == {}


def test_synthetic_windows_are_of_batches_that_no_training_reaches():
    mixture = Mixture({"seasonal": 1.0}, context_lengths=(16,), prediction_length=8, batch_size=4)
    held_out = synthetic_windows(mixture, 3)
    trained_on = Index.of(np.concatenate([mixture[k]["context"] for k in range(20)]))
    assert len(held_out) == 3
    assert all(trained_on.shared(row) == 0 for context, _ in held_out.values() for row in context)


# Recipes


@pytest.mark.parametrize(
    ("typo", "sentence"),
    [
        ({"trian": {}}, "trian means nothing here: did you mean 'train'"),
        (
            {"train": {**TRAIN, "learning_rat": 1.0}},
            "train.learning_rat means nothing here: did you mean 'learning_rate'",
        ),
        ({"model": {**SHAPE, "d_modle": 16}}, "model.d_modle means nothing here: did you mean 'd_model'"),
        (
            {"corpus": {"path": "x", "name": "x", "exlude": []}},
            "corpus.exlude means nothing here: did you mean 'exclude'",
        ),
        ({"shares": {"seasonl": 1.0}}, "no source of series called 'seasonl'; choose from"),
        ({"corpus": None}, "mixes real series but none were given"),
        ({"train": {**TRAIN, "steps": 0}}, "train.steps: Input should be greater than 0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_recipe_that_cannot_be_meant_is_refused_in_a_sentence_and_nothing_is_written(
    typo, sentence, recipe, tmp_path
):
    with pytest.raises(RecipeError, match=sentence):
        pretrain({**recipe, **typo}, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_yaml_file_is_a_recipe_too(recipe, tmp_path):
    import yaml

    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert PretrainRecipe.of(tmp_path / "recipe.yaml") == PretrainRecipe.of(recipe)
