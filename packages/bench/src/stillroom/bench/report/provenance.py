"""Where the numbers come from: models and their weights, data, versions, and how to get the same numbers again.

Everything is read from the score rows; nothing of the machine is told but its seconds.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.bench.keys import stem
from stillroom.bench.report.svg import short
from stillroom.bench.rows import read_row
from stillroom.bench.tasks import load_suite, read_task
from stillroom.core.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

OWN = "tasks.yaml"


def models(scores: pd.DataFrame) -> list[dict[str, str]]:
    """What each model is made of: a column a fact, without those that no model has."""
    table = []
    for name, rows in scores.groupby("model"):
        table.append(
            {
                "model": str(name),
                "parameters": _one(rows["parameters"], short),
                "size": size(rows["bytes_on_disk"].max(), _one(rows["weights"])),
                "base model": _one(rows["base_model"]),
                "adapter": _one(rows["adapter"]),
                "teacher": _one(rows["teacher"]),
                "training": _one(rows["train_seconds"], seconds),
                "cost": f"{rows['cost_usd'].sum():.2f} USD" if rows["cost_usd"].sum() else "",
                "tokens": short(rows["tokens"].sum()) if rows["tokens"].sum() else "",
                "weights": _one(rows["weights"]),
            }
        )
    told = [column for column in table[0] if any(row[column] for row in table)]
    return [{column: row[column] for column in told} for row in table]


def size(bytes_on_disk: float, weights: str) -> str:
    """Bytes on disk for people; a hub model that was never here has no known size, a baseline has none at all."""
    if not bytes_on_disk > 0:
        return "unknown" if weights.startswith("hub:") else "no weights"
    return f"{bytes_on_disk / 1e6:.3g} MB"


def seconds(value: float) -> str:
    """A time for people."""
    if value >= 3600:
        return f"{value / 3600:.1f} h"
    return f"{value / 60:.0f} min" if value >= 600 else f"{value:.3g} s"


def data(scores: pd.DataFrame) -> list[dict[str, str]]:
    """What each task rests on; without a fingerprint where the data could not be had."""
    rows = scores.sort_values("fingerprint", na_position="last", kind="stable").drop_duplicates("task")
    return [
        {
            "task": row["task"],
            "data set": row["dataset"],
            "values asked for": f"{row['size']:,}" if row["size"] else "",
            "fingerprint": row["fingerprint"],
        }
        for row in rows.sort_values("task").fillna({"size": 0, "fingerprint": ""}).to_dict("records")
    ]


def versions(scores: pd.DataFrame) -> dict[str, str]:
    """Package -> version; several when not all rows were made with the same."""
    found: dict[str, set[str]] = {}
    for text in scores["versions"].dropna().unique():
        for package, version in json.loads(text).items():
            found.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(found[package])) for package in sorted(found)}


def specs(folder: Path, scores: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Every task as its row has it, by id."""
    first = scores.drop_duplicates("task")
    rows = (read_row(folder, stem(row["task"], row["model"])) for row in first.to_dict("records"))
    return {row["task"]: row["spec"] for row in rows if row and row.get("spec")}


def commands(scores: pd.DataFrame, tasks: Mapping[str, Mapping[str, Any]], baselines: Sequence[str]) -> list[str]:
    """What to type to get the same rows: one command a suite and seed."""
    written = []
    for (suite, seed), rows in scores.groupby(["suite", "seed"]):
        ran = {name: tasks[name] for name in rows["task"].unique() if name in tasks}
        options = [f"--model {shlex.quote(name)}" for name in sorted(set(rows["model"]) - set(baselines))]
        options += [f"--seed {seed}"] if seed else []
        written.append(" ".join(["stillroom bench run", _suite(str(suite), ran), *options, "--out scores"]))
    return written


def _suite(name: str, ran: Mapping[str, Mapping[str, Any]]) -> str:
    """The suite's name and what makes it these tasks; a file of its own where no registered suite does."""
    limits = {spec.get("max_series") for spec in ran.values()} - {None}
    try:
        suite = load_suite(name)
    except UserError:
        return OWN
    for limit in (None, *limits):
        changes = {} if limit is None else {"max_series": limit}
        tasks = [t.model_copy(update=changes if "max_series" in type(t).model_fields else {}) for t in suite.tasks]
        meant = {task.id: task.model_dump(mode="json") for task in tasks}
        if all(meant.get(task) == spec for task, spec in ran.items()):
            return name if limit is None else f"{name} --max-series {limit}"
    return OWN


def as_suite(tasks: Mapping[str, Mapping[str, Any]]) -> str:
    """The tasks as a suite file, without what is a default anyway."""
    import yaml

    return yaml.safe_dump({"tasks": [_brief(spec) for spec in tasks.values()]}, sort_keys=False, allow_unicode=True)


def _brief(spec: Mapping[str, Any]) -> dict[str, Any]:
    try:
        task = read_task(spec, str(spec.get("id")))
    except UserError:  # of a kind that is not installed
        return dict(spec)
    brief: dict[str, Any] = task.model_dump(mode="json", exclude_defaults=True)
    return {"id": task.id, "kind": task.kind} | brief


def _one(column: pd.Series, form: Any = str) -> str:
    """The value that rows of one model share; the last one where a folder was filled twice."""
    told = column.dropna()
    return form(told.iloc[-1]) if len(told) else ""
