"""Tables on the terminal, and numbers with their names as one of two columns. It does not know what they mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def show(numbers: Iterable[tuple[str, str]]) -> None:
    """Print names and numbers on stdout; answers of strangers may be among them, so nothing in them is markup."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in numbers:
        table.add_row(*row)
    put(table)


def put(table: Table) -> None:
    """Print a table on stdout: nothing in its cells is markup, and a pipe, which has no width, gets a wide one."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False)
    console.width = max(console.width, 160 if not console.is_terminal else 0)
    console.print(table)


def agreement(found: Mapping[str, Any], kappa: float | None = None) -> str:
    """Return the values of an `Agreement` in words: the mean, its 95 % interval, the rows; and kappa, if any."""
    chance = "" if kappa is None or math.isnan(kappa) else f", kappa {kappa:.3f}"
    return f"{found['mean']:.1%} ({found['low']:.1%} to {found['high']:.1%}) of {found['rows']:,} rows{chance}"
