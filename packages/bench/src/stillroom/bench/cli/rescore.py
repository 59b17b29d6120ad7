"""`stillroom bench rescore`: metrics of kept predictions, without the models that made them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stillroom.core.cli import echo_json

COLUMNS = {"task": ("task", ""), "model": ("model", ""), "metric": ("metric", "")} | {
    name: (name, ".6g") for name in ("before", "after")
}


def rescore(
    folder: Annotated[Path, typer.Argument(help="A folder that `stillroom bench run` wrote.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(help="A metric's name, or your own as package.module:function; may be repeated. Default: all."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what changed as JSON.")] = False,
) -> None:
    """Compute metrics anew from kept predictions; no model is loaded."""
    from stillroom.bench import rescore as rescoring
    from stillroom.bench.cli.board import print_table
    from stillroom.bench.export import plain_rows

    sys.path.append(str(Path.cwd()))  # where a user's own metric is, as with `python -m`
    left: dict[str, str] = {}
    changed = rescoring.rescore(folder, metric or None, left.setdefault)
    for task, why in left.items():
        typer.echo(f"left as it was {task}: {why}", err=True)
    if as_json:
        echo_json({"changed": plain_rows(changed), "left": left})
    elif changed.empty:
        typer.echo("nothing changed")
    else:
        print_table(f"{len(changed)} scores changed", changed, COLUMNS)
