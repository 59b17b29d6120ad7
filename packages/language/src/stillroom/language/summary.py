"""Read what a comparison has found so far: its Runs, and the scores where `stillroom bench run` has judged them.

It trains nothing and judges nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from stillroom.core.errors import CorruptError, DataError
from stillroom.core.runs import Run
from stillroom.core.tables import rows as table_rows
from stillroom.language.comparison import CLEAN, NOISY, RUNS, SCORES, Comparison, Entry

LOGS, MODELS = "logs", "models.txt"


def summary(folder: str | Path) -> Comparison:
    """Read what a comparison has found so far.

    Scores of `stillroom bench run` are looked for in `FOLDER/scores`.

    Raises
    ------
    DataError
        There is no comparison in the folder, or none of its trainings is done: the sentence says why.
    """
    folder = Path(folder)
    names = trainings(folder)
    if not names:
        raise DataError(f"{folder} holds no comparison: it has no {MODELS}")
    entries, failed, metric = [], {}, ""
    scores = _scores(folder)
    for name in names:
        try:
            run = Run.load(folder / RUNS / name)
        except (DataError, CorruptError):
            run = None
        if run is None or not run.metrics:
            failed[name] = _reason(folder, name)
            continue
        metric = run.recipe["metrics"][0]
        entries.append(_entry(name, run, scores.get(name, {})))
    if not entries:
        first = next(iter(failed.values()), "it has no trainings")
        raise DataError(f"no training of {folder} is done: {first}")
    entries.sort(key=lambda one: (one.student, one.labels, one.trained, one.name))
    return Comparison(folder, metric, entries, failed)


def trainings(folder: Path) -> list[str]:
    """Return the names of all trainings that a comparison has or is to have; none where there is no comparison."""
    path = folder / MODELS
    return [Path(line).name for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def _entry(name: str, run: Run, scores: Mapping[str, float | None]) -> Entry:
    recipe, metrics, cost = run.recipe, run.metrics, run.cost
    values = {
        one["system"]: one["value"]
        for one in metrics["judged"]
        if (one["group"], one["metric"]) == ("all", recipe["metrics"][0])
    }
    memory = cost.get("peak_gpu_mb") or cost.get("peak_memory_mb")
    return Entry(
        name=name,
        student=recipe["student"]["model"],
        method=recipe["adapter"]["method"],
        rank=recipe["adapter"].get("rank"),
        alpha=recipe["adapter"].get("alpha"),
        labels=metrics["rows"]["learn"],
        seed=recipe["train"]["seed"],
        trained=cost["trained"],
        seconds=cost["train_seconds"],
        resumed=bool(cost.get("resumed")),
        memory_mb=memory,
        loss=_known(metrics["chosen_at"].get("loss")),
        quality=_known(values["student"]),
        base=_known(values["base"]),
        copy=_known(values["copy"]),
        kept=bool(metrics["verdict"]["keep"]),
        clean=scores.get(CLEAN),
        noisy=scores.get(NOISY),
    )


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _scores(folder: Path) -> dict[str, dict[str, float | None]]:
    """QUALITY by Run and task, as bench wrote it; a model is known by the last two parts of its path."""
    path = folder / SCORES / "scores.parquet"
    found: dict[str, dict[str, float | None]] = {}
    for row in table_rows(path) if path.is_file() else ():
        place = Path(row["model"])
        if row["status"] == "ok" and place.parent.name == RUNS:
            found.setdefault(place.name, {})[row["task"]] = row.get("QUALITY")
    return found


def _reason(folder: Path, name: str) -> str:
    log = folder / LOGS / f"{name}.log"
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
    return said[-1] if said else "it is not trained yet"
