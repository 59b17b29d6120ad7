"""`stillroom language augment | corpus | grammar`: rows to label, to learn from and to be judged by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="A .jsonl file to write.")]
Limit = Annotated[int | None, typer.Option(min=1, help="So many rows, no more.")]


def corpus(
    name: Annotated[
        str, typer.Argument(help="multilingual-gec, cows-l2h, ua-gec, gsm8k, or another set of corrections.")
    ],
    out: Out,
    split: Annotated[str, typer.Option(help="train, choose or test, as the set has them.")] = "train",
    source: Annotated[
        str | None, typer.Option("--from", help="Of multilingual-gec: a local file or folder of its form.")
    ] = None,
    limit: Limit = None,
) -> None:
    """Write a public data set as rows: input, answer, group."""
    from stillroom.language.corpora import named
    from stillroom.language.duplicates import limited
    from stillroom.language.work import write_rows

    rows = limited(named(name, split, source), limit)
    write_rows(out, rows)
    typer.echo(f"{out}: {len(rows):,} rows")


def grammar(
    out: Out,
    count: Annotated[int, typer.Option(min=1, help="How many pairs, the languages taking turns.")] = 1000,
    language: Annotated[list[str] | None, typer.Option(help="en, fr, de or es; may be repeated.")] = None,
    part: Annotated[str, typer.Option(help="train, choose or test: each has lemmas of its own; or all.")] = "train",
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other sentences.")] = 0,
) -> None:
    """Write made-up sentences with learners' mistakes (input) and their corrections (answer)."""
    from stillroom.language.grammar.generate import LANGUAGES, distinct
    from stillroom.language.grammar.generate import language as speech
    from stillroom.language.rows import Row
    from stillroom.language.work import write_rows

    found = distinct(count, language, part, seed)
    rows = [Row(one.source, one.target, group=one.language, extra={"kinds": list(one.kinds)}) for one in found]
    write_rows(out, rows)
    for code in language or LANGUAGES:
        lemmas, patterns = len(speech(code).lemmas), len(speech(code).patterns)
        typer.echo(f"{code}: {lemmas:,} lemmas and {patterns:,} patterns in all parts", err=True)
    typer.echo(f"{out}: {len(rows):,} pairs")


def augment(
    rows: Annotated[Path, typer.Argument(help="Rows to make more of: a .jsonl, .csv or .parquet file.")],
    out: Out,
    answers: Annotated[
        Path | None, typer.Option(help="What the teacher wrote: its store; then the new inputs are written.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="New inputs a row.")] = 4,
    how: Annotated[str, typer.Option(help="paraphrase: in other words; new: others of the kind.")] = "paraphrase",
) -> None:
    """Ask a teacher for more inputs: writes requests and their Prompt, and, given its answers, the inputs to label."""
    from stillroom.language import augment as more
    from stillroom.language.work import asked

    known, _ = asked(rows)
    if answers is None:
        prompt = more.requests(known, out, count, how)
        typer.echo(f"{out}: requests; ask them with: stillroom teacher label {out} --prompt {prompt} --model …")
        return
    typer.echo(f"{out}: {more.inputs(answers, known, out).sentence()}")
