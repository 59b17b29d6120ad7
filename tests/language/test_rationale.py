from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from stillroom.language.encoding import encode, prompt_ids
from stillroom.language.prompting import StudentPrompt
from stillroom.language.rationale import LABEL, RATIONALE, to_answer, two_tasks
from stillroom.language.rows import Row

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_tokenizers.py"))))
WHY = Row("2+2", "4", task="maths", group="en", rationale="two and two", soft_targets={"4": 1.0}, extra={"id": 7})
ROWS = [WHY, Row("3+3", "6", rationale=None), Row("4+4", "8", rationale=" ")]


def test_a_row_with_a_rationale_becomes_two_and_one_without_keeps_its_answer():
    found = two_tasks(ROWS)
    assert [(row.prefix, row.input, row.answer, row.reasons) for row in found] == [
        (LABEL, "2+2", "4", False),
        (RATIONALE, "2+2", "two and two", True),
        (LABEL, "3+3", "6", False),
        (LABEL, "4+4", "8", False),
    ]
    assert {(row.task, row.group, row.extra["id"]) for row in found[:2]} == {("maths", "en", 7)}
    assert (found[0].soft_targets, found[1].soft_targets) == ({"4": 1.0}, None)


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_both_tasks_are_learned_and_at_work_only_the_answer_is_asked_for(kind):
    tokenizer, prompt = small.made(around="end"), StudentPrompt(form="plain")
    encoded, _ = encode(two_tasks(ROWS), tokenizer, prompt, 100, kind=kind)
    asked = prompt_ids(tokenizer, prompt, to_answer(ROWS), kind=kind)
    assert [list(one.prompt) for one in encoded if one.task == 0] == asked
    assert [tokenizer.decode(list(one.answer)[:-1]) for one in encoded if one.task == 1] == ["two and two"]
    assert all(tokenizer.decode(ids).startswith("[label] ") for ids in asked)
