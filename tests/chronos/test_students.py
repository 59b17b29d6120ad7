from __future__ import annotations

import pytest
import torch

from stillroom.chronos.families import load
from stillroom.chronos.students import build
from stillroom.core.errors import RecipeError


@pytest.fixture(scope="module")
def teachers(folders, make_model, tmp_path_factory):
    """A Bolt and a T5 wide enough to be narrowed, and the tiny Chronos-2."""
    root = tmp_path_factory.mktemp("teachers")
    return {
        "bolt": load(make_model["bolt"](root / "bolt", d_model=64, layers=2)),
        "t5": load(make_model["t5"](root / "t5", d_model=64)),
        "chronos2": load(folders["chronos2"]),
    }


def size(model) -> int:
    return sum(parameter.numel() for parameter in model.model.parameters())


@pytest.mark.parametrize("kind", ["bolt", "t5"])
@pytest.mark.parametrize(("said", "share"), [("half", 0.5), ("quarter", 0.25), (0.1, 0.1)])
def test_a_fraction_is_met_from_below_with_the_same_depth(teachers, kind, said, share):
    student = build(said, teachers[kind], 8)
    assert student.kind == kind
    assert 0.4 * share < size(student) / size(teachers[kind]) <= share
    assert student.model.config.num_layers == teachers[kind].model.config.num_layers


def test_a_mapping_overrides_what_it_names_and_keeps_the_rest(teachers):
    student = build({"d_model": 32, "num_layers": 1, "input_patch_size": 4}, teachers["bolt"], 12)
    config = student.model.config
    assert (config.d_model, config.num_layers, config.num_decoder_layers) == (32, 1, 1)
    assert student.prediction_length == 12
    assert student.context_length == teachers["bolt"].context_length
    assert config.chronos_config["input_patch_size"] == config.chronos_config["input_patch_stride"] == 4


@pytest.mark.parametrize("kind", ["chronos2", "t5"])
def test_a_teacher_of_another_family_can_have_a_bolt(teachers, kind):
    student = build({"family": "bolt", "d_model": 16}, teachers[kind], 8)
    assert student.kind == "bolt"
    assert student.quantile_levels == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def test_the_seed_alone_decides_the_first_weights(teachers):
    torch.manual_seed(3)
    first = build("quarter", teachers["bolt"], 8, seed=1)
    assert build("quarter", teachers["bolt"], 8, seed=1).fingerprint() == first.fingerprint()
    assert build("quarter", teachers["bolt"], 8, seed=2).fingerprint() != first.fingerprint()


def test_a_checkpoint_can_go_on_as_a_student(teachers, folders):
    assert build(folders["bolt"], teachers["bolt"], 8).fingerprint() == load(folders["bolt"]).fingerprint()


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ({"family": "t5"}, "bolt", "choose bolt"),
        ({"family": "chronos2"}, "chronos2", "choose bolt"),
        ({"d_modle": 16}, "bolt", "no 'd_modle'"),
        (1.5, "bolt", "a number between 0 and 1"),
        (0.0001, "bolt", "No width alone"),
        ({"n_tokens": 32}, "t5", "leave n_tokens out|has no 'n_tokens'"),
    ],
)
def test_a_student_that_cannot_be_is_refused_in_one_sentence(teachers, said, kind, message):
    with pytest.raises(RecipeError, match=message):
        build(said, teachers[kind], 8)


def test_tokens_unlike_the_teachers_are_refused_before_training(teachers, make_model, tmp_path):
    other = make_model["t5"](tmp_path / "other", tokens=32)
    with pytest.raises(RecipeError, match="same tokens \\(n_tokens is 64 and 32\\)"):
        build(other, teachers["t5"], 8)
    with pytest.raises(RecipeError, match="cannot teach a Chronos-T5"):
        build(other, teachers["bolt"], 8)
