"""`stillroom bench leaderboard`: the models of a folder compared, for people, for files and for machines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom.bench.export import plain_rows as plain_rows
from stillroom.core.cli import echo_json

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from stillroom.bench.export import Columns
    from stillroom.bench.leaderboard import Leaderboard

SHOWN_FLAGS = 10


def leaderboard(
    folder: Annotated[Path, typer.Argument(help="A folder that `stillroom bench run` wrote.")],
    kind: Annotated[str | None, typer.Option(help="Only this kind of task.")] = None,
    suite: Annotated[str | None, typer.Option(help="Only the tasks of this suite.")] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Only this model and the baseline; may be repeated.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="What scores are relative to; default: the kind's own baseline.")
    ] = None,
    leakage: Annotated[
        str,
        typer.Option(
            help="Scores on data that a model was trained on: `flag` keeps and marks them, `exclude` leaves the task "
            "out for all, `impute` takes another model's score."
        ),
    ] = "flag",
    impute_from: Annotated[str | None, typer.Option(help="That other model; default: the baseline.")] = None,
    pairwise: Annotated[bool, typer.Option("--pairwise", help="Show each model against each other instead.")] = False,
    resamples: Annotated[int, typer.Option(min=100, help="Of the tasks, for the intervals.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 0,
    export: Annotated[
        Path | None, typer.Option(help="Also write the table to this .csv, .parquet, .md or .tex file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON.")] = False,
) -> None:
    """Compare the models of a folder on the tasks that all of them have, with intervals over tasks."""
    from stillroom.bench.export import PAIR_COLUMNS, board_columns, check_ending, write_table
    from stillroom.bench.leaderboard import boards
    from stillroom.bench.leaderboard import pairwise as compare_pairs
    from stillroom.bench.plausibility import flags
    from stillroom.bench.rows import assemble
    from stillroom.core.errors import RecipeError

    if export is not None:
        check_ending(export)
    scores = select(assemble(folder), kind=kind, suite=suite)
    if model:
        scores = only(scores, [*model, *filter(None, (baseline, impute_from))])
    made = boards(
        scores,
        on_left_out=say_left_out,
        baseline=baseline,
        leakage=leakage,
        impute_from=impute_from,
        resamples=resamples,
        seed=seed,
    )
    pairs = [compare_pairs(board) for board in made] if pairwise else []
    found = flags(scores)
    if export is not None:
        if len(made) > 1:
            kinds = ", ".join(board.kind for board in made)
            raise RecipeError(f"the scores are of several kinds ({kinds}), and a file holds one: choose with --kind")
        if pairwise:
            write_table(pairs[0], PAIR_COLUMNS, export)
        else:
            write_table(made[0].table, board_columns(made[0].metrics), export)
    if as_json:
        plain = [plain_board(board) for board in made]
        for entry, table in zip(plain, pairs, strict=False):
            entry["pairs"] = plain_rows(table)
        echo_json({"boards": plain, "flags": plain_rows(found)})
        return
    for position, board in enumerate(made):
        if pairwise:
            print_pairs(board, pairs[position])
        else:
            print_board(board)
    print_flags(found)


def select(scores: pd.DataFrame, **wanted: str | None) -> pd.DataFrame:
    """The rows whose columns have these values, where they are given."""
    from stillroom.core.errors import DataError

    for column, value in wanted.items():
        if value is not None:
            if value not in set(scores[column]):
                there = ", ".join(sorted(scores[column].unique()))
                raise DataError(f"there are no scores of the {column} {value!r}; there are those of {there}")
            scores = scores[scores[column] == value]
    return scores


def only(scores: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """The rows of these models and of the baselines of all kinds."""
    from stillroom.bench.kinds import kind_of
    from stillroom.core import registry
    from stillroom.core.errors import DataError

    for model in models:
        if model not in set(scores["model"]):
            there = ", ".join(sorted(scores["model"].unique()))
            raise DataError(f"there are no scores of {model!r}; there are those of {there}")
    kinds = set(scores["kind"]) & set(registry.names("stillroom.tasks"))
    return scores[scores["model"].isin([*models, *(kind_of(kind).baseline for kind in kinds)])]


def plain_board(board: Leaderboard) -> dict[str, Any]:
    """A leaderboard as JSON holds it."""
    names = ("kind", "baseline", "metrics", "tasks", "left_out", "excluded", "leakage", "impute_from", "resamples")
    return {name: getattr(board, name) for name in (*names, "seed")} | {"models": plain_rows(board.table)}


def print_boards(scores: pd.DataFrame) -> None:
    """What a run ends with: every leaderboard that its scores allow, and what is suspicious about them."""
    from stillroom.bench.leaderboard import boards
    from stillroom.bench.plausibility import flags
    from stillroom.core.errors import DataError

    try:
        made = boards(scores, on_left_out=say_left_out)
    except DataError as error:  # the rows are there, so the run did what it should
        typer.echo(f"no leaderboard: {error}", err=True)
        return
    for board in made:
        print_board(board)
    print_flags(flags(scores))


def say_left_out(sentence: str) -> None:
    """Tell on stderr what is not among the results."""
    typer.echo(f"left out {sentence}", err=True)


def print_board(board: Leaderboard) -> None:
    """The table for people: intervals below the numbers, best model first."""
    from stillroom.bench.export import board_columns

    # A table of two metrics must fit into 80 columns.
    hidden = ("failed", "leaking")  # said below the model's name
    columns = {header: shown for header, shown in board_columns(board.metrics).items() if header not in hidden}
    narrow = board.table.drop(columns=["skill_low", "skill_high"])  # those of the relative score, mirrored
    title = f"{board.kind}: {count(len(board.tasks), 'task')}, relative to {board.baseline} (lower is better)"
    print_table(title, narrow, columns, [remark(row) for row in plain_rows(narrow)])
    print_remarks(board)


def print_pairs(board: Leaderboard, pairs: pd.DataFrame) -> None:
    """Each pair once, the better model first."""
    from stillroom.bench.export import PAIR_COLUMNS

    place = {model: position for position, model in enumerate(board.models)}
    once = pairs[pairs["model"].map(place) < pairs["other"].map(place)]
    title = f"{board.kind}: {count(len(board.tasks), 'task')}, skill and wins of one model against another by "
    print_table(f"{title}{board.metrics[0]}", once, PAIR_COLUMNS)
    print_remarks(board)


def remark(row: dict[str, Any]) -> str:
    """What the name of a model must not stand without."""
    said = []
    if row["failures"]:
        said.append(f"failed on {row['failures']}")
    if row["leakage"]:
        said.append(f"trained on {row['leakage']}")
    return ", ".join(said)


def print_remarks(board: Leaderboard) -> None:
    """What a reader must know beside the table."""
    from stillroom.bench.kinds import kind_of

    console = wide_console()

    def say(sentence: str) -> None:
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)

    say(
        f"95 % intervals: {board.resamples:,} resamples of the tasks"
        if len(board.tasks) > 1
        else "one task: there is nothing to resample, so there are no intervals and no verdict"
    )
    if shares := [metric for metric in board.metrics if metric in kind_of(board.kind).higher]:
        say(f"of {' and '.join(shares)}, where 1 is best, the distance from 1 is compared")
    if board.table["failures"].any():
        say(f"a failed task counts as the score of {board.baseline}")
    if board.table["leakage"].any():
        kept = "are kept: --leakage can exclude or impute them"
        replaced = f"are replaced by those of {board.impute_from}"
        say(f"scores on tasks that a model was trained on {replaced if board.leakage == 'impute' else kept}")
    if board.excluded:
        say(f"excluded, as a model was trained on their data: {', '.join(board.excluded)}")
    if board.left_out:
        say(f"left out, as not every model has a score there: {', '.join(board.left_out)}")


def print_flags(found: pd.DataFrame) -> None:
    """The suspicious scores, the first few of them."""
    console = wide_console()
    if len(found):
        console.print("look twice before you believe:", highlight=False)
    for row in plain_rows(found.head(SHOWN_FLAGS)):
        line = f"  {row['task']}, {row['model']}: {row['flag']}"
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if len(found) > SHOWN_FLAGS:
        console.print(f"  and {len(found) - SHOWN_FLAGS} more (--json lists all)", highlight=False)


def print_table(title: str, frame: pd.DataFrame, columns: Columns, notes: Sequence[str] = ()) -> None:
    """A table whose intervals stand below their numbers; `notes` stand below the first column."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from stillroom.bench.export import texts

    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for header, (_, form) in columns.items():
        heading = header.replace(" ", "\n") if form else header
        table.add_column(heading, justify="right" if form else "left", no_wrap=bool(form), overflow="fold")
    for position, row in enumerate(texts(frame, columns)):
        below = [interval for _, interval in row]
        if notes:
            below[0] = notes[position]
        cells = zip((value for value, _ in row), below, strict=True)
        table.add_row(*(f"{escape(value)}\n[dim]{escape(low)}[/dim]" if low else escape(value) for value, low in cells))
    console = wide_console()
    console.print(title, style="bold", soft_wrap=True, highlight=False, markup=False)
    console.print(table)


def wide_console() -> Console:
    """The terminal; a file or a pipe has no width, and nothing in it should be cut."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=160)


def count(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
