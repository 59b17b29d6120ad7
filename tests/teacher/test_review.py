from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError
from stillroom.core.tables import rows as table_rows
from stillroom.teacher.review import COLUMNS, VERDICTS, export, reimport

ROWS = [
    {"row_id": "a", "input": "Where is it?", "answer": "In the post."},
    {"row_id": "b", "input": "Two\nlines, a comma; a semicolon", "answer": '=HYPERLINK("http://x.example")'},
    {"row_id": "3", "input": "'-'", "answer": None},
]
FORMULA = "=+-@\t\r\n＝＋－＠"
texts = st.one_of(
    st.text(),
    st.text("=+-@\t\r\n'\",; 0e.", max_size=6),
    st.builds(str.__add__, st.sampled_from([*FORMULA, "'=", "''@", " =", "'\n"]), st.text(max_size=5)),
)
tables = st.lists(
    st.fixed_dictionaries(
        {"row_id": texts.filter(bool), "answer": texts, "extra": st.one_of(texts, st.none(), st.integers())}
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda row: row["row_id"].encode("utf-8", "replace"),
)


def cells(path: Path, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), delimiter=separator))


def fill(path: Path, verdicts: dict[str, str | tuple[str, str]], separator: str = ",", **save) -> None:
    """Fill in the verdicts (and edits) by row id, and save the file anew as a spreadsheet would."""
    header, *lines = cells(path)
    for line in lines:
        said = verdicts.get(line[header.index("row_id")].lstrip("'"), "")
        line[-3], line[-2] = said if isinstance(said, tuple) else (said, "")
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, **save).writerows([header, *lines])
    path.write_bytes(text.getvalue().encode("utf-8-sig"))


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "review.csv"


@pytest.fixture
def exported(path) -> Path:
    export(ROWS, path)
    return path


