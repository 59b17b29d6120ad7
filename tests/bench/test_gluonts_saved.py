"""Saved GluonTS predictors: found, loaded, run, and refused when they name what is not GluonTS's own."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml

from stillroom.bench.gluonts_saved import claims, load
from stillroom.bench.lineage import trace
from stillroom.bench.rows import read_rows
from stillroom.core.errors import MissingError, ModelError
from stillroom.core.protocols import Forecaster
from stillroom.core.registry import resolve_model

pytest.importorskip("gluonts")


@pytest.fixture
def saved(tmp_path) -> Path:
    """GluonTS's seasonal naive predictor."""
    from gluonts.model.seasonal_naive import SeasonalNaivePredictor

    return save(SeasonalNaivePredictor(prediction_length=6, season_length=12), tmp_path / "naive")


def save(predictor, folder: Path) -> Path:
    folder.mkdir()
    predictor.serialize(folder)
    return folder


def change(folder: Path, **kwargs) -> None:
    """Give the saved predictor other arguments."""
    path = folder / "predictor.json"
    content = json.loads(path.read_text())
    content["kwargs"] |= kwargs
    path.write_text(json.dumps(content))


def test_a_saved_predictor_is_known_by_its_folder(saved):
    for name in (str(saved), f"gluonts:{saved}"):
        model = resolve_model(name)
        assert (model.id, model.can) == (name, (Forecaster,))
    assert not claims(str(saved.parent))
    assert load(str(saved)).predictor.season_length == 12


def test_other_arguments_are_another_model(saved):
    before = trace(resolve_model(str(saved))).weights
    change(saved, season_length=4)
    assert trace(resolve_model(str(saved))).weights != before


def test_a_saved_predictor_runs_on_a_saved_data_set_and_scores_as_in_the_gluonts_reference(saved, tmp_path, stillroom):
    from gluonts.dataset.common import ListDataset, MetaData, TrainDatasets
    from gluonts.dataset.jsonl import JsonLinesWriter
    from gluonts.dataset.split import OffsetSplitter
    from gluonts.ev.metrics import MASE, MeanWeightedSumQuantileLoss
    from gluonts.model.evaluation import evaluate_model

    rng = np.random.default_rng(0)
    series = [rng.normal(10, 3, length).round(3) for length in (60, 48, 40)]
    for values in series:
        values[[5, -3]] = np.nan
    records = [{"item_id": f"{i}", "start": "2015-01", "target": values} for i, values in enumerate(series)]
    test = ListDataset(records, freq="M")
    TrainDatasets(MetaData(freq="M"), test, test).save(str(tmp_path / "set"), JsonLinesWriter())
    tasks = {"tasks": [{"id": "monthly", "dataset": "./set", "prediction_length": 6, "windows": 2}]}
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(tasks))
    where = ["--model", f"gluonts:{saved}", "--out", tmp_path / "out"]
    done = stillroom("bench", "run", tmp_path / "suite.yaml", *where)
    assert done.returncode == 0, done.stderr
    metrics = {row["model"]: row["metrics"] for row in read_rows(tmp_path / "out").values()}

    split = OffsetSplitter(offset=-12).split(test)[1].generate_instances(prediction_length=6, windows=2)
    levels = [level / 10 for level in range(1, 10)]
    wanted = [MASE(), MeanWeightedSumQuantileLoss(quantile_levels=levels)]
    expected = evaluate_model(load(str(saved)).predictor, test_data=split, metrics=wanted, seasonality=12).iloc[0]
    for name in metrics:  # the baseline, too: both repeat the last season, a missing value the one before it
        assert [metrics[name]["MASE"], metrics[name]["WQL"]] == pytest.approx(expected.to_list(), rel=1e-6)


def test_a_quantile_predictor_comes_back_as_it_was(tmp_path):
    statsforecast = pytest.importorskip("gluonts.ext.statsforecast")
    folder = save(
        statsforecast.AutoETSPredictor(prediction_length=3, quantile_levels=[0.1, 0.5, 0.9]), tmp_path / "ets"
    )
    assert load(str(folder)).predictor.config.quantile_levels == [0.1, 0.5, 0.9]


