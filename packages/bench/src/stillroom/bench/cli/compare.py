"""`stillroom bench compare`: the scores of a folder beside published ones, or beside those of another folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom.core.cli import echo_json

if TYPE_CHECKING:
    from stillroom.bench.compare import Comparison

LONGEST_SOURCE = 16


def compare(
    folder: Annotated[Path, typer.Argument(help="A folder that `stillroom bench run` wrote.")],
    other: Annotated[
        Path | None, typer.Argument(help="Another such folder; or, with --published, a table of your own as CSV.")
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Compare with published scores: those that ship, or OTHER's.")
    ] = False,
    kind: Annotated[str | None, typer.Option(help="Only this kind of task.")] = None,
    suite: Annotated[str | None, typer.Option(help="Only the tasks of this suite, as the folder names it.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Also write the table to this .csv, .parquet, .md or .tex file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON.")] = False,
) -> None:
    """Set scores side by side on exactly the tasks that both have, each relative to its own baseline."""
    from stillroom.bench.cli.board import say_left_out, select
    from stillroom.bench.compare import beside_folder, beside_published
    from stillroom.bench.export import check_ending, comparison_columns, write_table
    from stillroom.bench.rows import assemble
    from stillroom.core.errors import RecipeError

    if export is not None:
        check_ending(export)
    if other is None and not published:
        raise RecipeError("name what to compare with: --published, or another folder")

    ours = select(assemble(folder), kind=kind, suite=suite)
    if published or other is None:
        made = beside_published(ours, str(folder), other, on_left_out=say_left_out)
    else:
        theirs = select(assemble(other), kind=kind, suite=suite)
        made = beside_folder(ours, theirs, (str(folder), str(other)), on_left_out=say_left_out)
    if export is not None:
        if len(made) > 1:
            names = ", ".join(comparison.name for comparison in made)
            raise RecipeError(f"these are several tables ({names}), and a file holds one: use --suite or --kind")
        write_table(made[0].table, comparison_columns(made[0].metrics), export)
    if as_json:
        echo_json({"comparisons": [plain_comparison(comparison) for comparison in made]})
        return
    for comparison in made:
        print_comparison(comparison)


def plain_comparison(comparison: Comparison) -> dict[str, Any]:
    """A comparison as JSON holds it."""
    from stillroom.bench.export import plain_rows

    names = ("name", "kind", "baseline", "metrics", "tasks", "left_out", "difference", "differs_on", "remarks")
    return {name: getattr(comparison, name) for name in names} | {"models": plain_rows(comparison.table)}


def print_comparison(comparison: Comparison) -> None:
    """The table for people; a source that is too long for a column is spelt out below it."""
    from stillroom.bench.cli.board import count, print_table, remark, wide_console
    from stillroom.bench.export import comparison_columns, plain_rows

    sources = comparison.table["source"].unique()
    long = [source for source in sources if len(source) > LONGEST_SOURCE]
    short = {source: f"[{long.index(source) + 1}]" if source in long else source for source in sources}
    title = f"{comparison.name}: {count(len(comparison.tasks), 'task')}, relative to each table's {comparison.baseline}"
    frame = comparison.table.assign(source=comparison.table["source"].map(short))
    print_table(title, frame, comparison_columns(comparison.metrics), [remark(row) for row in plain_rows(frame)])
    console = wide_console()
    for sentence in [*(f"{short[source]} {source}" for source in long), *comparison.remarks]:
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)
