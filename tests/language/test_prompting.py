from __future__ import annotations

import runpy
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.recipes import checked
from stillroom.language import prompting
from stillroom.language.prompting import StudentPrompt, columns, render
from stillroom.language.rows import Row

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_tokenizers.py"))))
ROW = Row("he go", "he goes", group="en", extra={"topic": "verbs"})
INST = "[INST] {{ system }} {{ user }} [/INST]"
SHOTS = ({"input": "she go", "answer": "she goes"},)


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch):
    monkeypatch.setattr(prompting, "_known", {})


def test_a_chat_is_what_the_tokenizers_own_template_makes_of_it():
    prompt = checked(StudentPrompt, {"system": "Correct.", "user": "Text: {{ input }}", "examples": SHOTS})
    assert render(prompt, small.made(small.CHAT), ROW) == (
        "<|system|>Correct.</s><|user|>Text: she go</s><|assistant|>she goes</s><|user|>Text: he go</s><|assistant|>"
    )


def test_plain_text_has_blank_lines_between_its_parts_and_a_line_for_the_answer():
    prompt = checked(StudentPrompt, {"system": "Correct.", "form": "plain", "examples": SHOTS})
    assert render(prompt, small.made(), ROW) == "Correct.\n\nshe go\nshe goes\n\nhe go\n"
    assert render(StudentPrompt(form="plain"), small.made(), ROW) == "he go\n"


def test_a_template_makes_the_whole_text():
    prompt = StudentPrompt(system="Correct.", form=INST)
    assert render(prompt, small.made(), ROW) == "[INST] Correct. he go [/INST]"
    form = (
        "{{ bos_token }}{% for e in examples %}[INST] {{ e.user }} [/INST] {{ e.assistant }}{{ eos_token }}{% endfor %}"
        "[INST] {{ user }} [/INST]"
    )
    prompt = checked(StudentPrompt, {"form": form, "examples": SHOTS})
    assert render(prompt, small.made(), ROW) == "<s>[INST] she go [/INST] she goes</s>[INST] he go [/INST]"


def test_examples_may_be_rows_and_come_after_those_of_the_prompt():
    prompt = checked(StudentPrompt, {"form": "plain", "user": "{{ group }}: {{ input }}", "examples": [
        {"input": {"input": "she go", "group": "en"}, "answer": "she goes"}]})  # fmt: skip
    more = [(Row("il vont", group="fr"), "il va")]
    assert render(prompt, small.made(), ROW, more) == "en: she go\nshe goes\n\nfr: il vont\nil va\n\nen: he go\n"
    with pytest.raises(RecipeError, match="leaves out the examples"):
        render(StudentPrompt(form="{{ user }}"), small.made(), ROW, more)


def test_a_prompt_may_use_every_column_but_the_answer():
    prompt = StudentPrompt(user="{{ topic }} in {{ group }}: {{ input }}", form="plain")
    assert columns(prompt) == ("group", "input", "topic")
    assert render(prompt, small.made(), ROW) == "verbs in en: he go\n"
    with pytest.raises(DataError, match="a row has no 'answer', which the prompt asks for; it has topic, input"):
        render(StudentPrompt(user="{{ answer }}", form="plain"), small.made(), ROW)


def test_what_stands_before_a_row_comes_first_in_the_users_text():
    row = Row("he go", prefix="[label] ")
    assert render(StudentPrompt(form="plain", user="Text: {{ input }}"), small.made(), row) == "[label] Text: he go\n"


@pytest.mark.parametrize("template", [small.NO_SYSTEM, small.FORGETS_SYSTEM])
def test_a_template_without_a_system_role_gets_the_system_text_before_the_first_user_text(template):
    prompt = checked(StudentPrompt, {"system": "Correct.", "examples": SHOTS})
    with pytest.warns(UserWarning, match="no system role: the system text is put before the first user text"):
        text = render(prompt, small.made(template), ROW)
    assert text.startswith("<|user|>Correct.\n\nshe go")
    assert text.count("Correct.") == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        assert render(prompt, small.made(template), ROW) == text


def test_without_a_system_text_nothing_is_said_of_system_roles():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert render(StudentPrompt(), small.made(small.NO_SYSTEM), ROW) == "<|user|>he go</s><|assistant|>"


def test_a_tokenizer_without_a_chat_template_is_named():
    with pytest.raises(RecipeError, match="no chat template: give the prompt a form"):
        render(StudentPrompt(), small.made(), ROW)


def test_a_template_that_refuses_the_turns_is_quoted():
    with pytest.raises(RecipeError, match="refuses the turns: only one turn"):
        render(StudentPrompt(), small.made("{{ raise_exception('only one turn') }}"), ROW)


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ({"user": "{{ input "}, "user is no Jinja2 template"),
        ({"form": "{{ user "}, "form is no Jinja2 template"),
        ({"form": "chatty"}, "form is chat, plain, or a Jinja2 template"),
        ({"form": "[INST] {{ system }} [/INST]"}, "leaves out the user"),
        ({"form": "[INST] {{ user }} [/INST]", "system": "Correct."}, "leaves out the system"),
        ({"form": "[INST] {{ user }} [/INST]", "examples": SHOTS}, "leaves out the examples"),
        ({"sytem": "Correct."}, "did you mean 'system'"),
    ],
)
def test_a_prompt_that_cannot_be_meant_is_refused(prompt, sentence):
    with pytest.raises((RecipeError, ValidationError), match=sentence):
        checked(StudentPrompt, prompt)


@pytest.mark.parametrize(
    ("user", "row", "sentence"),
    [
        ("{{ context }}", ROW, "a row has no 'context', which the prompt asks for; it has topic, input, group, task"),
        ("{{ input }}", Row("half \ud83d"), "half a character"),
        ("{{ input + 1 }}", ROW, "cannot be put into the prompt"),
        ("{{ input.__class__.__mro__ }}", ROW, "cannot be put into the prompt|has no"),
    ],
)
def test_a_row_that_does_not_fit_the_prompt_is_refused(user, row, sentence):
    with pytest.raises(DataError, match=sentence):
        render(StudentPrompt(user=user, form="plain"), small.made(), row)


def test_a_row_is_text_and_never_a_template():
    assert render(StudentPrompt(form="plain"), small.made(), Row("{{ 7 * 7 }}")) == "{{ 7 * 7 }}\n"
