"""`stillroom demo`: the tour, chapter by chapter.

It says what comes, runs it, and prints what came of it. What is computed is the chapters' business.
"""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom.core.cli import echo_json

if TYPE_CHECKING:
    from rich.console import Console

    from stillroom.demo.tour import Result

app = typer.Typer(add_completion=False)


class Chapter(StrEnum):
    """The chapters, in order."""

    forecast = "forecast"
    adapt = "adapt"
    distill = "distill"
    compress = "compress"
    label = "label"
    student = "student"
    report = "report"


@app.command()
def demo(
    chapter: Annotated[Chapter | None, typer.Option(help="Only this one; default: all, in order.")] = None,
    out: Annotated[Path, typer.Option(help="Where everything is written.")] = Path("out/demo"),
    model: Annotated[str, typer.Option(help="The mini, or any Chronos model by its folder or hub id.")] = "forecaster",
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Tour Stillroom: forecast, adapt and distil on real series, compress a prompt, label rows; all on one page."""
    import torch

    from stillroom.demo import adapt, compress, distill, forecast, label, report, student
    from stillroom.demo.tour import Tour

    torch.set_num_threads(1)  # for models this small two are hardly faster, and stall when the machine is busy
    console = _console(stderr=json)
    tour = Tour.of(model, out)
    chapters = (forecast, adapt, distill, compress, label, student, report)
    rooms: dict[Chapter, Any] = dict(zip(Chapter, chapters, strict=True))
    found: dict[str, Any] = {}
    for name in [chapter] if chapter else list(Chapter):
        console.print(f"\n[bold]{name}[/bold]  {rooms[name].ABOUT} It takes {rooms[name].TAKES}.", highlight=False)
        began = time.monotonic()
        result: Result = rooms[name].run(tour)
        if name in report.BEFORE:
            tour.keep(name, result)
        show(result, console)
        files = ", ".join(result.files)
        console.print(f"{time.monotonic() - began:.0f} s. Files: {files}", style="dim", highlight=False, soft_wrap=True)
        found[name] = {**result.numbers, "files": result.files}
    if json:
        echo_json(found)


def show(result: Result, console: Console) -> None:
    """Print what a chapter brought back."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    for table in result.tables:
        printed = Table(title=table.caption, title_justify="left", box=box.SIMPLE_HEAD)
        for number, column in enumerate(table.columns):
            printed.add_column(column, justify="right" if number else "left")
        for row in table.rows:
            printed.add_row(*map(Text, row))
        console.print(printed)
    for sentence in result.sentences:
        console.print(Text(sentence))


def _console(stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=110)  # a pipe has no width
