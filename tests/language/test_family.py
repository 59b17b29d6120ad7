"""Language models by name: what is claimed and what is another family's, and that a Run is asked as it was trained."""

from __future__ import annotations

import json

import pytest

from stillroom.core import registry
from stillroom.core.errors import ModelError
from stillroom.core.protocols import Generator
from stillroom.language.distill import distill
from stillroom.language.family import Answerer, claims, family, load
from stillroom.language.rationale import LABEL


def folder(path, **files):
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    return str(path)


@pytest.mark.parametrize(
    ("files", "ours"),
    [
        ({"config": {"architectures": ["LlamaForCausalLM"]}}, True),
        ({"config": {"architectures": ["GPT2LMHeadModel"]}}, True),
        ({"config": {"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}}, True),
        ({"config": {"architectures": ["LlavaForConditionalGeneration"]}}, False),
        ({"config": {"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True,
                     "chronos_config": {}}}, False),
        ({"config": {"architectures": ["BertForTokenClassification"]}}, False),
        ({"config": {"architectures": ["BertForSequenceClassification"]}}, False),
        ({"config": {"prompt": "p.yaml", "model": "gpt"}}, False),
        ({"stillroom_adapter": {"spec": {"method": "lora"}, "architecture": "LlamaForCausalLM"}}, True),
        ({"stillroom_adapter": {"spec": {"method": "lora"}, "architecture": "BertForSequenceClassification"}}, True),
        ({"stillroom_adapter": {"spec": {"method": "lora"}, "architecture": "Chronos-Bolt"}}, False),
        ({"run": {"recipe": {"family": "language", "verb": "distill"}}}, True),
        ({"run": {"recipe": {"family": "chronos"}}, "config": {"architectures": ["LlamaForCausalLM"]}}, False),
        ({}, False),
    ],
)  # fmt: skip
def test_a_folder_is_known_by_what_its_files_say(files, ours, tmp_path):
    assert claims(folder(tmp_path / "model", **files)) is ours


def test_damaged_files_and_unknown_hub_ids_are_not_ours(tmp_path):
    (tmp_path / "config.json").write_text("[")
    assert not claims(str(tmp_path))
    assert not claims("nobody/has-this-one-here")
    assert not claims("a name")


def test_a_cached_hub_id_is_known_by_its_config(tmp_path, monkeypatch):
    import huggingface_hub

    config = tmp_path / "config.json"
    config.write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda source, name: str(config))
    assert claims("owner/name")


def test_the_registry_finds_and_loads_it(llama):
    assert family.can == (Generator,)
    found = registry.resolve_model(str(llama)).load()
    assert isinstance(found, Answerer)
    assert isinstance(found, Generator)
    assert isinstance(registry.resolve_model(f"language:{llama}").load(), Answerer)


@pytest.fixture(scope="module")
def trained(llama, tmp_path_factory):
    """Train a student on rows that ask `{{ letter }}`, and return the Run."""

    def trained(name, **changes):
        place = tmp_path_factory.mktemp(name)
        rows = [{"input": f"{n}", "letter": "ab"[n % 2], "answer": "xy"[n % 2], "rationale": "so"} for n in range(120)]
        (place / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        recipe = {
            "student": str(llama),
            "data": [{"path": str(place / "labels.jsonl")}],
            "prompt": {"form": "plain", "user": "{{ letter }} {{ input }}"},
            "adapter": {"method": "full"},
            "split": {"choose": 0.2, "judge": 0.2},
            "max_new_tokens": 4,
            "train": {"steps": 40, "learning_rate": 2e-2, "batch_size": 16, "eval_every": 40},
            **changes,
        }
        return distill(recipe, place / "run").run.folder

    return trained


ASKED = [{"input": f"{n}", "letter": "ab"[n % 2]} for n in range(6)]


def test_a_run_is_asked_as_it_was_trained(trained):
    model = load(trained("plain"))
    assert model.habit.max_new_tokens == 4
    assert model.answer(ASKED) == ["x", "y"] * 3
    other = model.answer(ASKED, prompt={"form": "plain", "user": "ab {{ input }}"})
    assert len(set(other)) == 1  # it no longer sees what tells the rows apart


def test_an_adapter_run_and_a_classifier_run_answer_too(trained):
    lora = load(trained("lora", adapter={"method": "lora", "rank": 16}, train={"steps": 60, "learning_rate": 2e-2,
                                                                              "batch_size": 16}))  # fmt: skip
    assert lora.answer(ASKED) == ["x", "y"] * 3
    assert lora.notes is None
    classes = load(trained("classes", student={"model": None, "classes": ["x", "y"]} | {"model": lora_base(lora)}))
    assert classes.answer(ASKED) == ["x", "y"] * 3


def lora_base(model):
    return model.student.model.get_base_model().name_or_path


def test_a_student_of_two_tasks_is_told_to_answer(trained):
    run = trained("reasons", objective={"rationale": 0.5})
    model = load(run)
    assert model.habit.two_tasks
    assert model.answer(ASKED) == ["x", "y"] * 3
    spelt = [{"input": one["input"], "letter": f"{LABEL}{one['letter']}"} for one in ASKED]
    model.habit = type(model.habit)(model.habit.prompt, max_new_tokens=4)
    assert model.answer(spelt) == ["x", "y"] * 3


def test_a_run_that_kept_no_student_is_its_base(trained, llama):
    run = trained("worse", train={"steps": 1, "learning_rate": 1e-9, "batch_size": 2, "eval_every": 1})
    assert not (run / "model.safetensors").exists()
    told, base = load(run), load(llama)
    asked = told.answer(ASKED)
    assert asked == base.answer(ASKED, prompt={"form": "plain", "user": "{{ letter }} {{ input }}"}, max_new_tokens=4)


def test_a_training_that_has_not_ended_is_said_to_be_so(tmp_path):
    run = folder(tmp_path / "run", run={"recipe": {"family": "language", "verb": "distill"}, "metrics": {}})
    with pytest.raises(ModelError, match="has not ended: run it again"):
        load(run)


def test_a_task_s_own_prompt_is_used_for_its_rows(llama, tmp_path):
    recipe = {
        "family": "language", "verb": "distill", "prompt": {"form": "plain"}, "max_new_tokens": 5,
        "data": [{"path": "a", "task": ""},
                 {"path": "b", "task": "other", "prompt": {"form": "plain", "user": "do {{ input }}"}}],
    }  # fmt: skip
    from stillroom.language.family import habit_of

    model = Answerer(load(llama).student, habit_of(recipe))
    rows = [{"input": "a"}, {"input": "a", "task": "other"}]
    plain = [model.answer([{"input": text}], prompt={"form": "plain"}, max_new_tokens=5)[0] for text in ("a", "do a")]
    assert model.answer(rows) == plain
