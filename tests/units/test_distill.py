from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from stillroom.core.errors import ModelError, RecipeError
from stillroom.core.runs import Run
from stillroom.core.targets import TargetStore
from stillroom.series.panel import Item, Panel
from stillroom.series.windows import Window
from stillroom.units.distill import QuantileTeacher, distill
from stillroom.units.families import load
from stillroom.units.recipe import DistillRecipe
from stillroom.units.sources import Source
from stillroom.units.stream import ahead
from stillroom.units.units import Units
from stillroom.units.windows import Items, Labelled

LEVELS = tuple(np.arange(1, 10) / 10)
STUDENT = {
    "patch_size": 4, "d_model": 8, "num_layers": 1, "num_heads": 2, "d_ff": 8, "prompt_tokens": 2, "operator_size": 4,
    "max_length": 128,
}  # fmt: skip
MIX = {"context_lengths": [16, 32], "horizons": [4, 8], "variables": 2, "cells": 1200}


class Persistent:
    """Forecasts the last value, with a spread of its own; it counts how often it is asked."""

    def __init__(self, spread=1.0):
        self.spread, self.asked = spread, 0

    def predict(self, window, quantile_levels):
        self.asked += 1
        assert window.past.targets == ("target",)
        last = np.array([item.target[0][np.isfinite(item.target[0])][-1] for item in window.past])
        steps = np.ones(window.prediction_length)
        spread = self.spread * (np.asarray(quantile_levels) - 0.5)
        return last[:, None, None, None] + steps[None, None, :, None] * spread


def walks(count=24, steps=64, name="walks", jobs=("forecast",)):
    rng = np.random.default_rng(0)
    series = [rng.standard_normal((1, steps)).cumsum(1).astype(np.float32) + 30 for _ in range(count)]
    cut = count // 3
    return Source(name, dict.fromkeys(jobs, 1.0), 0.0, Items(series[cut:]), Items(series[:cut]), data=(name,))


def gestures(count=24):
    rng = np.random.default_rng(1)
    labels = np.arange(count) % 3
    series = [
        (np.sin(np.arange(24) * (0.3 + 0.4 * label)) + 0.1 * rng.standard_normal((1, 24))).astype(np.float32)
        for label in labels
    ]
    half = count // 2
    learn, held = (Labelled(series[part], labels=labels[part]) for part in (slice(half), slice(half, None)))
    return Source("gestures", {"classify": 1.0}, 0.0, learn, held, ("left", "right", "still"))


