"""The forecaster as it is shipped: small, loadable by upstream, found by name, and able to forecast."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml
from chronos import BaseChronosPipeline
from chronos.chronos_bolt import ChronosBoltPipeline
from safetensors import safe_open

from stillroom.bench.tasks import load_suite
from stillroom.chronos.model import ChronosModel
from stillroom.chronos.pretrain import PretrainRecipe
from stillroom.core.plain import to_plain
from stillroom.core.registry import names, resolve_model
from stillroom.core.runs import Run
from stillroom.minis import forecaster
from stillroom.series.intake import load
from stillroom.series.overlap import Index
from stillroom.series.windows import cut

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pipeline():
    return BaseChronosPipeline.from_pretrained(forecaster)


@pytest.fixture(scope="module")
def model():
    return resolve_model("forecaster").load()


def test_the_folder_is_what_a_run_makes_and_nothing_else():
    expected = {"README.md", "config.json", "model.safetensors", "recipe.yaml", "run.json", "trained_on.npz"}
    assert {path.name for path in forecaster.iterdir()} == expected
    assert sum(path.stat().st_size for path in forecaster.iterdir()) <= 5_000_000


def test_weights_are_stored_in_half_precision_and_load_as_float32(pipeline):
    with safe_open(forecaster / "model.safetensors", "pt") as stored:
        assert {stored.get_tensor(name).dtype for name in stored.keys()} == {torch.float16}  # noqa: SIM118 - no dict
    assert json.loads((forecaster / "config.json").read_text())["dtype"] == "float32"
    assert isinstance(pipeline, ChronosBoltPipeline)
    assert {parameter.dtype for parameter in pipeline.model.parameters()} == {torch.float32}


def test_it_has_at_most_two_and_a_half_million_parameters(pipeline):
    count = sum(parameter.numel() for parameter in pipeline.model.parameters())
    assert count <= 2_500_000
    assert Run.load(forecaster).cost["parameters"] == count


def test_the_registry_finds_it_by_its_name(model):
    assert "forecaster" in names("stillroom.models")
    assert resolve_model("forecaster").source == str(forecaster)
    assert isinstance(model, ChronosModel)
    assert model.kind == "bolt"
    assert model.prediction_length >= 48
    assert model.quantile_levels == pytest.approx(LEVELS)


def test_the_recipe_beside_it_is_the_one_it_was_made_by():
    run, recipe = Run.load(forecaster), PretrainRecipe.of(forecaster / "recipe.yaml")
    assert run.recipe == {"family": "chronos", "verb": "pretrain", **to_plain(recipe.model_dump())}
    assert run.recipe["corpus"]["path"].startswith("$STILLROOM_DATA/")


def test_its_card_names_licence_data_and_what_chose_it():
    _, front, text = (forecaster / "README.md").read_text().split("---\n", 2)
    header = yaml.safe_load(front)
    assert header["license"] == "apache-2.0"
    assert header["library_name"] == "chronos-forecasting"
    assert header["trained_on"] == ["stillroom-pretrain"]
    assert "relative_WQL" in text


@pytest.mark.parametrize("task", load_suite("demo-forecast").tasks, ids=lambda task: task.id)
def test_forecasts_of_real_series_are_finite_and_sorted(model, task):
    ((window, truth),) = cut(load(task.dataset), task.prediction_length)
    quantiles = model.predict(window, LEVELS)
    assert quantiles.shape == (*truth.shape, len(LEVELS))
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all()


AWKWARD = {
    "one value": np.array([5.0]),
    "shorter than a patch": np.array([1.0, 3.0, 2.0]),
    "constant": np.full(100, 7.0),
    "longer than it reads": np.random.default_rng(0).standard_normal(2000),
    "with gaps": np.where(np.arange(90) % 3 == 0, np.nan, np.arange(90.0)),
    "large": 1e9 * np.random.default_rng(0).standard_normal(64).cumsum(),
    "small": 1e-6 * np.random.default_rng(0).standard_normal(64).cumsum(),
}


@pytest.mark.parametrize("context", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("horizon", [1, 24, 100])
def test_upstream_s_pipeline_forecasts_awkward_series_and_any_horizon(pipeline, context, horizon):
    series = torch.tensor(context, dtype=torch.float32)
    quantiles, _ = pipeline.predict_quantiles([series], prediction_length=horizon, quantile_levels=list(LEVELS))
    assert quantiles.shape == (1, horizon, len(LEVELS))
    assert torch.isfinite(quantiles).all()


@pytest.mark.parametrize("period", [4, 7, 12])
def test_a_season_that_repeats_is_repeated(pipeline, period):
    rng = np.random.default_rng(period)
    seasons = rng.standard_normal((20, period))
    contexts = torch.from_numpy(1000 + 50 * np.tile(seasons, 8)).float()
    median = pipeline.predict(contexts, prediction_length=period)[:, 4].numpy()
    error = np.abs((median - 1000) / 50 - seasons).mean(axis=1)
    flat = np.abs(seasons - seasons.mean(axis=1, keepdims=True)).mean(axis=1)  # of the best forecast without a season
    assert np.median(error / flat) < 0.25


def test_the_unit_of_a_series_does_not_change_its_forecast(pipeline):
    contexts = torch.from_numpy(np.random.default_rng(0).standard_normal((8, 96)).cumsum(1)).float()
    plain, scaled = (pipeline.predict(values, prediction_length=24) for values in (contexts, 64 * contexts + 256))
    torch.testing.assert_close(64 * plain + 256, scaled, rtol=1e-3, atol=0.5)


def test_its_index_of_training_windows_holds_none_of_the_demo_series():
    index = Index.load(forecaster / "trained_on.npz")
    assert len(index.hashes) > 10_000
    for task in load_suite("demo-forecast").tasks:
        for item in load(task.dataset):
            assert all(index.shared(values) == 0 for values in item.target), f"{task.id}/{item.item_id}"
