"""`stillroom teacher synthesize`: more inputs like those one has, or of the classes that have few labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stillroom.teacher.cli import lines, options, outcome
from stillroom.teacher.cli.options import STORE
from stillroom.teacher.cli.show import show


def synthesize(
    model: options.Model,
    seeds: Annotated[
        str | None, typer.Argument(help="Rows like those that are wanted: .jsonl, .csv or .parquet; - is stdin.")
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="Inputs to ask for. With --thin: labels a class should have; default: the median."),
    ] = None,
    thin: Annotated[
        str | None, typer.Option(help="Instead of seeds, a label table: ask for inputs of its classes that have few.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the inputs go: .jsonl.")] = Path("inputs.jsonl"),
    topics: Annotated[str | None, typer.Option(help="Ask for as many of each, with commas; default: as seeds.")] = None,
    field: Annotated[str, typer.Option(help="The column that holds the input, of seeds and of what is written.")] = (
        "input"
    ),
    per_request: Annotated[int, typer.Option(min=1, help="Inputs that one answer lists.")] = 8,
    threshold: Annotated[float, typer.Option(help="Similarity from which an input is a near-duplicate.")] = 0.7,
    seed: Annotated[int, typer.Option(help="Of the draw of the examples that are shown.")] = 0,
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
    """Ask for more inputs like the seeds, and keep those that are new and usable.

    These are the first two of three steps. In the third the inputs get their answers:
    `stillroom teacher label inputs.jsonl --prompt expert.yaml`
    """
    from stillroom.core.cli import echo_json, progress
    from stillroom.core.targets import TargetStore
    from stillroom.teacher import output, synthesis
    from stillroom.teacher.harvest import harvest
    from stillroom.teacher.labelling import label
    from stillroom.teacher.near_duplicates import NearDuplicates

    lines.writable(out)
    NearDuplicates(threshold)  # what it would refuse later, it refuses before anything is paid
    made = options.job(
        synthesis.prompt(), model, max_tokens=max_tokens, prices=prices, input_usd=input_usd, output_usd=output_usd,
        name=job, budget_usd=budget_usd, concurrency=concurrency, rpm=rpm, tpm=tpm, attempts=attempts,
        patience=patience,
    )  # fmt: skip
    like, asked = _asked(seeds, thin, count, topics, field, per_request, seed)
    api = None if dry_run else options.api(base_url, timeout)
    with TargetStore(store) as kept:
        if api is None:
            outcome.foresee(asked, made, kept, as_json)
            return
        with progress("asking for inputs") as advance:
            found = label(asked, made, kept, api, advance=advance)
        missing = output.write_missing(found.missing(), out)
        typer.echo(outcome.cost(found, made), err=True)
        if not found.labelled:
            outcome.leave(found, missing)
        new = harvest(map(vars, found), asked, like, field=field, threshold=threshold, asked_with=made.prompt)
    beside = out.with_name(f"{out.stem}.dropped.jsonl")
    lines.write(new.kept, out)
    lines.write(({**row, "reason": reason} for row, reason in new.dropped), beside)
    if as_json:
        files = {"out": str(out), "dropped_in": str(beside)}
        echo_json({"tally": new.tally, **files, "job": outcome.numbers(found, made, missing)})
    else:
        show((name, f"{number:,}") for name, number in new.tally.items())
    typer.echo(f"{len(new.kept):,} new inputs in {out}; what was dropped is in {beside}, with reasons.", err=True)
    outcome.leave(found, missing)


def _asked(
    seeds: str | None, thin: str | None, count: int | None, topics: str | None, field: str, per_request: int, seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what new inputs should be like, and the request rows."""
    from stillroom.core.errors import DataError, RecipeError
    from stillroom.core.tables import rows as read
    from stillroom.teacher import balance, synthesis

    if thin is not None and (seeds, topics) == (None, None):
        labels = list(read(thin))
        asked = balance.thin(labels, target=count, per_request=per_request, seed=seed)
        if not asked:
            raise DataError("no class has fewer labels than it should: say how many with --count")
        texts = [synthesis.plain(row.get("input")) for row in labels]
        return [{field: text} for text in texts if text], asked
    if thin is not None or seeds is None or count is None:
        raise RecipeError("give seeds with --count and maybe --topics, or --thin with a label table instead of seeds")
    named = None if topics is None else [topic.strip() for topic in topics.split(",") if topic.strip()]
    like = list(read(seeds))
    wanted = synthesis.requests(like, count=count, per_request=per_request, topics=named, field=field, seed=seed)
    return like, list(wanted)