def recipe(steps=10, jobs=("forecast",), **more):
    train = {"steps": steps, "batch_size": 16, "eval_every": max(steps // 2, 1), "learning_rate": 0.01}
    mix = {**MIX, "jobs": dict.fromkeys(jobs, 1.0)}
    return {"sources": {}, "mix": mix, "student": STUDENT, "train": {**train, **more.pop("train", {})}, **more}


def test_a_forecaster_is_asked_for_each_variable_by_itself_in_the_units_of_the_series():
    whole = np.arange(40, dtype=np.float32).reshape(1, -1) * np.array([[1], [100]], dtype=np.float32)
    batch = ahead([whole, whole[:1, 10:]], np.array([20, 20]), 8)
    said = QuantileTeacher(Persistent(), "persistent", LEVELS)(batch)["teacher_quantiles"].numpy()
    assert said.shape == (2, 2, 8, 9)
    np.testing.assert_allclose(said[0, 0, :, 4], 31, rtol=1e-6)
    np.testing.assert_allclose(said[0, 1, :, 4], 3100, rtol=1e-6)
    np.testing.assert_allclose(said[1, 0, 0] - said[1, 0, 0, 4], np.array(LEVELS) - 0.5, atol=1e-4)
    assert np.isnan(said[1, 1]).all()  # padding
    assert QuantileTeacher(Persistent(), "persistent", LEVELS)({**batch, "task": "impute"}) == {}


def test_a_forecaster_that_says_nonsense_is_refused():
    class Broken:
        def predict(self, window, quantile_levels):
            return np.full((len(window.past), 1, window.prediction_length, len(quantile_levels)), np.nan)

    batch = ahead([np.arange(40, dtype=np.float32)[None]], np.array([20]), 8)
    with pytest.raises(ModelError, match="broken forecasts numbers that are not finite"):
        QuantileTeacher(Broken(), "broken", LEVELS)(batch)


def test_a_student_comes_to_resemble_a_forecaster_that_teaches_alone(tmp_path):
    """Taught by nothing but the teacher's quantiles, it must end nearer to them than it began."""
    source = walks()
    window = Window(Panel(tuple(Item(k, None, v[:, :32]) for k, v in enumerate(source.held_out.series)), None), 8, 1)
    teacher = Persistent()

    def distance(steps):
        plan = recipe(steps, weights={"quantile_match": 1.0}, batches=20)
        student = distill(teacher, plan, tmp_path / str(steps), sources=[source]).model
        return np.abs(student.predict(window, LEVELS) - teacher.predict(window, LEVELS)).mean()

    assert distance(60) < 0.7 * distance(1)


def test_what_a_forecaster_said_is_kept_and_not_asked_again(tmp_path):
    store = str(tmp_path / "targets.sqlite")
    first, second = Persistent(), Persistent()
    plan = recipe(6, batches=4, store=store)
    one = distill(first, plan, tmp_path / "a", sources=[walks()])
    with TargetStore(store) as kept:
        assert len(kept.keys("quantiles")) == 4
    exam = first.asked - 4  # what is left is the comparison in the end
    other = distill(second, plan, tmp_path / "b", sources=[walks()])
    assert second.asked == exam
    for name, weight in one.model.model.state_dict().items():
        assert torch.equal(weight, other.model.model.state_dict()[name])


def test_the_run_sets_teacher_and_student_side_by_side_and_loads(tmp_path):
    made = distill(Persistent(), recipe(6), tmp_path, sources=[walks()])
    run = Run.load(tmp_path)
    assert (run.recipe["verb"], run.recipe["teacher"]) == ("distill", "Persistent")
    assert set(run.metrics["teacher"]) == set(run.metrics["student"]) == {"forecast/walks"}
    assert run.metrics["parameters"]["student"] == made.model.model.num_parameters()
    assert run.data["trained_on"] == ["walks"]
    assert "taught by `Persistent`" in (tmp_path / "README.md").read_text()
    history = [values.astype(np.float64) for values in walks().held_out.series]
    ours, again = made.model.forecast(history, 8), load(tmp_path).forecast(history, 8)
    np.testing.assert_allclose(again, ours, rtol=1e-2, atol=1e-2)


def test_jobs_that_the_forecaster_knows_nothing_of_are_learned_from_the_truth(tmp_path):
    jobs = ("forecast", "impute", "classify")
    sources = [walks(jobs=("forecast", "impute")), gestures()]
    run = distill(Persistent(), recipe(8, jobs), tmp_path, sources=sources).run
    assert set(run.metrics["teacher"]) == {"forecast/walks"}
    assert set(run.metrics["student"]) == {"forecast/walks", "impute/walks", "classify/gestures", "accuracy/gestures"}


def test_a_chronos_of_the_registry_teaches(tmp_path):
    pytest.importorskip("chronos")
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config

    torch.manual_seed(0)
    chronos = {
        "context_length": 64, "prediction_length": 8, "input_patch_size": 8, "input_patch_stride": 8,
        "quantiles": list(LEVELS), "use_reg_token": True,
    }  # fmt: skip
    config = T5Config(
        d_model=16, d_kv=8, d_ff=16, num_layers=1, num_decoder_layers=1, num_heads=2, vocab_size=2, pad_token_id=0,
        initializer_factor=0.2, decoder_start_token_id=0, chronos_pipeline_class="ChronosBoltPipeline",
        chronos_config=chronos,
    )  # fmt: skip
    ChronosBoltModelForForecasting(config).save_pretrained(tmp_path / "bolt")
    made = distill(tmp_path / "bolt", recipe(4), tmp_path / "run", sources=[walks()])
    assert made.run.recipe["teacher"] == str(tmp_path / "bolt")
    assert made.run.metrics["teacher"]["forecast/walks"] > 0


def test_a_large_units_teaches_a_small_one_classes_values_and_hidden_states(make_network, tmp_path):
    """By what she says alone: the labels weigh nothing, but they are hers, so that they choose what she would."""
    teacher = Units(make_network(seed=7, d_model=24))
    before = copy.deepcopy(teacher.model.state_dict())
    weights = {"forward_kl": 1.0, "huber": 1.0, "quantile_match": 1.0, "hidden": 1.0}
    shapes = gestures(60)
    hers = [teacher.classify(list(part.series), task="gestures") for part in (shapes.train, shapes.held_out)]
    learn, held = (
        replace(part, labels=said.argmax(1)) for part, said in zip((shapes.train, shapes.held_out), hers, strict=True)
    )
    sources = [walks(jobs=("impute",)), replace(shapes, train=learn, held_out=held)]

    def disagreement(steps):
        plan = recipe(steps, ("impute", "classify"), weights=weights, temperature=2.0, train={"learning_rate": 0.02})
        student = distill(teacher, plan, tmp_path / str(steps), sources=sources).model
        return np.abs(student.classify(list(held.series), task="gestures") - hers[1]).mean()

    early, late = disagreement(1), disagreement(60)
    assert late < 0.8 * early
    run = Run.load(tmp_path / "60")
    assert run.metrics["parameters"]["student"] < run.metrics["parameters"]["teacher"]
    assert set(run.metrics["teacher"]) == set(run.metrics["student"])
    assert all(torch.equal(before[name], weight) for name, weight in teacher.model.state_dict().items())


def test_a_student_can_go_on_from_a_model(units, folder, tmp_path):
    made = distill(Persistent(), recipe(3, student=str(folder)), tmp_path, sources=[walks()])
    assert set(made.model.model.state_dict()) == set(units.model.state_dict())
    assert made.model.tasks == units.tasks


def test_what_a_student_cannot_learn_is_refused_before_training(make_network, tmp_path):
    def refused(teacher, sentence, sources=(), error=RecipeError, **changed):
        with pytest.raises(error, match=sentence):
            distill(teacher, {**recipe(), **changed}, tmp_path / "run", sources=list(sources) or [walks()])
        assert not (tmp_path / "run").exists()

    teacher = Units(make_network(seed=7))
    classes = {"mix": {**MIX, "jobs": {"classify": 1.0}}}
    refused(None, "Nothing says who teaches")
    refused("nowhere", "nowhere", error=ModelError)
    refused(object(), "object does not forecast", error=ModelError)
    refused(
        Persistent(), "give the mix the job `forecast`", [walks(jobs=("impute",))], mix={**MIX, "jobs": {"impute": 1}}
    )
    refused(Persistent(), "a forecaster cannot teach by hidden", weights={"pinball": 1.0, "hidden": 1.0})
    stranger = Source("shapes", {"classify": 1.0}, 0, gestures().train, gestures().held_out, ("a", "b", "c"))
    refused(teacher, "does not know the classes of shapes", [stranger], **classes)
    refused(teacher, "give the student the teacher's patch_size 4", student={**STUDENT, "patch_size": 8})
    refused(teacher, "forecast other quantiles", student={**STUDENT, "quantiles": [0.1, 0.5, 0.9]})


def test_a_default_student_is_smaller_than_a_default_network():
    from stillroom.units.pretrain import scratch
    from stillroom.units.recipe import Shape

    student = DistillRecipe.of({"sources": {"normal": [{"source": "nab:"}]}}).student
    sizes = [scratch(shape, {"forecast": None}, 0).num_parameters() for shape in (student, Shape())]
    assert sizes[0] < sizes[1] / 3
