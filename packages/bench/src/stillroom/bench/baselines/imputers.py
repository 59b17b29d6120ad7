"""Imputers that need no weights: straight lines over gaps, with or without what repeats every season.

Each variable is filled by itself, from what was observed of it in the same window and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def interpolate(values: np.ndarray) -> np.ndarray:
    """Fill a series (time,) along straight lines; before the first and after the last value, with the nearest.

    A series without any value becomes 0, in whatever unit it has: in an imputation task that is the train part's mean.
    """
    observed = np.flatnonzero(~np.isnan(values))
    if len(observed) == 0:
        return np.zeros(len(values))
    line: np.ndarray = np.interp(np.arange(len(values)), observed, values[observed])
    return line


def interpolate_with_season(values: np.ndarray, season_length: int) -> np.ndarray:
    """Fill a series (time,) along its season: straight lines through what is left when the season is taken out.

    The season is the mean of each of its steps, over the series filled along straight lines, so that every step has
    one, however much is missing. Less than two seasons tell nothing of one: such a series is filled along straight
    lines. As `na_seadec` does (Moritz and Bartz-Beielstein, "imputeTS", 2017), with a plainer decomposition.
    """
    line = interpolate(values)
    if season_length == 1 or len(values) < 2 * season_length:
        return line
    phase = np.arange(len(values)) % season_length
    season = (np.bincount(phase, line) / np.bincount(phase))[phase]
    return np.where(np.isnan(values), interpolate(values - season) + season, values)


class LinearInterpolation:
    """Straight lines from the last value before a gap to the first one after it."""

    def impute(self, series: Sequence[np.ndarray], season_length: int) -> list[np.ndarray]:
        """The series (variables, time), filled."""
        return [np.stack([interpolate(row) for row in values]) for values in series]


class SeasonalInterpolation:
    """Straight lines over what is left when the season of each window is taken out."""

    def impute(self, series: Sequence[np.ndarray], season_length: int) -> list[np.ndarray]:
        """The series (variables, time), filled."""
        return [np.stack([interpolate_with_season(row, season_length) for row in values]) for values in series]


def linear_interpolation() -> LinearInterpolation:
    """The baseline of every imputation leaderboard."""
    return LinearInterpolation()


def seasonal_interpolation() -> SeasonalInterpolation:
    """What to beat where the windows hold two seasons or more."""
    return SeasonalInterpolation()
