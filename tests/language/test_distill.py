import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from stillroom.core.errors import ModelError, RecipeError
from stillroom.language.distill import captured, distill
from stillroom.language.recipe import DistillRecipe
from stillroom.language.scratch import Shape, network, vocabulary
from stillroom.language.students import load


def recipe(model, labels, **changes):
    settings = {"steps": 60, "learning_rate": 2e-2, "batch_size": 16, "eval_every": 20, **changes.pop("train", {})}
    return {
        "student": {"model": str(model)},
        "data": [{"path": str(labels)}],
        "prompt": {"form": "plain"},
        "adapter": {"method": "full"},
        "split": {"choose": 0.2, "judge": 0.2},
        "max_new_tokens": 4,
        "train": settings,
        **changes,
    }


@pytest.fixture(scope="module")
def learned(llama, tmp_path_factory):
    """A student that learned to say x or y."""
    folder = tmp_path_factory.mktemp("distilled")
    rows = [{"input": f"{'ab'[n % 2]} {n}", "answer": "xy"[n % 2], "group": f"g{n % 3}"} for n in range(200)]
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return distill(recipe(llama, folder / "labels.jsonl"), folder / "run")


def test_a_student_learns_its_labels_and_the_gate_keeps_it(learned):
    assert learned.verdict.keep
    assert learned.table.value("student", "exact") > 0.9
    assert learned.table.value("base", "exact") < 0.1


def test_the_table_stands_beside_base_and_copy_over_all_groups(learned):
    systems = {entry.system for entry in learned.table.entries}
    assert systems == {"student", "base", "copy"}
    assert {entry.group for entry in learned.table.entries} == {"all", "g0", "g1", "g2"}


def test_the_run_loads_with_plain_transformers_and_answers_alike(learned):
    folder = learned.run.folder
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert next(model.parameters()).dtype == torch.float32
    ids = tokenizer("a 4\n", return_tensors="pt").input_ids
    said = model.generate(ids, max_new_tokens=4, do_sample=False)[0, ids.shape[1] :]
    assert tokenizer.decode(said, skip_special_tokens=True) == "x"


def test_the_card_says_who_taught_what_and_how_good_it_is(learned):
    card = (learned.run.folder / "README.md").read_text()
    for part in ("Teacher: not stated", "terms", "Kept the candidate", "| all | student |", "seed"):
        assert part in card


def test_a_second_call_trains_nothing_and_says_the_same(learned):
    wanted = {name: value for name, value in learned.run.recipe.items() if name not in ("family", "verb")}
    again = distill(wanted, learned.run.folder)
    assert again.verdict == learned.verdict
    assert again.table.rows() == learned.table.rows()


@pytest.mark.parametrize(
    "objective",
    [
        {"name": "forward_kl"},
        {"name": "jsd", "labels_weight": 0.5},
        {"name": "reverse_kl", "on_policy": {"fraction": 0.5, "max_new_tokens": 4}},
        {"name": "forward_kl", "hidden": {"weight": 0.1}},
    ],
    ids=["forward_kl", "jsd and labels", "on policy", "hidden states"],
)
def test_a_teacher_in_memory_teaches(objective, learned, llama, labels, tmp_path):
    objective = {**objective, "teacher": {"model": str(learned.run.folder)}}
    done = distill(recipe(llama, labels, objective=objective), tmp_path / "run")
    assert done.table.value("student", "exact") > 0.8


def test_stored_targets_teach_as_well_and_are_asked_for_once(learned, llama, labels, tmp_path):
    teacher = {
        "model": str(learned.run.folder),
        "targets": "stored",
        "top_k": 8,
        "store": str(tmp_path / "said.sqlite"),
    }
    wanted = recipe(llama, labels, objective={"name": "forward_kl", "teacher": teacher})
    stored = captured(wanted, tmp_path / "captured")
    before = stored.store.stat().st_mtime_ns
    done = distill(wanted, tmp_path / "run")
    assert stored.store.stat().st_mtime_ns == before
    assert done.table.value("student", "exact") > 0.8


def test_reasons_are_learned_as_a_task_of_their_own_and_cost_nothing_at_work(llama, tmp_path):
    rows = [
        {"input": f"{'ab'[n % 2]} {n}", "answer": "xy"[n % 2], "rationale": f"it is {'ab'[n % 2]}"} for n in range(200)
    ]
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = distill(recipe(llama, tmp_path / "labels.jsonl", objective={"rationale": 0.5}), tmp_path / "run")
    assert done.table.value("student", "exact") > 0.8
    losses = json.loads((tmp_path / "run" / "checkpoints" / "history.json").read_text())["losses"][-1]
    assert losses["rationale"] > 0


def test_classes_make_a_classifier_that_learns_soft_targets(llama, tmp_path):
    rows = [{"input": f"{'ab'[n % 2]} {n}", "soft_targets": {"xy"[n % 2]: 0.9, "yx"[n % 2]: 0.1}} for n in range(200)]
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    wanted = recipe(llama, tmp_path / "labels.jsonl", student={"model": str(llama), "classes": ["x", "y"]})
    done = distill(wanted, tmp_path / "run")
    assert done.table.value("student", "accuracy") > 0.9
    assert load(tmp_path / "run").classes == ("x", "y")


def test_an_adapter_alone_is_saved_and_found_again(llama, labels, tmp_path):
    done = distill(recipe(llama, labels, adapter={"method": "lora", "rank": 8}, packing=True), tmp_path / "run")
    assert done.verdict.keep
    assert (tmp_path / "run" / "adapter_model.safetensors").is_file()
    assert load(tmp_path / "run").kind == "causal"


def test_an_interrupted_run_ends_with_the_same_weights(llama, labels, tmp_path):
    whole = distill(recipe(llama, labels), tmp_path / "whole")
    wanted = recipe(llama, labels)
    with pytest.MonkeyPatch.context() as patch:
        from stillroom.language import distill as module

        calls = []

        def interrupted(*arguments, **options):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return assess(*arguments, **options)

        assess = module.assess
        patch.setattr(module, "assess", interrupted)
        with pytest.raises(KeyboardInterrupt):
            distill(wanted, tmp_path / "cut")
    resumed = distill(wanted, tmp_path / "cut")
    for name, tensor in whole.student.model.state_dict().items():
        assert torch.equal(tensor, resumed.student.model.state_dict()[name])


def test_a_student_that_is_no_better_is_not_kept(llama, labels, tmp_path):
    done = distill(recipe(llama, labels, train={"learning_rate": 1e-9, "steps": 2, "eval_every": 2}), tmp_path / "run")
    assert not done.verdict.keep
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert "no student" in (tmp_path / "run" / "README.md").read_text()


def test_a_teacher_of_another_vocabulary_is_refused_before_anything_is_trained(llama, labels, tmp_path):
    shape = Shape(vocab_size=280, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    tokenizer = vocabulary(["zz zz qq qq zz qq"] * 9, shape)
    network(shape, tokenizer).save_pretrained(tmp_path / "stranger")
    tokenizer.save_pretrained(tmp_path / "stranger")
    objective = {"name": "forward_kl", "teacher": {"model": str(tmp_path / "stranger")}}
    with pytest.raises(ModelError, match=r"different tokens.*Labels, rationales"):
        distill(recipe(llama, labels, objective=objective), tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_metric_that_is_none_is_named(llama, labels):
    with pytest.raises(RecipeError, match="there is no metric 'exakt'"):
        DistillRecipe.of(recipe(llama, labels, metrics=["exakt"]))
