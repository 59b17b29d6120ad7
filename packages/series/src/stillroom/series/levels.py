"""Quantiles at the levels that were asked for, read off those that a model has.

Arrays only: it knows no model and no units.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np


def at_levels(
    values: np.ndarray,
    have: Sequence[float],
    want: Sequence[float],
    *,
    tails: Literal["flat", "normal"] = "flat",
) -> np.ndarray:
    """Take quantiles at the levels `want` from `values` (..., levels) at the ascending levels `have`.

    Levels that are there are taken as they are; others between them are interpolated linearly. The result does not
    decrease over ascending levels (the rearrangement of Chernozhukov et al. 2010).

    Parameters
    ----------
    tails
        What stands beyond the outermost levels. `flat`: the outermost quantile itself, as Chronos has it. `normal`: it
        moves away from the median as that of a normal distribution would, so that the quantile at 0.99 lies 1.8 times
        as far from the median as the one at 0.9. Where the levels do not reach over both sides of 0.5, it is flat.

    Returns
    -------
    np.ndarray
        (..., wanted levels), in the order of `want`, which need not ascend.
    """
    grid, wanted = np.asarray(have, dtype=np.float64), np.asarray(want, dtype=np.float64)
    nearest = np.abs(grid[:, None] - wanted).argmin(axis=0)
    if np.allclose(grid[nearest], wanted, rtol=0, atol=1e-9):
        return in_order(values[..., nearest], want)
    values = np.sort(values, axis=-1)
    found = _between(values, grid, wanted)
    if tails == "normal" and grid[0] < 0.5 < grid[-1]:
        normal = NormalDist()
        median = _between(values, grid, np.array([0.5]))[..., 0]
        for place, level in enumerate(wanted.tolist()):
            edge = 0 if level < grid[0] else -1
            if not grid[0] <= level <= grid[-1]:
                further = normal.inv_cdf(level) / normal.inv_cdf(float(grid[edge]))
                found[..., place] = median + (values[..., edge] - median) * further
    return in_order(found, want)


def in_order(values: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Sort over the last axis, in the order of the levels, which need not ascend."""
    places = np.argsort(np.argsort(np.asarray(levels), kind="stable"), kind="stable")
    return np.sort(values, axis=-1)[..., places]


def _between(values: np.ndarray, grid: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Interpolate linearly over the levels; flat beyond the outermost."""
    upper = np.searchsorted(grid, wanted).clip(0, len(grid) - 1)
    lower = (upper - 1).clip(0)
    gap = np.where(upper > lower, grid[upper] - grid[lower], 1.0)
    weight = ((wanted - grid[lower]) / gap).clip(0, 1).astype(values.dtype)
    below, above = values[..., lower], values[..., upper]
    found: np.ndarray = np.clip(below + (above - below) * weight, below, above)  # rounding stays between the two
    return found
