"""`stillroom bench leaderboard`: the models of a folder compared, for people, for files and for machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom.core.cli import echo_json

if TYPE_CHECKING:
    import pandas as pd

    from stillroom.bench.leaderboard import Leaderboard


def leaderboard(
    folder: Annotated[Path, typer.Argument(help="A folder that `stillroom bench run` wrote.")],
    csv: Annotated[Path | None, typer.Option("--csv", help="Also write the table to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Compare the models of a folder with seasonal naive, with intervals over tasks."""
    from stillroom.bench import leaderboard as boards
    from stillroom.bench.rows import assemble
    from stillroom.core.errors import DataError

    board = boards.leaderboard(assemble(folder))
    if csv is not None:
        try:
            board.table.to_csv(csv, index=False)
        except OSError as error:
            raise DataError(f"the table cannot be written to {csv}: {error.strerror or error}") from None
    if as_json:
        echo_json({"models": plain_rows(board.table), "tasks": board.tasks, "left_out": board.left_out})
    else:
        print_board(board)


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table with None where it has no value."""
    rows = frame.astype(object).where(frame.notna(), None)
    return [dict(zip(rows.columns, values, strict=True)) for values in rows.itertuples(index=False)]


def print_boards(scores: pd.DataFrame) -> None:
    """The leaderboard of every kind that the scores are of."""
    from stillroom.bench.leaderboard import leaderboard

    print_board(leaderboard(scores))


def print_board(board: Leaderboard) -> None:
    """The table for people: intervals in brackets, best model first."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    def cell(row: dict[str, Any], name: str, form: str) -> str:
        return f"{row[name]:{form}}\n[dim]{row[f'{name}_low']:{form}}–{row[f'{name}_high']:{form}}[/dim]"

    first = board.metrics[0]
    title = f"{len(board.tasks)} tasks, relative to seasonal-naive (lower is better), 95 % intervals over tasks"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("model", overflow="fold")
    for name in [*(f"relative {metric}" for metric in board.metrics), f"skill {first}", "win rate", "rank"]:
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("failed", "seconds"):
        table.add_column(name, justify="right")
    for row in plain_rows(board.table):
        flag = " (leakage)" if row.get("leakage") else ""
        table.add_row(
            f"{row['model']}{flag}",
            *(cell(row, f"relative_{metric}", ".3f") for metric in board.metrics),
            cell(row, "skill", ".0%"),
            cell(row, "win_rate", ".0%"),
            f"{row['average_rank']:.1f}",
            str(row["failures"]),
            f"{row['inference_seconds']:.1f}" if row.get("inference_seconds") is not None else "",
        )
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # a file or a pipe has no width: nothing should be cut
    console.print(table)
    if board.left_out:
        console.print(f"left out, as not every model has a score there: {', '.join(board.left_out)}", soft_wrap=True)
