"""`stillroom units …`: the functions of this package, from a shell.

Results go to stdout, or to `--out`; what is said on the way goes to stderr. Everything heavy is imported by the command
that needs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom.core.cli import echo_json
from stillroom.core.errors import RecipeError
from stillroom.series.options import (
    DECILES,
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

if TYPE_CHECKING:
    from stillroom.series.reading import Columns
    from stillroom.units.units import Units

app = typer.Typer(
    no_args_is_help=True,
    help="Forecast, classify, impute and detect with one small model; pre-train, adapt and distil it.",
)

Panels = Annotated[
    list[str] | None, typer.Option("--panel", help="Series to learn from to their end, by file or name; repeatable.")
]
Labelled = Annotated[
    list[str] | None,
    typer.Option("--classes", help="A labelled set, whose training split teaches: ucr:NAME or a file; repeatable."),
]


@app.command()
def forecast(
    data: Data,
    model: Model,
    prediction_length: Horizon,
    quantiles: Quantiles = DECILES,
    target: Targets = None,
    item_id: ItemId = "item_id",
    timestamp: Timestamp = "timestamp",
    freq: Freq = None,
    device: Device = "cpu",
    out: Frame = None,
    json: Json = False,
) -> None:
    """Forecast every series of a file: one row a series, target and step, one column a quantile."""
    from stillroom.series.writing import levels_of

    check(out, data)
    levels = levels_of(quantiles)
    columns = _columns(target, item_id, timestamp, freq)
    frame = _loaded(model, device).forecast(data, prediction_length, levels, columns)
    series = int(frame[item_id].nunique())
    give(frame, out, json, f"{series} series, {prediction_length} steps each", series=series, model=model)


@app.command()
def classify(
    data: Annotated[
        str, typer.Argument(help="A labelled set such as ucr:ArrowHead; with --labels or --task, a file of series.")
    ],
    model: Model,
    labels: Annotated[
        Path | None, typer.Option(help="A table of items and their `label`: they teach, the other items are told.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="A task with classes that the model was trained for; nothing is learned.")
    ] = None,
    head: Annotated[str, typer.Option(help="auto, ridge or tokens: how classes are learned.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the learning.")] = 0,
    target: Targets = None,
    item_id: ItemId = "item_id",
    timestamp: Timestamp = "timestamp",
    freq: Freq = None,
    device: Device = "cpu",
    out: Frame = None,
    json: Json = False,
) -> None:
    """Learn classes and tell series apart: one row a series, the likeliest class, and how likely each class is.

    Of a labelled set the training split teaches and the test split is told apart.
    """
    from stillroom.units import telling

    check(out, data, labels)
    if labels is not None and task is not None:
        raise RecipeError("Labels are learned from, a task is known already: give --labels or --task, not both.")
    columns = _columns(target, item_id, timestamp, freq)
    loaded = _loaded(model, device)
    lesson = {"head": head, "seed": seed}
    if task is not None:
        told = telling.by_task(loaded, data, task, columns)
    elif labels is not None:
        told = telling.by_labels(loaded, data, labels, columns, lesson)
    else:
        told = telling.of_set(loaded, data, lesson, columns.item_id)
    sentence = f"{len(told.frame)} series" + ("" if told.accuracy is None else f", accuracy {told.accuracy:.4f}")
    give(told.frame, out, json, sentence, series=len(told.frame), accuracy=told.accuracy, model=model)


@app.command()
def impute(
    data: Data,
    model: Model,
    target: Targets = None,
    item_id: ItemId = "item_id",
    timestamp: Timestamp = "timestamp",
    freq: Freq = None,
    device: Device = "cpu",
    out: Frame = None,
    json: Json = False,
) -> None:
    """Fill what is missing in every series of a file, also rows that are not there; the rest stays as it is."""
    from stillroom.series.reading import to_panel

    check(out, data)
    columns = _columns(target, item_id, timestamp, freq)
    panel = to_panel(data, columns)
    frame = _loaded(model, device).impute(panel, columns=columns)
    gaps = sum(int((item.target != item.target).sum()) for item in panel)
    give(frame, out, json, f"{len(panel)} series, {gaps} values filled", series=len(panel), filled=gaps, model=model)


@app.command()
def detect(
    data: Data,
    model: Model,
    train: Annotated[
        float,
        typer.Option(min=0, help="The start of each series that is normal: a share, or from 1 on a number of steps."),
    ] = 0.15,
    quantile: Annotated[
        float, typer.Option(help="An alarm is a step whose score so much of the normal part does not exceed.")
    ] = 0.99,
    season_length: Annotated[int, typer.Option(min=1, help="Steps in one cycle.")] = 1,
    target: Targets = None,
    item_id: ItemId = "item_id",
    timestamp: Timestamp = "timestamp",
    freq: Freq = None,
    device: Device = "cpu",
    out: Frame = None,
    json: Json = False,
) -> None:
    """Learn what is normal from the start of each series, and say of each later step how strange it is.

    One row a step: its score, and whether it is an alarm.
    """
    from stillroom.series.reading import to_panel
    from stillroom.units.telling import strangeness

    check(out, data)
    columns = _columns(target, item_id, timestamp, freq)
    panel = to_panel(data, columns)
    frame = strangeness(_loaded(model, device), panel, train, quantile, season_length, columns)
    alarms = int(frame["alarm"].sum())
    sentence = f"{len(panel)} series, {len(frame)} steps, {alarms} alarms"
    give(frame, out, json, sentence, series=len(panel), steps=len(frame), alarms=alarms, model=model)


@app.command()
def pretrain(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe.")],
    out: Annotated[Path, typer.Option(help="The Run directory; a training cut short there goes on.")],
    json: Json = False,
) -> None:
    """Train a small model from scratch on every job and source of a recipe."""
    from stillroom.units.pretrain import pretrain as run

    made = run(recipe, out)
    if json:
        echo_json({"run": made.folder, **made.metrics})
    else:
        typer.echo(str(made.folder))


@app.command()
def adapt(
    model: AnyModel = None,
    classes: Labelled = None,
    panel: Panels = None,
    job: Annotated[
        list[str] | None,
        typer.Option("--job", help="forecast, impute, detect or classify. Default: all that is served."),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="What moves: prompt (tokens, the default), full, lora, ia3, …")
    ] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="Of a low-rank adapter.")] = None,
    share: Annotated[float | None, typer.Option(help="Few-shot: learn from this share alone, such as 0.05.")] = None,
    recipe: RecipeFile = None,
    steps: Steps = None,
    learning_rate: Rate = None,
    seed: Seed = None,
    out: Run = None,
    json: Json = False,
) -> None:
    """Adapt a model to one's own series, to one set or several; keep the result only if it is better."""
    from stillroom.core.recipes import overridden, read
    from stillroom.units.adapt import adapt as run
    from stillroom.units.recipe import AdaptRecipe

    raw = overridden(
        read(recipe) if recipe else {},
        {"model": model, "share": share, "sources": _sources(classes, panel)},
        {"mix": {"jobs": None if job is None else dict.fromkeys(job, 1.0)}},
        {"adapter": {"method": method, "rank": rank}},
        {"train": {"steps": steps, "learning_rate": learning_rate, "seed": seed}},
    )
    required(raw, sources="--classes or --panel", model="--model")
    adapted = run(None, AdaptRecipe.of(raw), out)
    metrics, folder = adapted.run.metrics, adapted.run.folder
    if json:
        echo_json({"run": folder, "kept": adapted.verdict.keep, **metrics})
        return
    typer.echo(adapted.verdict.sentence)
    for name, before in metrics["base"].items():
        typer.echo(f"{name}: {before:.4g} (base), {metrics['adapted'][name]:.4g} (adapted)")
    typer.echo(str(folder))


