from __future__ import annotations

import json

import pytest

from stillroom.core.errors import DataError
from stillroom.language.rows import Row, Source, read
from stillroom.language.work import asked, write_rows


def lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_rows_are_asked_without_answers_and_keep_their_other_columns(tmp_path):
    path = lines(tmp_path / "rows.jsonl", {"input": "one", "language": "en", "n": 3}, {"input": "two"})
    rows, records = asked(path)
    assert rows == [Row("one", extra={"language": "en", "n": 3}), Row("two")]
    assert records == [{"input": "one", "language": "en", "n": 3}, {"input": "two"}]


def test_the_text_may_stand_in_another_column(tmp_path):
    path = lines(tmp_path / "rows.jsonl", {"text": " one ", "input": "not this"})
    assert asked(path, "text")[0] == [Row(" one ", extra={"input": "not this"})]


def test_a_table_is_asked_as_lines_are(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("input,language\none,en\ntwo,fr\n")
    assert asked(path)[0] == [Row("one", extra={"language": "en"}), Row("two", extra={"language": "fr"})]


@pytest.mark.parametrize("record", [{"input": ""}, {"input": "  \n"}, {"input": None}, {"input": 5}, {"text": "two"}])
def test_a_row_without_a_text_is_named(tmp_path, record):
    path = lines(tmp_path / "rows.jsonl", {"input": "one"}, record)
    with pytest.raises(DataError, match=r"row 2 of .*rows\.jsonl has no text in the column 'input': leave it out"):
        asked(path)


def test_a_file_without_rows_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"rows\.jsonl has no rows: there is nothing to answer"):
        asked(lines(tmp_path / "rows.jsonl"))


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"there is no file .*nowhere\.jsonl"):
        asked(tmp_path / "nowhere.jsonl")


ROWS = [
    Row("one", "Eins", group="de", extra={"references": ["Eins", "Ein"], "note": None, "score": 0}),
    Row("two", "Deux", extra={"n": 2.5}),
    Row("drei ☃", "trois\nlignes"),
]


def test_written_rows_are_read_again_as_they_were(tmp_path):
    write_rows(tmp_path / "rows.jsonl", ROWS)
    again = read(Source(path=str(tmp_path / "rows.jsonl"))).rows
    assert [(row.input, row.answer, row.group) for row in again] == [(row.input, row.answer, row.group) for row in ROWS]
    assert [row.extra for row in again] == [
        {"row_id": "0", "references": ["Eins", "Ein"], "score": 0},
        {"row_id": "1", "n": 2.5},
        {"row_id": "2"},
    ]


def test_written_rows_are_lines_that_people_can_read_and_have_no_empty_cells(tmp_path):
    write_rows(tmp_path / "rows.jsonl", [*ROWS, Row("four")])
    written = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert written[2] == '{"row_id": "2", "input": "drei ☃", "answer": "trois\\nlignes"}'
    assert written[3] == '{"row_id": "3", "input": "four"}'


def test_other_columns_never_stand_in_for_a_rows_own(tmp_path):
    write_rows(tmp_path / "rows.jsonl", [Row("one", "Eins", extra={"input": "not this", "answer": "nor this"})])
    (again,) = read(Source(path=str(tmp_path / "rows.jsonl"))).rows
    assert (again.input, again.answer) == ("one", "Eins")


def test_no_rows_make_an_empty_file(tmp_path):
    write_rows(tmp_path / "rows.jsonl", [])
    assert (tmp_path / "rows.jsonl").read_bytes() == b""
