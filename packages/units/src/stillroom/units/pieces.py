"""Long series in pieces that a network can read: they overlap, and each answers for its own middle.

Numbers alone; it knows no series.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Piece(NamedTuple):
    """Steps `start` to `stop` of a series, which answer for the steps `first` to `last` (before which it ends)."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def owned(self) -> np.ndarray:
        """Which of its steps it answers for, (stop - start,)."""
        steps = np.arange(self.start, self.stop)
        return (steps >= self.first) & (steps < self.last)


def pieces(steps: int, longest: int, overlap: float) -> list[Piece]:
    """Cut `steps` into pieces of at most `longest`, each `overlap` of its length into the next.

    Every step belongs to exactly one piece, in which it has at least half an overlap on either side unless the series
    begins or ends there. The last piece ends with the series, so it may overlap more.
    """
    if steps <= longest:
        return [Piece(0, steps, 0, steps)]
    stride = max(longest - int(overlap * longest), 1)
    starts = [*range(0, steps - longest, stride), steps - longest]
    # between two pieces, what both read is divided in the middle
    bounds = [0, *((after + before + longest) // 2 for before, after in pairwise(starts)), steps]
    return [
        Piece(start, start + longest, first, last)
        for start, (first, last) in zip(starts, pairwise(bounds), strict=True)
    ]
