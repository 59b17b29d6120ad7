"""The family as the benchmark sees it."""

from __future__ import annotations

import os
import shutil
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from stillroom.core.errors import ModelError, RecipeError
from stillroom.core.protocols import Classifier, Detector, Forecaster, Imputer
from stillroom.core.runs import Run
from stillroom.units.bench import family, taught

PACKAGE = Path(__file__).parents[2] / "packages" / "units"


def test_one_family_does_all_four_jobs(folder):
    assert set(family.can) == {Forecaster, Classifier, Imputer, Detector}
    assert family.claims(str(folder))
    model = family.load(str(folder), device="cpu")
    assert all(isinstance(model, protocol) for protocol in family.can)


def test_every_entry_point_of_the_package_leads_somewhere():
    groups = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["entry-points"]
    assert groups["stillroom.models"] == {"units-model": "stillroom.units.bench:family"}
    assert groups["stillroom.commands"] == {"units": "stillroom.units.cli:app"}
    for group, entries in groups.items():
        for name, value in entries.items():
            assert EntryPoint(name, value, group).load() is not None


def test_all_four_kinds_of_task_take_its_answers(folder, make_shapes, make_walk):
    """What a task checks of an answer: shapes, finite numbers, observed values left as they were."""
    from stillroom.bench import classify, detect, forecast, impute
    from stillroom.bench.kinds import Stopwatch
    from stillroom.series.anomalous import AnomalyItem, AnomalySet
    from stillroom.series.labelled import LabelledSplit
    from stillroom.series.panel import Item, Panel
    from stillroom.series.windows import cut

    model, watch = family.load(str(folder)), Stopwatch()
    panel = Panel(tuple(Item(str(seed), None, make_walk(seed, 1, 60)) for seed in range(3)), "D")
    spec = forecast.ForecastTask(id="f", dataset="-", prediction_length=5, windows=2)
    data = forecast.ForecastData(panel, cut(panel, 5, windows=2))
    kind = forecast.kind
    assert np.isfinite(kind.score(spec, data, kind.predict(model, spec, data, watch))["WQL"])

    series, labels = make_shapes(8, 30)
    split = LabelledSplit(series[:6], labels[:6], series[6:], labels[6:])
    spec, data, kind = classify.ClassifyTask(id="c", dataset="-"), classify.ClassifyData(split), classify.kind
    assert kind.score(spec, data, kind.predict(model, spec, data, watch))["ACCURACY"] >= 0

    truth = np.stack([make_walk(seed, 2, 24) for seed in range(4)])
    hidden = np.random.default_rng(0).random(truth.shape) < 0.25
    seen = np.where(hidden, np.nan, truth)
    found = np.stack(model.impute(list(seen), 1))
    np.testing.assert_array_equal(found[~hidden], truth[~hidden])
    assert impute.kind.protocol is Imputer

    record = make_walk(0, 1, 120)
    flags = np.zeros(60, dtype=bool)
    flags[20:25] = True
    items = AnomalySet((AnomalyItem("one", record[:, :60], record[:, 60:], flags),))
    spec, kind = detect.DetectTask(id="d", dataset="-"), detect.kind
    predictions = kind.predict(model, spec, items, watch)
    assert predictions["threshold"].iloc[0] == model.threshold(0.99)  # no more than the training part says
    assert np.isfinite(kind.score(spec, items, predictions)["AUC_PR"])


@pytest.fixture
def gestures(tmp_path, make_walk):
    """A labelled set with the name and the classes of the one task of the network."""
    series = np.stack([make_walk(seed, 1, 20) for seed in range(9)])
    labels = np.array(["left", "right", "still"] * 3)
    path = tmp_path / "gestures.npz"
    np.savez(path, X_train=series[:6], y_train=labels[:6], X_test=series[6:], y_test=labels[6:])
    return path


