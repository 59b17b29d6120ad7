"""Labels: a teacher's answers to rows of text, in a table whose columns are a contract.

Those who ask the teacher write it, those who train read it, in SQL or as Parquet. It does not know who pays.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom.core.errors import MissingError
from stillroom.core.runs import write_atomic

COLUMNS = (
    "key", "row_id", "input", "answer", "rationale", "soft_targets", "finish_reason", "model", "prompt_hash",
    "prompt_tokens", "completion_tokens", "cached_tokens", "created", "policy",
)  # fmt: skip


@dataclass(frozen=True)
class Label:
    """A teacher's answer to one row of text: one row of the `labels` table, whose columns have these names.

    Parameters
    ----------
    key, row_id
        Its address (see `keys.key`), and the row of the user's data.
    input, answer, rationale
        What was asked; what was answered, None when that is of no use; and why.
    model, prompt_hash
        Who answered, and to which prompt.
    soft_targets
        Probability of each class, by name.
    finish_reason
        Why the teacher stopped: `"stop"`, `"length"`, …
    prompt_tokens, completion_tokens, cached_tokens
        As billed; `cached_tokens` is the part of `prompt_tokens` that the provider's prompt cache served.
    created
        When it was stored, in UTC; the store fills it in.
    policy
        How the prompt was compressed, in words; None: not at all.
    """

    key: str
    row_id: str
    input: str
    answer: str | None
    model: str
    rationale: str | None = None
    soft_targets: Mapping[str, float] | None = None
    finish_reason: str | None = None
    prompt_hash: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    created: str = ""
    policy: str | None = None


def create_table(connection: sqlite3.Connection) -> None:
    """Create the `labels` table."""
    connection.execute(
        "CREATE TABLE labels (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, row_id TEXT NOT NULL, "
        "input TEXT NOT NULL, answer TEXT, rationale TEXT, soft_targets TEXT, finish_reason TEXT, model TEXT NOT NULL, "
        "prompt_hash TEXT, prompt_tokens INTEGER, completion_tokens INTEGER, cached_tokens INTEGER, "
        "created TEXT NOT NULL)"
    )


def add_policy(connection: sqlite3.Connection) -> None:
    """Add the column `policy` to the `labels` table."""
    connection.execute("ALTER TABLE labels ADD COLUMN policy TEXT")


def to_row(label: Label) -> tuple[Any, ...]:
    """Return the values of `COLUMNS`; `soft_targets` as JSON, half a surrogate pair (teachers do send them) as `?`."""
    values = {column: getattr(label, column) for column in COLUMNS}
    if label.soft_targets is not None:
        values["soft_targets"] = json.dumps(dict(label.soft_targets))
    return tuple(v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for v in values.values())


def from_row(row: Sequence[Any]) -> Label:
    """Return the label whose `COLUMNS` hold these values."""
    values = dict(zip(COLUMNS, row, strict=True))
    soft = values.pop("soft_targets")
    return Label(**values, soft_targets=None if soft is None else json.loads(soft))


def schema() -> Any:
    """Return the table's columns as a pyarrow schema; MissingError where pyarrow is missing."""
    try:
        import pyarrow
    except ImportError as error:
        raise MissingError("Parquet needs pyarrow, which is not installed: pip install pyarrow") from error
    kinds = [pyarrow.int64() if column.endswith("_tokens") else pyarrow.string() for column in COLUMNS]
    return pyarrow.schema(zip(COLUMNS, kinds, strict=True))


def write_parquet(rows: Sequence[Sequence[Any]], path: str | Path) -> None:
    """Write rows of the table to a Parquet file with its columns.

    Raises
    ------
    MissingError
        pyarrow is not installed.
    """
    columns = schema()
    import pyarrow
    from pyarrow import parquet

    records = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    buffer = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(records, schema=columns), buffer)
    write_atomic(path, buffer.getvalue().to_pybytes())
