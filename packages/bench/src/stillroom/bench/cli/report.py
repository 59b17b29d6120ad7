"""`stillroom bench report`: a folder of scores as one page to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="A folder that `stillroom bench run` wrote.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default report.html in the folder.", show_default=False)
    ] = None,
) -> None:
    """Write leaderboard, charts, pictures and provenance as one HTML file that needs no network."""
    from stillroom.bench.report import write

    typer.echo(write(folder, out))
