"""One kind of task in the report: its leaderboard, charts, heat maps and pictures, ready for the template.

It computes no score: the leaderboard does, and the kind gives the examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from stillroom.bench.export import Columns, board_columns, texts
from stillroom.bench.kinds import kind_of
from stillroom.bench.leaderboard import Grid, Leaderboard, leaderboard, pairwise
from stillroom.bench.report import words
from stillroom.bench.report.answers import Drawn, Shown, answers, key_of
from stillroom.bench.report.charts import Point, tradeoff, whiskers
from stillroom.bench.report.heatmap import Cell, HeatMap, against, heat_map
from stillroom.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

LATENCY = "seconds per 1,000 values"
SIZE = "MB on disk"


@dataclass(frozen=True)
class Section:
    """What the template shows of a kind; without a board only `sentence`, which says why."""

    kind: str
    sentence: str
    board: Leaderboard | None = None
    columns: tuple[str, ...] = ()
    axis: str = ""
    rows: tuple[dict[str, Any], ...] = ()
    charts: tuple[Drawn, ...] = ()
    heat_maps: tuple[HeatMap, ...] = ()
    pairs: tuple[tuple[str, tuple[Cell | None, ...]], ...] = ()
    model: str = ""
    """Whose answers are drawn."""
    error: str = ""
    """What of the first metric is compared."""
    shown: tuple[Shown, ...] = ()
    shares: tuple[str, ...] = ()
    """The headline metrics of which 1 - score is compared."""
    meaning: Mapping[str, str] = field(default_factory=dict)


def section(folder: Path, scores: pd.DataFrame) -> Section:
    """Lay out one kind, of which `scores` are the rows in the folder."""
    name = str(scores["kind"].iloc[0])
    try:
        board = leaderboard(scores)
    except DataError as error:
        return Section(name, f"There is no leaderboard: {str(error).rstrip('.')}.")
    kind = kind_of(name)
    grid = Grid(scores)
    axis, rows = _table(board)
    model = next((model for model in board.models if model != board.baseline), board.baseline)
    several = len(board.models) > 1
    return Section(
        name,
        words.leader(board),
        board,
        columns=tuple(_columns(board))[1:],
        axis=axis,
        rows=rows,
        charts=tuple(_charts(scores, board)) if several else (),
        heat_maps=tuple(heat_map(grid, board, kind, metric) for metric in board.metrics) if several else (),
        pairs=tuple(against(pairwise(board), board.models)) if len(board.models) > 2 else (),
        model=model,
        error=measure(board, board.metrics[0]),
        shown=tuple(answers(folder, kind, grid, board, model)),
        shares=tuple(metric for metric in board.metrics if metric in kind.higher),
        meaning=getattr(kind, "meaning", {}),
    )


def _columns(board: Leaderboard) -> Columns:
    """Those of every leaderboard; leakage only where there is some."""
    leaking = bool(board.table["leakage"].any())
    return {header: shown for header, shown in board_columns(board.metrics).items() if leaking or shown[0] != "leakage"}


def _table(board: Leaderboard) -> tuple[Markup, tuple[dict[str, Any], ...]]:
    """The axis of the drawings, and a row a model: its drawing, and its numbers as the terminal shows them."""
    first = f"relative_{board.metrics[0]}"
    bounds = board.table[["model", first, f"{first}_low", f"{first}_high"]]
    axis, drawn = whiskers(list(bounds.itertuples(index=False, name=None)), board.metrics[0])
    cells = texts(board.table, _columns(board))
    return axis, tuple(
        {"model": model, "baseline": model == board.baseline, "svg": svg, "cells": line[1:]}
        for model, svg, line in zip(board.models, drawn, cells, strict=True)
    )


def _charts(scores: pd.DataFrame, board: Leaderboard) -> Iterator[Drawn]:
    """Accuracy against latency and size."""
    score = f"relative {measure(board, board.metrics[0])}"
    key = key_of(board.kind)
    ranks = {model: place for place, model in enumerate(board.models, start=1)}
    relative = board.table.set_index("model")[f"relative_{board.metrics[0]}"]
    ran = scores[(scores["status"] == "ok") & scores["task"].isin(board.tasks)]
    by_model = ran.groupby("model")

    def points(costs: Mapping[str, float]) -> list[Point]:
        return [
            Point(model, float(costs[model]), float(relative[model]), ranks[model], model == board.baseline)
            for model in board.models
            if model in costs and costs[model] >= 0
        ]

    timed = ran.dropna(subset=["inference_seconds", "size"]).groupby("model")
    latency = 1000 * timed["inference_seconds"].sum() / timed["size"].sum().astype(float)
    quick = points(dict(latency[latency > 0]))
    title = "Accuracy against latency"
    if len(quick) > 1:
        said = f"Time to answer{_missing(board, quick, 'a time')}; training and loading are not in it."
        yield Drawn(title, said, tradeoff(f"{key}-latency", quick, LATENCY, score, "no time"))
    else:
        yield Drawn(title, "Fewer than two models have a time, so there is nothing to draw.")

    size = (by_model["bytes_on_disk"].max() / 1e6).astype(float)
    on_hub = by_model["weights"].last().str.startswith("hub:").fillna(False).astype(bool)
    known = size[(size > 0) | ~on_hub].dropna()
    large = points(dict(known))
    title = "Accuracy against size"
    if any(point.cost > 0 for point in large):
        said = f"Weights and settings on disk{_missing(board, large, 'a known size')}."
        yield Drawn(title, said, tradeoff(f"{key}-size", large, SIZE, score, "none"))
    else:
        yield Drawn(title, "No model here has weights of known size, so there is nothing to draw.")


def measure(board: Leaderboard, metric: str) -> str:
    """What is compared: the metric, or what is missing from it to 1 where higher is better."""
    return f"1 − {metric}" if metric in kind_of(board.kind).higher else metric


def _missing(board: Leaderboard, points: list[Point], what: str) -> str:
    absent = [model for model in board.models if model not in {point.name for point in points}]
    return f" (without {what}: {words.joined(absent)})" if absent else ""
