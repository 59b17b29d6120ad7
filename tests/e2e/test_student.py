"""From rows to a student, by commands of two packages that meet in files alone: labels, requests and a Prompt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stillroom.language.scratch import Shape, network, vocabulary
from stillroom.teacher.testing import Script, ScriptedServer, echo

ROWS = [{"row_id": str(number), "input": f"{'ab'[number % 2]} {number}"} for number in range(150)]
PRICED = ("--input-usd", 1, "--output-usd", 1, "--budget-usd", 1)


def first_letter(body: dict) -> str:
    """A teacher that knows which letter a row begins with."""
    return {"a": "x", "b": "y"}[echo(body).strip()[0]]


def more(body: dict) -> str:
    """A teacher that writes more inputs, as it is asked to: a JSON list."""
    own = echo(body).partition("<input>\n")[2].partition("\n</input>")[0]
    return json.dumps({"inputs": [f"{own} and {number}" for number in (1, 2)]})


def stillroom(folder: Path, *arguments: object) -> str:
    command = [str(Path(sys.executable).with_name("stillroom")), *map(str, arguments)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300,
        env=os.environ | {"OPENAI_API_KEY": "sk-any", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path):
    """A folder with rows, a prompt, a tiny student and its recipe."""
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "prompt.yaml").write_text('user: "{{ input }}"\nmax_tokens: 4\n')
    (tmp_path / "recipe.yaml").write_text(
        "student: student\ndata: [{path: labels.sqlite}]\nprompt: {form: plain}\nadapter: {method: full}\n"
        "split: {choose: 0.2, judge: 0.2}\nmax_new_tokens: 4\n"
        "train: {steps: 60, learning_rate: 2.0e-2, batch_size: 16, eval_every: 30}\n"
    )
    shape = Shape(vocab_size=280, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    tokenizer = vocabulary([row["input"] for row in ROWS], shape)
    network(shape, tokenizer).save_pretrained(tmp_path / "student")
    tokenizer.save_pretrained(tmp_path / "student")
    return tmp_path


def test_a_store_of_labels_becomes_a_student(folder):
    with ScriptedServer(Script(answer=first_letter)) as server:
        stillroom(
            folder, "teacher", "label", "rows.jsonl", "--prompt", "prompt.yaml", "--model", "m",
            "--base-url", server.base_url, *PRICED, "--store", "labels.sqlite",
        )  # fmt: skip
    found = json.loads(stillroom(folder, "language", "distill", "recipe.yaml", "--out", "run", "--json"))
    assert found["kept"]
    assert next(row["value"] for row in found["judged"] if row["system"] == "student") > 0.9


def test_a_teacher_writes_more_inputs_by_the_prompt_it_is_given(folder):
    said = stillroom(folder, "language", "augment", "rows.jsonl", "--out", "asked.jsonl", "--count", 2)
    prompt = said.partition("--prompt ")[2].split()[0]
    with ScriptedServer(Script(answer=more)) as server:
        stillroom(
            folder, "teacher", "label", "asked.jsonl", "--prompt", prompt, "--model", "m",
            "--base-url", server.base_url, *PRICED, "--store", "more.sqlite",
        )  # fmt: skip
    stillroom(folder, "language", "augment", "rows.jsonl", "--out", "new.jsonl", "--answers", "more.sqlite")
    inputs = [json.loads(line)["input"] for line in (folder / "new.jsonl").read_text().splitlines()]
    assert len(inputs) == 2 * len(ROWS)
    assert "a 0 and 1" in inputs
