"""Do two measures put things in the same order? Spearman's rank correlation, in numpy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stillroom.core.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def spearman(one: ArrayLike, other: ArrayLike) -> float:
    """Return the rank correlation of two measures of the same things, in −1 … 1.

    Parameters
    ----------
    one, other
        (n,) each; a thing without one of the two (NaN) is left out.

    Returns
    -------
    float
        NaN of fewer than three things, or where all are equal in one measure: no order can be told.

    Raises
    ------
    DataError
        They are not of the same things.

    Notes
    -----
    Things that are equal share the mean of their ranks, as in Spearman (1904) and in scipy.

    >>> spearman([1, 2, 3, 4], [10, 100, 1000, 0])
    -0.2
    """
    x, y = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise DataError(f"{x.shape} and {y.shape} numbers are not two measures of the same things")
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = ranks(x[known]), ranks(y[known])
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return round(float(np.corrcoef(x, y)[0, 1]), 12)  # what is left is rounding: 1 must be 1


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value, the lowest 1; those that are equal share the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    found: NDArray[np.float64] = (last - (count - 1) / 2)[place]
    return found
