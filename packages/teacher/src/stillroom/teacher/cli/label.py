"""`stillroom teacher label`: rows in, labels out, each answer paid for once."""

from __future__ import annotations

from typing import Annotated

import typer

from stillroom.teacher.cli import options, outcome
from stillroom.teacher.cli.options import COMPRESSOR, OUT, STORE


def label(
    rows: options.Rows,
    prompt: options.PromptFile,
    model: options.Model,
    out: options.Out = OUT,
    budget_usd: options.BudgetUsd = None,
    base_url: options.BaseUrl = None,
    concurrency: options.Concurrency = 64,
    rpm: options.Rpm = None,
    tpm: options.Tpm = None,
    samples: options.Samples = 1,
    max_tokens: options.MaxTokens = None,
    rationale: options.Rationale = False,
    rationale_after: Annotated[
        bool, typer.Option(help="Ask for the reasoning in a second call, which shows the answer.")
    ] = False,
    rate: options.Rate = None,
    policy: options.Policy = None,
    compressor: options.CompressorName = COMPRESSOR,
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
    """Label rows with a large model. Run it again, and only what is new, or was under way, is asked and paid."""
    from stillroom.core.cli import progress
    from stillroom.core.errors import RecipeError
    from stillroom.core.tables import rows as read
    from stillroom.core.targets import TargetStore
    from stillroom.teacher import output
    from stillroom.teacher.labelling import label as run

    output.writable(out)
    if rationale_after and rows == "-":
        raise RecipeError("--rationale-after reads the rows twice, which standard input cannot be: give a file")
    made = options.job(
        prompt, model, max_tokens=max_tokens, rationale=rationale, prices=prices, input_usd=input_usd,
        output_usd=output_usd, rate=rate, policy=policy, compressor=compressor, name=job, budget_usd=budget_usd,
        samples=samples, concurrency=concurrency, rpm=rpm, tpm=tpm, attempts=attempts, patience=patience,
    )  # fmt: skip
    source = read(rows)
    api = None if dry_run else options.api(base_url, timeout)
    with TargetStore(store) as kept:
        if api is None:
            outcome.foresee(source, made, kept, as_json)
            return
        with progress("labelling") as advance:
            found = run(source, made, kept, api, advance=advance)
        if not rationale_after:
            outcome.deliver(found, made, out, as_json)
            return
        from stillroom.teacher.rationales import explain

        with progress("asking why") as advance:
            reasons, outcomes = explain(read(rows), found, made, kept, api, advance=advance)
        found.spent, found.charged = found.spent + reasons.spent, reasons.charged
        outcome.deliver(found, made, out, as_json, labels=(one for _, one, _ in outcomes if one is not None))
        if reasons.unlabelled:
            typer.echo(f"{reasons.unlabelled:,} labels have no rationale; run it again to ask for it", err=True)
            raise typer.Exit(1)
