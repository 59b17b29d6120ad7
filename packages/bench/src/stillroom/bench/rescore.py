"""Compute metrics anew from kept predictions: no model is needed, and none is loaded.

    changed = rescore(Path("out"))                                  # after the metrics here have changed
    changed = rescore(Path("out"), ["mine.metrics:worst_hour"])     # a metric of one's own joins the others

Everything is computed before the first row is written, so a mistake leaves the folder as it was. It knows no kind and
no metric.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.bench.keys import row_key
from stillroom.bench.kinds import Kind, kind_of
from stillroom.bench.lineage import Lineage
from stillroom.bench.rows import assemble, read_rows, write_row
from stillroom.bench.tasks import read_task
from stillroom.bench.worker import one_line
from stillroom.core.errors import DataError, MissingError, RecipeError
from stillroom.core.plain import to_plain

if TYPE_CHECKING:
    import pandas as pd

Metric = Callable[[Any, Any, "pd.DataFrame"], float | None]


def rescore(
    folder: Path, metrics: Sequence[str] | None = None, on_left: Callable[[str, str], object] = lambda task, why: None
) -> pd.DataFrame:
    """Score the predictions of every `ok` row of a folder again, and write the rows that change.

    A row whose metrics are then all of today's version also has today's key: the next run takes it as done.

    Parameters
    ----------
    folder
        What `stillroom bench run` wrote.
    metrics
        Names of the kinds' metrics (`RMSSE`), and one's own as `package.module:function`, which is called as
        `function(spec, data, predictions)`, returns a number, or None for a task that it says nothing about, and is
        kept under its upper-case name. Default: all that the kinds compute.
    on_left
        Called with a task and the reason when its data cannot be had here: its rows stay as they are.

    Returns
    -------
    The changed values: task, model, metric, before, after.

    Raises
    ------
    UserError
        An unknown metric, a function that fails, predictions that are missing or damaged, data that is not what the
        model saw any more, a row of an older version.
    """
    import pandas as pd

    own = {name.rpartition(":")[2].upper(): own_metric(name) for name in metrics or () if ":" in name}
    wanted = {name.upper() for name in metrics or () if ":" not in name}
    known: set[str] = set()
    rows: dict[str, dict[str, Any]] = {}
    changes = []
    for spec, kind, data, name, row in scored(folder, on_left):
        predictions = read_predictions(folder, row)
        now = score(kind, spec, data, predictions, row)
        if clash := own.keys() & now:
            raise RecipeError(f"{kind.name} tasks have a metric {clash.pop()} already: give your function another name")
        known |= now.keys()
        chosen = now if metrics is None else {metric: now[metric] for metric in now.keys() & wanted}
        for metric, function in own.items():
            value = call(metric, function, spec, data, predictions)
            if value is not None:
                chosen[metric] = value
        before, after = row["metrics"], row["metrics"] | chosen
        changes += [
            (row["task"], row["model"], metric, before.get(metric), after[metric])
            for metric in after
            if metric not in before or before[metric] != after[metric]
        ]
        changed = {"metrics": after}
        if all(after.get(metric) == value for metric, value in now.items()):
            lineage = Lineage(row["weights"], row["bytes_on_disk"], adapter=row["adapter"])
            key = row_key(kind, spec, row["fingerprint"], lineage, {}, row["seed"])
            changed |= {"key": key, "spec": spec.model_dump(mode="json")}
        if row | changed != row:
            rows[name] = row | changed
    if known:
        refuse_unknown(wanted, known)
    for name, row in rows.items():
        write_row(folder, name, row)
    assemble(folder)
    return pd.DataFrame(changes, columns=["task", "model", "metric", "before", "after"])


def scored(folder: Path, on_left: Callable[[str, str], object]) -> Iterator[tuple[Any, Kind, Any, str, dict[str, Any]]]:
    """Yield spec, kind, data, file name and row of what was scored; the data of one task at a time is in memory."""
    rows = {name: row for name, row in read_rows(folder).items() if row["status"] == "ok" and row.get("predictions")}
    for name, row in rows.items():
        if not (row.get("spec") and row.get("predictions_sha256")):
            raise DataError(
                f"{row['task']}, {row['model']} was scored by an older version: {remedy(folder, name, row)}"
            )

    def task(name: str) -> str:
        return json.dumps(rows[name]["spec"], sort_keys=True)

    for _, group in groupby(sorted(rows, key=task), task):
        names = list(group)
        spec = read_task(rows[names[0]]["spec"], f"the task of {names[0]}")
        kind = kind_of(spec.kind)
        try:
            data = kind.load(spec)
        except MissingError as error:
            on_left(spec.id, str(error))
            continue
        for name in names:
            if rows[name]["fingerprint"] != data.fingerprint:
                raise DataError(
                    f"the data of {spec.id} has changed since {rows[name]['model']} was scored on it: "
                    f"run {rows[name]['suite']} again with --out {folder}"
                )
            yield spec, kind, data, name, rows[name]


def read_predictions(folder: Path, row: dict[str, Any]) -> pd.DataFrame:
    """What a model said of a task, as it said it."""
    import pandas as pd

    path = folder / row["predictions"]
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != row["predictions_sha256"]:
        problem = "are not those that it was scored by" if content else "are not there"
        raise DataError(
            f"the predictions of {row['model']} on {row['task']} {problem}: {remedy(folder, path.stem, row)}"
        )
    return pd.read_parquet(BytesIO(content))


def remedy(folder: Path, name: str, row: dict[str, Any]) -> str:
    """What to do about a row that cannot be scored again: a run only computes what is not there."""
    return f"remove {folder / 'rows' / name}.json and run {row['suite']} again"


def score(kind: Kind, spec: Any, data: Any, predictions: pd.DataFrame, row: dict[str, Any]) -> dict[str, Any]:
    """The kind's metrics as JSON holds them: not a number is None."""
    try:
        scores: dict[str, Any] = to_plain(kind.score(spec, data, predictions))
        return scores
    except Exception as error:  # predictions of another version of the kind
        reason = one_line(f"{type(error).__name__}: {error}")
        raise DataError(f"the predictions of {row['model']} on {row['task']} cannot be scored: {reason}") from error


def own_metric(name: str) -> Metric:
    """The user's function `package.module:function`."""
    module, _, attribute = name.partition(":")
    try:
        function: Metric = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a user's module does when it is imported
        reason = one_line(f"{type(error).__name__}: {error}")
        raise RecipeError(f"the metric {name} cannot be imported: {reason}") from error
    if not callable(function):
        raise RecipeError(f"the metric {name} is no function")
    return function


def call(name: str, function: Metric, spec: Any, data: Any, predictions: pd.DataFrame) -> float | None:
    """A user's metric of one row."""
    try:
        value = function(spec, data, predictions)
        return None if value is None else to_plain(float(value))
    except Exception as error:
        reason = one_line(f"{type(error).__name__}: {error}")
        raise RecipeError(f"the metric {name} fails on the task {spec.id}: {reason}") from error


def refuse_unknown(wanted: set[str], known: set[str]) -> None:
    """Raise `RecipeError` for a metric that no kind of the folder computes."""
    for name in sorted(wanted - known):
        near = difflib.get_close_matches(name, sorted(known), n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
        raise RecipeError(f"no task here has a metric {name}; {hint}")
