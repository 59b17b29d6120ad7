"""Frames that a command writes to a file, CSV or Parquet: what would fail is refused before the work, not after it.

It knows no command and no model.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.runs import write_atomic

if TYPE_CHECKING:
    import pandas as pd


def check_out(out: Path, *inputs: Any) -> None:
    """Refuse a path that cannot be written, or that would overwrite what the user gave.

    Parameters
    ----------
    inputs
        What the result is made from; None and what is no path at all is no file of the user's.

    Raises
    ------
    RecipeError
        Neither .csv nor .parquet, or one of the inputs.
    DataError
        There is no such folder.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise RecipeError(f"{out} is neither a .csv nor a .parquet file: name one of these.")
    if any(given is not None and Path(given).resolve() == out.resolve() for given in inputs):
        raise RecipeError(f"{out} is what the result is made from: write to another file.")
    if not out.parent.is_dir():
        raise DataError(f"There is no folder {out.parent}: make it, or write elsewhere.")


def write_frame(frame: pd.DataFrame, out: Path) -> None:
    """Write a frame without its index, whole or not at all."""
    buffer = BytesIO()
    if out.suffix == ".csv":
        frame.to_csv(buffer, index=False)
    else:
        frame.to_parquet(buffer, index=False)
    write_atomic(out, buffer.getvalue())


def levels_of(text: str) -> list[float]:
    """Read quantile levels as a command is given them, "0.1,0.5,0.9"; RecipeError if they are no numbers."""
    try:
        return [float(level) for level in text.split(",")]
    except ValueError as error:
        raise RecipeError(f"{text!r} are no quantile levels: write them as 0.1,0.5,0.9.") from error
