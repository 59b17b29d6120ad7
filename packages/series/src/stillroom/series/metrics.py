"""Forecast metrics of a whole panel in one numpy pass, by the rules of gluonts, on which published figures rest.

Knows arrays only: no models, no frames, no frequencies. The rules, each of which has a test:

- A cell is one step of one series. A cell whose truth is missing counts nowhere.
- MASE, MAE, MSE, MAPE, SMAPE, SQL are means over cells, not over series: a series with more observed steps weighs more.
- The point forecast is the median, the quantile at level 0.5.
- The seasonal error of a series is the mean of |y[t] - y[t - season]| over the history where both are observed. A
  history shorter than the season takes lag 1 instead; one exactly as long as the season has no seasonal error.
- Where the seasonal error is zero (a constant history) or does not exist, MASE, SQL and RMSSE leave the series out.
- The quantile loss is twice the pinball loss. WQL is, for each level, its sum over cells divided by the sum of |y|, and
  then the mean over levels.
- A forecast that is missing (NaN) is left out of every mean over cells; in WQL and ND it costs nothing although its |y|
  counts. The published figures are made that way; MISSING says what share it was, so that nobody wins by silence.
- MAPE leaves out cells where y = 0; SMAPE cells where y and the forecast are both 0. Both are fractions, not percent.
- A metric with no cells at all is NaN.

Where the libraries differ; a test runs them on every line:

                      here            gluonts 0.17      fev 0.10                  utilsforecast 0.2
    MASE, SQL mean    cells           cells             cells of a window, then   steps of a series,
                                                        windows                   then series
    short history     lag 1           lag 1             series left out           series left out
    constant history  series left out series left out   series left out           infinite
    missing forecast  left out, and   refused, or       refused                   left out
                      told: MISSING   as here
    RMSSE             root a series,  (has none)        root of the mean over     root a series
                      then mean                         cells
    quantile loss     twice pinball   twice pinball     twice pinball             pinball
    SMAPE             0 to 2          0 to 2            0 to 2                    0 to 1; 0 / 0 is 0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stillroom.core.errors import RecipeError

VERSION = 1  # part of every score's key: raise it when a rule above changes, and old scores are recomputed

METRICS = (
    "MASE",
    "WQL",
    "SQL",
    "MAE",
    "MSE",
    "RMSE",
    "RMSSE",
    "MAPE",
    "SMAPE",
    "ND",
    "COVERAGE",
    "CROSSING",
    "MISSING",
)

_SERIES = 256  # whose forecasts at nine levels and 24 steps, read once a level, stay in the cache: 440 kB
_BLOCK = 1 << 15  # steps of history held end to end: 256 kB, small enough for the cache and for a reused allocation


@dataclass(frozen=True, eq=False)
class Scores:
    """What a forecast is worth, for the panel and series by series.

    Parameters
    ----------
    totals
        One number a metric, by its upper-case name, for those in `METRICS`:

        MASE      mean absolute scaled error of the median (Hyndman and Koehler, 2006)
        WQL       weighted quantile loss, mean over levels
        SQL       scaled quantile loss: quantile loss over seasonal error, mean over cells and levels
        MAE, MSE, RMSE   mean absolute and (root) mean squared error of the median
        RMSSE     root mean squared scaled error: mean over series, as in the M5 competition
        MAPE, SMAPE, ND  percentage errors of the median; ND is the sum of |error| over the sum of |y|
        COVERAGE  share of cells between the lowest and the highest level, to hold against their distance (0.8)
        CROSSING  share of neighbouring levels whose forecasts stand in the wrong order
        MISSING   share of cells and levels without a forecast
    items
        One array of shape (n,) a name: MASE and WQL by series (NaN where undefined), and the two sums that WQL is made
        of, `quantile_loss` (over steps and levels) and `abs_target` (over steps), for resampling series.
    """

    totals: dict[str, float]
    items: dict[str, np.ndarray]


def evaluate(
    truth: np.ndarray,
    quantiles: np.ndarray,
    quantile_levels: Sequence[float],
    past: Sequence[np.ndarray],
    season_length: int,
) -> Scores:
    """Score quantile forecasts of n series.

    Parameters
    ----------
    truth
        Shape (n, horizon); NaN = missing.
    quantiles
        Shape (n, horizon, levels).
    quantile_levels
        Rising; 0.5 must be among them.
    past
        The n histories, each of shape (time,), in the order of `truth` (`Window.histories()`).
    season_length
        Lag of the seasonal error.

    Raises
    ------
    RecipeError
        If shapes or levels do not fit.
    """
    truth, quantiles = np.asarray(truth, np.float64), np.asarray(quantiles, np.float64)
    levels = np.asarray(quantile_levels, np.float64)
    middle = np.flatnonzero(np.abs(levels - 0.5) < 1e-6)
    if not len(middle) or (np.diff(levels) <= 0).any():
        raise RecipeError("Quantile levels must rise and include 0.5, on which MASE is measured.")
    if truth.ndim != 2 or quantiles.shape != (*truth.shape, len(levels)) or len(past) != len(truth):
        raise RecipeError(
            f"These do not fit together: truth {truth.shape}, quantiles {quantiles.shape}, {len(levels)} levels, "
            f"{len(past)} histories."
        )

    unseen = ~np.isfinite(truth)
    truth = np.where(unseen, 0.0, truth)
    error = _errors(truth, quantiles)
    gone = np.isnan(error)  # missing cells add nothing to any sum, and the counts know them
    if gone.any():
        gone |= unseen
        error[gone] = 0.0
        counts = truth.shape[1] - gone.sum(axis=-1)
    else:
        gone = np.broadcast_to(unseen, error.shape)
        error[:, unseen] = 0.0
        counts = np.broadcast_to(truth.shape[1] - unseen.sum(axis=-1), error.shape[:2])
    ones = np.ones(truth.shape[1])
    size, absolute = np.abs(truth), np.abs(error)
    loss = absolute @ ones + (2 * levels - 1)[:, None] * (error @ ones)  # twice the pinball loss, (levels, n)
    size_sum, loss_sum = size @ ones, loss.sum(axis=0)
    point = middle[0]
    error_sum, square_sum = absolute[point] @ ones, np.square(error[point]) @ ones
    seen = counts[point]
    asked = len(levels) * (unseen.size - np.count_nonzero(unseen))
    scale, square_scale = seasonal_errors(past, season_length)
    scaled = np.isfinite(scale)

    with np.errstate(divide="ignore", invalid="ignore"):  # a metric without cells is NaN
        mse = square_sum.sum() / seen.sum()
        rmsse = np.sqrt(square_sum / seen / square_scale)
        rmsse = rmsse[np.isfinite(rmsse)]
        totals = {
            "MASE": (error_sum / scale)[scaled].sum() / seen[scaled].sum(),
            "WQL": loss_sum.sum() / size_sum.sum() / len(levels),
            "SQL": (np.where(scaled, loss / scale, 0.0).sum(axis=1) / (counts @ scaled)).mean(),
            "MAE": error_sum.sum() / seen.sum(),
            "MSE": mse,
            "RMSE": np.sqrt(mse),
            "RMSSE": rmsse.sum() / len(rmsse) if len(rmsse) else np.nan,
            "MAPE": _mean_ratio(absolute[point], size, gone[point]),
            "SMAPE": _mean_ratio(2 * absolute[point], size + np.abs(truth - error[point]), gone[point]),
            "ND": error_sum.sum() / size_sum.sum(),
            "COVERAGE": _share((error[0] >= 0) & (error[-1] <= 0), gone[0] | gone[-1]),
            "CROSSING": _share(error[1:] > error[:-1], gone[1:] | gone[:-1]),
            "MISSING": (asked - counts.sum()) / np.float64(asked),
        }
        items = {
            "MASE": error_sum / scale / seen,
            "WQL": loss_sum / size_sum / len(levels),
            "quantile_loss": loss_sum,
            "abs_target": size_sum,
        }
    return Scores({name: float(value) for name, value in totals.items()}, items)


def _errors(truth: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Truth - forecast as (levels, n, horizon), so that sums run along memory; in blocks that stay in the cache."""
    error = np.empty((quantiles.shape[-1], *truth.shape))
    for begin in range(0, len(truth), _SERIES):
        rows = slice(begin, begin + _SERIES)
        for level, row in enumerate(error):
            np.subtract(truth[rows], quantiles[rows, :, level], out=row[rows])
    return error


