"""TSMixup: convex combinations of windows from real series.

Ansari et al. 2024, "Chronos: Learning the Language of Time Series", section 4.1 and algorithm 1. It knows arrays of
values, nothing of items, timestamps or where the series come from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MAX_MIXED = 3
CONCENTRATION = 1.5  # of the symmetric Dirichlet over the weights


def mix(windows: np.ndarray, rng: np.random.Generator, concentration: float = CONCENTRATION) -> np.ndarray:
    """Combine windows (count, length) into one series (length,) with Dirichlet weights.

    Each window is divided by the mean of its absolute values first, so that none dominates by its unit. A step
    that is missing in any window is missing in the result.
    """
    observed = np.isfinite(windows)
    total = np.abs(np.where(observed, windows, 0.0)).sum(axis=1, keepdims=True)
    scale = total / np.maximum(observed.sum(axis=1, keepdims=True), 1)
    scale[scale == 0] = 1.0
    weights = rng.dirichlet(np.full(len(windows), concentration))
    mixed: np.ndarray = weights @ (windows / scale)
    return mixed


def ts_mixup(
    series: Sequence[np.ndarray],
    count: int,
    length: int,
    rng: np.random.Generator,
    *,
    weights: np.ndarray | None = None,
    max_mixed: int = MAX_MIXED,
) -> np.ndarray:
    """Draw `count` mixed series of `length` steps; returns (count, length) float64.

    Parameters
    ----------
    series : one-dimensional arrays, NaN where missing; shorter ones are padded with NaN on the left.
    weights : how often each series is drawn, summing to 1 (default: all alike).
    max_mixed : windows in a combination at most (K = 3 in the paper); their number is uniform on 1 … K.
    """
    mixed = np.empty((count, length))
    for row in range(count):
        chosen = rng.choice(len(series), int(rng.integers(1, max_mixed + 1)), p=weights)
        mixed[row] = mix(np.stack([window(series[i], length, rng) for i in chosen]), rng)
    return mixed


def window(values: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Cut `length` steps at a random place; a shorter series is padded with NaN on the left."""
    if len(values) <= length:
        return np.concatenate([np.full(length - len(values), np.nan), values])
    start = int(rng.integers(0, len(values) - length + 1))
    return values[start : start + length].astype(np.float64)
