"""What is left of a run that labels: the table, the list of rows without a label, the numbers, and the exit code.

Or what would be left of it, where nobody is to be asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from stillroom.core.labels import Label
    from stillroom.core.targets import TargetStore
    from stillroom.teacher.labelling import Job, Labelled


def foresee(rows: Iterable[Mapping[str, Any]], job: Job, store: TargetStore, as_json: bool) -> None:
    """Say what a run would ask, and what that costs at most."""
    from stillroom.core.cli import echo_json, progress
    from stillroom.teacher.dry_run import dry_run

    with progress("counting") as advance:
        counted = dry_run(rows, job, store, advance)
    echo_json(counted) if as_json else typer.echo(counted.sentence())


def deliver(
    found: Labelled, job: Job, out: Path, as_json: bool, under_way: int = 0, labels: Iterable[Label] | None = None
) -> None:
    """Write the labels (by default those found) and say what came of the run.

    Exit code 1 if more rows have no label than are under way.
    """
    from stillroom.core.cli import echo_json
    from stillroom.teacher import output

    written = output.write(found if labels is None else labels, out)
    missing = output.write_missing(found.missing(), out)
    if as_json:
        echo_json(numbers(found, job, missing) | {"under_way": under_way, "out": str(out)})
    before = f" ({found.stored:,} of them were there before)" if found.stored else ""
    typer.echo(f"{written:,} labels in {out}{before}. {cost(found, job)}", err=True)
    leave(found, missing, under_way)


def leave(found: Labelled, missing: Path | None, under_way: int = 0) -> None:
    """Say where the rows without a label are listed; exit code 1 if there are more than are under way."""
    if missing is None:
        return
    because = f": {found.stopped}" if found.stopped else ""
    typer.echo(f"{found.unlabelled:,} rows have no label{because}. They are listed in {missing}", err=True)
    if found.unlabelled > under_way:
        raise typer.Exit(1)


def numbers(found: Labelled, job: Job, missing: Path | None) -> dict[str, object]:
    """Return what a run labelled and cost, for JSON."""
    from stillroom.teacher.prices import usd

    return {
        "job": found.job,
        "rows": found.rows,
        "labelled": found.labelled,
        "stored_before": found.stored,
        "unlabelled": found.unlabelled,
        "unlabelled_in": None if missing is None else str(missing),
        "usd": usd(found.spent),
        "usd_of_the_job": usd(found.charged),
        "budget_usd": job.budget_usd,
        "saved_tokens": found.saved_tokens,
        "stopped": found.stopped,
    }


def cost(found: Labelled, job: Job) -> str:
    """Return what a run cost, in a sentence."""
    from stillroom.teacher.prices import PICO, dollars

    budget = "" if job.budget_usd is None else f" of a budget of {dollars(round(job.budget_usd * PICO))}"
    whole = f"; the job {dollars(found.charged)}{budget}" if found.charged != found.spent or budget else ""
    saved = f"; compression saved {found.saved_tokens:,} prompt tokens" if found.saved_tokens else ""
    return f"This run cost {dollars(found.spent)}{whole}{saved}."
