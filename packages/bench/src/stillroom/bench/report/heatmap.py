"""The heat map: a cell for every task and model, with its score relative to the baseline's as a number and a shade.

Shades stand for ratios, the same distance on both sides of 1: nine steps, from less than half to more than double.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stillroom.bench.aggregates import relative

if TYPE_CHECKING:
    import pandas as pd

    from stillroom.bench.kinds import Kind
    from stillroom.bench.leaderboard import Grid, Leaderboard

EDGES = (0.5, 0.7, 0.85, 0.95)
LEGEND = {
    "better-4": "below 0.50",
    "better-3": "0.50–0.70",
    "better-2": "0.70–0.85",
    "better-1": "0.85–0.95",
    "even": "0.95–1.05",
    "worse-1": "1.05–1.18",
    "worse-2": "1.18–1.43",
    "worse-3": "1.43–2",
    "worse-4": "above 2",
}
SHADES = tuple(LEGEND)
"""Classes of the style sheet, best first."""


@dataclass(frozen=True)
class Cell:
    """A number, or why there is none; `shade` is its class in the style sheet."""

    text: str
    shade: str = "none"
    marked: bool = False
    """Said beside it: the model was trained on the task, or the interval leaves 0 out."""


@dataclass(frozen=True)
class Row:
    """A task: the baseline's own score, and a cell a model."""

    task: str
    baseline: str
    cells: tuple[Cell, ...]
    compared: bool
    """Whether the leaderboard counts it."""


@dataclass(frozen=True)
class HeatMap:
    """Tasks down, models across: best first, without the baseline; `mean` is the leaderboard's relative score."""

    metric: str
    models: tuple[str, ...]
    rows: tuple[Row, ...]
    mean: tuple[Cell, ...]


def heat_map(grid: Grid, board: Leaderboard, kind: Kind, metric: str) -> HeatMap:
    """Lay out one headline metric of all tasks that ran, also those that the leaderboard leaves out."""
    models = [model for model in board.models if model != board.baseline]
    places = [grid.models.index(model) for model in models]
    errors = grid.errors(metric, kind)
    base = errors[:, [grid.models.index(board.baseline)]]
    ratios = relative(errors, base)
    rows = tuple(
        Row(
            str(name),
            plain(1 - base[task, 0] if metric in kind.higher else base[task, 0]),
            tuple(_cell(grid.status[task, m], ratios[task, m], bool(grid.leaks[task, m])) for m in places),
            name in board.tasks,
        )
        for task, name in enumerate(grid.tasks)
    )
    means = board.table.set_index("model")[f"relative_{metric}"]
    return HeatMap(metric, tuple(models), rows, tuple(_cell("ok", means[model]) for model in models))


def _cell(status: str | None, ratio: float, leaks: bool = False) -> Cell:
    if status == "failed":
        return Cell("failed", "failed", leaks)
    if status is None or np.isnan(ratio):
        return Cell("–", "none", leaks)
    return Cell(f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}", shade(ratio), leaks)


def shade(ratio: float) -> str:
    """The class of a ratio: below 1 is better than the baseline."""
    edges = [*EDGES, *(1 / edge for edge in reversed(EDGES))]
    return SHADES[int(np.searchsorted(edges, ratio, side="right"))]


def against(pairs: pd.DataFrame, models: Sequence[str]) -> list[tuple[str, tuple[Cell | None, ...]]]:
    """Every model (a row) against every other: its skill in percent, `marked` where the interval leaves 0 out.

    Parameters
    ----------
    pairs
        What `leaderboard.pairwise` returns.
    models
        The order of rows and columns; a model against itself is None.
    """
    cells = {
        (pair["model"], pair["other"]): Cell(
            f"{100 * pair['skill']:+.0f}".replace("-", "−"),
            shade(1 - pair["skill"]),
            bool(pair["skill_low"] > 0 or pair["skill_high"] < 0),
        )
        for pair in pairs.to_dict("records")
    }
    return [(model, tuple(cells.get((model, other)) for other in models)) for model in models]


def plain(value: float) -> str:
    """A score as it is, with four digits."""
    return "–" if np.isnan(value) else f"{value:.4g}"
