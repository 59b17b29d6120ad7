"""`stillroom bench run`: run a suite, or judge your own file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom.core.cli import echo_json, progress

if TYPE_CHECKING:
    from stillroom.bench.executor import Executor
    from stillroom.bench.runner import Plan
    from stillroom.bench.tasks import Suite


def run(
    suite: Annotated[str | None, typer.Argument(help="A suite's name or YAML file.", show_default=False)] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="A registered name, a folder, or a hub id; may be repeated."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where scores are kept; run again with the same folder to go on.")] = Path(
        "bench-scores"
    ),
    data: Annotated[
        Path | None, typer.Option(help="Judge on your own CSV, Parquet or JSONL instead of a suite.")
    ] = None,
    prediction_length: Annotated[int | None, typer.Option(min=1, help="Steps to forecast (with --data).")] = None,
    windows: Annotated[int, typer.Option(min=1, help="How many windows at the end of each series (with --data).")] = 1,
    target: Annotated[list[str] | None, typer.Option(help="Target column; may be repeated (with --data).")] = None,
    item_id: Annotated[str, typer.Option(help="Column that tells series apart (with --data).")] = "item_id",
    timestamp: Annotated[str, typer.Option(help="Column of times (with --data).")] = "timestamp",
    freq: Annotated[str | None, typer.Option(help="Frequency, when the times do not say it (with --data).")] = None,
    season_length: Annotated[int | None, typer.Option(min=1, help="Steps a season (with --data).")] = None,
    max_series: Annotated[int | None, typer.Option(min=1, help="Only the first so many series of every task.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Jobs at a time.")] = 1,
    executor: Annotated[
        str, typer.Option(help="`process`: a fresh one a job. `ray`: the same on a cluster. `in-process`: to debug.")
    ] = "process",
    time_limit: Annotated[float | None, typer.Option(min=1, help="Seconds a job may take.")] = None,
    memory_limit: Annotated[float | None, typer.Option(min=1, help="MB of resident memory a job may hold.")] = None,
    seed: Annotated[int, typer.Option(help="For models that draw samples.")] = 0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse when the data of a task cannot be had here.")
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Run failed rows again.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would run, what is done, what is skipped, and how long.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Run models on every task of a suite. Rows that are there already are not computed again."""
    from stillroom.bench import runner
    from stillroom.bench.cli.board import plain_rows, print_boards
    from stillroom.core.errors import DataError, RecipeError

    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file: --out names a folder")
    if executor not in ("process", "ray", "in-process"):
        raise RecipeError(f"there is no executor {executor!r}: use process, ray or in-process")
    if executor == "in-process" and (time_limit or memory_limit or workers > 1):
        raise RecipeError("limits and --workers need a process a job: leave --executor in-process out")
    own = {
        "prediction_length": prediction_length,
        "windows": windows,
        "targets": target,
        "item_id": item_id,
        "timestamp": timestamp,
        "freq": freq,
        "season_length": season_length,
    }
    tasks = choose(suite, data, {name: value for name, value in own.items() if value is not None}, max_series)
    plan = runner.make_plan(tasks, model or [], out, seed=seed, strict=strict, retry=retry)
    if dry_run:
        return show(plan, workers, as_json)
    for cell in {cell.task.id: cell for cell in plan.skipped}.values():
        typer.echo(f"skipped {cell.task.id}: {cell.skip}", err=True)
    for name in dict.fromkeys(name for name, _ in plan.idle):
        kinds = " and ".join(kind for idle, kind in plan.idle if idle == name)
        typer.echo(f"{name} takes no part in {kinds} tasks, which it cannot do", err=True)
    typer.echo(f"{tasks.name}: {len(plan.todo)} to run, {len(plan.done)} done, {len(plan.skipped)} skipped", err=True)

    run_job = start(executor if plan.todo else "process", time_limit, memory_limit, workers)
    with progress("running", total=len(plan.todo)) as advance:

        def on_row(row: dict[str, Any]) -> None:
            if row["status"] == "failed":
                typer.echo(f"failed {row['task']}, {row['model']}: {row['reason']}", err=True)
            advance()

        scores = runner.run(plan, executor=run_job, workers=workers, on_row=on_row)
    typer.echo(f"scores: {out / 'scores.parquet'}", err=True)
    if as_json:
        echo_json({"out": out, "rows": plain_rows(scores)})
    elif (scores["status"] == "ok").any():
        print_boards(scores)


