"""What is left of a run that labels: the table, the list of rows without a label, the numbers, and the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from stillroom.teacher.labelling import Job, Labelled


def deliver(found: Labelled, job: Job, out: Path, as_json: bool, under_way: int = 0) -> None:
    """Write the labels and say what came of the run; exit code 1 if more rows have no label than are under way."""
    from stillroom.core.cli import echo_json
    from stillroom.teacher import output

    written = output.write(found, out)
    missing = output.write_missing(found.missing(), out)
    if as_json:
        numbers = _numbers(found, job) | {"under_way": under_way}
        echo_json(numbers | {"out": str(out), "unlabelled_in": None if missing is None else str(missing)})
    typer.echo(_sentence(found, job, written, out), err=True)
    if missing is not None:
        because = f": {found.stopped}" if found.stopped else ""
        typer.echo(f"{found.unlabelled:,} rows have no label{because}. They are listed in {missing}", err=True)
        if found.unlabelled > under_way:
            raise typer.Exit(1)


def _numbers(found: Labelled, job: Job) -> dict[str, object]:
    from stillroom.teacher.prices import usd

    return {
        "job": found.job,
        "rows": found.rows,
        "labelled": found.labelled,
        "stored_before": found.stored,
        "unlabelled": found.unlabelled,
        "usd": usd(found.spent),
        "usd_of_the_job": usd(found.charged),
        "budget_usd": job.budget_usd,
        "saved_tokens": found.saved_tokens,
        "stopped": found.stopped,
    }


def _sentence(found: Labelled, job: Job, written: int, out: Path) -> str:
    from stillroom.teacher.prices import dollars

    before = f" ({found.stored:,} of them were there before)" if found.stored else ""
    budget = "" if job.budget_usd is None else f" of a budget of ${job.budget_usd:,.2f}"
    whole = f"; the job {dollars(found.charged)}{budget}" if found.charged != found.spent or budget else ""
    saved = f"; compression saved {found.saved_tokens:,} prompt tokens" if found.saved_tokens else ""
    return f"{written:,} labels in {out}{before}. This run cost {dollars(found.spent)}{whole}{saved}."
