"""Detectors that come untrained: how far a step is from the steps before it, and a forest that isolates odd windows.

Each is a zero-argument callable registered under `stillroom.models`. Nothing in them was tuned on labels: windows and
sizes are the papers' or follow from the season, each with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

from stillroom.core.errors import MissingError

SHORTEST = 32
"""Steps of the z-score's window, at least: the standard deviation of 32 values is about 1/√64 = 12 % off."""
QUIET = 0.1
"""A window that is quieter than this share of the training part counts as no quieter: in a flat stretch the last digit
would else be an alarm."""
LONGEST = 100
"""Steps of the forest's window, at most."""
CHUNK = 4096
"""Windows that the forest scores at a time, which bounds the memory on wide series."""


@dataclass
class MovingZScore:
    """How many standard deviations a value is from the mean of the window before it; of several variables, the largest.

    The window holds one season, so that the mean is over a whole cycle, and at least 32 steps. It looks back only, as
    an alarm must. Where less than half of it was observed, at the start or in a gap, the mean and standard deviation of
    the training part stand in; a missing value scores 0 in its variable. A variable that never moved in training is
    measured in its own size there, or in 1 where that was 0.
    """

    window: int = SHORTEST
    mean: np.ndarray = field(default_factory=lambda: np.empty((0, 1)))
    deviation: np.ndarray = field(default_factory=lambda: np.empty((0, 1)))

    def fit_normal(self, series: np.ndarray, season_length: int) -> None:
        """Remember each variable's mean and standard deviation."""
        self.window = max(season_length, SHORTEST)
        seen = ~np.isnan(series)
        count = np.maximum(seen.sum(axis=1, keepdims=True), 1)
        self.mean = np.where(seen, series, 0).sum(axis=1, keepdims=True) / count
        away = np.where(seen, series - self.mean, 0)
        spread = np.sqrt((away**2).sum(axis=1, keepdims=True) / count)
        moved = spread > 1e-9 * np.abs(self.mean)  # more than rounding does
        self.deviation = np.where(moved, spread, np.where(self.mean != 0, np.abs(self.mean), 1.0))

    def detect(self, series: np.ndarray) -> np.ndarray:
        """(time,)."""
        import pandas as pd

        before = pd.DataFrame(series.T).shift(1).rolling(self.window, min_periods=self.window // 2)
        mean, deviation = before.mean().to_numpy().T, before.std(ddof=0).to_numpy().T
        mean = np.where(np.isnan(mean), self.mean, mean)
        deviation = np.where(np.isnan(deviation), self.deviation, deviation)
        away = np.abs(series - mean) / np.maximum(deviation, QUIET * self.deviation)
        scores: np.ndarray = np.nan_to_num(away).max(axis=0)
        return scores


class WindowForest:
    """Isolation forest (Liu, Ting and Zhou, 2008) on sliding windows, by scikit-learn, seeded, with the paper's sizes.

    A window holds one season, as TSB-UAD takes it (Paparrizos et al., VLDB 2022), but at most 100 steps, of all
    variables. A step scores the mean over the windows that it lies in (Schmidl, Wenig and Papenbrock, VLDB 2022). Gaps
    are interpolated linearly; a variable that was never observed is 0.
    """

    window = 1
    forest: Any = None

    def fit_normal(self, series: np.ndarray, season_length: int) -> None:
        """Grow 100 trees on 256 windows each."""
        from sklearn.ensemble import IsolationForest

        self.window = min(season_length, LONGEST, series.shape[1])
        windows = sliding(without_gaps(series), self.window)
        self.forest = IsolationForest(n_estimators=100, max_samples=min(256, len(windows)), random_state=0)
        self.forest.fit(windows.reshape(len(windows), -1))

    def detect(self, series: np.ndarray) -> np.ndarray:
        """(time,), between 0 and 1."""
        steps = series.shape[1]
        short = max(self.window - steps, 0)  # a series shorter than the window goes on as it ends
        windows = sliding(np.pad(without_gaps(series), ((0, 0), (0, short)), mode="edge"), self.window)
        chunks = (windows[begin : begin + CHUNK] for begin in range(0, len(windows), CHUNK))
        odd = [-self.forest.score_samples(chunk.reshape(len(chunk), -1)) for chunk in chunks]
        total = np.append(0, np.cumsum(np.concatenate(odd)))
        place = np.arange(steps)  # it lies in the windows that begin from `first` to before `last`
        first, last = np.maximum(place - self.window + 1, 0), np.minimum(place + 1, len(windows))
        scores: np.ndarray = (total[last] - total[first]) / (last - first)
        return scores


def sliding(series: np.ndarray, window: int) -> np.ndarray:
    """A view of all windows of a series (variables, time), float32 as trees want it: (windows, variables, window)."""
    return np.lib.stride_tricks.sliding_window_view(series.astype(np.float32), window, axis=1).transpose(1, 0, 2)


def without_gaps(series: np.ndarray) -> np.ndarray:
    """A series (variables, time) with its missing values interpolated, the first and last observed ones repeated."""
    if not np.isnan(series).any():
        return series
    filled = np.zeros_like(series)
    for row, values in enumerate(series):
        observed = np.flatnonzero(~np.isnan(values))
        if len(observed):
            filled[row] = np.interp(np.arange(len(values)), observed, values[observed])
    return filled


def moving_z_score() -> MovingZScore:
    """The baseline of every detection leaderboard."""
    return MovingZScore()


def isolation_forest() -> WindowForest:
    """The detector that the field compares with most."""
    if find_spec("sklearn") is None:
        raise MissingError("isolation-forest needs scikit-learn: pip install 'stillroom-bench[baselines]'")
    return WindowForest()
