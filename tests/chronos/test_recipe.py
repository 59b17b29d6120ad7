from __future__ import annotations

import pytest

from stillroom.chronos.recipe import AdaptRecipe, DistillRecipe
from stillroom.core.errors import RecipeError


def test_a_horizon_is_enough_for_a_recipe():
    adapt, distill = AdaptRecipe.of({"prediction_length": 24}), DistillRecipe.of({"prediction_length": 24})
    assert (adapt.adapter.method, adapt.adapter.rank) == ("lora", 8)
    assert adapt.train.select_by == distill.train.select_by == "WQL"


def test_the_default_learning_rate_suits_the_method_and_yields_to_the_recipes_own():
    def rate(recipe):
        return AdaptRecipe.of({"prediction_length": 24, **recipe}).train.learning_rate

    assert rate({"adapter": {"method": "full"}}) < rate({}) < rate({"adapter": {"method": "prompt"}})
    assert rate({"adapter": {"method": "full"}, "train": {"learning_rate": 0.5}}) == 0.5


def test_a_recipe_written_out_reads_back_the_same(tmp_path):
    import yaml

    recipe = AdaptRecipe.of({"prediction_length": 24, "adapter": {"method": "dora", "rank": 4}, "train": {"steps": 9}})
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    assert AdaptRecipe.of(tmp_path / "recipe.yaml") == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no file"),
        ("- 1", "not a recipe"),
        ("{", "not YAML"),
        ("prediction_length: 24\ntrain: {stepz: 5}", "train.stepz means nothing here: did you mean 'steps'"),
        ("prediction_lenght: 24", "prediction_length: Field required|did you mean 'prediction_length'"),
        ("prediction_length: 0", "prediction_length: "),
        ("prediction_length: 8\nadapter: {method: lorra}", "did you mean 'lora'"),
        ("prediction_length: 8\nadapter: lora", "adapter"),
        ("prediction_length: 8\ntrain: 5", "train"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused_in_one_sentence(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        AdaptRecipe.of(path)
