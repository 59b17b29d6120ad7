"""A task is data: one data set, one job, its metrics. A suite is a list of tasks, written in YAML.

    description: my shops
    defaults: {kind: forecast, windows: 3}     # merged into every task
    tasks:
      - {id: sales, dataset: sales.csv, prediction_length: 28}

This file knows how a suite is found, read and refused. It does not know what a forecast is: every task names its kind,
and kinds register themselves under the entry-point group `stillroom.tasks`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from stillroom.bench.kinds import kind_of
from stillroom.core import registry
from stillroom.core.errors import DataError, RecipeError

FILE_ENDINGS = (".csv", ".csv.gz", ".parquet", ".jsonl", ".jsonl.gz", ".json.gz", ".npz", ".ts")


@dataclass(frozen=True)
class Suite:
    """A named list of tasks with unique ids."""

    name: str
    description: str
    tasks: tuple[Any, ...]


def load_suite(name: str) -> Suite:
    """Read a suite by its registered name (`chronos-benchmark-ii`) or from a YAML file.

    Raises
    ------
    RecipeError
        For an unknown suite or kind, unknown or missing keys, or two tasks with one id: one sentence, with the nearest
        known name.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        registered = registry.get("stillroom.suites", name)
        if callable(registered):  # a suite that depends on what is installed
            return read_suite(registered(), name)
        path = Path(registered)
    elif not path.is_file():
        raise DataError(f"there is no suite file {name}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RecipeError(f"{name} is not YAML: {' '.join(str(error).split())}") from None
    return read_suite(content, path.stem, folder=path.parent)


def read_suite(content: Any, name: str, *, folder: Path | None = None) -> Suite:
    """Make a suite of what its YAML says; `folder` is where relative data files are looked for (default: here)."""
    if not isinstance(content, Mapping) or not content.get("tasks"):
        raise RecipeError(f"suite {name} has no list of `tasks`")
    if any(isinstance(values, Mapping) and "dataset_path" in values for values in content["tasks"]):
        from stillroom.bench.fev_tasks import from_fev  # a benchmark of fev's

        content = from_fev(content, name)
    refuse_unknown(content, ("description", "defaults", "tasks"), f"suite {name}")
    defaults = content.get("defaults") or {}
    tasks = []
    for position, values in enumerate(content["tasks"], start=1):
        if not isinstance(values, Mapping):
            raise RecipeError(f"suite {name}: task {position} is not a mapping of keys to values")
        tasks.append(read_task({**defaults, **values}, f"suite {name}: task {values.get('id', position)}", folder))
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise RecipeError(f"suite {name}: two tasks have the id {task.id!r}; ids are how scores are told apart")
        seen.add(task.id)
    return Suite(name, str(content.get("description") or ""), tuple(tasks))


def read_task(values: Mapping[str, Any], where: str, folder: Path | None = None) -> Any:
    """Validate one task against the spec of its kind; `where` begins the sentence when it cannot be meant."""
    values = dict(values)
    spec = kind_of(values.get("kind", "forecast")).spec
    refuse_unknown(values, spec.model_fields, where)
    dataset = values.get("dataset")
    if folder is not None and isinstance(dataset, str) and is_path(dataset):
        values["dataset"] = str((folder / dataset).resolve())
    try:
        return spec.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise RecipeError(f"{where}: the key {key!r} is missing") from None
        problem = first["msg"].removeprefix("Value error, ")
        raise RecipeError(f"{where}: {f'{key}: ' if key else ''}{problem}") from None


def is_path(dataset: str) -> bool:
    """Is a `dataset` a file or folder? A relative one is looked for beside the suite that names it."""
    return ":" not in dataset and ("/" in dataset or dataset.endswith(FILE_ENDINGS))


def refuse_unknown(values: Mapping[str, Any], known: Sequence[str] | Mapping[str, Any], where: str) -> None:
    """Raise `RecipeError` for the first key that is not known, and name the nearest that is."""
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), list(known), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise RecipeError(f"{where}: unknown key {key!r}; {hint}")
