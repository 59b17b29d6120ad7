"""The teacher and the student as they are shipped: small, plain Llamas, found by name, and fit for the journey."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from stillroom.core.recipes import checked
from stillroom.core.registry import names, resolve_model
from stillroom.core.runs import Run
from stillroom.demo.student import shown
from stillroom.language.answering import answer
from stillroom.language.grammar.generate import distinct
from stillroom.language.pretrain import PretrainRecipe
from stillroom.language.prompting import Shown, StudentPrompt
from stillroom.language.rows import Row
from stillroom.language.students import load
from stillroom.minis import student, teacher

FOLDERS = {"teacher": teacher, "student": student}
LIMITS = {"teacher": (5_000_000, 10_000_000), "student": (2_000_000, 4_000_000)}
each_mini = pytest.mark.parametrize("name", FOLDERS)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@each_mini
def test_it_is_as_small_as_it_should_be(name):
    parameters, size = LIMITS[name]
    model = AutoModelForCausalLM.from_pretrained(FOLDERS[name])
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count <= parameters
    assert Run.load(FOLDERS[name]).cost["parameters"] == count
    assert sum(path.stat().st_size for path in FOLDERS[name].iterdir()) <= size


@each_mini
def test_weights_are_stored_in_half_precision_and_load_as_float32_into_a_plain_llama(name):
    with safe_open(FOLDERS[name] / "model.safetensors", "pt") as stored:
        assert {stored.get_tensor(tensor).dtype for tensor in stored.keys()} == {torch.float16}  # noqa: SIM118 - no dict
    assert json.loads((FOLDERS[name] / "config.json").read_text())["dtype"] == "float32"
    model = AutoModelForCausalLM.from_pretrained(FOLDERS[name])
    assert isinstance(model, LlamaForCausalLM)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@each_mini
def test_the_registry_finds_it_by_its_name(name):
    assert name in names("stillroom.models")
    assert resolve_model(name).source == str(FOLDERS[name])


@each_mini
def test_the_recipe_beside_it_is_the_one_it_was_made_by_and_the_card_says_of_what(name):
    recipe, run = checked(PretrainRecipe, FOLDERS[name] / "recipe.yaml"), Run.load(FOLDERS[name])
    assert checked(PretrainRecipe, {k: v for k, v in run.recipe.items() if k not in ("family", "verb")}) == recipe
    assert (run.recipe["family"], run.recipe["verb"]) == ("language", "pretrain")
    assert all(corpus.text is None or corpus.text.startswith("$STILLROOM_DATA/") for corpus in recipe.corpora)
    card = (FOLDERS[name] / "README.md").read_text()
    for said in ("license: apache-2.0", "Common Voice", "CC0", "UD English-EWT", "CC BY-SA"):
        assert said in card


def test_both_write_in_the_same_tokens():
    ours, theirs = (AutoTokenizer.from_pretrained(folder) for folder in FOLDERS.values())
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.chat_template == theirs.chat_template


def test_examples_help_the_teacher_by_ten_points_at_least():
    rows = [Row(one.source, one.target) for one in distinct(160, part="all", seed=3)]
    corrector = load("teacher")
    asked = StudentPrompt(examples=tuple(Shown(input=one.source, answer=one.target) for one in shown()))
    right = {
        prompt: sum(said == row.answer for said, row in zip(answer(corrector, rows, prompt).texts, rows, strict=True))
        for prompt in (asked, StudentPrompt())
    }
    assert right[asked] >= right[StudentPrompt()] + 16


def test_the_student_has_never_learned_to_correct():
    first, last = (checked(PretrainRecipe, student / name) for name in ("first.yaml", "recipe.yaml"))
    assert first.mistakes == (1.0,)  # its chats answer sentences that have no mistakes
    assert set(last.lessons) <= {"plain", "doubled", "repeat"}


def test_the_student_says_again_what_it_is_told_mistakes_and_all():
    rows = [Row(one.source) for one in distinct(100, part="all", seed=4)]
    said = answer(load("student"), rows, StudentPrompt()).texts
    assert sum(one == row.input for one, row in zip(said, rows, strict=True)) >= 90
