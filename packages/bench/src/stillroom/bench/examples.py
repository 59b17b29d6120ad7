"""What a kind of task shows of a model's answers: a few items as lines, bands and spans over time.

Plain data: the kinds make them, the report draws them, and neither knows the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

Role = Literal["history", "truth", "prediction", "score", "threshold"]


@dataclass(frozen=True, eq=False)
class Line:
    """Values over time; a NaN is a gap. `score` and `threshold` are drawn below the others, on an axis of their own."""

    name: str
    role: Role
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, eq=False)
class Band:
    """What lies between two lines, such as an 80 % interval."""

    name: str
    x: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Span:
    """A stretch of time, both ends in it: an anomaly, or a gap that was to be filled."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class Example:
    """One item of a task and what the model said of it.

    Parameters
    ----------
    rank
        Where it stands among the task's items: `best`, `median` or `worst`.
    item
        Its name.
    metric, value
        What it was ranked by.
    lines, bands, spans
        What to draw, over one common axis of time steps.
    """

    rank: str
    item: str
    metric: str
    value: float
    lines: tuple[Line, ...]
    bands: tuple[Band, ...] = ()
    spans: tuple[Span, ...] = ()


def pick(errors: np.ndarray) -> Iterator[tuple[str, int]]:
    """Yield `best`, `median`, `worst` and their positions in `errors` (items,), NaN left out; each item once."""
    order = np.argsort(errors, kind="stable")[: np.count_nonzero(~np.isnan(errors))]
    places = {"best": 0, "median": (len(order) - 1) // 2, "worst": len(order) - 1} if len(order) else {}
    seen: set[int] = set()
    for rank, place in places.items():
        if place not in seen:
            seen.add(place)
            yield rank, int(order[place])
