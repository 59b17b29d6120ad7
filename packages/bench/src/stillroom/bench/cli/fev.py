"""`stillroom bench to-fev`: forecast scores in the form that fev's own leaderboard reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def to_fev(
    folder: Annotated[Path, typer.Argument(help="A folder that `stillroom bench run` wrote.")],
    file: Annotated[Path, typer.Argument(help="The .csv file to write, one row a (task x model).")],
) -> None:
    """Write forecast scores for `fev.leaderboard`: its columns, its metric names, failures without a score."""
    from stillroom.bench import fev_tasks
    from stillroom.bench.rows import read_rows
    from stillroom.core.errors import DataError, RecipeError
    from stillroom.core.runs import write_atomic

    if file.suffix != ".csv":
        raise RecipeError(f"{file.name} must end in .csv, which is what fev reads")
    summaries = fev_tasks.to_fev(read_rows(folder).values())
    try:
        write_atomic(file, summaries.to_csv(index=False))
    except OSError as error:
        raise DataError(f"the scores cannot be written to {file}: {error.strerror or error}") from None
    typer.echo(f"{len(summaries)} scores: {file}", err=True)
