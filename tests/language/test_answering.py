"""What `answer` says is what the model says, cut answers are none, and the prompt is that which was trained."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from stillroom.core.errors import DataError
from stillroom.language.answering import answer
from stillroom.language.classifier import predict
from stillroom.language.encoding import encode
from stillroom.language.generation import generate
from stillroom.language.prompting import StudentPrompt
from stillroom.language.rows import Row
from stillroom.language.students import load

CHAT, PLAIN = StudentPrompt(), StudentPrompt(form="plain", user="{{ input }} =")
ROWS = [Row(f"{letter} {number}", {"a": "garden", "b": "letter"}[letter]) for number in range(4) for letter in "ab"]
OTHERS = [Row(row.input, "them") for row in ROWS]


@pytest.fixture(scope="module")
def student(llama):
    """A student that has learned by heart what to answer to a chat, and what to plain text."""
    student = load(llama)
    both = ((CHAT, ROWS), (PLAIN, OTHERS))
    encoded = [one for prompt, rows in both for one in encode(rows, student.tokenizer, prompt, 128)[0]]
    width = max(map(len, encoded))
    ids, labels = torch.zeros(len(encoded), width, dtype=torch.long), torch.full((len(encoded), width), -100)
    for place, one in enumerate(encoded):
        ids[place, : len(one)] = torch.tensor(one.input_ids)
        labels[place, one.answer_start : len(one)] = torch.tensor(list(one.answer))
    optimizer = torch.optim.AdamW(student.model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        student.model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    return student


def test_rows_are_answered_in_their_order(student):
    said = answer(student, ROWS, CHAT)
    assert said.texts == [row.answer for row in ROWS]
    assert said.sentence.startswith("8 answers, ")
    assert "cut" not in said.sentence


def test_an_answer_that_was_cut_is_none(student):
    said = answer(student, ROWS, CHAT, max_new_tokens=1)
    assert said.texts == [None] * 8
    assert said.sentence.endswith("; 8 of them were cut before they ended")


def test_what_was_not_trained_is_cut_or_said_and_nothing_else(student):
    rows = [Row(text) for text in ("zz", "a letter to them and to us", "Ünïcode", "9")]
    prompts = [
        student.tokenizer.apply_chat_template(
            [{"role": "user", "content": row.input}], add_generation_prompt=True, return_dict=False
        )
        for row in rows
    ]
    told = generate(student.model, student.tokenizer, prompts, max_new_tokens=6)
    texts = [text if done else None for text, done in zip(told.texts, told.finished, strict=True)]
    assert answer(student, rows, CHAT, max_new_tokens=6).texts == texts


def test_a_task_may_have_a_prompt_of_its_own(student):
    rows = [Row(row.input, task="sums" if place % 2 else "") for place, row in enumerate(ROWS)]
    said = answer(student, rows, CHAT, prompts={"sums": PLAIN}, max_new_tokens=12).texts
    assert said == [(OTHERS if row.task else ROWS)[place].answer for place, row in enumerate(rows)]


def test_no_rows_have_no_answers(student):
    assert answer(student, [], CHAT).texts == []


def test_a_row_without_room_for_an_answer_is_one_sentence(student):
    with pytest.raises(DataError, match=r"prompt 0 has .* tokens and the model reads and writes 256 in all"):
        answer(student, [Row("word " * 300)], CHAT)


def test_a_classifier_answers_with_its_classes(llama):
    classifier = load(llama, classes=["x", "y"])
    said = answer(classifier, ROWS, PLAIN)
    assert said.texts == predict(classifier, [f"{row.input} =" for row in ROWS]).classes
    assert set(said.texts) <= {"x", "y"}
    assert said.sentence == "8 rows classified"


def test_an_encoder_decoder_answers_with_what_it_makes_of_the_prompt(tmp_path):
    small = runpy.run_path(str(Path(__file__).with_name("small_students.py")))
    student = load(small["saved"]("t5", tmp_path))
    told = generate(student.model, student.tokenizer, [f"{row.input} =" for row in ROWS], max_new_tokens=5)
    texts = [text if done else None for text, done in zip(told.texts, told.finished, strict=True)]
    assert answer(student, ROWS, PLAIN, max_new_tokens=5).texts == texts
