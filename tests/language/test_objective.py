"""An objective that cannot be meant is refused with the sentence that says why."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from stillroom.core.errors import RecipeError
from stillroom.core.recipes import checked
from stillroom.language.objective import Objective

LIVE, STORED = {"model": "t"}, {"model": "t", "targets": "stored"}


def test_labels_are_learned_when_nothing_is_said():
    assert Objective().weights() == {"labels": 1.0}


def test_every_part_of_an_objective_has_its_weight():
    objective = Objective(
        name="jsd", labels_weight=0.3, rationale=0.5, hidden={"weight": 0.1, "layers": {1: 2}}, teacher=LIVE
    )
    assert objective.weights() == {"teacher": 1.0, "labels": 0.3, "hidden": 0.1, "rationale": 0.5}


def test_a_divergence_at_a_temperature_keeps_the_size_of_its_gradients():
    assert Objective(name="forward_kl", temperature=2, teacher=LIVE).weights() == {"teacher": 4.0}


def test_labels_and_hidden_states_need_no_divergence():
    assert Objective(hidden={"weight": 2}, teacher=LIVE).weights() == {"labels": 1.0, "hidden": 2.0}


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"temperature": 2}, "Labels have no temperature"),
        ({"labels_weight": 1}, "no labels_weight"),
        ({"beta": 0.1}, "'labels' has no beta"),
        ({"name": "forward_kl", "teacher": LIVE, "beta": 0.1}, "'forward_kl' has no beta"),
        ({"name": "jsd", "teacher": LIVE, "skew": 0.2}, "'jsd' has no skew"),
        ({"name": "reverse_kl"}, "name one in objective.teacher"),
        ({"on_policy": {}}, "`labels` asks none"),
        ({"hidden": {"weight": 1}}, "Hidden states are compared"),
        ({"teacher": LIVE}, "asks no teacher"),
        ({"name": "reverse_kl", "teacher": STORED, "on_policy": {}}, "not known before"),
        ({"name": "reverse_kl", "teacher": STORED, "hidden": {"weight": 1}}, "no hidden states"),
        ({"name": "forward_kl", "teacher": STORED, "temperature": 2}, "cannot be softened"),
        ({"name": "skewed_forward_kl", "teacher": STORED}, "the whole distribution"),
        ({"name": "forward_kl", "teacher": {**LIVE, "top_k": 8}}, "A live teacher keeps nothing"),
        ({"name": "forward_kl", "teacher": {**LIVE, "store": "t.sqlite"}}, "A live teacher keeps nothing"),
        ({"name": "jsd", "teacher": LIVE, "on_policy": {}, "rationale": 1}, "choose one"),
    ],
)
def test_what_cannot_be_meant_together_is_said_in_a_sentence(parts, sentence):
    with pytest.raises(RecipeError, match=sentence):
        Objective(**parts)


@pytest.mark.parametrize(
    "parts",
    [
        {"name": "jsd", "teacher": LIVE, "beta": 1.5},
        {"name": "skewed_forward_kl", "teacher": LIVE, "skew": 0},
        {"name": "jsd", "teacher": LIVE, "on_policy": {"fraction": 1.5}},
        {"name": "forward_kl", "teacher": STORED | {"top_k": 0}},
        {"hidden": {"weight": 1, "layers": {}}, "teacher": LIVE},
        {"rationale": 0},
    ],
)
def test_numbers_out_of_their_range_are_refused(parts):
    with pytest.raises(ValidationError):
        Objective(**parts)


def test_a_recipe_may_be_plain_yaml():
    text = {"name": "jsd", "beta": 0.9, "on_policy": {"fraction": 0.5}, "teacher": {"model": "t", "prompt": {}}}
    objective = checked(Objective, text)
    assert objective.on_policy.max_new_tokens == 128
    assert objective.teacher.prompt.form == "chat"


def test_a_misspelt_name_meets_the_nearest_known_one():
    with pytest.raises(RecipeError, match="did you mean 'fraction'"):
        checked(Objective, {"name": "jsd", "teacher": LIVE, "on_policy": {"fractoin": 1}})
