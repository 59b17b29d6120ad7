"""How long will it take? What a model's earlier rows in the folder took, scaled to the values it is asked for now.

A job's time is taken as a fixed part (its process starts, the model is loaded) and one in proportion to the number of
values. A model that has no row in the folder yet has no estimate: guessing its speed would be a lie.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from stillroom.bench.runner import Cell


def estimate(cells: Sequence[Cell], folder: Path) -> list[float | None]:
    """Seconds that each cell will take, one at a time, by the `ok` rows in `folder`; None where no row can tell.

    Rows of the same model and kind are asked; other weights under the same name are taken to be as fast.
    """
    paths = (folder / "rows").glob("*.json")
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    rows = [row for row in rows if row["status"] == "ok" and row.get("wall_seconds") and row.get("size")]
    seconds: list[float | None] = []
    for cell in cells:
        alike = [row for row in rows if (row["model"], row["kind"]) == (cell.model, cell.task.kind)]
        seconds.append(_fixed(alike) + _rate(alike) * (cell.size or 0) if alike else None)
    return seconds


def _fixed(rows: Sequence[dict[str, Any]]) -> float:
    return float(median(max(row["wall_seconds"] - _working(row), 0.0) for row in rows))


def _rate(rows: Sequence[dict[str, Any]]) -> float:
    return float(sum(map(_working, rows)) / sum(row["size"] for row in rows))


def _working(row: dict[str, Any]) -> float:
    return float(row["fit_seconds"] + row["inference_seconds"])
