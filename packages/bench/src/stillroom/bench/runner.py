"""Run models on a suite and keep every score: plan first, refuse first, then compute what is not there yet.

    plan = make_plan(load_suite("demo-forecast"), ["forecaster"], Path("out"))   # every user's mistake is found here
    scores = run(plan)                                                           # a row a (task x model)

A row is written as soon as it is done, so a killed run goes on where it was. The runner knows no task kind, no model
and no metric.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.bench.executor import Executor, FreshProcess
from stillroom.bench.keys import row_key, stem
from stillroom.bench.kinds import Kind, kind_of
from stillroom.bench.lineage import Lineage, trace
from stillroom.bench.rows import assemble, read_row, write_row
from stillroom.bench.tasks import Suite
from stillroom.bench.worker import Job
from stillroom.core import registry
from stillroom.core.errors import MissingError, ModelError
from stillroom.core.registry import ResolvedModel

if TYPE_CHECKING:
    import pandas as pd

LEAKING = 0.1
"""Share of a series' telling windows: fewer are look-alikes (ramps, plateaus), a copied series has nearly all."""


@dataclass(frozen=True)
class Cell:
    """One model on one task, and what its row will say whatever the outcome."""

    task: Any
    model: str
    lineage: Lineage
    key: str
    skip: str | None
    """Why it cannot run; None when it can."""
    leakage: bool = False
    """Whether the model was trained on the task's data: it names the data set, or its index holds their windows."""
    fingerprint: str | None = None
    size: int | None = None
    """Values that the model is asked for."""

    @property
    def stem(self) -> str:
        """Its files' name."""
        return stem(self.task.id, self.model)


@dataclass(frozen=True)
class Plan:
    """What a run will do."""

    suite: Suite
    out: Path
    seed: int
    todo: tuple[Cell, ...]
    done: tuple[Cell, ...]
    skipped: tuple[Cell, ...]
    idle: tuple[tuple[str, str], ...] = ()
    """(model, kind) where a model cannot do the kind of some tasks of a mixed suite: it takes part in the others."""


def make_plan(
    suite: Suite, models: Sequence[str], out: Path, *, seed: int = 0, strict: bool = False, retry: bool = False
) -> Plan:
    """Resolve models, load every task's data, and find out what is done already. Nothing is written or computed.

    Parameters
    ----------
    suite
        What to run.
    models
        As a user names them; the baseline of every kind joins in front. In a suite of several kinds a model takes part
        in those that it can do.
    out
        The folder of rows that may be there from an earlier run.
    seed
        For models that draw samples; part of the key.
    strict
        Refuse when the data of a task cannot be had here, instead of skipping it.
    retry
        Plan failed rows again. Without it they are done, as a row that hit its time limit would cost that time again.

    Raises
    ------
    UserError
        An unknown model, a missing file or column, a horizon longer than the data, …: one sentence.
    """
    kinds = {task.kind: kind_of(task.kind) for task in suite.tasks}
    asked = {model.id: model for model in map(registry.resolve_model, models)}
    entrants, idle = enter(kinds, asked)
    lineages = {name: trace(model) for name, model in {m.id: m for ms in entrants.values() for m in ms}.items()}
    todo: list[Cell] = []
    done: list[Cell] = []
    skipped: list[Cell] = []
    for task in suite.tasks:
        kind = kinds[task.kind]
        names = [model.id for model in entrants[task.kind]]
        try:
            data = kind.load(task)
        except MissingError as error:
            if strict:
                raise MissingError(f"task {task.id}: {error}") from None
            skipped += [Cell(task, name, lineages[name], "", f"data: {error}") for name in names]
            continue
        for name in names:
            key = row_key(kind, task, data.fingerprint, lineages[name], {}, seed)
            leakage = leaks(task, data, lineages[name])
            cell = Cell(task, name, lineages[name], key, None, leakage, data.fingerprint, data.size)
            row = read_row(out, cell.stem)
            finished = (
                row is not None and row["key"] == key and row["status"] in (("ok",) if retry else ("ok", "failed"))
            )
            (done if finished else todo).append(cell)
    return Plan(suite, out, seed, tuple(todo), tuple(done), tuple(skipped), idle)


