"""Tables of results for people and for files: CSV and Parquet hold the numbers, Markdown and LaTeX what people read.

It knows how a number with its interval is written, and nothing of where the numbers come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.runs import write_atomic

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".parquet", ".md", ".tex")

Columns = Mapping[str, tuple[str, str]]
"""What people see of a table: header -> (column, format). A column with `_low` and `_high` beside it has an interval,
one without a format holds words."""


def board_columns(metrics: tuple[str, ...]) -> Columns:
    """Of a leaderboard."""
    return {
        "model": ("model", ""),
        **{f"relative {metric}": (f"relative_{metric}", ".3f") for metric in metrics},
        f"skill {metrics[0]}": ("skill", ".0%"),
        "win rate": ("win_rate", ".0%"),
        "rank": ("average_rank", ".1f"),
        "failed": ("failures", "d"),
        "leaking": ("leakage", "d"),
        "seconds": ("inference_seconds", ".1f"),
    }


def comparison_columns(metrics: tuple[str, ...]) -> Columns:
    """Of a comparison of two tables."""
    return {
        "model": ("model", ""),
        "source": ("source", ""),
        **{f"relative {metric}": (f"relative_{metric}", ".3f") for metric in metrics},
        "win rate": ("win_rate", ".0%"),
    }


PAIR_COLUMNS: Columns = {
    "model": ("model", ""),
    "against": ("other", ""),
    "skill": ("skill", ".0%"),
    "win rate": ("win_rate", ".0%"),
}


def texts(frame: pd.DataFrame, columns: Columns) -> list[list[tuple[str, str]]]:
    """Every cell as (value, interval), each empty where the table has none; an interval without width is none."""
    return [[_text(row, *shown) for shown in columns.values()] for row in plain_rows(frame)]


def _text(row: Mapping[str, Any], name: str, form: str) -> tuple[str, str]:
    value, low, high = (row.get(f"{name}{end}") for end in ("", "_low", "_high"))
    interval = "" if low is None or low == high else f"{low:{form}}–{high:{form}}"
    return "" if value is None else f"{value:{form}}", interval


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table with None where it has no value."""
    rows = frame.astype(object).where(frame.notna(), None)
    return [dict(zip(rows.columns, values, strict=True)) for values in rows.itertuples(index=False)]


def check_ending(path: Path) -> None:
    """Refuse, before anything is computed, a file that `write_table` could not write."""
    if path.suffix not in ENDINGS:
        raise RecipeError(f"{path.name} must end in {', '.join(ENDINGS)}: the ending says what is written")


def write_table(frame: pd.DataFrame, columns: Columns, path: Path) -> None:
    """Write a table in the format that the file's ending names.

    `.csv` and `.parquet` hold every column in full precision; `.md` (a GitHub table) and `.tex` (a booktabs `tabular`,
    to be used with `\\\\usepackage{booktabs}`) hold `columns`, rounded, with intervals as ranges.

    Raises
    ------
    RecipeError
        For another ending.
    DataError
        When the file cannot be written.
    """
    check_ending(path)
    content: str | bytes
    if path.suffix == ".csv":
        content = frame.to_csv(index=False)
    elif path.suffix == ".parquet":
        buffer = BytesIO()
        frame.to_parquet(buffer, index=False)
        content = buffer.getvalue()
    else:
        rows = [[f"{value} ({i})" if i else value for value, i in row] for row in texts(frame, columns)]
        content = (markdown if path.suffix == ".md" else latex)(columns, rows)
    try:
        write_atomic(path, content)
    except OSError as error:
        raise DataError(f"the table cannot be written to {path}: {error.strerror or error}") from None


def markdown(columns: Columns, rows: list[list[str]]) -> str:
    """A GitHub table, words left and numbers right; a `|` within a cell is escaped."""
    align = ["---:" if form else "---" for _, form in columns.values()]
    header, *body = ([cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in (columns, *rows))
    return "".join(f"| {' | '.join(line)} |\n" for line in (header, align, *body))


def latex(columns: Columns, rows: list[list[str]]) -> str:
    """A booktabs `tabular`, words left and numbers right, with LaTeX's special characters escaped."""
    import pandas as pd

    align = "".join("r" if form else "l" for _, form in columns.values())
    made: str = pd.DataFrame(rows, columns=list(columns)).to_latex(index=False, escape=True, column_format=align)
    return made.replace("–", "--")
