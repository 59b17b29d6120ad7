from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from stillroom.core.errors import MissingError, RecipeError
from stillroom.core.recipes import checked, filled_in, overridden


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    weight: float = 1.0


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    steps: int
    part: Part | None = None
    parts: tuple[Part, ...] = ()


def test_a_recipe_is_taken_as_it_is_as_a_mapping_or_from_a_file(tmp_path):
    (tmp_path / "recipe.yaml").write_text("steps: 3\nparts: [{weight: 2}]\n")
    recipe = checked(Whole, tmp_path / "recipe.yaml")
    assert recipe == checked(Whole, {"steps": 3, "parts": [{"weight": 2}]})
    assert checked(Whole, recipe) is recipe


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ({"stepz": 3, "steps": 3}, "stepz means nothing here: did you mean 'steps'?"),
        ({"steps": 3, "part": {"wieght": 1}}, "part.wieght means nothing here: did you mean 'weight'?"),
        ({"steps": 3, "parts": [{}, {"wieght": 1}]}, "parts.1.wieght means nothing here: did you mean 'weight'?"),
        ({"steps": 3, "zzz": 1}, "zzz means nothing here: there are steps, part, parts."),
        ({"steps": "many"}, "steps: Input should be a valid integer"),
        ({}, "steps: Field required"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_nearest_known_name(recipe, sentence):
    with pytest.raises(RecipeError) as caught:
        checked(Whole, recipe)
    assert str(caught.value).startswith(sentence)


def test_a_file_that_is_no_recipe_is_named(tmp_path):
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "torn.yaml").write_text("{")
    for name, reason in {"none.yaml": "no file", "list.yaml": "not a recipe", "torn.yaml": "not YAML"}.items():
        with pytest.raises(RecipeError, match=reason):
            checked(Whole, tmp_path / name)


def test_options_override_a_recipe_and_those_that_were_not_given_change_nothing():
    recipe = {"steps": 3, "part": {"weight": 1, "name": "a"}}
    given = overridden(
        recipe, {"steps": None, "seed": 5}, {"part": {"weight": 2, "name": None}}, {"parts": {"x": None}}
    )
    assert given == {"steps": 3, "seed": 5, "part": {"weight": 2, "name": "a"}}
    assert recipe == {"steps": 3, "part": {"weight": 1, "name": "a"}}


def test_environment_variables_are_filled_in_and_a_missing_one_is_one_sentence(monkeypatch):
    monkeypatch.setenv("FOLDER_OF_DATA", "/data")
    monkeypatch.delenv("NO_SUCH_FOLDER", raising=False)
    assert filled_in("$FOLDER_OF_DATA/x.csv") == "/data/x.csv"
    assert filled_in("nab:") == "nab:"
    with pytest.raises(MissingError, match=r"\$NO_SUCH_FOLDER/x needs an environment variable that is not set: export"):
        filled_in("$NO_SUCH_FOLDER/x")
