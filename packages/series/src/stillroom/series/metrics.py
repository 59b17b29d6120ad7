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
- A forecast that is missing is left out of every mean over cells; in WQL and ND it costs nothing although its |y| counts.
  The published figures are made that way, and MISSING says what share of cells it was, so that nobody wins by silence.
- MAPE leaves out cells where y = 0; SMAPE cells where y and the forecast are both 0. Both are fractions, not percent.
- A metric with no cells at all is NaN.
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
        MISSING   share of cells without a forecast
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
    middle = np.flatnonzero(np.isclose(levels, 0.5))
    if not len(middle) or (np.diff(levels) <= 0).any():
        raise RecipeError("Quantile levels must rise and include 0.5, on which MASE is measured.")
    if truth.ndim != 2 or quantiles.shape != (*truth.shape, len(levels)) or len(past) != len(truth):
        raise RecipeError(
            f"These do not fit together: truth {truth.shape}, quantiles {quantiles.shape}, {len(levels)} levels, "
            f"{len(past)} histories."
        )

    error = truth[..., None] - quantiles  # (n, horizon, levels)
    there = np.isfinite(truth)
    gone = ~there[..., None] | np.isnan(error)
    if gone.any():  # missing cells add nothing to any sum, and the counts below know them
        error[gone] = 0.0
        truth = np.where(there, truth, 0.0)
    counts = truth.shape[1] - gone.sum(axis=1)  # (n, levels)
    loss = np.abs(error).sum(axis=1) + (2 * levels - 1) * error.sum(axis=1)  # twice the pinball loss, (n, levels)
    point_error, point_counts = error[..., middle[0]], counts[:, middle[0]]
    absolute, squared = np.abs(point_error), point_error**2
    size = np.abs(truth)
    error_sum, size_sum = absolute.sum(axis=1), size.sum(axis=1)
    scale, squared_scale = seasonal_errors(past, season_length)
    scaled = np.isfinite(scale)

    with np.errstate(divide="ignore", invalid="ignore"):  # a metric with no cells is NaN
        mse = squared.sum() / point_counts.sum()
        rmsse = np.sqrt(squared.sum(axis=1) / point_counts / squared_scale)
        point = ~gone[..., middle[0]]
        forecast_size = np.abs(truth - point_error)
        totals = {
            "MASE": (error_sum / scale)[scaled].sum() / point_counts[scaled].sum(),
            "WQL": loss.sum() / size_sum.sum() / len(levels),
            "SQL": ((loss / scale[:, None])[scaled].sum(axis=0) / counts[scaled].sum(axis=0)).mean(),
            "MAE": error_sum.sum() / point_counts.sum(),
            "MSE": mse,
            "RMSE": np.sqrt(mse),
            "RMSSE": rmsse[np.isfinite(rmsse)].mean() if np.isfinite(rmsse).any() else np.nan,
            "MAPE": _mean(absolute, size, point),
            "SMAPE": _mean(2 * absolute, size + forecast_size, point),
            "ND": error_sum.sum() / size_sum.sum(),
            "COVERAGE": _share((error[..., 0] >= 0) & (error[..., -1] <= 0), ~gone[..., 0] & ~gone[..., -1]),
            "CROSSING": _share(np.diff(quantiles) < 0, ~np.isnan(np.diff(quantiles))),
            "MISSING": _share(gone, np.broadcast_to(there[..., None], gone.shape)),
        }
        items = {
            "MASE": error_sum / scale / point_counts,
            "WQL": loss.sum(axis=1) / size_sum / len(levels),
            "quantile_loss": loss.sum(axis=1),
            "abs_target": size_sum,
        }
    return Scores({name: float(value) for name, value in totals.items()}, items)


def seasonal_errors(past: Sequence[np.ndarray], season_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Measure how far each history is from itself one season before: mean absolute and mean squared difference.

    Returns
    -------
    tuple of np.ndarray
        Both of shape (n,); NaN where there is no pair of observed values or all pairs are equal.
    """
    lengths = np.array([len(history) for history in past], dtype=np.int64)
    absolute, squared = np.full((2, len(past)), np.nan)
    for lag, chosen in ((season_length, lengths >= season_length), (1, lengths < season_length)):
        if chosen.any():
            histories = [past[i] for i in np.flatnonzero(chosen)]
            absolute[chosen], squared[chosen] = _lagged(histories, lengths[chosen], lag)
    return absolute, squared


def _lagged(histories: list[np.ndarray], lengths: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Do it for histories of one lag: all of them end to end in one array, summed between their bounds."""
    flat = np.concatenate(histories).astype(np.float64, copy=False)
    steps = np.zeros(len(flat) + 1)  # longer than the differences, so that every bound is an index
    pairs = max(len(flat) - lag, 0)
    np.subtract(flat[lag:], flat[:pairs], out=steps[:pairs])
    starts = np.cumsum(lengths) - lengths
    bounds = np.stack(
        [starts, starts + np.maximum(lengths - lag, 0)], axis=1
    ).ravel()  # what follows a bound is dropped
    counts = np.maximum(lengths - lag, 0)
    empty = counts == 0
    seen = np.isfinite(steps)
    if not seen.all():
        steps[~seen] = 0.0
        counts = np.add.reduceat(seen, bounds, dtype=np.int64)[::2]
    absolute = np.add.reduceat(np.abs(steps), bounds)[::2]
    squared = np.add.reduceat(steps**2, bounds)[::2]
    undefined = empty | (absolute == 0)  # nothing seen is also a sum of zero
    counts = np.where(undefined, 1, counts)
    return np.where(undefined, np.nan, absolute / counts), np.where(undefined, np.nan, squared / counts)


def _mean(part: np.ndarray, whole: np.ndarray, counted: np.ndarray) -> float:
    """Mean of part / whole over the cells that count and have a whole."""
    counted = counted & (whole != 0)
    return float((part[counted] / whole[counted]).mean()) if counted.any() else np.nan


def _share(what: np.ndarray, counted: np.ndarray) -> float:
    """Share of the cells that count where something is so."""
    return float((what & counted).sum() / np.float64(counted.sum()))
