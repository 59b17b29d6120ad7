"""`stillroom chronos …`: the functions of this package, from a shell.

Results go to stdout, or to `--out`; what is said on the way goes to stderr. Everything heavy is imported by the command
that needs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stillroom.core.cli import echo_json
from stillroom.series.options import (
    DATA,
    DECILES,
    ITEM_ID,
    TIMESTAMP,
    AnyModel,
    Data,
    Device,
    Frame,
    Freq,
    Horizon,
    ItemId,
    Json,
    Model,
    Quantiles,
    Rate,
    RecipeFile,
    Run,
    Seed,
    Steps,
    Targets,
    Timestamp,
    check,
    give,
    required,
)

app = typer.Typer(no_args_is_help=True, help="Forecast with, adapt and distil Chronos-T5, Chronos-Bolt and Chronos-2.")

LEARN_FROM, HORIZON = "the file to learn from", "--prediction-length"

Source = Annotated[str | None, typer.Argument(help=DATA)]
Ahead = Annotated[int | None, typer.Option(HORIZON, "-h", min=1, help="Steps to forecast.")]
Covariates = Annotated[
    list[str] | None, typer.Option("--covariate", help="A column to take along; may be repeated. Default: all others.")
]
NoCovariates = Annotated[bool, typer.Option("--no-covariates", help="Leave all other columns out.")]
AnyItemId = Annotated[str | None, typer.Option("--item-id", help=ITEM_ID)]
AnyTimestamp = Annotated[str | None, typer.Option("--timestamp", help=TIMESTAMP)]


@app.command()
def forecast(
    data: Data,
    model: Model,
    prediction_length: Horizon,
    quantiles: Quantiles = DECILES,
    future: Annotated[
        Path | None, typer.Option(help="A file with the covariates of the steps to forecast (Chronos-2).")
    ] = None,
    target: Targets = None,
    covariate: Covariates = None,
    no_covariates: NoCovariates = False,
    item_id: ItemId = "item_id",
    timestamp: Timestamp = "timestamp",
    freq: Freq = None,
    device: Device = "cpu",
    out: Frame = None,
    json: Json = False,
) -> None:
    """Forecast every series of a file: one row a series, target and step, one column a quantile."""
    from stillroom.series.writing import levels_of

    check(out, data, future)
    levels = levels_of(quantiles)

    from stillroom.chronos import families
    from stillroom.chronos.forecast import forecast as run
    from stillroom.series.intake import read_frame
    from stillroom.series.reading import Columns, to_panel

    columns = Columns(
        item_id=item_id,
        timestamp=timestamp,
        targets=tuple(target or ["target"]),
        covariates=() if no_covariates else None if covariate is None else tuple(covariate),
        freq=freq,
    )
    future_frame = None if future is None else read_frame(future, item_id=item_id)
    panel = to_panel(data, columns, future_frame)
    loaded = families.find(model, device=device)
    frame = run(loaded, panel, prediction_length, levels, item_id=item_id, timestamp=timestamp)
    give(frame, out, json, f"{len(panel)} series, {prediction_length} steps each", series=len(panel), model=model)


@app.command()
def adapt(
    data: Source = None,
    model: AnyModel = None,
    prediction_length: Ahead = None,
    method: Annotated[str | None, typer.Option(help="The adapter: lora (the default), full, dora, ia3, …")] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="Of a low-rank adapter.")] = None,
    recipe: RecipeFile = None,
    steps: Steps = None,
    learning_rate: Rate = None,
    seed: Seed = None,
    target: Targets = None,
    covariate: Covariates = None,
    no_covariates: NoCovariates = False,
    known: Annotated[list[str] | None, typer.Option(help="A covariate whose future is known; may be repeated.")] = None,
    item_id: AnyItemId = None,
    timestamp: AnyTimestamp = None,
    freq: Freq = None,
    out: Run = None,
    json: Json = False,
) -> None:
    """Adapt a model to one's own series; keep the result only if it is better on what it did not learn from."""
    from stillroom.chronos.adapt import adapt as run
    from stillroom.chronos.recipe import AdaptRecipe
    from stillroom.core.recipes import overridden, read

    raw = overridden(
        read(recipe) if recipe else {},
        {"data": data, "model": model, "prediction_length": prediction_length},
        {"adapter": {"method": method, "rank": rank}},
        {"train": {"steps": steps, "learning_rate": learning_rate, "seed": seed}},
        {"columns": {"targets": target, "covariates": [] if no_covariates else covariate, "known_covariates": known}},
        {"columns": {"item_id": item_id, "timestamp": timestamp, "freq": freq}},
    )
    plan = AdaptRecipe.of(required(raw, data=LEARN_FROM, model="--model", prediction_length=HORIZON))
    adapted = run(str(plan.model), str(plan.data), plan, out)
    folder, metrics = adapted.run.folder, adapted.run.metrics
    if json:
        echo_json({"run": folder, "kept": adapted.verdict.keep, **metrics})
        return
    typer.echo(adapted.verdict.sentence)
    typer.echo(f"WQL {metrics['base']['WQL']:.4g} (base), {metrics['adapted']['WQL']:.4g} (adapted): {folder}")


