"""A plan needs no weights, and its numbers are those of the real thing."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from stillroom.core.adapters import METHODS, AdapterSpec, attach, trainable
from stillroom.core.errors import ModelError, RecipeError
from stillroom.core.settings import TrainSettings
from stillroom.language.architectures import architecture_of
from stillroom.language.plan import NUMBERS_A_TOKEN, SHIPPED, plan
from stillroom.language.recipe import DistillRecipe

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_students.py"))))
RECIPES = Path(str(plan.__globals__["__file__"])).parent / "recipes"
TINYLLAMA, MISTRAL = "TinyLlama/TinyLlama-1.1B-Chat-v1.0", "mistralai/Mistral-7B-v0.1"


def settings(**changed) -> TrainSettings:
    return TrainSettings(**{"steps": 300, "learning_rate": 1e-4, "select_by": "x", "batch_size": 16, **changed})


def planned(model, method: str = "lora", *, rows: int = 4800, train: TrainSettings | None = None, **options):
    spec = AdapterSpec(method=method, **{name: options.pop(name) for name in ("rank", "alpha") if name in options})
    known = {"mean_tokens": 100, "mean_answer_tokens": 40, "max_tokens": 128, "flops_per_second": 1e12}
    return plan(model, spec, train or settings(), rows, **{**known, **options})


def lora_numbers(layers: int, width: int, cache: int, rank: int) -> int:
    """Of query and output (width, width), key and value (width, cache): two matrices of rank r each."""
    return layers * rank * (2 * (width + width) + 2 * (width + cache))


def test_tinyllama_and_mistral_are_planned_without_a_network_from_their_configs():
    tiny, mistral = planned(TINYLLAMA, "qlora", rank=8, alpha=16), planned(MISTRAL, rank=128)
    assert tiny.trainable == lora_numbers(22, 2048, 256, 8) == 2_252_800
    assert tiny.total - tiny.trainable == 1_100_048_384
    assert mistral.trainable == lora_numbers(32, 4096, 1024, 128) == 109_051_904
    assert mistral.total - mistral.trainable == 7_241_732_096


@pytest.mark.parametrize("method", [method for method in METHODS if method not in ("bitfit", "qlora")])
def test_a_plan_counts_what_really_trains(method):
    network = small.network("llama")
    real = attach(network, AdapterSpec(method=method), architecture_of(network), total_steps=300)
    found = planned(small.network("llama").config, method, kind="causal")
    assert (found.trainable, found.total) == trainable(real)


def test_pefts_own_count_is_the_same_reference():
    network = small.network("llama")
    real = attach(network, AdapterSpec(method="lora", rank=8), architecture_of(network))
    found = planned(small.network("llama").config, rank=8, kind="causal")
    assert (found.trainable, found.total) == real.get_nb_trainable_parameters()
    assert found.trainable == lora_numbers(2, 64, 32, 8)


@pytest.mark.parametrize(("packing", "rows_a_step"), [(False, 16), (True, 20.48)], ids=["a row a sequence", "packed"])
def test_steps_and_tokens_are_those_of_the_batches(packing, rows_a_step):
    found = planned(TINYLLAMA, packing=packing)
    assert found.steps_per_epoch == -(-4800 // int(rows_a_step))
    assert found.epochs == 300 / found.steps_per_epoch
    assert found.tokens == round(300 * rows_a_step * 100)
    assert found.answer_tokens == round(300 * rows_a_step * 40)
    doubled = planned(TINYLLAMA, packing=packing, train=settings(accumulation=2))
    assert doubled.tokens == 2 * found.tokens
    assert doubled.memory == found.memory


def test_time_is_operations_over_the_rate():
    full, lora = planned(TINYLLAMA, "full"), planned(TINYLLAMA)
    head = 2048 * 32000
    body = 1_100_048_384 - 2 * head
    assert full.seconds == pytest.approx(6 * (body * full.tokens + head * full.answer_tokens) / 0.4e12, rel=1e-6)
    assert 0.6 < lora.seconds / full.seconds < 0.7
    assert planned(TINYLLAMA, flops_per_second=2e12).seconds == lora.seconds / 2


def test_memory_is_said_by_what_it_is_for():
    full, qlora = planned(TINYLLAMA, "full", train=settings(ema=0.9)), planned(TINYLLAMA, "qlora")
    assert full.memory["weights"] == full.memory["gradients"] == full.memory["average"] == 4 * 1_100_048_384
    assert full.memory["optimizer"] == 8 * 1_100_048_384
    assert full.checkpoint == 16 * 1_100_048_384
    assert full.handed_over == 2 * 1_100_048_384
    assert qlora.memory["weights"] < full.memory["weights"] / 4
    assert qlora.checkpoint == 12 * qlora.trainable
    assert planned(TINYLLAMA, "full", train=settings(optimizer="muon")).memory["optimizer"] < 8 * 1_100_048_384


def test_few_rows_many_rows_and_a_large_rank_are_warned_of():
    assert any("999 rows are few: below 1,000" in said for said in planned(TINYLLAMA, rows=999).warnings)
    assert not any("are few" in said for said in planned(TINYLLAMA, rows=1000).warnings)
    assert any("above 1,000,000 consider full tuning" in s for s in planned(TINYLLAMA, rows=1_000_001).warnings)
    assert not any("full tuning" in said for said in planned(TINYLLAMA, "full", rows=2_000_000).warnings)
    large = planned(TINYLLAMA, rank=128, train=settings(steps=1_000))
    allowed = NUMBERS_A_TOKEN * large.answer_tokens
    assert large.trainable > allowed
    (said,) = large.warnings
    fitting = int(128 * allowed / large.trainable)
    assert f"A rank of 128 is large for these rows: it trains {large.trainable:,} numbers" in said
    assert f"rank {fitting} would not" in said
    assert planned(TINYLLAMA, rank=fitting, train=settings(steps=1_000)).warnings == ()
    assert any("made for 2,048: allow fewer" in said for said in planned(TINYLLAMA, "full", max_tokens=4000).warnings)


def test_a_plan_is_read_by_people():
    said = planned(TINYLLAMA, "qlora", rows=500).sentences()
    assert said[0] == (f"{TINYLLAMA} with qlora: 2,252,800 of 1,102,301,184 parameters train (0.20%).")
    assert said[1].startswith("500 rows in 32 steps an epoch; 300 steps are 9.4 epochs, 480,000 tokens, 192,000 of")
    assert said[4].startswith("Time: about ")
    assert said[5].startswith("500 rows are few")


def test_a_config_a_file_a_folder_and_a_classifier_can_be_planned(llama, tmp_path):
    config = json.loads((llama / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = {planned(one).trainable for one in (config, tmp_path, tmp_path / "config.json", llama)}
    assert len(found) == 1
    classifier = planned(llama, classes=["a", "b"])
    assert classifier.trainable == found.pop() + 2 * config["hidden_size"]
    assert classifier.memory["logits"] == 0


def test_planning_leaves_a_config_as_it_was():
    config = small.network("llama").config
    before = config.to_dict()
    planned(config, kind="classifier", classes=["a", "b", "c"])
    assert config.to_dict() == before


def test_what_cannot_be_planned_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="There is nothing to plan with 0 rows"):
        planned(TINYLLAMA, rows=0)
    with pytest.raises(RecipeError, match="means below the most"):
        planned(TINYLLAMA, mean_tokens=300)
    with pytest.raises(RecipeError, match="bitfit trains biases and LlamaForCausalLM has none"):
        planned(TINYLLAMA, "bitfit")
    with pytest.raises(ModelError, match="names its model_type"):
        planned({"hidden_size": 3})
    with pytest.raises(ModelError, match="cannot be loaded as a model"):
        planned(tmp_path)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_can_be_meant_and_its_student_planned_offline(path):
    recipe = DistillRecipe.of(path)
    assert recipe.student.model in SHIPPED
    found = plan(
        recipe.student.model, recipe.adapter, recipe.train, recipe.data[0].limit, 128, 48, recipe.max_tokens,
        recipe.packing, flops_per_second=1e13,
    )  # fmt: skip
    assert 1 < found.epochs < 5
    assert not any("few" in said for said in found.warnings)


def test_the_seeds_case_is_shipped_as_it_was():
    recipe = DistillRecipe.of(RECIPES / "tinyllama-multilingual-gec.yaml")
    assert recipe.adapter == AdapterSpec(method="qlora", rank=8, alpha=16)
    assert recipe.prompt.form == "[INST] {{ system }} {{ user }} [/INST]"
    assert recipe.data[0].limit == 5000
