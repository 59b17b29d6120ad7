"""`stillroom teacher review`: rows go to a person and come back, and what the person left out is said."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import pytest

from stillroom.core.tables import rows as read


@pytest.fixture
def review(stillroom):
    return partial(stillroom, "review")


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    kept = ({"row_id": name, "input": f"={name}?", "answer": name.upper()} for name in "abcdef")
    path.write_text("".join(json.dumps(row) + "\n" for row in kept))
    return path


def fill(path: Path, verdicts: dict[str, tuple[str, str]], *, without: str = "") -> None:
    """Write verdicts and edited texts as a person would, and take a row out."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        filled = [row for row in csv.DictReader(file) if row["row_id"] != without]
    for row in filled:
        row["verdict"], row["edited"] = verdicts.get(row["row_id"], ("", ""))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(filled[0]))
        writer.writeheader()
        writer.writerows(filled)


def test_what_is_accepted_comes_back_in_the_order_of_the_rows_and_the_rest_is_said(tmp_path, rows, review):
    sheet, out = tmp_path / "review.csv", tmp_path / "accepted.jsonl"
    code, said, sentence = review("export", rows, "--out", sheet)
    assert (code, said) == (0, "")
    assert f"6 rows are in {sheet}" in sentence
    verdicts = {"a": ("edit", "B, rather"), "b": ("accept", ""), "c": ("no", ""), "e": ("yes", "")}
    fill(sheet, verdicts, without="f")
    code, said, sentence = review("import", sheet, "--rows", rows, "--out", out)
    assert code == 0, sentence
    originals = list(read(rows))
    assert list(read(out)) == [originals[0] | {"answer": "B, rather"}, originals[1], originals[4]]
    assert [line.split() for line in said.splitlines() if line.strip()][:5] == [
        ["accepted", "2"],
        ["rejected", "1"],
        ["edited", "1"],
        ["undecided", "1"],
        ["missing", "1"],
    ]
    assert "1 rows have no verdict yet: d\n" in sentence
    assert f"1 rows are gone from {sheet}: f\n" in sentence
    assert f"3 rows are in {out}" in sentence
    code, said, _ = review("import", sheet, "--rows", rows, "--out", out, "--edits", "input", "--json")
    found = json.loads(said)
    assert (found["undecided"], found["missing"], found["changed"], found["tally"]["edited"]) == (["d"], ["f"], [], 1)
    assert next(read(out))["input"] == "B, rather"


def test_a_review_that_is_under_way_is_not_written_over(tmp_path, rows, review):
    sheet = tmp_path / "review.csv"
    review("export", rows, "--out", sheet)
    fill(sheet, {"a": ("accept", "")})
    before = sheet.read_bytes()
    code, _, sentence = review("export", rows, "--out", sheet)
    assert (code, "is there already, maybe with verdicts in it" in sentence) == (2, True)
    assert sheet.read_bytes() == before


def test_a_verdict_that_is_none_touches_no_file(tmp_path, rows, review):
    sheet, out = tmp_path / "review.csv", tmp_path / "accepted.jsonl"
    review("export", rows, "--out", sheet)
    fill(sheet, {"a": ("perhaps", "")})
    for arguments, sentence in (
        ((sheet, "--rows", rows, "--out", out), "the verdict on row a is 'perhaps'"),
        ((tmp_path / "none.csv", "--rows", rows, "--out", out), "there is no file"),
        ((sheet, "--rows", rows, "--out", tmp_path / "accepted.csv"), "name a file that ends in .jsonl"),
    ):
        code, said, message = review("import", *arguments)
        assert (code, said, message.count("\n"), sentence in message) == (2, "", 1, True), message
    assert not out.exists()
