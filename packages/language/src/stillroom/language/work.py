"""What commands share: rows that are asked, and rows that are written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stillroom.core.errors import DataError
from stillroom.core.runs import write_atomic
from stillroom.core.tables import rows as table_rows
from stillroom.language.rows import Columns, Row


def asked(path: Path, column: str = "input") -> tuple[list[Row], list[dict[str, Any]]]:
    """Return the rows of a file, which need no answers, and the records as they stand there.

    Raises
    ------
    DataError
        There is no such file, it has no rows, or one of them has no text in the column.
    """
    records = list(table_rows(path))
    if not records:
        raise DataError(f"{path} has no rows: there is nothing to answer")
    rows = []
    for number, record in enumerate(records, start=1):
        text = record.get(column)
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"row {number} of {path} has no text in the column {column!r}: leave it out")
        rows.append(Row(text, extra={name: value for name, value in record.items() if name != column}))
    return rows, records


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSON Lines (see `record`), numbered by `row_id`."""
    write_lines(path, ({"row_id": str(number), **record(row)} for number, row in enumerate(rows)))


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records as JSON Lines."""
    write_atomic(path, as_lines(records))


def as_lines(records: Iterable[Mapping[str, Any]]) -> str:
    """Return records as JSON Lines."""
    return "".join(f"{json.dumps(one, ensure_ascii=False, default=str)}\n" for one in records)


def record(row: Row) -> dict[str, Any]:
    """Return a row as a record of which `rows.read` makes the same row again, but for its task, which a source says.

    A column of `extra` with the name of a row's own part gives way to it; what is empty is left out.
    """
    own = {name: getattr(row, name) for name in Columns.model_fields}
    own["soft_targets"] = None if row.soft_targets is None else dict(row.soft_targets)
    both = own | {name: value for name, value in row.extra.items() if name not in own}
    return {name: value for name, value in both.items() if value not in (None, "")}