@settings(max_examples=80, deadline=None)
@given(tables, st.sampled_from([".csv", ".jsonl"]))
def test_no_cell_is_a_formula_and_all_come_back_unchanged(rows, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"review{suffix}"
        assert export(rows, path) == len(rows)
        if suffix == ".csv":
            for line in cells(path):
                assert not any(cell.lstrip().startswith(tuple("=+@＝＋－＠")) for cell in line)
                assert not any(cell.startswith(tuple("\t\r\n")) for cell in line)
                assert all(
                    cell.lstrip("-").isdigit() for cell in line if cell.startswith("-")
                )  # a number of the user's
        found = reimport(path, rows)
        assert (found.changed, found.missing, found.added) == ([], [], [])
        assert len(found.undecided) == len(rows)


@settings(max_examples=60, deadline=None)
@given(tables, st.data())
def test_verdicts_and_edits_come_back_as_they_were_given(rows, data):
    said = data.draw(st.lists(st.sampled_from([*VERDICTS, ""]), min_size=len(rows), max_size=len(rows)))
    edits = data.draw(st.lists(texts.filter(lambda text: text.strip()), min_size=len(rows), max_size=len(rows)))
    edits = [text.encode("utf-8", "replace").decode() for text in edits]
    separator = data.draw(st.sampled_from(",;\t"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "review.csv"
        # the export of the edits themselves shows how a spreadsheet-safe cell of each looks
        export([{"row_id": n, "edit": text} for n, text in enumerate(edits)], path)
        safe = [line[1] for line in cells(path)[1:]]
        export(rows, path)
        header, *lines = cells(path)
        for line, verdict, edit in zip(lines, said, safe, strict=True):
            line[-3:-1] = [verdict, edit if verdict == "edit" else ""]
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerows([header, *lines])
        path.write_bytes(text.getvalue().encode())
        found = reimport(path, rows)
    pairs = list(zip(rows, said, edits, strict=True))
    assert found.accepted == [row for row, verdict, _ in pairs if verdict == "accept"]
    assert found.rejected == [row for row, verdict, _ in pairs if verdict == "reject"]
    assert found.edited == [row | {"answer": edit} for row, verdict, edit in pairs if verdict == "edit"]
    assert len(found.undecided) == said.count("")
    assert (found.changed, found.missing, found.added) == ([], [], [])


def test_the_file_opens_as_excel_likes_it(exported):
    raw = exported.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    header, *lines = cells(exported)
    assert header == ["row_id", "input", "answer", *COLUMNS]
    assert [line[3:] for line in lines] == [["", "", ""]] * 3
    assert lines[1][2] == """'=HYPERLINK("http://x.example")"""
    assert [lines[2][0], lines[2][1]] == ["'3", "''-'"]  # a number would lose its zeros or its last digits
    assert next(iter(table_rows(exported)))["answer"] == "In the post."  # any reader of tables reads it, too


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("lineterminator", ["\r\n", "\n"])
def test_what_excel_saves_is_read(separator, lineterminator, exported):
    fill(
        exported,
        {"a": "YES", "b": ("Edit", "By post.\nSoon."), "3": " nein "},
        separator,
        lineterminator=lineterminator,
    )
    exported.write_bytes(exported.read_bytes() + (separator * 5 + lineterminator).encode())  # a row that was cleared
    found = reimport(exported, ROWS)
    assert found.accepted == [ROWS[0]]
    assert found.edited == [ROWS[1] | {"answer": "By post.\nSoon."}]
    assert found.rejected == [ROWS[2]]
    assert (found.undecided, found.missing, found.added, found.changed) == ([], [], [], [])


@pytest.mark.parametrize(("verdict", "words"), VERDICTS.items())
def test_a_verdict_has_the_spellings_of_the_table(verdict, words, exported):
    for word in words:
        for written in (word, word.upper(), f" {word.capitalize()} "):
            fill(exported, {"a": (written, "new" if verdict == "edit" else "")})
            found = reimport(exported, ROWS)
            [row] = {"accept": found.accepted, "reject": found.rejected, "edit": found.edited}[verdict]
            assert row["row_id"] == "a"
            assert found.undecided == ["b", "3"]


@pytest.mark.parametrize("word", ["x", "maybe", "1", "true", "accept!"])
def test_any_other_verdict_is_an_error_that_names_the_row_and_the_words(word, exported):
    fill(exported, {"b": word})
    with pytest.raises(
        DataError, match=rf"the verdict on row b is {word!r}: write one of accept, accepted, yes, .*nein"
    ):
        reimport(exported, ROWS)


def test_edits_without_a_text_and_texts_without_an_edit_are_errors(exported):
    fill(exported, {"a": "edit"})
    with pytest.raises(DataError, match="row a should be edited, but has no text"):
        reimport(exported, ROWS)
    for verdict in ("accept", "reject", ""):
        fill(exported, {"a": (verdict, "something")})
        with pytest.raises(DataError, match="row a has a text in the column edited"):
            reimport(exported, ROWS)
    fill(exported, {"a": ("edit", "something")})
    with pytest.raises(DataError, match="row a has no column 'label' to edit: name one of row_id, input, answer"):
        reimport(exported, ROWS, edits="label")
    assert reimport(exported, ROWS, edits="input").edited == [ROWS[0] | {"input": "something"}]


def test_rows_that_vanished_or_were_added_and_cells_that_changed_are_reported(exported):
    header, first, second, _ = cells(exported)
    first[1], second[4:] = "Where was it?", ["", "look again"]
    first[3] = "ok"
    with exported.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, second, first, ["new", "What?", "That.", "ok", "", ""], ["cut"]])
    found = reimport(exported, ROWS)
    assert found.accepted == [ROWS[0]]  # as it was given out
    assert found.changed == [("a", "input")]
    assert (found.missing, found.added, found.undecided) == (["3"], ["new", "cut"], ["b"])
    assert found.notes == {"b": "look again"}


def test_line_ends_that_a_spreadsheet_changes_are_no_change(path):
    rows = [{"row_id": "a", "answer": "one\r\ntwo\rthree"}]
    export(rows, path)
    path.write_bytes(path.read_bytes().replace(b"one\r\ntwo\rthree", b"one\ntwo\nthree"))
    assert reimport(path, rows).changed == []


def test_a_row_that_is_there_twice_is_an_error(exported):
    exported.write_bytes(exported.read_bytes() + b"a,Where?,There.,ok,,\r\n")
    with pytest.raises(DataError, match="row a is there twice"):
        reimport(exported, ROWS)


def test_json_lines_keep_values_of_every_kind(tmp_path):
    path = tmp_path / "review.jsonl"
    rows = [{"row_id": 7, "answer": {"n": [1, None]}}, {"row_id": "x", "answer": "é\u2028=1"}]
    export(rows, path)
    given = list(table_rows(path))
    assert given == [row | dict.fromkeys(COLUMNS, "") for row in rows]
    given[0] |= {"verdict": "edit", "edited": {"n": []}}
    path.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
    found = reimport(path, rows)
    assert found.edited == [{"row_id": 7, "answer": {"n": []}}]
    assert (found.undecided, found.changed) == (["x"], [])


def test_long_texts_survive(path):
    rows = [{"row_id": "a", "answer": "word, " * 60_000}]
    export(rows, path)
    assert reimport(path, rows).changed == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has no columns row_id and verdict"),
        (b"row_id,answer\na,b\n", "has no columns row_id and verdict"),
        (b"id,verdict\na,b\n", "has no columns row_id and verdict"),
        ("row_id;verdict;note\na;ok;schön\n".encode("latin-1"), "save it as 'CSV UTF-8'"),
    ],
)
def test_files_that_are_no_review_are_refused(content, sentence, path):
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        reimport(path, ROWS)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "no rows to review"),
        ([{"answer": "a"}], "row 0 has no row_id"),
        ([{"row_id": "a"}, {"row_id": "a"}], "two rows have the row_id a"),
        ([{"row_id": "a", "note": "b"}], "have a column 'note'"),
    ],
)
def test_rows_that_cannot_be_reviewed_are_refused_and_nothing_is_written(rows, sentence, path):
    with pytest.raises(DataError, match=sentence):
        export(rows, path)
    assert not path.exists()


def test_files_of_other_kinds_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"a review is a .csv or .jsonl file"):
        export(ROWS, tmp_path / "review.xlsx")
    with pytest.raises(DataError, match="there is no file"):
        reimport(tmp_path / "none.csv", ROWS)