@app.command()
def distill(
    data: Source = None,
    teacher: AnyModel = None,
    student: Annotated[
        str | None, typer.Option(help="half, quarter (the default), eighth, a fraction, or a checkpoint to start from.")
    ] = None,
    prediction_length: Ahead = None,
    targets: Annotated[str | None, typer.Option(help="live or stored: ask the teacher each time, or once.")] = None,
    recipe: RecipeFile = None,
    steps: Steps = None,
    learning_rate: Rate = None,
    seed: Seed = None,
    target: Targets = None,
    covariate: Covariates = None,
    no_covariates: NoCovariates = False,
    item_id: AnyItemId = None,
    timestamp: AnyTimestamp = None,
    freq: Freq = None,
    out: Run = None,
    json: Json = False,
) -> None:
    """Teach a small model what a large one knows about series."""
    from stillroom.chronos.distill import distill as run
    from stillroom.chronos.recipe import DistillRecipe
    from stillroom.core.recipes import overridden, read

    raw = overridden(
        read(recipe) if recipe else {},
        {"data": data, "teacher": teacher, "student": _number(student), "prediction_length": prediction_length},
        {"targets": targets},
        {"train": {"steps": steps, "learning_rate": learning_rate, "seed": seed}},
        {"columns": {"targets": target, "covariates": [] if no_covariates else covariate}},
        {"columns": {"item_id": item_id, "timestamp": timestamp, "freq": freq}},
    )
    plan = DistillRecipe.of(required(raw, data=LEARN_FROM, teacher="--teacher", prediction_length=HORIZON))
    distilled = run(str(plan.teacher), plan.student, str(plan.data), plan, out)
    folder, metrics = distilled.run.folder, distilled.run.metrics
    if json:
        echo_json({"run": folder, **metrics})
        return
    for name in ("teacher", "student"):
        typer.echo(f"{name}: {metrics['parameters'][name]:,} parameters, WQL {metrics[name]['WQL']:.4g}")
    typer.echo(str(folder))


@app.command()
def merge(
    run: Annotated[str, typer.Argument(help="The Run directory or adapter folder.")],
    out: Annotated[Path, typer.Argument(help="The folder to write, which upstream's from_pretrained reads.")],
    json: Json = False,
) -> None:
    """Fold an adapter into its base and write a plain model."""
    from stillroom.chronos.adapt import merge as fold

    folder = fold(run, out)
    if json:
        echo_json({"out": folder})
    else:
        typer.echo(str(folder))


@app.command()
def pretrain(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe.")],
    out: Annotated[Path, typer.Option(help="The Run directory; a training cut short there goes on.")],
    json: Json = False,
) -> None:
    """Train a small Bolt from scratch, by a recipe."""
    from stillroom.chronos.pretrain import pretrain as run

    made = run(recipe, out)
    if json:
        echo_json({"run": made.folder, **made.metrics})
    else:
        typer.echo(str(made.folder))


def _number(text: str | None) -> str | float | None:
    """A fraction such as 0.3 as a number; any other word as it is."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