def seasonal_errors(past: Sequence[np.ndarray], season_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Measure how far each history is from itself one season before: mean absolute and mean squared difference.

    Returns
    -------
    tuple of np.ndarray
        Both of shape (n,); NaN where there is no pair of observed values or all pairs are equal.
    """
    lengths = np.array([len(history) for history in past], dtype=np.int64)
    absolute, squared = np.empty((2, len(past)))
    short = lengths < season_length
    for lag, chosen in ((season_length, np.flatnonzero(~short)), (1, np.flatnonzero(short))):
        block_ends = np.flatnonzero(np.diff(np.cumsum(lengths[chosen]) // _BLOCK)) + 1
        for block in np.split(chosen, block_ends):
            if len(block):
                absolute[block], squared[block] = _lagged([past[i] for i in block], lengths[block], lag)
    return absolute, squared


def _lagged(histories: Sequence[np.ndarray], lengths: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Do it for a block of histories and one lag: all end to end in one array, summed between their bounds."""
    flat = np.concatenate(histories).astype(np.float64, copy=False)
    steps = np.zeros(len(flat) + 1)  # longer than the differences, so that every bound is an index
    pairs = max(len(flat) - lag, 0)
    np.subtract(flat[lag:], flat[:pairs], out=steps[:pairs])
    counts = np.maximum(lengths - lag, 0)
    starts = np.cumsum(lengths) - lengths
    bounds = np.stack([starts, starts + counts], axis=1).ravel()  # every second sum runs from one series to the next
    undefined = counts == 0
    unseen = ~np.isfinite(steps)
    if unseen.any():
        steps[unseen] = 0.0
        counts = counts - np.add.reduceat(unseen, bounds, dtype=np.int64)[::2]
    np.abs(steps, out=steps)
    absolute = np.add.reduceat(steps, bounds)[::2]
    np.square(steps, out=steps)
    squared = np.add.reduceat(steps, bounds)[::2]
    undefined |= absolute == 0  # also where no pair was seen
    counts = np.where(undefined, 1, counts)
    return np.where(undefined, np.nan, absolute / counts), np.where(undefined, np.nan, squared / counts)


def _mean_ratio(part: np.ndarray, whole: np.ndarray, gone: np.ndarray) -> float:
    """Mean of part / whole over the cells that are there and have a whole; the part of a cell that is not is 0."""
    nothing = whole == 0
    total = (part / np.where(nothing, np.inf, whole)).sum()
    return float(total / np.float64(gone.size - np.count_nonzero(gone | nothing)))


def _share(what: np.ndarray, gone: np.ndarray) -> float:
    """Share of the cells that are there where something is so."""
    return float(np.count_nonzero(what & ~gone) / np.float64(gone.size - np.count_nonzero(gone)))
