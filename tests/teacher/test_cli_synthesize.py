"""`stillroom teacher synthesize`: requests, answers and harvest in one command, and the label command after it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from stillroom.core.tables import rows as read
from stillroom.teacher.testing import Script, ScriptedServer

pytest.importorskip("datasketch")

NOUNS = ("kettle", "ladder", "violin", "garden", "bicycle", "lantern", "carpet", "whistle")
SEEDS = [
    {"text": "Where is the parcel that I ordered last week?", "topic": "delivery"},
    {"text": "My invoice shows a charge that I cannot explain.", "topic": "billing"},
    {"text": "Could you send me the manual of the washing machine?", "topic": "support"},
]


def more_inputs(body: dict) -> str:
    """Write as many inputs as were asked for: new ones, then a seed again; and to an expert's question, a class."""
    asked = body["messages"][-1]["content"]
    wanted = re.search(r"Write (\d+) new inputs", asked)
    if wanted is None:
        return "urgent" if "kettle" in asked or "ladder" in asked else "calm"
    topic = (re.findall(r"Their topic is: (\w+)", asked) or ["any"])[0]
    said = (re.findall(r"should be: (\w+)", asked) or [topic])[0]
    number = int(wanted[1])
    inputs = [f"The {noun} of my {said} neighbour arrived {noun}less and late again." for noun in NOUNS[: number - 1]]
    items = [{"input": text, "topic": topic} for text in [*inputs, SEEDS[0]["text"]]]
    return json.dumps({"inputs": items})


@pytest.fixture(scope="module")
def server():
    with ScriptedServer(Script(answer=more_inputs)) as server:
        yield server


@pytest.fixture
def options(tmp_path, server):
    return ("--model", "scripted", "--input-usd", 0.15, "--output-usd", 0.6, "--store", tmp_path / "teacher.sqlite",
            "--base-url", server.base_url)  # fmt: skip


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_new_inputs_are_kept_and_the_others_stand_beside_them_with_reasons(tmp_path, server, options, stillroom):
    seeds, out = write(tmp_path / "seeds.jsonl", SEEDS), tmp_path / "new" / "inputs.jsonl"
    arguments = ("synthesize", seeds, "--count", 12, "--topics", "travel, sport", "--per-request", 3, *options,
                 "--field", "text", "--out", out)  # fmt: skip
    before = server.stats()["requests"]
    code, said, _ = stillroom(*arguments, "--dry-run")
    assert (code, server.stats()["requests"]) == (0, before)
    assert said.startswith("4 rows: 4 calls of")
    code, said, sentence = stillroom(*arguments, "--json")
    assert code == 0, sentence
    assert server.stats()["requests"] == before + 4
    kept, dropped = list(read(out)), list(read(tmp_path / "new" / "inputs.dropped.jsonl"))
    assert [(row["topic"], row["text"].split()[1]) for row in kept] == [
        (topic, noun) for topic in ("travel", "sport") for noun in NOUNS[:2]
    ]
    assert {row["reason"].partition(":")[0] for row in dropped} == {"near-duplicate"}
    assert any(row["reason"] == "near-duplicate: of seed 0" for row in dropped)
    summary = json.loads(said)
    assert summary["tally"] == {"kept": 4, "near-duplicate": 8}
    assert (summary["job"]["labelled"], summary["dropped_in"]) == (4, str(tmp_path / "new" / "inputs.dropped.jsonl"))
    code, said, sentence = stillroom(*arguments)
    assert (code, server.stats()["requests"]) == (0, before + 4)
    assert re.search(r"kept +4 *\n +near-duplicate +8 *\n", said)
    assert "This run cost $0.00; the job $" in sentence
    assert f"4 new inputs in {out}" in sentence


