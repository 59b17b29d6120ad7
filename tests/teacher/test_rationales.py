from __future__ import annotations

import pytest

from stillroom.core.errors import RecipeError
from stillroom.teacher.labelling import label
from stillroom.teacher.rationales import explain
from stillroom.teacher.testing import Fault, Script, ScriptedServer, echo


def said(body: dict) -> str:
    """Answer yes, or, asked why, what the answer and the question were."""
    asked = echo(body)
    if "Say in a few sentences why" not in asked:
        return "no" if "4" in asked else "yes"
    return f"because {asked.splitlines()[0]} {asked.splitlines()[2]}"


@pytest.fixture
def server():
    with ScriptedServer(Script(answer=said, faults=(Fault("refusal", at=(2,)),))) as server:
        yield server


def test_the_reasons_are_of_the_answer_and_of_the_row(server, store, make_job, api, some_rows):
    rows, job = some_rows(6), make_job(concurrency=1)
    found = label(rows, job, store, api(server))
    reasons, outcomes = explain(iter(rows), found, job, store, api(server))
    labels = {row_id: one for row_id, one, _ in outcomes}
    assert labels["r2"] is None  # the server would not answer
    assert labels["r4"].answer == "no"
    assert labels["r4"].rationale == "because Is 4 even? The answer is: no"
    assert labels["r5"].rationale == "because Is 5 even? The answer is: yes"
    assert (reasons.rows, reasons.job) == (5, found.job)
    before = server.bill().requests
    again, _ = explain(iter(rows[3:]), label(rows[3:], job, store, api(server)), job, store, api(server))
    assert (again.stored, again.spent, server.bill().requests) == (3, 0, before)


def test_reasons_are_asked_for_once(server, store, make_job, api, some_rows):
    job = make_job(samples=2)
    with pytest.raises(RecipeError, match="one answer a row"):
        explain(some_rows(1), label(some_rows(1), job, store, api(server)), job, store, api(server))


def test_the_command_asks_twice_and_writes_both(server, tmp_path, some_rows, monkeypatch):
    import json

    from stillroom.core.cli import main
    from stillroom.core.tables import rows as read

    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some_rows(4)))
    (tmp_path / "prompt.yaml").write_text('user: "{{ text }}"\noutput: {one_of: ["yes", "no"]}\nmax_tokens: 8\n')
    options = ["--prompt", tmp_path / "prompt.yaml", "--model", "m", "--base-url", server.base_url, "--input-usd", 1]
    options += ["--output-usd", 1, "--store", tmp_path / "s.sqlite", "--out", tmp_path / "labels.jsonl"]
    asked = ["teacher", "label", tmp_path / "rows.jsonl", *options, "--rationale-after", "--concurrency", 1]
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, asked)))
    assert ended.value.code == 1  # the server would not answer one row
    found = {row["row_id"]: row for row in read(tmp_path / "labels.jsonl")}
    assert found["r0"]["rationale"] == "because Is 0 even? The answer is: yes"
    assert list(found) == ["r0", "r1", "r3"]
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, ["teacher", "label", "-", *options, "--rationale-after"])))
    assert ended.value.code == 2
