"""`stillroom teacher batch`: rows in, labels out, through a provider's batch endpoints at half the price."""

from __future__ import annotations

from typing import Annotated

import typer

from stillroom.teacher.cli import options, outcome
from stillroom.teacher.cli.options import COMPRESSOR, OUT, STORE

LINES = 50_000  # as `batch_files` has it, which is not imported for a --help


def batch(
    rows: options.Rows,
    prompt: options.PromptFile,
    model: options.Model,
    out: options.Out = OUT,
    budget_usd: options.BudgetUsd = None,
    base_url: options.BaseUrl = None,
    wait: Annotated[bool, typer.Option(help="Stay until all is fetched, or submit and return.")] = True,
    lines: Annotated[int, typer.Option(min=1, max=LINES, help="The most requests in a batch.")] = LINES,
    samples: options.Samples = 1,
    max_tokens: options.MaxTokens = None,
    rationale: options.Rationale = False,
    rate: options.Rate = None,
    policy: options.Policy = None,
    compressor: options.CompressorName = COMPRESSOR,
    prices: options.Prices = None,
    store: options.Store = STORE,
    job: options.JobName = "",
    attempts: options.Attempts = 3,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to try on while the API fails.")] = 300.0,
    timeout: options.Timeout = 120.0,
    as_json: options.AsJson = False,
) -> None:
    """Label rows in batches: cheaper, within a day. Stop it when you like and run it again: it goes on."""
    from stillroom.core.cli import progress
    from stillroom.core.tables import rows as read
    from stillroom.core.targets import TargetStore
    from stillroom.teacher import output
    from stillroom.teacher.batches import UNDER_WAY
    from stillroom.teacher.batches import batch as run

    output.writable(out)
    made = options.job(
        prompt, model, max_tokens=max_tokens, rationale=rationale, prices=prices, rate=rate, policy=policy,
        compressor=compressor, name=job, budget_usd=budget_usd, samples=samples, attempts=attempts, patience=patience,
    )  # fmt: skip
    source, api = read(rows), options.api(base_url, timeout)
    with TargetStore(store) as kept:
        with progress("in batches") as advance:
            found = run(source, made, kept, api, wait=wait, lines=lines, advance=advance)
        under_way = sum(reason == UNDER_WAY for _, reason in found.missing())
        outcome.deliver(found, made, out, as_json, under_way)