def test_a_torch_predictor_comes_back_as_it_was(tmp_path):
    pytest.importorskip("lightning", reason="GluonTS's torch models need lightning, which is not installed")
    import torch
    from gluonts.torch import DeepAREstimator, TemporalFusionTransformerEstimator

    for kind in (DeepAREstimator, TemporalFusionTransformerEstimator):
        estimator = kind(prediction_length=3, context_length=6, freq="h")
        module = estimator.create_lightning_module()
        predictor = estimator.create_predictor(estimator.create_transformation(), module)
        folder = save(predictor, tmp_path / kind.__name__)
        again = load(str(folder)).model.state_dict()
        assert all(torch.equal(again[name], weights) for name, weights in module.state_dict().items())


def test_a_torch_predictor_says_what_it_needs(saved):
    if find_spec("lightning"):
        pytest.skip("lightning is installed")
    change(saved, prediction_net=named("gluonts.torch.model.predictor.PyTorchPredictor"))
    with pytest.raises(MissingError, match=r"needs lightning: pip install 'gluonts\[torch\]'"):
        load(str(saved))


def test_without_gluonts_it_says_what_to_install(saved):
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "gluonts":
            raise ModuleNotFoundError("No module named 'gluonts'", name=name)
sys.meta_path.insert(0, Absent())
from stillroom.bench.gluonts_saved import load
load({str(saved)!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "needs gluonts: pip install 'stillroom-bench[gluonts]'" in done.stderr


def instance(name: str, *args) -> dict:
    return {"__kind__": "instance", "class": name, "args": list(args)}


def named(name: str) -> dict:
    return {"__kind__": "type", "class": name}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(named("os.system"), id="a function of another package"),
        pytest.param(instance("os.system", "touch CANARY"), id="a call of it"),
        pytest.param(instance("functools.partial", named("os.system"), "touch CANARY"), id="partial"),
        pytest.param(instance("builtins.getattr", named("os.system"), "__call__"), id="getattr"),
        pytest.param(named("gluonts.model.predictor.mp.Process"), id="reached through a module"),
        pytest.param(named("gluonts.model.predictor.load_json"), id="imported by a module"),
        pytest.param(named("gluonts.itertools.PickleCached"), id="no part of a model"),
        pytest.param(named("gluonts.model.nothing.Predictor"), id="not there"),
        pytest.param({"__kind__": "type"}, id="nothing named"),
        pytest.param([[{"deep": {"within": named("os.system")}}]], id="deep within"),
    ],
)
def test_what_is_not_of_gluonts_own_models_is_refused_before_anything_is_made(saved, tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    change(saved, season_length=value)
    with pytest.raises(ModelError, match="which is not of GluonTS's own models: if you trust it, load it yourself"):
        load(str(saved))
    assert not (tmp_path / "CANARY").exists()


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("subprocess.Popen", "names subprocess.Popen, which is not of GluonTS's own models"),
        ("gluonts.model.forecast.SampleForecast", "SampleForecast, which is no GluonTS predictor"),
        ("gluonts.time_feature._base.day_of_week", "day_of_week, which is no GluonTS predictor"),
        (None, "names None, which is not of GluonTS's own models"),
    ],
)
def test_a_type_that_is_no_predictor_is_refused(saved, kind, sentence):
    (saved / "gluonts-config.json").write_text(json.dumps({"type": kind}))
    with pytest.raises(ModelError, match=sentence):
        load(str(saved))


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_folder_that_is_no_predictor_is_refused(saved, content):
    (saved / "gluonts-config.json").write_text(content)
    with pytest.raises(ModelError, match="is no saved GluonTS predictor"):
        load(str(saved))


def test_a_predictor_whose_files_do_not_fit_is_refused(saved):
    change(saved, season_length="never")
    with pytest.raises(ModelError, match=r"the GluonTS predictor in .* cannot be read"):
        load(str(saved))


def test_a_horizon_that_is_too_long_fails_with_its_reason(saved, shops, tmp_path, stillroom):
    where = ["--target", "sales", "--item-id", "shop", "--timestamp", "month", "--out", tmp_path / "out"]
    done = stillroom("bench", "run", "--data", shops, "--prediction-length", 7, "--model", saved, *where)
    assert "ModelError: the GluonTS predictor looks 6 steps ahead, but 7 are asked for" in done.stderr
