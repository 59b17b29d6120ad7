"""`stillroom teacher calibrate`: find out on a few rows how far a prompt can be compressed, and keep it as a policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.teacher.cli import options
from stillroom.teacher.cli.options import COMPRESSOR, STORE
from stillroom.teacher.cli.show import put

if TYPE_CHECKING:
    from stillroom.teacher.calibration import Calibration


def calibrate(
    rows: options.Rows,
    prompt: options.PromptFile,
    model: options.Model,
    rates: Annotated[str, typer.Option(help="Shares of tokens to keep, with commas.")] = "1,0.7,0.5,0.33",
    tolerance: Annotated[float, typer.Option(help="Share of answers that may differ from the full prompt's.")] = 0.02,
    pilot: Annotated[int, typer.Option(min=1, help="Rows that are labelled, at each rate.")] = 300,
    measure: Annotated[str, typer.Option(help="exact, normalised, numeric, fields (of JSON) or f1.")] = "exact",
    gold: Annotated[Path | None, typer.Option(help="Rows with row_id and the right answer.")] = None,
    noise: Annotated[
        bool | None, typer.Option("--noise/--no-noise", help="Ask the full prompt twice; default: if temperature > 0.")
    ] = None,
    budget_usd: options.BudgetUsd = None,
    out: Annotated[Path, typer.Option(help="Where the policy goes, for `label --policy`.")] = Path("policy.yaml"),
    plot: Annotated[Path | None, typer.Option(help="Draw cost against agreement, as PNG.")] = None,
    base_url: options.BaseUrl = None,
    concurrency: options.Concurrency = 64,
    rpm: options.Rpm = None,
    tpm: options.Tpm = None,
    max_tokens: options.MaxTokens = None,
    rationale: options.Rationale = False,
    compressor: options.CompressorName = COMPRESSOR,
    prices: options.Prices = None,
    input_usd: options.InputUsd = None,
    output_usd: options.OutputUsd = None,
    store: options.Store = STORE,
    job: options.JobName = "",
    attempts: options.Attempts = 3,
    patience: options.Patience = 300.0,
    timeout: options.Timeout = 120.0,
    as_json: options.AsJson = False,
) -> None:
    """Label a pilot with the full prompt and compressed ones; write the cheapest policy that is shown to be safe."""
    from stillroom.core.cli import echo_json, progress
    from stillroom.core.errors import RecipeError
    from stillroom.core.runs import write_atomic
    from stillroom.core.tables import rows as read
    from stillroom.core.targets import TargetStore
    from stillroom.teacher import calibrate as room
    from stillroom.teacher import frontier, policies
    from stillroom.teacher.intervals import rows_needed

    try:
        shares = [float(rate) for rate in rates.split(",")]
    except ValueError as error:
        raise RecipeError(f"--rates {rates}: give numbers with commas between them, such as 0.7,0.5") from error
    made = options.job(
        prompt, model, max_tokens=max_tokens, rationale=rationale, prices=prices, input_usd=input_usd,
        output_usd=output_usd, rate=min(shares), compressor=compressor, name=job, budget_usd=budget_usd,
        concurrency=concurrency, rpm=rpm, tpm=tpm, attempts=attempts, patience=patience,
    )  # fmt: skip
    if plot is not None:
        frontier.require()
    if pilot < (least := rows_needed(tolerance)):
        typer.echo(
            f"{pilot:,} rows cannot show a tolerance of {tolerance:g}, even if all agree: {least:,} can.", err=True
        )
    source, api = read(rows), options.api(base_url, timeout)
    with TargetStore(store) as kept, progress("labelling a pilot") as advance:
        found = room.calibrate(
            source, made, kept, api, rates=shares, tolerance=tolerance, pilot=pilot,
            measure=measure, gold=None if gold is None else read(gold), noise=noise, advance=advance,
        )  # fmt: skip
    policies.write(found.policy(compressor), out)
    if as_json:
        echo_json(found)
    else:
        _show(found)
        typer.echo(found.sentence)
    typer.echo(f"The policy is in {out}. This run cost ${found.spent_usd:,.4g}.", err=True)
    if plot is not None:
        write_atomic(plot, frontier.draw(found))
    if found.stopped is not None:
        raise typer.Exit(1)


def _show(found: Calibration) -> None:
    from rich import box
    from rich.table import Table

    gold = any(one.correctness for one in found.table)
    measures = [*dict.fromkeys(name for one in found.table for name in one.agreement)]
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("rate", "rows", *measures, *(["correctness"] if gold else []), "USD for 1,000", "excluded", "verdict"):
        table.add_column(name, justify="left" if name == "verdict" else "right")
    for one in found.table:
        agreement = [one.agreement.get(name) for name in measures]
        cells = ["" if it is None else f"{it.mean:.4f} ({it.low:.4f} to {it.high:.4f})" for it in agreement]
        if gold:
            it = one.correctness
            cells.append("" if it is None else f"{it.mean:+.4f} ({it.low:+.4f} to {it.high:+.4f})")
        rows = found.pilot - one.excluded
        cost = "" if one.usd_per_1000 is None else f"{one.usd_per_1000:,.4g}"
        verdict = f"{one.verdict}, chosen" if one.rate == found.chosen else one.verdict
        table.add_row(f"{one.rate:g}", f"{rows:,}", *cells, cost, f"{one.excluded:,}", verdict)
    put(table)
