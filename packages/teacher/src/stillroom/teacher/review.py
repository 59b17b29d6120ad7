"""Rows to a person and back: a file with an empty column for the verdict, and what the verdicts come to.

`export` writes CSV, which spreadsheets open, or JSON Lines; `reimport` reads it when it is filled in, as Excel or
LibreOffice save it. The rows themselves are the caller's: of the file only `row_id`, `verdict`, `edited` and `note` are
believed, and where another cell has changed that is reported: spreadsheets make dates of things, and Excel cuts what is
longer than 32,767 characters.

A text may come from a machine that was told what to write, so no cell is a formula: what begins with one of = + - @, a
tab or a line break, maybe after apostrophes and blanks, gets an apostrophe in front, which is taken off again (after
OWASP, "CSV Injection"). So does a text that looks like a number, which a spreadsheet would round, as it would the 16
digits that a `row_id` may consist of.

It does not know what makes a row good.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from stillroom.core.errors import DataError
from stillroom.core.runs import write_atomic
from stillroom.core.tables import rows as table_rows

VERDICTS = {  # and how a person may write each, in any case
    "accept": ("accept", "accepted", "yes", "y", "ok", "ja", "j"),
    "reject": ("reject", "rejected", "no", "n", "nein"),
    "edit": ("edit", "edited"),
}  # a lone x is left out: to some it is a tick, to others a cross
COLUMNS = ("verdict", "edited", "note")  # that the person fills in
_MEANT = {word: verdict for verdict, words in VERDICTS.items() for word in words}
# the signs in full width, too: spreadsheets in East Asian languages take them for the same
_UNSAFE = re.compile(r"['\s]*[=+\-@＝＋－＠]|'*[\t\r\n]|'*[\d.,]+(?:[eE][+-]?\d+)?\Z")


@dataclass(frozen=True)
class Reviewed:
    """What a person said of the rows, in the order of the rows.

    Attributes
    ----------
    accepted, rejected
        Rows as they were.
    edited
        Rows with the person's text in the place of their own.
    undecided
        The `row_id` of rows without a verdict.
    missing, added
        The `row_id` of rows that are gone from the file, and of those in it that were never given out.
    changed
        `row_id` and column of cells that no longer say what was written, though they were not to be filled in.
    notes
        What the person noted, by `row_id`.
    """

    accepted: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    edited: list[dict[str, Any]] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)


def export(rows: Iterable[Mapping[str, Any]], path: str | Path) -> int:
    """Write rows for review, with the empty columns `verdict`, `edited` and `note`, and return how many there are.

    A verdict is accept, reject, or edit, which takes the text in `edited` (see `VERDICTS` for the spellings).

    Parameters
    ----------
    path
        `.csv` (UTF-8 with a byte-order mark, by which Excel knows it; lists and mappings as JSON) or `.jsonl`.

    Raises
    ------
    DataError
        No rows, one without a `row_id` or with that of another, one that has such columns already, or a file of another
        kind.
    """
    originals = _by_id(rows)
    if not originals:
        raise DataError("there are no rows to review")
    names = list(dict.fromkeys(name for row in originals.values() for name in row))
    taken = [name for name in COLUMNS if name in names]
    if taken:
        raise DataError(f"the rows have a column {taken[0]!r}, which the review fills in: rename it")
    if _is_csv(path):
        file = io.StringIO(newline="")
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)  # so that a lone carriage return is quoted, too
        writer.writerow([*map(_cell, names), *COLUMNS])
        writer.writerows([*(_cell(row.get(name)) for name in names), "", "", ""] for row in originals.values())
        write_atomic(path, file.getvalue().encode("utf-8-sig"))
    else:
        given = (row | dict.fromkeys(COLUMNS, "") for row in originals.values())
        lines = [json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in given]
        write_atomic(path, "".join(lines).encode("utf-8", "replace"))
    return len(originals)


def reimport(path: str | Path, rows: Iterable[Mapping[str, Any]], *, edits: str = "answer") -> Reviewed:
    """Read the verdicts on rows that `export` wrote.

    Columns may stand in any order, or be left out but for `row_id` and `verdict`; CSV may be separated by commas,
    semicolons or tabs, with any line ends, with a byte-order mark or without.

    Parameters
    ----------
    rows
        As they were given to `export`.
    edits
        The column that `edited` replaces: `answer` of labels, `input` of harvested rows.

    Raises
    ------
    DataError
        No such file, one that is not UTF-8 or lacks the columns, a verdict that is none, an edit without a text or a
        text without an edit, a row that is there twice, or rows without the column `edits`.
    """
    originals = _by_id(rows)
    verdicts: dict[str, tuple[str, Any]] = {}  # and the text of an edit
    found = Reviewed()
    for row in _csv(Path(path)) if _is_csv(path) else table_rows(path):
        if not {"row_id", "verdict"} <= row.keys():
            raise _foreign(path)
        row_id = _text(row["row_id"])
        if row_id not in originals:
            found.added.append(row_id)
            continue
        if row_id in verdicts:
            raise DataError(f"row {row_id} is there twice in {path}: leave one of them")
        verdicts[row_id] = _verdict(row_id, row)
        if note := _text(row.get("note")).strip():
            found.notes[row_id] = note
        shown = [(name, value) for name, value in originals[row_id].items() if name in row]
        changed = [name for name, value in shown if _one_line_end(row[name]) != _one_line_end(value)]
        found.changed.extend((row_id, name) for name in changed)
    for row_id, original in originals.items():
        verdict, text = verdicts.get(row_id, ("missing", None))
        if verdict == "edit":
            if edits not in original:
                have = ", ".join(original)
                raise DataError(f"row {row_id} has no column {edits!r} to edit: name one of {have}")
            found.edited.append(original | {edits: text})
        elif verdict in ("accept", "reject"):
            (found.accepted if verdict == "accept" else found.rejected).append(original)
        else:
            (found.undecided if verdict == "" else found.missing).append(row_id)
    return found


def _verdict(row_id: str, row: Mapping[str, Any]) -> tuple[str, Any]:
    """What is said of a row, "" for nothing, and what takes the place of its own text."""
    said = _text(row["verdict"]).strip()
    verdict = _MEANT.get(said.casefold(), "")
    if said and not verdict:
        words = "; ".join(", ".join(spellings) for spellings in VERDICTS.values())
        raise DataError(f"the verdict on row {row_id} is {said!r}: write one of {words}; or nothing, to leave it open")
    edited = row.get("edited")
    empty = not _text(edited).strip()
    if verdict == "edit" and empty:
        raise DataError(f"row {row_id} should be edited, but has no text in the column edited: write it there")
    if verdict != "edit" and not empty:
        raise DataError(f"row {row_id} has a text in the column edited: make its verdict edit, or clear the text")
    return verdict, edited


def _csv(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV file as texts; without those that have no filled cell, as spreadsheets leave such behind."""
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: save it as 'CSV UTF-8'") from error
    csv.field_size_limit(sys.maxsize)  # documents are longer than the 128 KiB it stops at
    try:
        for separator in ",;\t":
            names, *rows = [*csv.reader(io.StringIO(text, newline=""), delimiter=separator)] or [[]]
            if "row_id" in names:
                break
        else:
            raise _foreign(path)
    except csv.Error as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    for cells in rows:
        if any(cells):
            yield {_open(name): _open(cell) for name, cell in zip_longest(names, cells[: len(names)], fillvalue="")}


