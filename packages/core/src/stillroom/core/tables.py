"""Rows out of a user's file: Parquet, CSV or JSON Lines, by its name; `-` is JSON Lines on standard input.

It does not know what the columns mean.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from stillroom.core.errors import DataError, MissingError

LINES = (".jsonl", ".json", ".ndjson")
KINDS = "Parquet (.parquet), CSV (.csv) or JSON Lines (.jsonl, .json)"


def rows(path: str | Path) -> Iterator[dict[str, Any]]:
    """Return the rows of a table as they come, without holding the file in memory; a missing file is found at once.

    Raises
    ------
    DataError
        There is no such file, it is of another kind, or it cannot be read.
    MissingError
        It is Parquet and pyarrow is not installed.
    """
    if str(path) == "-":
        return _json_lines(sys.stdin, "standard input")
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    if path.suffix not in (".parquet", ".csv", *LINES):
        raise DataError(f"{path} should be {KINDS}")
    return _of_file(path)


def _of_file(path: Path) -> Iterator[dict[str, Any]]:
    try:
        if path.suffix == ".parquet":
            yield from _parquet(path)
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                csv.field_size_limit(sys.maxsize)  # documents are longer than the 128 KiB it stops at
                yield from csv.DictReader(file)
        else:
            with path.open(encoding="utf-8") as file:
                yield from _json_lines(file, str(path))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _json_lines(lines: Iterable[str], name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"line {number} of {name} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"line {number} of {name} should be one JSON object")
        yield row


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingError("Parquet needs pyarrow, which is not installed: pip install pyarrow") from error
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
