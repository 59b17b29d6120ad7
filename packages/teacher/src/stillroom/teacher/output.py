"""Labels as a file, in the order of the rows: Parquet, CSV or JSON Lines; and beside it the rows that have none.

Files are written whole or not at all, a group of labels at a time. It does not know where labels come from.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from stillroom.core.errors import DataError
from stillroom.core.labels import COLUMNS, Label, schema, to_row
from stillroom.core.runs import writing_atomic

KINDS = (".parquet", ".csv", ".jsonl")
GROUP = 4096  # labels in memory at a time, and in a row group of a Parquet file


class _Sink(Protocol):
    def write(self, rows: list[dict[str, Any]]) -> None: ...


def writable(path: str | Path) -> Path:
    """Return the path; raises DataError, before any work is done, if `write` cannot write there."""
    path = Path(path)
    if path.suffix not in KINDS:
        raise DataError(f"labels go to a file that ends in {', '.join(KINDS)}, not to {path}")
    if path.is_dir():
        raise DataError(f"{path} is a folder: name a file")
    if path.suffix == ".parquet":
        schema()  # is pyarrow there?
    return path


def write(labels: Iterable[Label], path: Path) -> int:
    """Write labels and return how many there are; columns are those of `core.labels`."""
    count, rest = 0, iter(labels)
    with writing_atomic(path) as file, _sink(file, path.suffix) as sink:
        while group := [dict(zip(COLUMNS, to_row(label), strict=True)) for label in islice(rest, GROUP)]:
            sink.write(group)
            count += len(group)
    return count


def write_missing(missing: Iterable[tuple[str, str]], labels: Path) -> Path | None:
    """Write row_id and reason of the rows without a label beside the labels; where there are none, no file is left."""
    path = labels.with_name(f"{labels.stem}.unlabelled.jsonl")
    rest = iter(missing)
    first = next(rest, None)
    if first is None:
        path.unlink(missing_ok=True)
        return None
    with writing_atomic(path) as file:
        for row_id, reason in (first, *rest):
            file.write(json.dumps({"row_id": row_id, "reason": reason}, ensure_ascii=False).encode() + b"\n")
    return path


@contextmanager
def _sink(file: BinaryIO, suffix: str) -> Iterator[_Sink]:
    if suffix != ".parquet":
        yield _Lines(file) if suffix == ".jsonl" else _Csv(file)
        return
    from pyarrow import parquet

    with parquet.ParquetWriter(file, schema()) as writer:
        yield _Parquet(writer)


class _Lines:
    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def write(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            soft = row["soft_targets"]
            whole = row | {"soft_targets": None if soft is None else json.loads(soft)}
            self.file.write(json.dumps(whole, ensure_ascii=False).encode() + b"\n")


class _Csv:
    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self._put([list(COLUMNS)])

    def write(self, rows: list[dict[str, Any]]) -> None:
        self._put([list(row.values()) for row in rows])

    def _put(self, rows: list[list[Any]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self.file.write(text.getvalue().encode())


class _Parquet:
    def __init__(self, writer: Any) -> None:
        self.writer = writer

    def write(self, rows: list[dict[str, Any]]) -> None:
        import pyarrow

        self.writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema()))
