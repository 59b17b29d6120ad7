"""Options that the commands of forecasting families share, and how their results reach the user.

It knows no family. Only commands import it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom.core.cli import echo_json
from stillroom.core.errors import RecipeError

if TYPE_CHECKING:
    import pandas as pd

DATA = "A CSV, Parquet or JSONL file, a folder, hub:OWNER/REPOSITORY/NAME or statsmodels:NAME."
MODEL = "A folder, a hub id or the name of a mini."
ITEM_ID, TIMESTAMP = "The column that tells series apart.", "The column of timestamps."

Data = Annotated[str, typer.Argument(help=DATA)]
Model = Annotated[str, typer.Option(help=MODEL)]
AnyModel = Annotated[str | None, typer.Option(help=MODEL)]
Targets = Annotated[list[str] | None, typer.Option("--target", help="A column of values; may be repeated.")]
ItemId = Annotated[str, typer.Option(help=ITEM_ID)]
Timestamp = Annotated[str, typer.Option(help=TIMESTAMP)]
Freq = Annotated[str | None, typer.Option(help="A pandas frequency; default: what the timestamps say.")]
Horizon = Annotated[int, typer.Option("--prediction-length", "-h", min=1, help="Steps to forecast.")]
Quantiles = Annotated[str, typer.Option(help="Levels between 0 and 1, separated by commas.")]
DECILES = "0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9"
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Frame = Annotated[Path | None, typer.Option("--out", help="A .csv or .parquet file to write. Default: CSV on stdout.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="A YAML recipe; options given here override it.")]
Run = Annotated[
    Path | None, typer.Option("--out", help="The Run directory; a training cut short goes on. Default: under runs/.")
]
Steps = Annotated[int | None, typer.Option(min=1, help="Training steps.")]
Rate = Annotated[float | None, typer.Option("--learning-rate", help="Highest learning rate.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of the training.")]


def check(out: Path | None, *inputs: Any) -> None:
    """Refuse what `give` could not write, before the work; see `writing.check_out`."""
    if out is not None:
        from stillroom.series.writing import check_out

        check_out(out, *inputs)


def give(frame: pd.DataFrame, out: Path | None, json: bool, sentence: str, **about: Any) -> None:
    """Write a frame where it is wanted, and say what it is: in a sentence, or, as JSON, by `about`."""
    if out is not None:
        from stillroom.series.writing import write_frame

        write_frame(frame, out)
    if json and out is not None:
        echo_json({"out": out, "rows": len(frame), **about})
    elif json:
        echo_json(frame.to_dict(orient="records"))
    elif out is None:
        typer.echo(frame.to_csv(index=False), nl=False)
    else:
        typer.echo(f"{sentence}: {out}")


def required(recipe: dict[str, Any], **options: str) -> dict[str, Any]:
    """Return a recipe that says all that it must.

    Parameters
    ----------
    options
        What it must say, and the option that says it.

    Raises
    ------
    RecipeError
        It does not.
    """
    for name, option in options.items():
        if recipe.get(name) is None:
            raise RecipeError(f"Nothing says {name}: give {option}, or a recipe that says it.")
    return recipe
