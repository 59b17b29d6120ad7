"""The cells of a comparison: every combination that means something, and a sentence on those that do not."""

from __future__ import annotations

import json

import pytest

from stillroom.core.errors import ModelError, RecipeError
from stillroom.language.grid import CompareRecipe, grid


@pytest.fixture(scope="module")
def base(llama):
    return {"student": str(llama), "data": [{"path": "labels.jsonl"}], "prompt": {"form": "plain"}}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A folder with the config of an encoder, and nothing else."""
    folder = tmp_path_factory.mktemp("models") / "bert"
    folder.mkdir()
    config = {
        "architectures": ["BertForMaskedLM"], "model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 100,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def names(recipe):
    return [one.name.partition("-")[2] for one in grid(CompareRecipe.of(recipe)).cells]


def said(recipe):
    return " ".join(grid(CompareRecipe.of(recipe)).sentences)


def test_every_combination_is_a_cell(base):
    recipe = {"base": base, "adapters": ["lora", "dora"], "labels": [10, 20], "ranks": [4, 8], "alphas": [8, 16],
              "seeds": [0, 1]}  # fmt: skip
    found = names(recipe)
    assert len(found) == len(set(found)) == 32
    assert found[0] == "lora-r4-a8-n10-s0"
    assert not said(recipe)


def test_a_rank_is_no_matter_to_methods_without_one_and_it_is_said_once(base):
    recipe = {"base": base, "adapters": ["lora", "ia3", "full", "prompt", "vera"], "ranks": [4, 8], "labels": [5, 6]}
    assert names(recipe)[:7] == [
        "lora-r4-n5-s0", "lora-r8-n5-s0", "ia3-n5-s0", "full-n5-s0", "prompt-n5-s0", "vera-r4-n5-s0", "vera-r8-n5-s0"
    ]  # fmt: skip
    assert said(recipe).count("ia3, full and prompt have no rank to vary") == 1


def test_the_scale_of_fourierft_is_not_lora_s_alpha(base):
    recipe = {"base": base, "adapters": ["lora", "fourierft"], "alphas": [8, 16]}
    assert names(recipe) == ["lora-r8-a8-all-s0", "lora-r8-a16-all-s0", "fourierft-all-s0"]
    assert "fourierft has no alpha to vary" in said(recipe)


def test_without_ranks_each_method_has_the_base_s_or_its_own(base):
    adapter = {"method": "lora", "rank": 3, "dropout": 0.1}
    cells = grid(CompareRecipe.of({"base": {**base, "adapter": adapter}, "adapters": ["dora", "vera", "ia3"]})).cells
    assert [one.adapter.model_dump(exclude_unset=True) for one in cells] == [
        {"method": "dora", "dropout": 0.1, "rank": 3}, {"method": "vera", "dropout": 0.1}, {"method": "ia3"}
    ]  # fmt: skip


def test_prompts_are_left_out_for_classifiers_and_packed_rows(base):
    classes = {**base, "student": {"model": base["student"], "classes": ["x", "y"]}}
    recipe = {"base": classes, "adapters": ["lora", "prompt", "p-tuning"], "labels": [5, 6]}
    assert names(recipe) == ["lora-r8-n5-s0", "lora-r8-n6-s0"]
    assert said(recipe).count("prompt is left out for") == 1
    assert "not on LlamaForSequenceClassification" in said(recipe)
    packed = {"base": {**base, "packing": True}, "adapters": ["lora", "prefix"]}
    assert names(packed) == ["lora-r8-all-s0"]
    assert "rows are packed" in said(packed)


def test_bitfit_is_left_out_where_there_are_no_biases_and_stays_where_there_are(base, bert):
    recipe = {"base": base, "adapters": ["lora", "bitfit"]}
    assert names(recipe) == ["lora-r8-all-s0"]
    assert "LlamaForCausalLM has none" in said(recipe)
    classes = {**base, "student": {"model": str(bert), "classes": ["x", "y"]}}
    assert names({**recipe, "base": classes}) == ["lora-r8-all-s0", "bitfit-all-s0"]


def test_nothing_left_is_refused(base):
    with pytest.raises(RecipeError, match=r"nothing to compare: bitfit is left out"):
        grid(CompareRecipe.of({"base": base, "adapters": ["bitfit"]}))


def test_students_are_told_apart_by_short_names(base, llama, tmp_path):
    other = tmp_path / "llama"
    other.symlink_to(llama)
    cells = grid(CompareRecipe.of({"base": base, "adapters": ["ia3"], "students": [str(llama), str(other)]})).cells
    assert [one.name for one in cells] == ["llama-1-ia3-all-s0", "llama-2-ia3-all-s0"]
    recipe = cells[1].recipe(base, [{"path": "rows.jsonl"}])
    assert (recipe.student.model, recipe.data[0].path, recipe.adapter.method) == (str(other), "rows.jsonl", "ia3")


def test_each_method_has_its_own_learning_rate_unless_the_base_has_one(base):
    recipe = {"base": base, "adapters": ["full", "ia3"], "seeds": [7]}
    cells = grid(CompareRecipe.of(recipe)).cells
    assert [one.recipe(base, base["data"]).train.learning_rate for one in cells] == [1e-4, 1e-2]
    assert {one.recipe(base, base["data"]).train.seed for one in cells} == {7}
    fixed = {**base, "train": {"learning_rate": 3e-4}}
    assert "learning rate of 0.0003" in said({**recipe, "base": fixed})
    assert cells[1].recipe(fixed, base["data"]).train.learning_rate == 3e-4


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"adapters": ["lorra"]}, "no adapter method 'lorra': did you mean 'lora'"),
        ({"rank": [8]}, "rank means nothing here: did you mean 'ranks'"),
        ({"labels": [0]}, "labels"),
        ({"base": {"student": "x"}}, "data: Field required"),
        ({"base": "nowhere.yaml"}, "no file nowhere.yaml"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(base, changes, sentence):
    with pytest.raises(RecipeError, match=sentence):
        CompareRecipe.of({"base": base, **changes})


def test_a_student_that_is_not_there_is_found_before_anything_is_trained(base):
    with pytest.raises(ModelError, match="no model"):
        grid(CompareRecipe.of({"base": base, "students": ["no-such-mini"]}))
