"""Score rows on disk: one JSON file a row, written whole or not at all, and the Parquet table made of them.

    DIR/rows/<task>--<model>-<hash>.json     the truth; a row is done when its file is there and its key is right
    DIR/predictions/<same>.parquet           what the model said; written before the row that names it
    DIR/logs/<same>.log                      what a failed job printed, traceback included
    DIR/scores.parquet                       all rows as one table, made anew from the files

A pair of task and model has one row in a folder: the latest. This file knows nothing of how a row comes about.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.core.errors import DataError
from stillroom.core.plain import to_plain
from stillroom.core.runs import write_atomic

if TYPE_CHECKING:
    import pandas as pd

BEFORE = ("suite", "task", "kind", "dataset", "model", "status", "reason")
AFTER = {
    "leakage": "boolean",
    "notes": "string",
    "base_model": "string",
    "adapter": "string",
    "teacher": "string",
    "load_seconds": "float64",
    "train_seconds": "float64",
    "fit_seconds": "float64",
    "inference_seconds": "float64",
    "wall_seconds": "float64",
    "peak_memory_mb": "float64",
    "parameters": "Int64",
    "bytes_on_disk": "Int64",
    "cost_usd": "float64",
    "tokens": "Int64",
    "seed": "Int64",
    "versions": "string",
    "size": "Int64",
    "weights": "string",
    "fingerprint": "string",
    "key": "string",
    "predictions": "string",
    "finished": "string",
}
"""Columns after the metrics, with their types: a table of failures has the same types as a table of successes."""

MEASURED = ("load_seconds", "fit_seconds", "inference_seconds", "wall_seconds", "peak_memory_mb", "finished")
"""Columns that differ from run to run; all others are the same for the same key."""


def write_row(folder: Path, stem: str, row: dict[str, Any]) -> None:
    """Make a row durable: when this returns, it outlives a kill and a power cut."""
    write_atomic(folder / "rows" / f"{stem}.json", json.dumps(to_plain(row), indent=1))


def read_row(folder: Path, stem: str) -> dict[str, Any] | None:
    """The row of that name, or None."""
    path = folder / "rows" / f"{stem}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def read_rows(folder: Path) -> dict[str, dict[str, Any]]:
    """All rows by their files' names; `DataError` when there are none."""
    files = sorted((folder / "rows").glob("*.json"))
    if not files:
        raise DataError(f"{folder} holds no scores: name a folder that `stillroom bench run … --out` wrote")
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def assemble(folder: Path) -> pd.DataFrame:
    """Make `scores.parquet` of all rows, and return it: sorted by task and model, one upper-case column a metric."""
    scores = to_frame(read_rows(folder).values())
    buffer = BytesIO()
    scores.to_parquet(buffer, index=False)
    write_atomic(folder / "scores.parquet", buffer.getvalue())
    return scores


def to_frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table with typed columns."""
    import pandas as pd

    rows = list(rows)
    metrics = list(dict.fromkeys(name for row in rows for name in row.get("metrics") or {}))
    table = []
    for row in rows:
        flat = {name: row.get(name) for name in (*BEFORE, *AFTER)}
        flat["versions"] = json.dumps(row.get("versions") or {}, sort_keys=True)
        table.append(flat | {name: (row.get("metrics") or {}).get(name) for name in metrics})
    types: dict[str, Any] = dict.fromkeys(BEFORE, "string") | dict.fromkeys(metrics, "float64") | AFTER
    frame = pd.DataFrame(table, columns=[*BEFORE, *metrics, *AFTER]).astype(types)
    return frame.sort_values(["task", "model"], ignore_index=True)
