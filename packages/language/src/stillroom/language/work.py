"""What commands share: rows that are asked, and rows that are written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stillroom.core.errors import DataError
from stillroom.core.runs import write_atomic
from stillroom.core.tables import rows as table_rows
from stillroom.language.rows import Row


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
    """Write rows as JSON Lines: input, answer, group and their other columns, numbered by `row_id`."""
    lines = []
    for number, row in enumerate(rows):
        record = {"row_id": str(number), "input": row.input, "answer": row.answer, "group": row.group, **row.extra}
        lines.append(
            json.dumps({name: value for name, value in record.items() if value not in (None, "")}, ensure_ascii=False)
        )
    write_atomic(path, "".join(f"{line}\n" for line in lines))