def _foreign(path: str | Path) -> DataError:
    return DataError(f"{path} has no columns row_id and verdict: is it the file that was exported?")


def _is_csv(path: str | Path) -> bool:
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".jsonl"):
        raise DataError(f"a review is a .csv or .jsonl file, not {path}")
    return suffix == ".csv"


def _by_id(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        if row.get("row_id") in (None, ""):
            raise DataError(f"row {number} has no row_id, by which its verdict could be found again")
        row_id = _text(row["row_id"])
        if row_id in found:
            raise DataError(f"two rows have the row_id {row_id}: give each its own")
        found[row_id] = dict(row)
    return found


def _text(value: Any) -> str:
    """A value as a cell says it: lists and mappings as JSON, None empty, half a surrogate pair as `?`."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _one_line_end(value: Any) -> str:
    """A value's text with line ends of one kind, as spreadsheets change them."""
    return re.sub(r"\r\n?", "\n", _text(value))


def _cell(value: Any) -> str:
    """A value's text so that no spreadsheet takes it for a formula or a number that it may round."""
    text = _text(value)
    return f"'{text}" if isinstance(value, str) and _UNSAFE.match(text) else text


def _open(cell: str) -> str:
    """The text of a cell: the reverse of `_cell`."""
    return cell[1:] if cell.startswith("'") and _UNSAFE.match(cell[1:]) else cell
