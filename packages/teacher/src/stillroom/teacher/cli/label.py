"""`stillroom teacher label`: rows in, labels out, each answer paid for once."""

from __future__ import annotations

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
    from stillroom.core.tables import rows as read
    from stillroom.core.targets import TargetStore
    from stillroom.teacher import output
    from stillroom.teacher.labelling import label as run

    output.writable(out)
    made = options.job(
        prompt, model, max_tokens=max_tokens, rationale=rationale, prices=prices, input_usd=input_usd,
        output_usd=output_usd, rate=rate, policy=policy, compressor=compressor, name=job, budget_usd=budget_usd,
        samples=samples, concurrency=concurrency, rpm=rpm, tpm=tpm, attempts=attempts, patience=patience,
    )  # fmt: skip
    with TargetStore(store) as kept:
        if dry_run:
            outcome.foresee(read(rows), made, kept, as_json)
            return
        with progress("labelling") as advance:
            found = run(read(rows), made, kept, options.api(base_url, timeout), advance=advance)
        outcome.deliver(found, made, out, as_json)
