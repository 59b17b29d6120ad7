from __future__ import annotations

import gzip
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from stillroom.core.errors import DataError
from stillroom.prompts import clean
from stillroom.prompts.cli import app
from stillroom.prompts.detokenise import detokenise
from stillroom.prompts.examples import Example, write
from stillroom.prompts.report import MODEL, judged, report

SCRIPT = Path(__file__).parents[2] / "benchmarks/compression_baselines.py"
TEXT = "In February 2016 the old Denver Broncos won the Super Bowl, the fox and the dog agreed."


@pytest.fixture
def examples(tmp_path):
    words = TEXT.split()
    keep = np.array([word[0].isupper() or word.isdigit() for word in words], dtype=np.float32)
    write([Example(*detokenise(words), keep, "made", "en")] * 3, tmp_path / "examples.jsonl")
    return str(tmp_path / "examples.jsonl")


@pytest.fixture
def questions(tmp_path):
    row = {"id": "q", "context": TEXT, "question": "Who won?", "answers": ["Denver Broncos"]}
    (tmp_path / "questions.jsonl").write_text(json.dumps(row))
    return str(tmp_path / "questions.jsonl")


@pytest.fixture
def data(tmp_path, monkeypatch):
    (tmp_path / "text/clean").mkdir(parents=True)
    for name in ("common_voice.en", "ud_en_ewt"):
        lines = ["the fox and the dog are here", "the man and the fox agreed", "in the house of the old dog"]
        (tmp_path / f"text/clean/{name}.txt.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    monkeypatch.setenv("STILLROOM_DATA", str(tmp_path))
    clean.usage.cache_clear()
    yield
    clean.usage.cache_clear()


def test_labelled_words_give_f1_of_model_and_baselines_at_every_rate(models, examples, data):
    found = report(str(models["bert"]), examples, (0.5,))
    assert (found["texts"], found["words"]) == (3, 51)
    assert list(found["F1"]) == [MODEL, "random", "first", "stop-words, then order", "idf"]
    assert all(list(values) == ["natural", "set", "0.5"] for values in found["F1"].values())
    assert found["F1"]["idf"]["natural"] > found["F1"]["first"]["natural"]
    assert found["rates"]["0.5"]["rate"] >= 0.5


def test_contexts_with_answers_give_survival(models, questions, data):
    found = report(str(models["bert"]), questions, (0.5, 1.0), language="en")
    assert found["questions"] == 1
    assert found["survival"]["first"] == {"0.5": 1.0, "1.0": 1.0}
    assert found["survival"][MODEL]["1.0"] == 1.0


def test_without_clean_sentences_the_baselines_that_count_them_are_left_out(models, examples, monkeypatch):
    monkeypatch.delenv("STILLROOM_DATA", raising=False)
    clean.usage.cache_clear()
    assert list(report(str(models["bert"]), examples, (0.5,))["F1"]) == [MODEL, "random", "first"]


def test_questions_go_out_and_answers_come_back(models, questions, tmp_path):
    model, asked = str(models["bert"]), tmp_path / "asked.jsonl"
    report(model, questions, (0.5,), requests=asked)
    rows = [json.loads(line) for line in asked.read_text().splitlines()]
    assert [row["row_id"] for row in rows] == ["q/full", "q/0.5"]
    assert len(rows[1]["input"]) < len(rows[0]["input"])
    answers = tmp_path / "labels.jsonl"
    answers.write_text("\n".join(json.dumps({**row, "answer": "the Denver Broncos"}) for row in rows))
    found = report(model, questions, (0.5,), labels=str(answers))["exact_match"]
    assert found["0.5"] == {"answers": 1, "exact_match": 1.0, "as_full": 1.0}


def test_what_cannot_be_measured_is_said(models, examples, tmp_path):
    with pytest.raises(DataError, match="no questions to ask"):
        report(str(models["bert"]), examples, requests=tmp_path / "asked.jsonl")
    with pytest.raises(DataError, match="no data set 'nothing'"):
        judged("nothing")
    with pytest.raises(DataError, match=r"no file nothing.jsonl"):
        judged("nothing.jsonl")


def test_the_command_prints_a_table_or_json(models, examples, questions):
    model = str(models["bert"])
    result = CliRunner().invoke(app, ["evaluate", model, "--on", examples, "--rate", "0.5"])
    assert result.exit_code == 0, result.output
    assert "F1 of the kept words" in result.output
    assert "of the tokens; the worst text is" in result.output
    result = CliRunner().invoke(app, ["evaluate", model, "--on", questions, "--json"])
    assert list(json.loads(result.stdout)["survival"]["first"]) == ["0.5", "0.33"]


def test_the_benchmark_prints_the_same_baselines(models, questions, data, monkeypatch, capsys):
    found = report(str(models["bert"]), questions, language="en")["survival"]
    arguments = [str(SCRIPT), questions, "--language", "en", "--model", str(models["bert"]), "--json"]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(SCRIPT), run_name="__main__")
    printed = json.loads(capsys.readouterr().out)[questions]["survival"]
    assert printed.pop(str(models["bert"])) == found.pop(MODEL)
    assert printed == found
