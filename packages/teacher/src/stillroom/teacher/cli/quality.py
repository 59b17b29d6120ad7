"""`stillroom teacher quality`: what is missing, copied or odd in a label table, and how far to trust it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from stillroom.teacher.cli import options
from stillroom.teacher.cli.show import agreement, show

NAMED = 5  # classes in the table; the page and --json have them all


def quality(
    labels: Annotated[str, typer.Argument(help="A label table: .parquet, .csv or .jsonl; - is JSON Lines on stdin.")],
    gold: Annotated[Path | None, typer.Option(help="Rows with row_id and the right answer.")] = None,
    second: Annotated[Path | None, typer.Option(help="Another teacher's label table.")] = None,
    by: Annotated[
        str, typer.Option(help="When answers agree: exact, normalised, numeric, fields (of JSON) or f1.")
    ] = "normalised",
    html: Annotated[Path | None, typer.Option(help="Write all that was found as a page.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure a label table, alone and against gold or a second teacher; `label --samples` gives self-consistency."""
    from stillroom.core.cli import echo_json
    from stillroom.core.runs import write_atomic
    from stillroom.core.tables import rows
    from stillroom.teacher.quality import measure

    found = measure(
        rows(labels),
        gold=None if gold is None else rows(gold),
        second=None if second is None else rows(second),
        by=by,
    )
    if html is not None:
        from stillroom.teacher.quality_report import render

        write_atomic(html, render(found))
        typer.echo(f"The page is {html}", err=True)
    if as_json:
        echo_json(found)
        return
    show(_lines(found))


def _lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What `quality.measure` found, shortened to a line each."""
    yield "rows", f"{found['rows']:,}"
    why = ", ".join(f"{reason}: {count:,}" for reason, count in found["unanswered"].items())
    yield "answered", f"{found['answered']:,}{f' (not: {why})' if why else ''}"
    if found["cut_short"]:
        yield "cut short", f"{found['cut_short']:,}"
    for source in found["sources"][:NAMED]:
        parts = (source["model"], source["prompt_hash"][:12], source["policy"])
        yield "source", f"{' '.join(filter(None, parts)) or 'unknown'}: {source['rows']:,} rows"
    copied, same = found["copied"], found["duplicates"]
    yield "copies of the input", f"{copied['normalised']:.1%}, exactly {copied['exact']:.1%}"
    yield "inputs that repeat", f"{same['inputs']:,}, with answers that differ {same['differing']:,}"
    for name, lengths in (found["lengths"] or {}).items():
        if lengths is not None:
            yield f"length of {name}", f"median {lengths['median']:.3g}, outliers {lengths['outliers']:,}"
    for one in (found["classes"] or [])[:NAMED]:
        yield "class", f"{one['answer']}: {one['rows']:,} ({one['share']:.1%})"
    if (sure := found["consistency"]) is not None:
        yield (
            "self-consistency",
            f"{sure['unanimous']:.1%} of {sure['rows']:,} rows unanimous, {sure['pairwise']:.1%} of pairs agree, "
            f"{sure['entropy']:.2f} bits",
        )
    for name, other in (("gold", found["gold"]), ("second teacher", found["second"])):
        if other is not None:
            yield f"agreement with {name}", agreement(other, other["kappa"])
    if "gold" in copied:
        yield "agreement if copied", f"{agreement(copied['gold'])}: what nothing but the input would score"
