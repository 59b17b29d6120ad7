"""`stillroom prompts requests` and `align` as commands: files, exit codes, sentences."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jinja2 import Template

from stillroom.prompts import labelled, requests
from stillroom.prompts.cli.align import align as align_command
from stillroom.prompts.cli.requests import requests as requests_command
from stillroom.prompts.examples import read

COMMAND = [str(Path(sys.executable).with_name("stillroom")), "prompts"]
DOCUMENT = "The council of the city met on Monday. It adopted the long report, as everybody had expected."


@pytest.fixture
def stillroom(tmp_path):
    def run(*arguments, stdin: str = ""):
        environment = os.environ | {"COLUMNS": "400", "NO_COLOR": "1"}
        return subprocess.run(
            [*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, text=True, cwd=tmp_path, env=environment
        )

    return run


def test_documents_become_requests_answers_become_training_data(stillroom, tmp_path):
    """The whole way, with a teacher that drops short words."""
    (tmp_path / "docs.jsonl").write_text(json.dumps({"id": "minutes", "body": DOCUMENT}) + "\n")
    done = stillroom("requests", "docs.jsonl", "--field", "body", "--chunk-tokens", 20)
    assert done.returncode == 0, done.stderr
    assert "2 requests in requests.jsonl" in done.stderr
    rows = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert [(row["source"], row["chunk"]) for row in rows] == [("minutes", 0), ("minutes", 1)]
    prompt = yaml.safe_load((tmp_path / "prompt.yaml").read_text())
    asked = [Template(prompt["user"]).render(row) for row in rows]
    assert all(row["input"] in text for row, text in zip(rows, asked, strict=True))

    with (tmp_path / "labels.jsonl").open("w") as file:
        for row in rows:
            answer = " ".join(word for word in row["input"].split() if len(word) > 3)
            file.write(json.dumps({"row_id": row["row_id"], "input": row["input"], "answer": answer}) + "\n")
    done = stillroom("align", "labels.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) | {"rate": 0} == {
        "rows": 2, "unanswered": 0, "cut_short": 0, "varied": 0, "misaligned": 0, "rate": 0, "examples": 2,
    }  # fmt: skip
    examples = list(read(tmp_path / "train.parquet"))
    assert [example.source for example in examples] == [row["row_id"] for row in rows]
    kept = [word for example in examples for word, keep in zip(example.words, example.keep, strict=True) if keep]
    assert " ".join(kept) == "council city Monday . adopted long report , everybody expected ."


def test_documents_come_from_standard_input(stillroom, tmp_path):
    done = stillroom("requests", "-", "--out", "a.jsonl", "--prompt", "p.yaml", stdin=json.dumps({"text": DOCUMENT}))
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "a.jsonl").read_text())["input"] == DOCUMENT
    assert (tmp_path / "p.yaml").exists()


def test_labels_of_the_store_are_read_as_parquet(stillroom, tmp_path):
    from stillroom.core.labels import Label, to_row, write_parquet

    label = Label("k", "r1", DOCUMENT, "council city met Monday", "a model", created="now")
    write_parquet([to_row(label)], tmp_path / "labels.parquet")
    done = stillroom("align", "labels.parquet", "--out", "train.jsonl")
    assert done.returncode == 0, done.stderr
    assert "1 examples in train.jsonl" in done.stdout
    assert next(read(tmp_path / "train.jsonl")).source == "r1"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["requests", "none.jsonl"], "there is no file none.jsonl"),
        (["requests", "docs.jsonl", "--field", "body"], "row 0 has no text in the field 'body'; its fields are: text"),
        (["requests", "docs.txt"], "should be Parquet"),
        (["requests", "blank.jsonl"], "blank.jsonl has no text to ask about"),
        (["align", "docs.jsonl"], "row 1 of the label table has no input and answer"),
        (["align", "docs.jsonl", "--out", "train.csv"], "a .parquet or .jsonl file, not to train.csv"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(stillroom, tmp_path, arguments, sentence):
    (tmp_path / "docs.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "blank.jsonl").write_text('{"text": " "}\n')
    (tmp_path / "docs.txt").write_text("a")
    before = sorted(tmp_path.iterdir())
    done = stillroom(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_defaults_of_the_commands_are_those_of_the_modules():
    def default(command, name):
        return inspect.signature(command).parameters[name].default

    assert default(requests_command, "chunk_tokens") == requests.CHUNK_TOKENS
    assert default(align_command, "variation_percentile") == labelled.VARIATION_PERCENTILE
    assert default(align_command, "gap_percentile") == labelled.GAP_PERCENTILE
