from __future__ import annotations

import numpy as np
import pytest
import torch

from stillroom.chronos.distill import distill
from stillroom.chronos.families import load
from stillroom.chronos.samples import TrainingWindows
from stillroom.chronos.teachers import QuantileTeacher, TokenTeacher
from stillroom.core.errors import ModelError, RecipeError
from stillroom.core.stored import StoredTargets
from stillroom.core.targets import TargetStore
from stillroom.series.heldout import hold_out
from stillroom.series.panel import Item, Panel

STUDENTS = {"bolt": "half", "chronos2": {"d_model": 8, "input_patch_size": 8}, "t5": {"fraction": 0.6}}
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def recipe(steps=20, **more):
    train = {"steps": steps, "batch_size": 16, "eval_every": steps // 2}
    return {"prediction_length": 8, "train": train, **more}


@pytest.mark.parametrize("kind", ["bolt", "chronos2", "t5"])
def test_live_and_stored_targets_teach_the_same_student_which_upstream_loads_reference(
    folders, season_panel, tmp_path, kind
):
    from chronos import BaseChronosPipeline

    teacher = load(folders[kind])
    runs = {}
    for targets in ("live", "stored"):
        runs[targets] = distill(
            teacher, STUDENTS[kind], season_panel, recipe(targets=targets, top_k=1000), tmp_path / targets
        )
    live, stored = (run.model.model.state_dict() for run in runs.values())
    for name, tensor in live.items():
        torch.testing.assert_close(stored[name], tensor, atol=1e-5, rtol=1e-4)
    pipeline = BaseChronosPipeline.from_pretrained(tmp_path / "live", dtype="float32")
    assert type(pipeline.inner_model) is type(runs["live"].model.model)
    for name, tensor in pipeline.inner_model.state_dict().items():
        assert torch.equal(tensor, live[name])


def test_a_student_comes_to_resemble_its_teacher(make_model, make_seasons, tmp_path):
    """Taught by nothing but the teacher's quantiles, the student must end nearer to them than it began."""
    panel = make_seasons(24, 96)
    teacher = load(make_model["bolt"](tmp_path / "teacher", seed=5))
    window = hold_out(panel, 8).judge[0]

    def distance(steps):
        only = recipe(steps, weights={"quantile_match": 1.0})
        only["train"] |= {"learning_rate": 1e-2}
        student = distill(teacher, {"d_model": 16}, panel, only, tmp_path / str(steps)).model
        return np.abs(student.predict(window, LEVELS) - teacher.predict(window, LEVELS)).mean()

    assert distance(80) < 0.5 * distance(2)


def test_the_run_sets_teacher_and_student_side_by_side(folders, season_panel, tmp_path):
    run = distill(folders["bolt"], "half", season_panel, recipe(4), tmp_path).run
    assert run.metrics["parameters"]["student"] <= run.metrics["parameters"]["teacher"] / 2
    assert run.metrics["teacher"]["WQL"] > 0
    assert run.metrics["student"]["WQL"] > 0
    assert "taught by" in (tmp_path / "README.md").read_text()


def test_what_a_student_cannot_learn_is_refused_before_training(folders, season_panel, tmp_path):
    two = Panel(tuple(Item(i.item_id, None, np.repeat(i.target, 2, axis=0)) for i in season_panel), "h", ("a", "b"))
    with pytest.raises(ModelError, match="forecasts one target"):
        distill(folders["chronos2"], {"d_model": 8}, two, recipe(), tmp_path)
    with pytest.raises(RecipeError, match="choose bolt"):
        distill(folders["bolt"], {"family": "t5"}, season_panel, recipe(), tmp_path)


def test_stored_answers_are_asked_for_once(folders, season_panel, tmp_path):
    teacher = load(folders["bolt"])
    train = hold_out(season_panel, 8).train
    with TargetStore(tmp_path / "targets.sqlite") as store:
        windows = TrainingWindows(teacher, train, horizon=8, context_length=64, batch_size=4, count=5)
        stored = StoredTargets(windows, QuantileTeacher(teacher, LEVELS), store)
        assert stored.capture(5) == 5
        assert stored.capture(5) == 0
        again = StoredTargets(windows, QuantileTeacher(load(folders["bolt"]), LEVELS), store)
        assert again.capture(5) == 0
        other = StoredTargets(windows, QuantileTeacher(load(folders["t5"]), LEVELS), store)
        assert other.capture(2) == 2
        for index in (0, 4):
            said = stored.teacher(windows[index])["teacher_quantiles"]
            torch.testing.assert_close(stored[index]["teacher_quantiles"], said)


def test_a_quantile_teacher_says_what_it_forecasts_in_the_series_own_units(folders, season_panel):
    teacher = load(folders["bolt"])
    window = hold_out(season_panel, 8).judge[0]
    contexts = torch.from_numpy(np.stack(window.histories())).float()
    padded = torch.cat([torch.full((len(contexts), 5), torch.nan), contexts], dim=1)
    said = QuantileTeacher(teacher, LEVELS)({"context": padded, "target": torch.zeros(len(contexts), 8)})
    np.testing.assert_allclose(
        said["teacher_quantiles"].numpy(), teacher.predict(window, LEVELS)[:, 0].transpose(0, 2, 1), atol=1e-5
    )


def test_a_token_teacher_that_keeps_k_tokens_keeps_their_probabilities(folders, season_panel):
    teacher = load(folders["t5"])
    batch = TrainingWindows(teacher, season_panel, horizon=8, context_length=64, batch_size=4)[0]
    dense = TokenTeacher(teacher)(batch)["teacher_logits"].log_softmax(-1)
    kept = TokenTeacher(teacher, 5)(batch)
    torch.testing.assert_close(dense.gather(-1, kept["teacher_indices"]), kept["teacher_log_probs"])
    total = kept["teacher_log_probs"].exp().sum(-1) + kept["teacher_tail"].exp()
    torch.testing.assert_close(total, torch.ones_like(total))
