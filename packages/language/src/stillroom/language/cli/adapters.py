"""`stillroom language compare`: adapters against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe of `distill`; the options say what varies.")],
    out: Annotated[Path, typer.Option(help="A folder for the Runs and the suite; done Runs are kept.")],
    adapters: Annotated[str, typer.Option(help="Methods, separated by commas.")] = "full,lora,dora,ia3,vera",
    students: Annotated[str, typer.Option(help="Models, separated by commas. Default: the recipe's.")] = "",
    labels: Annotated[str, typer.Option(help="Numbers of rows, separated by commas. Default: all.")] = "",
    ranks: Annotated[str, typer.Option(help="Ranks, separated by commas. Default: each method's own.")] = "",
    alpha: Annotated[str, typer.Option(help="Alphas, separated by commas. Default: twice the rank.")] = "",
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas.")] = "0",
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Compare adapters: quality against trained parameters, time and memory; writes Runs and a suite for bench."""
    raise NotImplementedError