def test_the_inputs_are_rows_for_the_label_command(tmp_path, options, stillroom):
    inputs = tmp_path / "inputs.jsonl"
    seeds = write(tmp_path / "seeds.jsonl", SEEDS)
    assert stillroom("synthesize", seeds, "--count", 9, *options, "--field", "text", "--out", inputs)[0] == 0
    expert = tmp_path / "expert.yaml"
    expert.write_text("user: '{{ text }}'\noutput: {one_of: [urgent, calm]}\nmax_tokens: 8\n")
    out = tmp_path / "labels.jsonl"
    assert stillroom("label", inputs, "--prompt", expert, *options, "--out", out)[0] == 0
    kept, labels = list(read(inputs)), list(read(out))
    assert kept
    assert [(row["row_id"], row["text"]) for row in kept] == [(row["row_id"], row["input"]) for row in labels]
    assert {row["answer"] for row in labels} == {"urgent"}


def test_thin_classes_get_more_inputs(tmp_path, server, options, stillroom):
    many = [f"The shop in street {number} closed {'very ' * number}early today." for number in range(5)]
    labels = [{"row_id": str(number), "input": text, "answer": "calm"} for number, text in enumerate(many)]
    labels.append({"row_id": "u", "input": "The cellar is full of water, please come now.", "answer": "urgent"})
    table, out = write(tmp_path / "labels.jsonl", labels), tmp_path / "inputs.jsonl"
    arguments = ("synthesize", "--thin", table, *options, "--field", "text", "--out", out)
    code, _, sentence = stillroom(*arguments, "--count", 5)
    assert code == 0, sentence
    body = server.requests()[-1]["body"]["messages"][-1]["content"]
    assert "The right answer to each of them should be: urgent" in body
    assert "The cellar is full of water" in body
    kept = list(read(out))
    assert [(row["wanted"], row["text"].split()[1]) for row in kept] == [
        *(("urgent", noun) for noun in NOUNS[:3]),
        ("urgent", "is"),  # what repeats a seed of the other tests repeats none of these labels
    ]
    code, _, sentence = stillroom(*arguments, "--count", 1)
    assert (code, sentence) == (2, "error: no class has fewer labels than it should: say how many with --count\n")
    assert list(read(out)) == kept


def test_requests_that_stay_unanswered_are_said_and_nothing_at_all_touches_no_file(tmp_path, options, stillroom):
    seeds, out = write(tmp_path / "seeds.jsonl", SEEDS), tmp_path / "inputs.jsonl"
    before = write(out, [{"row_id": "kept"}]).read_bytes()
    code, said, sentence = stillroom(
        "synthesize", seeds, "--count", 3, *options, "--field", "text", "--out", out, "--max-tokens", 4
    )
    assert (code, said) == (1, "")
    assert f"3 rows have no label. They are listed in {tmp_path / 'inputs.unlabelled.jsonl'}" in sentence
    assert {row["reason"] for row in read(tmp_path / "inputs.unlabelled.jsonl")} == {"was cut off at max_tokens (4)"}
    assert out.read_bytes() == before


def test_a_mistake_is_found_before_anybody_is_asked(tmp_path, server, options, stillroom):
    seeds = write(tmp_path / "seeds.jsonl", SEEDS)
    before = server.stats()["requests"]
    for arguments, sentence in (
        ((), "give seeds with --count"),
        ((seeds,), "give seeds with --count"),
        ((seeds, "--count", 3, "--thin", seeds), "give seeds with --count"),
        (("--thin", seeds, "--topics", "travel"), "give seeds with --count"),
        ((seeds, "--count", 3), "seed 0 has no text in the field 'input'; its fields are: text, topic"),
        ((seeds, "--count", 3, "--field", "text", "--topics", " ,"), "the list of topics is empty"),
        ((seeds, "--count", 3, "--field", "text", "--threshold", 3), "a threshold of near-duplicates lies between"),
        ((seeds, "--count", 3, "--out", tmp_path / "inputs.csv"), "name a file that ends in .jsonl"),
    ):
        code, said, message = stillroom("synthesize", *options, *arguments)
        assert (code, said, message.count("\n"), sentence in message) == (2, "", 1, True), message
    assert server.stats()["requests"] == before
