"""`stillroom language compare`: adapters against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe of `distill`; the options say what varies.")],
    out: Annotated[Path, typer.Option(help="A folder for the Runs and the suite; what is done stays.")],
    adapters: Annotated[str, typer.Option(help="Methods, separated by commas. Default: full,lora,dora,ia3,vera.")] = "",
    students: Annotated[str, typer.Option(help="Models, separated by commas. Default: the recipe's.")] = "",
    labels: Annotated[str, typer.Option(help="Numbers of rows, separated by commas. Default: all.")] = "",
    ranks: Annotated[str, typer.Option(help="Ranks, separated by commas. Default: each method's own.")] = "",
    alpha: Annotated[str, typer.Option(help="Alphas, separated by commas. Default: twice the rank.")] = "",
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas. Default: 0.")] = "",
    plot: Annotated[Path | None, typer.Option(help="A PNG file: quality against trained parameters.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Compare adapters: quality against trained parameters, time and memory; writes Runs and a suite for bench."""
    from stillroom.core.cli import echo_json
    from stillroom.core.runs import write_atomic
    from stillroom.language import tradeoff
    from stillroom.language.compare import compare as run

    if plot is not None:
        tradeoff.require()
    varied = {
        "adapters": _listed(adapters),
        "students": _listed(students),
        "labels": _listed(labels),
        "ranks": _listed(ranks),
        "alphas": _listed(alpha),
        "seeds": _listed(seeds),
    }
    found = run({"base": str(recipe), **{name: values for name, values in varied.items() if values}}, out)
    if plot is not None:
        write_atomic(plot, tradeoff.draw(found))
    if as_json:
        echo_json(found.plain())
        return
    typer.echo("\n".join(found.text()))
    typer.echo(f"Judge them, under noise too: {found.command}")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