def test_every_way_to_learn_classes_is_a_row_of_the_runner_and_what_was_trained_on_is_flagged(
    network, gestures, tmp_path, make_walk
):
    from stillroom.bench.executor import in_process
    from stillroom.bench.runner import make_plan, run
    from stillroom.bench.tasks import read_suite

    shutil.copy(gestures, other := tmp_path / "others.npz")
    # as a training leaves it: the weights, and a card that names what it was trained on
    network.save_pretrained(tmp_path / "model")
    trained = Run.create(tmp_path / "model", {"family": "units"}, {"seed": 0})
    trained.write_card("A model", "", trained_on=[str(gestures)])
    ways = {
        "known": {"head": "known"},
        "prompt": {"head": "tokens", "steps": 2, "batch_size": 2},
        "few": {"head": "ridge", "share": 0.05},
    }
    rows = {name: str(taught(tmp_path / "model", tmp_path / name, **lesson)) for name, lesson in ways.items()}
    models = [str(tmp_path / "model"), *rows.values()]
    tasks = [{"id": path.stem, "kind": "classify", "dataset": str(path)} for path in (gestures, other)]
    plan = make_plan(read_suite({"tasks": tasks}, "mine"), models, tmp_path / "out")
    assert len({cell.key for cell in plan.todo}) == len(plan.todo)
    scores = run(plan, executor=in_process).set_index(["task", "model"])
    for name in models:
        assert scores.loc[("gestures", name), "leakage"]
        assert not scores.loc[("others", name), "leakage"]
    assert not scores.loc["gestures"].loc["nearest-neighbour", "leakage"]
    assert (scores.loc["gestures", "status"] == "ok").all()
    assert scores.loc[("others", rows["known"]), "status"] == "failed"  # it has no task for that set
    assert scores.loc[("others", rows["known"]), "reason"] == (
        "RecipeError: This model has no classes for the task 'others': those with classes are gestures; "
        "or let it learn yours."
    )
    assert (scores.loc["others", "status"] == "ok").sum() == 4
    again = make_plan(read_suite({"tasks": tasks}, "mine"), models, tmp_path / "out")
    assert not again.todo


def test_sources_of_trainings_have_the_names_that_tasks_call_them_by(tmp_path):
    """So that a set whose training part was trained on is flagged by its name."""
    if "STILLROOM_DATA" not in os.environ:
        pytest.skip("STILLROOM_DATA is not set: the sets are in the data folder")
    from stillroom.bench.lineage import trace
    from stillroom.bench.runner import leaks
    from stillroom.bench.tasks import load_suite
    from stillroom.core.registry import resolve_model
    from stillroom.units.handover import content
    from stillroom.units.sources import Sources, read

    together = {"ETTh1": ("ETTh1_HUFL", "ETTh1_OT")}
    panel = {"name": "ETTh", "source": "$STILLROOM_DATA/forecasting/chronos/ETTh.jsonl.gz", "end": 8640}
    sources = Sources.model_validate(
        {
            "classes": [{"source": "ucr:GunPoint"}, {"source": "ucr:Chinatown", "name": "people"}],
            "panels": [panel | {"together": together}],
            "normal": [{"source": "telemetry:MSL"}, {"source": "nab:"}],
        }
    )
    run = Run.create(tmp_path, {"family": "units"}, {"seed": 0}, content(read(sources)))
    run.write_card("A model", "", trained_on=run.data["trained_on"])
    (tmp_path / "config.json").write_text('{"model_type": "units"}')
    lineage = trace(resolve_model(str(tmp_path)))
    found = {
        task.id
        for suite in ("ucr-small", "imputation-ett", "telemetry", "nab", "chronos-benchmark-ii")
        for task in load_suite(suite).tasks
        if leaks(task, None, lineage)
    }
    assert {"GunPoint", "Chinatown", "ETTh", "ETTh1-block16-0.25", "ETTh2-point-0.25", "MSL"} <= found
    assert {"nab_realTweets", "nab_artificialNoAnomaly"} <= found
    assert not found & {"Adiac", "SMAP", "ETTm", "ETTm1-point-0.25", "m5"}


def test_a_copy_replaces_an_earlier_one_and_leaves_checkpoints_behind(folder, tmp_path):
    model = shutil.copytree(folder, tmp_path / "model")
    (model / "checkpoints" / "1").mkdir(parents=True)
    for lesson in ({"head": "ridge"}, {"share": 0.2}):
        copied = taught(str(model), tmp_path / "row", **lesson)
        assert family.load(str(copied)).lesson == lesson
    assert sorted(path.name for path in copied.iterdir()) == sorted(path.name for path in folder.iterdir())
    assert family.load(str(folder)).lesson == {}


def test_what_cannot_be_copied_is_said_in_one_sentence(folder, tmp_path):
    with pytest.raises(RecipeError, match="did you mean 'share'"):
        taught(folder, tmp_path / "row", shares=0.2)
    with pytest.raises(ModelError, match="no model 'nowhere'"):
        taught("nowhere", tmp_path / "row")
    with pytest.raises(ModelError, match="'seasonal-naive' is no folder with a whole UniTS model"):
        taught("seasonal-naive", tmp_path / "row")
    assert not (tmp_path / "row").exists()
