from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.teacher.forms import Output, Unfit

SET = Output(one_of=("positive", "negative", "not sure"))
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


@pytest.mark.parametrize("said", ["positive", " Positive.", '"POSITIVE"', "**positive**\n", "'positive'."])
def test_one_of_a_set_is_told_whatever_its_dress(said):
    assert SET.read(said) == ("positive", None)


@pytest.mark.parametrize("said", ["positively", "positive or negative", "I think it is positive", "pos"])
def test_what_is_none_of_the_set_is_no_label(said):
    with pytest.raises(Unfit, match="none of the 3"):
        SET.read(said)


@given(st.text())
def test_a_text_is_itself_without_the_space_around_it(text):
    if text.strip():
        assert Output().read(text) == (text.strip(), None)
    else:
        with pytest.raises(Unfit, match="empty"):
            Output().read(text)


@given(VALUES)
def test_json_comes_back_as_the_same_value_fenced_or_not(value):
    form = Output(json_schema={})
    for said in (json.dumps(value), f"```json\n{json.dumps(value, ensure_ascii=False)}\n```"):
        assert json.loads(form.read(said)[0]) == value


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("{", "no JSON"),
        ("NaN", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"n": "1"}', r"breaks the schema at \['n'\]"),
        ('{"n": 1, "m": 2}', "breaks the schema"),
        ("", "is empty"),
    ],
)
def test_json_that_breaks_the_schema_is_no_label(said, reason):
    with pytest.raises(Unfit, match=reason):
        Output(json_schema=SCHEMA).read(said)


def test_the_reasoning_is_kept_beside_the_answer():
    form = Output(one_of=("yes", "no"), rationale="together")
    said = "Reasoning: It says 'Answer: no' in the text,\nbut it means yes.\n\n**Answer:** Yes."
    assert form.read(said) == ("yes", "It says 'Answer: no' in the text,\nbut it means yes.")
    bad_ones = {"yes": "no line that begins", "Answer: yes": "gives no reasoning", "Because.\nAnswer:": "empty"}
    for bad, reason in bad_ones.items():
        with pytest.raises(Unfit, match=reason):
            form.read(bad)


def test_soft_targets_are_the_shares_of_the_alternatives():
    found = SET.soft_targets([{"\n": -0.01}, {" pos": math.log(0.6), "Neg": math.log(0.2), "maybe": math.log(0.2)}])
    assert found == pytest.approx({"positive": 0.75, "negative": 0.25, "not sure": 0.0})


def test_answers_that_begin_alike_and_texts_have_no_soft_targets():
    assert Output(one_of=("no", "not sure")).soft_targets([{"no": -0.1}]) is None
    assert Output().soft_targets([{"no": -0.1}]) is None
    assert SET.soft_targets([]) is None
    assert SET.soft_targets([{"maybe": -0.1}]) is None


def test_the_teacher_is_told_the_form_unless_the_prompt_does():
    assert "exactly one of: positive, negative, not sure" in SET.instruction()
    assert json.dumps(SCHEMA) in Output(json_schema=SCHEMA).instruction()
    assert Output(one_of=("a", "b"), tell=False).instruction() == "" == Output().instruction()
    sent = Output(json_schema=SCHEMA, response_format=True).fields()
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA
