from __future__ import annotations

import pytest
import yaml

from stillroom.core.errors import RecipeError
from stillroom.units.recipe import HELD_OUT, AdaptRecipe, DistillRecipe, PretrainRecipe, Shape

CLASSES = {"classes": [{"source": "ucr:ArrowHead"}]}
PANEL = {"panels": [{"name": "mine", "source": "mine.csv", "end": None}]}


def test_a_labelled_set_is_enough_to_adapt():
    recipe = AdaptRecipe.of({"sources": CLASSES})
    assert recipe.adapter.method == "prompt"
    assert recipe.train.select_by == "loss"
    assert recipe.mix.jobs == {"classify": 1.0}


def test_jobs_are_those_that_the_sources_serve_unless_told():
    def jobs(sources, **more):
        return AdaptRecipe.of({"sources": sources, **more}).mix.jobs

    assert set(jobs(PANEL)) == {"forecast", "impute", "detect"}
    assert set(jobs(PANEL | CLASSES)) == {"forecast", "impute", "detect", "classify"}
    assert set(jobs({"normal": [{"source": "nab:"}]})) == {"detect"}
    assert set(jobs({"panels": [PANEL["panels"][0] | {"jobs": {"impute": 2.0}}]})) == {"impute"}
    assert jobs(PANEL, mix={"jobs": {"forecast": 3.0}}) == {"forecast": 3.0}


@pytest.mark.parametrize("kind", [AdaptRecipe, DistillRecipe])
def test_what_is_judged_in_the_end_holds_out_enough_for_a_choice_and_a_verdict(kind):
    assert kind.of({"sources": CLASSES}).sources.classes[0].held_out == HELD_OUT
    said = {"classes": [{"source": "ucr:ArrowHead", "held_out": 0.5}]}
    assert kind.of({"sources": said}).sources.classes[0].held_out == 0.5
    train = {"steps": 5, "learning_rate": 1e-3}
    assert PretrainRecipe.of({"sources": CLASSES, "train": train}).sources.classes[0].held_out < HELD_OUT


def test_the_default_learning_rate_suits_the_method_and_yields_to_the_recipes_own():
    def rate(**recipe):
        return AdaptRecipe.of({"sources": CLASSES, **recipe}).train.learning_rate

    assert rate(adapter={"method": "full"}) < rate(adapter={"method": "lora"}) < rate()
    assert rate(train={"learning_rate": 0.5}) == 0.5


def test_a_shape_has_the_defaults_of_the_networks_own_configuration():
    from stillroom.units.config import UnitsConfig

    ours, config = Shape().model_dump(), UnitsConfig()
    assert {name: getattr(config, name) for name in ours if name != "quantiles"} == {
        name: size for name, size in ours.items() if name != "quantiles"
    }
    assert list(ours["quantiles"]) == config.quantiles


def test_what_a_teacher_says_weighs_as_much_as_the_truth_unless_told():
    recipe = DistillRecipe.of({"sources": PANEL | CLASSES, "temperature": 2.0})
    assert recipe.teaching_weights(live=False) == {"pinball": 1, "mse": 1, "cross_entropy": 1, "quantile_match": 1}
    assert recipe.teaching_weights(live=True)["forward_kl"] == 4.0
    told = DistillRecipe.of({"sources": PANEL, "weights": {"pinball": 0.5, "huber": 2.0}})
    assert told.teaching_weights(live=True) == {"pinball": 0.5, "huber": 2.0}
    with pytest.raises(RecipeError, match="a forecaster cannot teach by huber"):
        told.teaching_weights(live=False)
    matched = DistillRecipe.of({"sources": PANEL, "weights": {"quantile_match": 1.0}})
    with pytest.raises(RecipeError, match="the job impute has no loss: give a weight to pinball or mse"):
        matched.teaching_weights(live=False)


@pytest.mark.parametrize("kind", [PretrainRecipe, AdaptRecipe, DistillRecipe])
def test_a_recipe_written_out_reads_back_the_same(tmp_path, kind):
    train = {"steps": 9, "learning_rate": 0.1}
    recipe = kind.of({"sources": PANEL | CLASSES, "train": train, "smoothing": 0.1, "card": {"title": "Mine"}})
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    assert kind.of(tmp_path / "recipe.yaml") == recipe


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"smothing": 0.1}, "smothing means nothing here: did you mean 'smoothing'"),
        ({"train": {"stepz": 5}}, "train.stepz means nothing here: did you mean 'steps'"),
        ({"mix": {"horizonts": [4, 8]}}, "mix.horizonts means nothing here: did you mean 'horizons'"),
        ({"mix": {"jobs": {"dream": 1}}}, "mix.jobs.dream"),
        ({"weights": {"pinbal": 1}}, "no loss 'pinbal' here: did you mean 'pinball'"),
        ({"weights": {"huber": 1}}, "no loss 'huber' here: there are pinball, mse, cross_entropy"),
        ({"weights": {"pinball": -1, "cross_entropy": 1}}, "pinball weighs -1"),
        ({"weights": {"pinball": 1}}, "the job classify has no loss: give a weight to cross_entropy"),
        ({"weights": {"cross_entropy": 1, "mse": 0}}, "the job forecast has no loss"),
        ({"share": 0}, "share: "),
        ({"share": 1.5}, "share: "),
        ({"smoothing": 1}, "smoothing: "),
        ({"adapter": {"method": "lorra"}}, "did you mean 'lora'"),
        ({"adapter": {"method": "prompt", "virtual_tokens": 5}}, "leave virtual_tokens out"),
        ({"adapter": "lora"}, "adapter"),
        ({"train": 5}, "train"),
        ({"sources": 5}, "sources"),
        ({"sources": {"classes": 5}}, "classes"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused_in_one_sentence(changed, sentence):
    with pytest.raises(RecipeError, match=sentence) as caught:
        AdaptRecipe.of({"sources": PANEL | CLASSES, **changed})
    assert "\n" not in str(caught.value)
