"""Rows as JSON Lines, for commands that write no other kind of table. It does not know what the rows are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def writable(path: Path) -> None:
    """Raise DataError, before any work is done, if `write` cannot write there."""
    from stillroom.core.errors import DataError

    if path.suffix != ".jsonl":
        raise DataError(f"this command writes JSON Lines: name a file that ends in .jsonl, not {path}")
    if path.is_dir():
        raise DataError(f"{path} is a folder: name a file")


def write(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write rows, whole or not at all; dates as text, half a surrogate pair as `?`."""
    from stillroom.core.runs import writing_atomic

    with writing_atomic(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n")
