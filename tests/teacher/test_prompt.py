from __future__ import annotations

import pytest
import yaml

from stillroom.core.errors import RecipeError
from stillroom.teacher.prompt import Prompt

WHOLE = """
system: You are careful.
instructions: {text: Label the sentence., compress: 0.5}
examples:
  items: [{input: good, output: "yes"}, {input: {input: bad}, output: "no"}]
  compress: never
user: "{{ input }}"
output: {one_of: ["yes", "no"]}
max_tokens: 4
"""


def test_a_file_a_mapping_and_a_prompt_are_read_alike(tmp_path):
    (tmp_path / "prompt.yaml").write_text(WHOLE)
    from_file = Prompt.read(tmp_path / "prompt.yaml")
    assert from_file == Prompt.read(yaml.safe_load(WHOLE)) == Prompt.read(from_file)
    assert from_file.digest() == Prompt.read(yaml.safe_load(WHOLE)).digest()


def test_a_name_changes_nothing_that_is_asked_and_everything_else_does():
    base = yaml.safe_load(WHOLE)
    digest = Prompt.read(base).digest()
    assert Prompt.read(base | {"name": "another"}).digest() == digest
    for change in ({"system": "Be quick."}, {"max_tokens": 5}, {"temperature": 1.0}, {"user": "{{ input }}."}):
        assert Prompt.read(base | change).digest() != digest
    assert Prompt.read(base).digest({"system": 0.5}) != digest


def test_each_part_has_its_own_policy_and_the_rows_are_left_alone():
    prompt = Prompt.read(yaml.safe_load(WHOLE))
    assert prompt.rates() == {"instructions": 0.5}
    assert prompt.rates(0.3) == {"system": 0.3, "instructions": 0.5}
    assert prompt.rates(1) == {"instructions": 0.5}
    asked = Prompt.read({"user": {"text": "{{ a }}", "compress": "auto"}, "max_tokens": 1})
    assert asked.rates(0.3) == {"user": 0.3}


def test_the_prompt_file_that_stillroom_prompts_writes_is_read():
    from stillroom.prompts.requests import prompt_file

    prompt = Prompt.read(yaml.safe_load(prompt_file()), max_tokens=512)
    assert prompt.bounded() == 512
    assert "{{ input }}" in prompt.user.text


def test_an_answer_without_a_bound_is_refused_with_the_way_out():
    with pytest.raises(RecipeError, match="max_tokens in the prompt, or --max-tokens"):
        Prompt.read({"user": "{{ a }}"}).bounded()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sytem": "x"}, "did you mean 'system'"),
        ({"user": "{{ open"}, "user is no Jinja2 template"),
        ({"system": {"text": "x", "compress": 2}}, "above 0 and at most 1"),
        ({"output": {"one_of": ["Yes", "yes."]}}, "differ in nothing but case"),
        ({"output": {"json_schema": {"type": "objekt"}}}, "is no JSON schema"),
        ({"output": {"one_of": ["a"], "json_schema": {}}}, "one_of or json_schema"),
        ({"endpoint": "completions"}, "template and endpoint: completions belong together"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"output": {"one_of": [True, False]}}, "YAML reads yes and no as true and false"),
        (
            {
                "output": {"one_of": ["a", "b"]},
                "examples": [{"input": "x", "output": "a"}, {"input": "y", "output": "c"}],
            },
            "example 1 teaches what would be no label",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(change, sentence):
    with pytest.raises(RecipeError, match=sentence) as caught:
        Prompt.read({"user": "{{ input }}"} | change)
    assert "\n" not in str(caught.value)
