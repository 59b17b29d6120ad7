"""`stillroom prompts train`: a recipe becomes a compressor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe.")],
    out: Annotated[Path, typer.Option(help="The Run directory; a training cut short goes on there.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics of the weights that were chosen.")] = False,
) -> None:
    """Fit an encoder as a compressor: to people's labels, a teacher's answers or a bigger compressor."""
    from stillroom.core.cli import echo_json
    from stillroom.prompts.train import train as fit

    run = fit(recipe, out)
    chosen = run.metrics["chosen_at"]
    if as_json:
        echo_json({"run": run.folder, **chosen, **run.cost})
        return
    found = ", ".join(f"{name} {value:.3f}" for name, value in chosen.items() if name not in ("step", "shortfall"))
    typer.echo(f"{run.folder}: the weights of step {chosen['step']} (F1 on held-out texts: {found})")