def enter(
    kinds: Mapping[str, Kind], models: Mapping[str, ResolvedModel]
) -> tuple[dict[str, list[ResolvedModel]], tuple[tuple[str, str], ...]]:
    """Say which models take part in which kind, its baseline first, and which (model, kind) cannot.

    Raises
    ------
    ModelError
        For a model that can do none of the kinds.
    """
    entrants = {name: [registry.resolve_model(kind.baseline)] for name, kind in kinds.items()}
    idle: list[tuple[str, str]] = []
    for model in models.values():
        able = [name for name, kind in kinds.items() if can(model, kind.protocol)]
        if not able:
            wanted = " or ".join(f"{name} ({methods(kind.protocol)})" for name, kind in kinds.items())
            raise ModelError(f"{model.id} can do no task of this suite: it does not {wanted}")
        idle += [(model.id, name) for name in kinds if name not in able]
        for name in able:
            if model.id != kinds[name].baseline:
                entrants[name].append(model)
    return entrants, tuple(idle)


def can(model: ResolvedModel, protocol: type) -> bool:
    """Say whether a model has a Protocol: its family knows, and a baseline, which has no weights, is made and asked."""
    return isinstance(model.load(), protocol) if model.can is None else protocol in model.can


def methods(protocol: type) -> str:
    """The methods of a Protocol, for a sentence."""
    return ", ".join(sorted(name for name in vars(protocol) if callable(vars(protocol)[name]) and name[0] != "_"))


def leaks(task: Any, data: Any, lineage: Lineage) -> bool:
    """Say whether a model was trained on a task's data, by name or by the windows of its training series."""
    if task.dataset in lineage.trained_on:
        return True
    if lineage.windows is None or not hasattr(data, "shared"):
        return False
    from stillroom.series.overlap import Index

    return bool(data.shared(Index.load(lineage.windows)) > LEAKING)


def run(
    plan: Plan,
    *,
    executor: Executor | None = None,
    workers: int = 1,
    on_row: Callable[[dict[str, Any]], None] = lambda row: None,
) -> pd.DataFrame:
    """Compute what is to do, write a row each, and return all scores of the folder.

    Parameters
    ----------
    plan
        From `make_plan`.
    executor
        Default: a fresh process a job, without limits.
    workers
        Jobs at a time.
    on_row
        Called with every row once it is durable, in this thread.
    """
    executor = executor or FreshProcess()
    for cell in plan.skipped:
        write_row(plan.out, cell.stem, _row(plan, cell, {"status": "skipped", "reason": cell.skip}))
    pool = ThreadPoolExecutor(max_workers=workers)
    pending = {pool.submit(_compute, plan, cell, executor) for cell in plan.todo}
    try:
        while pending:
            # A Ctrl-C that falls just before an endless wait would only be seen after it: look up twice a second.
            finished, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in finished:
                on_row(future.result())
    except BaseException:
        for future in pending:
            future.cancel()
        if hasattr(executor, "stop"):
            executor.stop()
        raise
    finally:
        pool.shutdown()
    return assemble(plan.out)


def _compute(plan: Plan, cell: Cell, executor: Executor) -> dict[str, Any]:
    predictions = plan.out / "predictions" / f"{cell.stem}.parquet"
    job = Job(cell.task.model_dump(mode="json"), cell.model, plan.seed, str(predictions))
    start = time.perf_counter()
    outcome = executor(job, plan.out / "logs" / f"{cell.stem}.log")
    outcome["wall_seconds"] = time.perf_counter() - start
    if outcome["status"] == "ok":
        outcome["predictions"] = str(predictions.relative_to(plan.out))
    row = _row(plan, cell, outcome)
    if outcome.get("reason") != "stopped":  # Ctrl-C: it was not the model's fault, so it is no row
        write_row(plan.out, cell.stem, row)
    return row


def _row(plan: Plan, cell: Cell, outcome: dict[str, Any]) -> dict[str, Any]:
    lineage = cell.lineage
    return {
        "suite": plan.suite.name,
        "task": cell.task.id,
        "kind": cell.task.kind,
        "dataset": cell.task.dataset,
        "model": cell.model,
        "leakage": cell.leakage,
        "base_model": lineage.base_model,
        "adapter": lineage.adapter,
        "teacher": lineage.teacher,
        "train_seconds": lineage.train_seconds,
        "bytes_on_disk": lineage.bytes_on_disk,
        "size": cell.size,
        "weights": lineage.weights,
        "fingerprint": cell.fingerprint,
        "seed": plan.seed,
        "key": cell.key,
        "spec": cell.task.model_dump(mode="json"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        **outcome,
    }
