"""Gaps to fill: which values are hidden from an imputer, and what its filling is worth.

Arrays only: no models, no frames. What is hidden follows from the key alone, through the raw stream of a PCG64 bit
generator, which numpy promises never to change: the same cells on every machine and in every version.

- Every variable is hidden by itself, so a gap of one says nothing of the others, and a variable's gaps stay where they
  are when others join or leave. Whole steps are never hidden on purpose.
- The share of the observed values that is hidden is exact to one block (one value, for blocks of one). Where the ratio
  asks for a part of a block, a window has it whole or not at all, with the chances that make the mean over windows
  exact.
- A block is so many *observed* values in a row; it runs on across values that were missing anyway. Blocks do not
  overlap, but may touch; every arrangement is equally likely.
- What is missing already is never hidden, and of a window that has observed values at least one is left.
- Metrics are of hidden values alone, pooled over windows, items and variables.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

from stillroom.core.errors import DataError

VERSION = 1
"""Part of every score's key: raise it when a rule above changes, and old scores are recomputed."""

METRICS = ("MAE", "MSE", "RMSE", "R2")


def hide(observed: np.ndarray, ratio: float, *key: str | int, block_length: int = 1) -> np.ndarray:
    """Choose what to hide of the windows of one variable.

    Parameters
    ----------
    observed
        Shape (windows, time), False where a value is missing already.
    ratio
        Share of the observed values to hide, between 0 and 1.
    *key
        What decides, such as seed, item and variable. More windows do not change the first ones.
    block_length
        Observed values in a row that are hidden together; 1 hides single points.

    Returns
    -------
    np.ndarray
        Shape (windows, time), True where hidden. A window with too few observed values for one block has none.
    """
    windows, length = observed.shape
    draws = _stream(key).random_raw((windows, length + 1))
    count = observed.sum(axis=1)  # (windows,), as all that follows
    chance = (draws[:, 0] >> np.uint64(11)) * 2.0**-53
    blocks = np.floor(ratio * count / block_length + chance).astype(np.int64)
    blocks = np.minimum(blocks, np.maximum(count - 1, 0) // block_length)

    # Blocks drawn as single places among the observed values less what the blocks are longer than one, then spread.
    places = count - blocks * (block_length - 1)
    order = np.where(np.arange(length) < places[:, None], draws[:, 1:], np.iinfo(np.uint64).max)
    chosen = np.argsort(np.argsort(order, axis=1, kind="stable"), axis=1, kind="stable") < blocks[:, None]
    window, place = np.nonzero(chosen)
    nth = (np.cumsum(chosen, axis=1) - 1)[window, place]
    start = place + nth * (block_length - 1)
    among_observed = np.zeros_like(observed)
    among_observed[window[:, None], start[:, None] + np.arange(block_length)] = True

    hidden = np.zeros_like(observed)
    np.put_along_axis(hidden, np.argsort(~observed, axis=1, kind="stable"), among_observed, axis=1)
    return hidden


def _stream(key: tuple[str | int, ...]) -> np.random.PCG64:
    digest = hashlib.sha256(json.dumps(key).encode()).digest()
    return np.random.PCG64(int.from_bytes(digest[:16], "big"))


def scale_of(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each variable, of its observed values; a constant one has the deviation 1.

    Parameters
    ----------
    train
        Shape (variables, time), NaN = missing.

    Raises
    ------
    DataError
        If a variable has no observed value.
    """
    if not (~np.isnan(train)).any(axis=1).all():
        raise DataError("a variable has no observed value to take its mean from")
    mean, deviation = np.nanmean(train, axis=1), np.nanstd(train, axis=1)
    constant = np.nanmax(train, axis=1) == np.nanmin(train, axis=1)  # rounding gives it a deviation that is not 0
    return mean, np.where(constant, 1.0, deviation)


def evaluate(truth: np.ndarray, filled: np.ndarray) -> dict[str, float]:
    """Score the values filled in.

    Parameters
    ----------
    truth, filled
        Shape (cells,): the hidden values, in units of their variable's standard deviation, and what stands there now.

    Returns
    -------
    dict
        Those of `METRICS`, NaN where undefined:

        MAE, MSE, RMSE  mean absolute and (root) mean squared error
        R2              coefficient of determination: 1 - MSE / variance of the truth; 1 is perfect, the mean has 0
    """
    error = filled - truth
    mse = float(np.mean(np.square(error))) if len(error) else np.nan
    variance = float(np.var(truth)) if len(error) else np.nan
    return {
        "MAE": float(np.mean(np.abs(error))) if len(error) else np.nan,
        "MSE": mse,
        "RMSE": float(np.sqrt(mse)),
        "R2": 1 - mse / variance if variance > 0 else np.nan,
    }
