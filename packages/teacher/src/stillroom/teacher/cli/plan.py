"""`stillroom teacher plan`: what a job would cost, asked in several ways, before a cent is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.teacher.cli import options
from stillroom.teacher.cli.options import COMPRESSOR, STORE
from stillroom.teacher.cli.show import put

if TYPE_CHECKING:
    from stillroom.teacher.estimates import Estimate
    from stillroom.teacher.plan import Plan


def plan(
    rows: options.Rows,
    prompt: options.PromptFile,
    model: options.Model,
    rate: options.Rate = None,
    policy: options.Policy = None,
    compressor: options.CompressorName = COMPRESSOR,
    completion_tokens: Annotated[
        int | None, typer.Option(min=0, help="Tokens of an answer; default: as labels in the store, or the examples.")
    ] = None,
    max_tokens: options.MaxTokens = None,
    rationale: options.Rationale = False,
    counter: Annotated[
        str | None, typer.Option(help="Counts tokens: tiktoken:gpt-4o, a tokenizer's folder or hub id, estimate.")
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="Rows whose own texts are compressed, to scale by.")] = 1000,
    prices: options.Prices = None,
    input_usd: options.InputUsd = None,
    output_usd: options.OutputUsd = None,
    store: options.Store = STORE,
    as_json: options.AsJson = False,
) -> None:
    """Count the tokens of a job and price them: as it is, compressed, with the provider's cache, in a batch."""
    from contextlib import ExitStack

    from stillroom.core.cli import echo_json, progress
    from stillroom.core.tables import rows as read
    from stillroom.core.targets import TargetStore
    from stillroom.teacher import estimates
    from stillroom.teacher.plan import cheapest

    count, counted_by = estimates.counter(counter)
    job = options.job(
        prompt, model, max_tokens=max_tokens, rationale=rationale, prices=prices, input_usd=input_usd,
        output_usd=output_usd, rate=rate, policy=policy, compressor=compressor,
    )  # fmt: skip
    with ExitStack() as stack:
        kept = stack.enter_context(TargetStore(store)) if store.is_file() else None  # a plan makes no store
        advance = stack.enter_context(progress("counting"))
        found = estimates.estimate(
            read(rows), job, count, kept, sample=sample, completion_tokens=completion_tokens, advance=advance
        )
    plans = estimates.ways(found.counts, job.price)
    best = cheapest(plans)
    if as_json:
        echo_json({**vars(found), "counter": counted_by, "plans": [_numbers(one, one is best) for one in plans]})
        return
    typer.echo(_sentence(found, counted_by))
    _show(plans, best)


def _numbers(plan: Plan, cheapest: bool) -> dict[str, object]:
    from stillroom.teacher.prices import usd

    numbers = {name: value for name, value in vars(plan).items() if name != "cost"}
    return numbers | {"usd": None if plan.cost is None else usd(plan.cost), "cheapest": cheapest}


def _sentence(found: Estimate, counted_by: str) -> str:
    counts = found.counts
    left_out = (
        (found.stored, "answered already"),
        (found.repeated, "as another row"),
        (found.misfits, "that do not fit the prompt"),
    )
    less = ", ".join(f"{number:,} {what}" for number, what in left_out if number)
    each = counts.completion / counts.rows if counts.rows else 0
    sampled = f" Compression was tried on a random {found.sampled:,} rows, and scaled." if found.sampled else ""
    return (
        f"{counts.rows:,} calls for {found.rows:,} rows{f' ({less})' if less else ''}. Tokens by {counted_by}: "
        f"{counts.prefix:,} that begin every request, {counts.rest:,} that follow in all. An answer has {each:,.1f} "
        f"({found.completion}).{sampled}"
    )


def _show(plans: list[Plan], best: Plan) -> None:
    from rich import box
    from rich.table import Table

    from stillroom.teacher.prices import dollars

    table = Table(box=box.SIMPLE_HEAD)
    for name in ("plan", "prompt tokens", "cached", "completion", "cost"):
        table.add_column(name, justify="left" if name == "plan" else "right", no_wrap=True)
    table.add_column("note")
    for one in plans:
        cost = "" if one.cost is None else dollars(one.cost)
        tokens = (f"{number:,}" for number in (one.prompt_tokens, one.cached_tokens, one.completion_tokens))
        note = f"the cheapest; {one.note}" if one is best else one.note
        style = "bold" if one is best else "dim" if one.cost is None else None
        table.add_row(one.name, *tokens, cost, note, style=style)
    put(table)
