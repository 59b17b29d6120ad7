"""`stillroom teacher review`: rows to a person and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.teacher.cli import lines, options
from stillroom.teacher.cli.show import show

if TYPE_CHECKING:
    from stillroom.teacher.review import Reviewed

NAMED = 5  # rows in a sentence; --json has them all

review = typer.Typer(
    no_args_is_help=True, help="Let a person look: rows go out as a table and come back with verdicts."
)


@review.command("export")
def export(
    rows: Annotated[str, typer.Argument(help="Rows with a row_id: .jsonl, .csv or .parquet; - is stdin.")],
    out: Annotated[Path, typer.Option(help="Where they go: .csv for a spreadsheet, or .jsonl.")] = Path("review.csv"),
) -> None:
    """Write rows with the empty columns verdict (accept, reject or edit), edited and note, for a person to fill in."""
    from stillroom.core.errors import DataError
    from stillroom.core.tables import rows as read
    from stillroom.teacher import review as room

    if out.exists():
        raise DataError(f"{out} is there already, maybe with verdicts in it: name another file, or remove it")
    count = room.export(read(rows), out)
    typer.echo(f"{count:,} rows are in {out}: write accept, reject or edit into the column verdict.", err=True)


@review.command("import")
def reimport(
    file: Annotated[Path, typer.Argument(help="What `export` wrote, filled in.")],
    rows: Annotated[str, typer.Option(help="The rows as they were exported.")],
    out: Annotated[Path, typer.Option(help="Where accepted and edited rows go: .jsonl.")] = Path("accepted.jsonl"),
    edits: Annotated[str, typer.Option(help="The column that `edited` replaces, such as input.")] = "answer",
    as_json: options.AsJson = False,
) -> None:
    """Read the verdicts and write the rows that were accepted or edited, in the order of the rows."""
    from stillroom.core.cli import echo_json
    from stillroom.core.tables import rows as read
    from stillroom.teacher import review as room

    lines.writable(out)
    originals = list(read(rows))
    found = room.reimport(file, originals, edits=edits)
    good = {row["row_id"]: row for row in (*found.accepted, *found.edited)}
    lines.write((good[row["row_id"]] for row in originals if row["row_id"] in good), out)
    tally = {name: len(value) for name, value in vars(found).items()}
    if as_json:
        rest = ("undecided", "missing", "added", "changed", "notes")
        echo_json({"tally": tally, **{name: getattr(found, name) for name in rest}, "out": str(out)})
    else:
        show((name, f"{number:,}") for name, number in tally.items())
    _say(found, file)
    typer.echo(f"{len(good):,} rows are in {out}.", err=True)


def _say(found: Reviewed, file: Path) -> None:
    """Say what a person should look at again."""
    changed = [f"{row_id} ({column})" for row_id, column in found.changed]
    for names, what in (
        (found.undecided, "have no verdict yet"),
        (found.missing, f"are gone from {file}"),
        (found.added, "are none that were exported, and were not read"),
        (changed, "were changed where no verdict belongs; that was not read"),
    ):
        if names:
            more = ", …" if len(names) > NAMED else ""
            typer.echo(f"{len(names):,} rows {what}: {', '.join(names[:NAMED])}{more}", err=True)
