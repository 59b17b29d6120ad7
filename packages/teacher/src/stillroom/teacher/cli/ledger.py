"""`stillroom teacher ledger`: what was spent, on what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stillroom.teacher.cli import options
from stillroom.teacher.cli.options import STORE
from stillroom.teacher.cli.show import put


def ledger(
    store: Annotated[Path, typer.Argument(envvar="STILLROOM_STORE", help="The store of the jobs.")] = STORE,
    by: Annotated[str, typer.Option(help="Sum by any of job, model, day; with commas.")] = "job,model,day",
    as_json: options.AsJson = False,
) -> None:
    """Show what calls cost: tokens, dollars, failures, what compression saved, and how long calls took."""
    from stillroom.core.cli import echo_json
    from stillroom.core.errors import DataError, RecipeError
    from stillroom.core.targets import TargetStore
    from stillroom.teacher.ledger import BY, entries
    from stillroom.teacher.prices import dollars, usd

    names = by.split(",")
    if not names or any(name not in BY for name in names) or len(set(names)) < len(names):
        raise RecipeError(f"--by {by}: sum by any of {', '.join(BY)}, each once, with commas between them")
    if not store.is_file():
        raise DataError(f"there is no store {store}: `stillroom teacher label` makes one, --store names it")
    with TargetStore(store) as kept:
        found = list(entries(kept, names))
    if as_json:
        echo_json([{**row, "usd": usd(int(str(row["charged"])))} for row in found])
        return
    if not found:
        typer.echo("No calls yet.")
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    columns = ("calls", "labelled", "unfit", "failed", "refused", "retries", "prompt_tokens", "cached_tokens",
               "completion_tokens", "saved_tokens", "charged", "seconds_full", "seconds_compressed")  # fmt: skip
    for name in names:
        table.add_column(name)
    for name in columns:
        table.add_column(name.replace("_", " ").replace("charged", "cost"), justify="right")
    for row in found:
        cells = [dollars(int(str(row[name]))) if name == "charged" else _cell(row[name]) for name in columns]
        table.add_row(*(str(row[name]) for name in names), *cells)
    put(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