@app.command()
def distill(
    teacher: Annotated[
        str | None, typer.Option(help="A UniTS or any other forecaster: a folder, hub id or name.")
    ] = None,
    student: Annotated[
        str | None, typer.Option(help="A model to go on with. Default: a small one from scratch, see the recipe.")
    ] = None,
    classes: Labelled = None,
    panel: Panels = None,
    recipe: RecipeFile = None,
    steps: Steps = None,
    learning_rate: Rate = None,
    seed: Seed = None,
    out: Run = None,
    json: Json = False,
) -> None:
    """Teach a small model what a larger one knows: any forecaster, or a larger model of this family."""
    from stillroom.core.recipes import overridden, read
    from stillroom.units.distill import distill as run
    from stillroom.units.recipe import DistillRecipe

    raw = overridden(
        read(recipe) if recipe else {},
        {"teacher": teacher, "student": student, "sources": _sources(classes, panel)},
        {"train": {"steps": steps, "learning_rate": learning_rate, "seed": seed}},
    )
    required(raw, sources="--classes or --panel", teacher="--teacher")
    distilled = run(None, DistillRecipe.of(raw), out)
    metrics, folder = distilled.run.metrics, distilled.run.folder
    if json:
        echo_json({"run": folder, **metrics})
        return
    for name, value in metrics["student"].items():
        taught = metrics["teacher"].get(name)
        typer.echo(f"{name}: {value:.4g} (student)" + ("" if taught is None else f", {taught:.4g} (teacher)"))
    typer.echo(str(folder))


def _loaded(model: str, device: str) -> Units:
    from stillroom.units.families import find

    return find(model, device=device)


def _columns(target: list[str] | None, item_id: str, timestamp: str, freq: str | None) -> Columns:
    """Columns without covariates, which are not looked at."""
    from stillroom.series.reading import Columns

    targets = tuple(target or ["target"])
    return Columns(item_id=item_id, timestamp=timestamp, targets=targets, covariates=(), freq=freq)


def _sources(classes: list[str] | None, panels: list[str] | None) -> dict[str, Any]:
    """The sources of a recipe that options name."""
    measured = [
        {"name": Path(source.rpartition(":")[2]).stem, "source": source, "end": None} for source in panels or ()
    ]
    return {
        "classes": [{"source": source} for source in classes] if classes else None,
        "panels": measured or None,
    }
