"""`stillroom teacher judge`: which of two label tables answers better, as a large model judges it in both orders."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.teacher.cli import lines, options, outcome
from stillroom.teacher.cli.options import STORE
from stillroom.teacher.cli.show import agreement, show

if TYPE_CHECKING:
    from stillroom.teacher.agreement import Agreement
    from stillroom.teacher.judge import Judged


def judge(
    a: Annotated[str, typer.Argument(help="A label table: .parquet, .csv or .jsonl.")],
    b: Annotated[str, typer.Argument(help="Another one, over the same rows.")],
    model: options.Model,
    out: Annotated[Path, typer.Option(help="Where the verdicts go: .jsonl.")] = Path("verdicts.jsonl"),
    humans: Annotated[
        Path | None, typer.Option(help="Rows with row_id and preference (a, b or tie), to judge the judge by.")
    ] = None,
    instructions: Annotated[str | None, typer.Option(help="The task that both were given, for the judge.")] = None,
    budget_usd: options.BudgetUsd = None,
    base_url: options.BaseUrl = None,
    concurrency: options.Concurrency = 64,
    rpm: options.Rpm = None,
    tpm: options.Tpm = None,
    max_tokens: options.MaxTokens = None,
    prices: options.Prices = None,
    input_usd: options.InputUsd = None,
    output_usd: options.OutputUsd = None,
    store: options.Store = STORE,
    job: options.JobName = "",
    attempts: options.Attempts = 3,
    patience: options.Patience = 300.0,
    timeout: options.Timeout = 120.0,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Let a large model compare the answers of two label tables, each pair in both orders, and say how often A wins."""
    from stillroom.core.cli import echo_json, progress
    from stillroom.core.errors import DataError
    from stillroom.core.tables import rows as read
    from stillroom.core.targets import TargetStore
    from stillroom.teacher import judge as room
    from stillroom.teacher import output
    from stillroom.teacher.labelling import label

    lines.writable(out)
    made = options.job(
        room.prompt(), model, max_tokens=max_tokens, prices=prices, input_usd=input_usd, output_usd=output_usd,
        name=job, budget_usd=budget_usd, concurrency=concurrency, rpm=rpm, tpm=tpm, attempts=attempts,
        patience=patience,
    )  # fmt: skip
    marks = None if humans is None else list(read(humans))  # before anything is paid
    asked = list(room.requests(read(a), read(b), instructions=instructions))
    api = None if dry_run else options.api(base_url, timeout)
    with TargetStore(store) as kept:
        if api is None:
            outcome.foresee(asked, made, kept, as_json)
            return
        with progress("judging") as advance:
            found = label(asked, made, kept, api, advance=advance)
        said = [(row_id, None if one is None else one.answer) for row_id, one, _ in found.outcomes()]
        missing = output.write_missing(found.missing(), out)
    typer.echo(outcome.cost(found, made), err=True)
    try:
        judged = room.verdicts({"row_id": row_id, "answer": answer} for row_id, answer in said)
    except DataError:
        outcome.leave(found, missing)  # so that is why no row has both its answers
        raise
    pairs = {row["row_id"].removesuffix("/ab"): row for row in asked[::2]}  # those in which a is first
    lines.write(
        (
            {"row_id": row_id, "verdict": verdict, "input": pairs[row_id]["input"], "a": pairs[row_id]["first"],
             "b": pairs[row_id]["second"]}
            for row_id, verdict in judged.verdicts.items()
        ),
        out,
    )  # fmt: skip
    people = None if marks is None else room.against_humans(judged.verdicts, marks)
    if as_json:
        summary = {name: value for name, value in vars(judged).items() if name != "verdicts"}
        echo_json(
            summary
            | {"humans": people and {**vars(people[0]), "kappa": people[1]}, "out": str(out)}
            | {"job": outcome.numbers(found, made, missing)}
        )
    else:
        show([("a", a), ("b", b), *_lines(judged, people)])
    outcome.leave(found, missing)


def _lines(judged: Judged, people: tuple[Agreement, float] | None) -> Iterator[tuple[str, str]]:
    counts = dict.fromkeys(("a", "b", "tie", "inconsistent"), 0)
    for verdict in judged.verdicts.values():
        counts[verdict] += 1
    unanswered = f"; {judged.unanswered:,} left out, as an order has no answer" if judged.unanswered else ""
    yield "rows judged", f"{len(judged.verdicts):,}{unanswered}"
    yield "verdicts", ", ".join(f"{verdict}: {count:,}" for verdict, count in counts.items())
    yield "a wins", f"{agreement(vars(judged.win_rate))}; ties and inconsistent rows count half"
    first = "" if math.isnan(judged.first) else f"; {judged.first:.1%} of the choices fell on the first"
    yield "position bias", f"{judged.position_bias:.1%} of rows inconsistent{first}"
    if people is not None:
        yield "agreement with people", agreement(vars(people[0]), people[1])
