"""`stillroom prompts align`: a teacher's answers become training data."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def align(
    labels: Annotated[
        str, typer.Argument(help="The label table: .parquet, .csv or .jsonl with input and answer; - is stdin.")
    ],
    out: Annotated[Path, typer.Option(help="Where the training data goes: .parquet or .jsonl.")] = Path(
        "train.parquet"
    ),
    variation_percentile: Annotated[
        float, typer.Option(min=0, max=100, help="Answers above it in words that the text does not have are left out.")
    ] = 95.0,
    gap_percentile: Annotated[
        float, typer.Option(min=0, max=100, help="Of the others, those above it in words not found again are too.")
    ] = 90.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of the rows as JSON.")] = False,
) -> None:
    """Align answers to their texts word by word, leave out the worst, and write which words were kept.

    The percentiles are those of the LLMLingua-2 paper: 5 % of the answers go for the first, 10 % of the rest for the
    second.
    """
    from stillroom.core.cli import echo_json, progress
    from stillroom.core.tables import rows
    from stillroom.prompts import examples
    from stillroom.prompts.labelled import training_data

    examples.writable(out)
    with progress("aligning answers") as advance:
        table = (row for row in rows(labels) if advance() is None)
        kept, tally = training_data(table, variation_percentile, gap_percentile)
    examples.write(kept, out)
    if as_json:
        echo_json({**asdict(tally), "examples": len(kept)})
        return
    typer.echo(
        f"{tally.rows} rows; left out: {tally.unanswered} without an answer, {tally.cut_short} cut short, "
        f"{tally.varied} for their variation rate, {tally.misaligned} for their alignment gap\n"
        f"{len(kept)} examples in {out}, {tally.rate:.0%} of their words kept"
    )
