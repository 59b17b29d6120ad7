"""How sure is a metric? Percentile intervals of a bootstrap over rows, also of what is made of several metrics.

All that is compared is drawn together: in each resample every system answers the same rows, so what they share cancels.
Rows count as independent. Where all rows say the same, so do all resamples: an interval without width means that the
rows show no doubt, not that there is none. It knows no metric.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stillroom.core.errors import DataError, RecipeError
from stillroom.language.scored import Scored

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELLS = 4_000_000
"""Drawn rows held in memory at once, about 24 bytes each."""


@dataclass(frozen=True)
class Interval:
    """A value, its bounds, and the rows it comes from; bounds are NaN where there are none."""

    value: float
    low: float
    high: float
    n: int


def interval(scored: Scored, *, resamples: int = 2000, seed: int = 0, confidence: float = 0.95) -> Interval:
    """Return a metric with its interval (see `joint`)."""
    return joint([scored], lambda value: value, resamples=resamples, seed=seed, confidence=confidence)


def difference(
    candidate: Scored, baseline: Scored, *, resamples: int = 2000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """Return how much more a candidate has than a baseline on the same rows, with the paired interval (see `joint`)."""
    return joint(
        [candidate, baseline], lambda mine, other: mine - other, resamples=resamples, seed=seed, confidence=confidence
    )


def joint(
    scored: Sequence[Scored],
    of: Callable[..., NDArray[np.float64]],
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Return what is made of several metrics on the same rows, with its interval.

    Parameters
    ----------
    scored
        On the same rows in the same order.
    of
        From one array of values a metric, all of one shape, to an array of that shape.
    resamples
        2,000 leave a bound a sampling error of a few hundredths of the interval's width.
    seed
        Of the draws; they also depend on the order of the rows.
    confidence
        Of the two-sided interval.

    Raises
    ------
    DataError
        They are of different numbers of rows.
    RecipeError
        `confidence` is not between 0 and 1.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, section 13.3; Koehn (2004), Statistical Significance
    Tests for Machine Translation Evaluation, section 3, for corpus metrics.
    """
    value = float(of(*(np.asarray(one.value) for one in scored)))
    drawn = of(*resampled(scored, resamples, seed).T)
    return Interval(value, *bounds(drawn, len(scored[0]), confidence), len(scored[0]))


def bounds(drawn: NDArray[np.float64], rows: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the percentiles of the values of resamples; NaN of fewer than two rows, or where a value is NaN."""
    if not 0 < confidence < 1:
        raise RecipeError(f"confidence {confidence} cannot be: choose one between 0 and 1, such as 0.95")
    if rows < 2 or not len(drawn) or np.isnan(drawn).any():
        return float("nan"), float("nan")
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def resampled(scored: Sequence[Scored], resamples: int = 2000, seed: int = 0) -> NDArray[np.float64]:
    """Return the values of metrics in resamples of their rows, drawn with replacement: (resamples, metrics)."""
    rows = len(scored[0])
    if {len(one) for one in scored} != {rows}:
        raise DataError(f"metrics of {', '.join(str(len(one)) for one in scored)} rows cannot be compared in pairs")
    parts = np.concatenate([one.parts for one in scored], axis=1)
    sums = np.empty((resamples, parts.shape[1]))
    rng = np.random.default_rng(seed)
    step = max(1, CELLS // rows)
    for start in range(0, resamples, step):
        drawn = rng.integers(0, rows, (min(step, resamples - start), rows))
        drawn += rows * np.arange(len(drawn))[:, None]
        counts = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        sums[start : start + len(drawn)] = counts.astype(np.float64) @ parts
    ends = np.cumsum([one.parts.shape[1] for one in scored])[:-1]
    pieces = zip(scored, np.split(sums, ends, axis=1), strict=True)
    return np.stack([one.of_sums(piece) for one, piece in pieces], axis=1)
