"""What a reader must know beside the scores: failures, skips, leakage and what models said about themselves.

Rows with the same reason become one line of the table, so that thirty models without their data set are one sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stillroom.bench.report.words import joined

if TYPE_CHECKING:
    import pandas as pd


def failures(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """`model`, `tasks` and `reason` of failed rows."""
    failed = scores[scores["status"] == "failed"].fillna({"reason": "no reason was given"})
    return [
        {"model": model, "tasks": joined(list(rows["task"]), 12), "reason": reason}
        for (model, reason), rows in failed.groupby(["model", "reason"])
    ]


def skips(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """`task`, `models` and `reason` of skipped rows."""
    skipped = scores[scores["status"] == "skipped"].fillna({"reason": "no reason was given"})
    asked = scores.groupby("kind")["model"].nunique()
    return [
        {
            "task": task,
            "models": "all" if len(rows) == asked[rows["kind"].iloc[0]] else joined(list(rows["model"]), 12),
            "reason": reason,
        }
        for (task, reason), rows in skipped.groupby(["task", "reason"])
    ]


def leaks(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """`model` and `tasks` whose data the model was trained on."""
    leaking = scores[scores["leakage"].fillna(False).astype(bool)]
    return [{"model": model, "tasks": joined(list(rows["task"]), 40)} for model, rows in leaking.groupby("model")]


def notes(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """`model`, `tasks` and `note`: what models said of how they came to their answers."""
    said = scores.dropna(subset=["notes"])
    return [
        {"model": model, "tasks": joined(list(rows["task"]), 12), "note": note}
        for (model, note), rows in said.groupby(["model", "notes"])
    ]
