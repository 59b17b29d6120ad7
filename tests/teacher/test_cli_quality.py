"""`stillroom teacher quality` and `judge`: what they print is what the functions found, and what is missing is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from stillroom.core.tables import rows as read
from stillroom.teacher import judge
from stillroom.teacher.quality import measure
from stillroom.teacher.quality_report import render
from stillroom.teacher.testing import Script, ScriptedServer

ANSWERS = ("yes", "no", "yes", "no", "no", "yes", "no", "yes", "no")


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def table(path: Path, answers: dict[str, str | None]) -> Path:
    rows = ({"row_id": name, "input": f"Question {name}?", "answer": answer} for name, answer in answers.items())
    return write(path, rows)


# quality


@pytest.fixture
def labels(tmp_path):
    """Three rows of three samples each; the gold has two of them right."""
    samples = [
        {"row_id": f"r{n // 3}", "input": f"Is {n // 3} even?", "answer": answer} for n, answer in enumerate(ANSWERS)
    ]
    return write(tmp_path / "labels.jsonl", [*samples, {"row_id": "r3", "answer": None, "finish_reason": "length"}])


def test_the_numbers_are_those_that_were_measured(tmp_path, labels, stillroom):
    gold = table(tmp_path / "gold.jsonl", {"r0": "Yes.", "r1": "no", "r2": "yes"})
    page = tmp_path / "report.html"
    found = measure(read(labels), gold=read(gold), second=read(labels))
    code, said, _ = stillroom("quality", labels, "--gold", gold, "--second", labels, "--html", page, "--json")
    assert code == 0
    assert json.loads(said) == found
    assert page.read_text() == render(found)
    code, said, _ = stillroom("quality", labels, "--gold", gold)
    pairs = [tuple(re.split(r" {2,}", line.strip())) for line in said.splitlines() if line.strip()]
    lines = dict(pairs)
    assert code == 0
    assert lines["answered"] == "9 (not: length: 1)"
    assert [value for name, value in pairs if name == "class"] == ["no: 5 (55.6%)", "yes: 4 (44.4%)"]
    assert lines["agreement with gold"].startswith("66.7% (")
    assert lines["agreement with gold"].endswith(f"of 3 rows, kappa {found['gold']['kappa']:.3f}")
    assert lines["self-consistency"].startswith("0.0% of 3 rows unanimous, 33.3% of pairs agree")


def test_answers_of_strangers_are_no_markup(tmp_path, stillroom):
    labels = table(tmp_path / "labels.jsonl", dict.fromkeys("abcdef", "[red]stop[/red] :warning:"))
    assert "[red]stop[/red] :warning:: 6 (100.0%)" in stillroom("quality", labels)[1]


def test_what_cannot_be_measured_is_one_sentence(tmp_path, labels, stillroom):
    assert stillroom("quality", tmp_path / "none.csv") == (2, "", f"error: there is no file {tmp_path / 'none.csv'}\n")
    code, _, said = stillroom("quality", labels, "--by", "vibes", "--html", tmp_path / "page.html")
    assert (code, "there is no measure 'vibes': choose one of" in said) == (2, True)
    assert not (tmp_path / "page.html").exists()


# judge


def longer(body: dict) -> str:
    """Prefer the longer answer; say nothing of use where one is a secret."""
    pair = re.findall(r"<(?:first|second)>\n(.*?)\n</", body["messages"][-1]["content"], re.DOTALL)
    first, second = map(len, pair)
    if "secret" in pair:
        return "???"
    return "tie" if first == second else "first" if first > second else "second"


@pytest.fixture(scope="module")
def server():
    with ScriptedServer(Script(answer=longer)) as server:
        yield server


@pytest.fixture
def options(tmp_path, server):
    return ("--model", "scripted", "--input-usd", 0.15, "--output-usd", 0.6, "--store", tmp_path / "teacher.sqlite",
            "--base-url", server.base_url, "--out", tmp_path / "verdicts.jsonl")  # fmt: skip


def test_the_judge_is_asked_in_both_orders_and_each_answer_is_paid_once(tmp_path, server, options, stillroom):
    a = table(tmp_path / "a.jsonl", {"1": "a long answer", "2": "short", "3": "word", "4": "wordy", "5": "alone"})
    b = table(tmp_path / "b.jsonl", {"1": "short", "2": "a long answer", "3": "lord", "4": "odd", "5": None})
    humans = write(
        tmp_path / "humans.jsonl",
        [{"row_id": "1", "preference": "a"}, {"row_id": "2", "preference": "a"}, {"row_id": "3", "preference": "tie"}],
    )
    before = server.stats()["requests"]
    code, said, _ = stillroom("judge", a, b, *options, "--dry-run", "--json")
    assert (code, json.loads(said)["calls"], server.stats()["requests"]) == (0, 8, before)
    code, said, spent = stillroom("judge", a, b, *options, "--humans", humans, "--instructions", "Answer it.", "--json")
    assert code == 0, spent
    assert server.stats()["requests"] == before + 8
    assert "The task was: Answer it." in server.requests()[-1]["body"]["messages"][-1]["content"]
    verdicts = {row["row_id"]: row for row in read(tmp_path / "verdicts.jsonl")}
    assert {name: row["verdict"] for name, row in verdicts.items()} == {"1": "a", "2": "b", "3": "tie", "4": "a"}
    assert (verdicts["4"]["input"], verdicts["4"]["a"], verdicts["4"]["b"]) == ("Question 4?", "wordy", "odd")
    summary = json.loads(said)
    assert (summary["win_rate"]["mean"], summary["position_bias"], summary["first"]) == (0.625, 0, 0.5)
    agreement, kappa = judge.against_humans({"1": "a", "2": "b", "3": "tie"}, read(humans))
    assert summary["humans"] == {**vars(agreement), "kappa": kappa}
    assert summary["job"]["labelled"] == 8
    assert summary["job"]["usd"] > 0
    code, said, spent = stillroom("judge", a, b, *options, "--humans", humans, "--instructions", "Answer it.")
    assert (code, server.stats()["requests"]) == (0, before + 8)
    assert "This run cost $0.00; the job $" in spent
    assert "a: 2, b: 1, tie: 1, inconsistent: 0" in said
    assert re.search(r"a wins +62\.5% \(.* to .*\) of 4 rows; ties and inconsistent rows count half", said)
    assert re.search(r"agreement with people +66\.7% \(.* to .*\) of 3 rows, kappa ", said)


def test_what_stays_unlabelled_is_listed_and_the_rest_is_judged(tmp_path, options, stillroom):
    a = table(tmp_path / "a.jsonl", {"1": "a long answer", "2": "secret"})
    b = table(tmp_path / "b.jsonl", {"1": "short", "2": "other"})
    code, said, sentence = stillroom("judge", a, b, *options)
    assert code == 1
    assert re.search(r"rows judged +1; 1 left out, as an order has no answer", said)
    assert f"2 rows have no label. They are listed in {tmp_path / 'verdicts.unlabelled.jsonl'}" in sentence
    assert [row["row_id"] for row in read(tmp_path / "verdicts.unlabelled.jsonl")] == ["2/ab", "2/ba"]
    assert [row["row_id"] for row in read(tmp_path / "verdicts.jsonl")] == ["1"]


def test_a_judge_that_answers_nothing_leaves_the_verdicts_that_are_there(tmp_path, options, stillroom):
    a, b = table(tmp_path / "a.jsonl", {"1": "secret"}), table(tmp_path / "b.jsonl", {"1": "other"})
    before = write(tmp_path / "verdicts.jsonl", [{"row_id": "kept"}]).read_bytes()
    code, said, sentence = stillroom("judge", a, b, *options)
    assert (code, said) == (1, "")
    assert "2 rows have no label" in sentence
    assert (tmp_path / "verdicts.jsonl").read_bytes() == before


def test_a_mistake_is_found_before_anybody_is_asked(tmp_path, server, options, stillroom):
    a, b = table(tmp_path / "a.jsonl", {"1": "one"}), table(tmp_path / "b.jsonl", {"2": "two"})
    before = server.stats()["requests"]
    for arguments, sentence in (
        ((a, b), "no row is answered in both tables"),
        ((a, a, "--humans", tmp_path / "none.csv"), "there is no file"),
        ((a, a, "--out", tmp_path / "verdicts.csv"), "name a file that ends in .jsonl"),
        ((a, a, "--budget-usd", 0), "a budget is more than nothing"),
    ):
        code, said, message = stillroom("judge", *options, *arguments)
        assert (code, said, message.count("\n"), sentence in message) == (2, "", 1, True), message
    assert server.stats()["requests"] == before