def start(executor: str, time_limit: float | None, memory_limit: float | None, workers: int) -> Executor:
    """Make the executor of that name; the cores are divided among the workers."""
    from stillroom.bench.executor import FreshProcess, in_process

    if executor == "in-process":
        return in_process
    threads = max(1, (os.cpu_count() or 1) // workers) if workers > 1 else None
    if executor == "ray":
        from stillroom.bench.on_ray import OnRay

        return OnRay(time_limit=time_limit, memory_limit=memory_limit, threads=threads)
    return FreshProcess(time_limit=time_limit, memory_limit=memory_limit, threads=threads)


def show(plan: Plan, workers: int, as_json: bool) -> None:
    """List a plan's cells with their estimated seconds, without running any."""
    from stillroom.bench.estimate import estimate

    expected = dict(zip([cell.stem for cell in plan.todo], estimate(plan.todo, plan.out), strict=True))
    cells: list[dict[str, Any]] = [
        {
            "task": cell.task.id,
            "model": cell.model,
            "state": state,
            "reason": cell.skip,
            "estimated_seconds": expected.get(cell.stem) if state == "to run" else None,
        }
        for state, group in (("to run", plan.todo), ("done", plan.done), ("skipped", plan.skipped))
        for cell in group
    ]
    cells += [
        {"task": f"all {kind} tasks", "model": model, "state": "left out", "reason": "it cannot do them"}
        for model, kind in plan.idle
    ]
    known = [seconds for seconds in expected.values() if seconds is not None]
    total = sum(known) / workers if known else None
    unknown = sorted({cell.model for cell in plan.todo if expected[cell.stem] is None})
    if as_json:
        echo_json({"cells": cells, "estimated_seconds": total, "no_estimate_for": unknown})
        return
    for cell in cells:
        seconds = cell.get("estimated_seconds")
        more = f"  about {seconds:.0f} s" if seconds is not None else f"  {cell['reason']}" if cell["reason"] else ""
        typer.echo(f"{cell['state']:8}  {cell['task']}  {cell['model']}{more}")
    typer.echo(
        f"{plan.suite.name}: {len(plan.todo)} to run, {len(plan.done)} done, {len(plan.skipped)} skipped; "
        + (f"about {total:.0f} s" if total is not None else "no estimate")
        + (f" (unknown until a row is there: {', '.join(unknown)})" if unknown else "")
    )


def choose(suite: str | None, data: Path | None, own: dict[str, Any], max_series: int | None) -> Suite:
    """The suite that the options mean; a user's own file is a suite of one task."""
    from stillroom.bench.tasks import Suite, load_suite, read_suite
    from stillroom.core import registry
    from stillroom.core.errors import RecipeError

    if (suite is None) == (data is None):
        known = ", ".join(registry.names("stillroom.suites"))
        raise RecipeError(f"name one suite ({known}, or a YAML file), or your own file with --data")
    if suite is not None:
        chosen = load_suite(suite)
    elif "prediction_length" not in own:
        raise RecipeError("--data needs --prediction-length: how many steps to forecast")
    else:
        assert data is not None
        task = {"id": data.name.partition(".")[0], "dataset": str(data.resolve()), **own}
        chosen = read_suite({"tasks": [task]}, data.name, folder=Path.cwd())
    if max_series is None:
        return chosen
    tasks = tuple(
        task.model_copy(update={"max_series": max_series}) if "max_series" in type(task).model_fields else task
        for task in chosen.tasks
    )
    return Suite(chosen.name, chosen.description, tasks)
