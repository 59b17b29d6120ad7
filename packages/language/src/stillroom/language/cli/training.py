"""`stillroom language distill | plan | capture | merge | pretrain`: what makes a student."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Recipe = Annotated[Path, typer.Argument(help="A YAML recipe.")]
Out = Annotated[Path | None, typer.Option(help="The Run directory; what was cut short goes on. Default: in runs/.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def distill(recipe: Recipe, out: Out = None, as_json: Json = False) -> None:
    """Train a student on a teacher's labels or probabilities, judge it, and keep it if it is better than it was."""
    from stillroom.core.cli import echo_json
    from stillroom.language.distill import distill as run

    done = run(recipe, out)
    if as_json:
        echo_json({"run": done.run.folder, "kept": done.verdict.keep, **done.run.metrics, **done.run.cost})
        return
    typer.echo("\n".join(done.table.lines()))
    typer.echo(f"{done.verdict.sentence} {done.run.folder}")


def capture(recipe: Recipe, out: Out = None, as_json: Json = False) -> None:
    """Ask the recipe's teacher for its likeliest tokens once, and store them; training then needs no teacher."""
    from stillroom.core.cli import echo_json
    from stillroom.language.distill import captured

    stored = captured(recipe, out)
    if as_json:
        echo_json({"store": stored.store, "rows": stored.rows, "top_k": stored.top_k})
        return
    typer.echo(f"{stored.store}: {stored.rows:,} rows, the teacher's {stored.top_k} likeliest tokens at each place")


def plan(
    recipe: Recipe,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Rows to learn, where the recipe's data are not there yet.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A folder with config.json, or the file, where the student is not there yet.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what a recipe would train, how long and in how much memory; no weights are needed."""
    from stillroom.core.cli import echo_json
    from stillroom.language.planning import planned

    found, lengths = planned(recipe, rows=rows, config=config)
    if as_json:
        echo_json({**vars(found), "lengths": lengths})
        return
    typer.echo("\n".join([*found.sentences(), lengths]))


def merge(
    run: Annotated[Path, typer.Argument(help="A folder that holds an adapter.")],
    out: Annotated[Path, typer.Option(help="A new folder for the plain weights.")],
) -> None:
    """Fold an adapter into its base: plain weights, which `transformers serve` and everybody else loads."""
    from stillroom.language.handover import merge as fold

    fold(run, out)
    typer.echo(str(out))


def pretrain(recipe: Recipe, out: Out = None, as_json: Json = False) -> None:
    """Train a small language model from scratch, on texts and on generated sentences."""
    from stillroom.core.cli import echo_json
    from stillroom.language.pretrain import pretrain as train

    run = train(recipe, out or Path("runs") / recipe.stem)
    chosen = run.metrics["chosen_at"]
    if as_json:
        echo_json({"run": run.folder, **chosen, **run.cost})
        return
    found = ", ".join(f"{name} {value:.3f}" for name, value in chosen.items() if name != "step")
    typer.echo(f"{run.folder}: the weights of step {chosen['step']} ({found})")
