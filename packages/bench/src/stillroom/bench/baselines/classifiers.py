"""Classifiers that come untrained: the nearest neighbour in two distances, and MiniRocket.

Each is a zero-argument callable registered under `stillroom.models`. They take series of any lengths and with gaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from stillroom.core.errors import MissingError

SHORTEST = 9
"""MiniRocket's kernels are 9 steps long."""


def rectangular(series: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Bring series (variables, time) to one length, gaps filled: returns (items, variables, length).

    Linear interpolation does both; before the first and after the last observed value that value is repeated. Where a
    variable was never observed it is 0. A series of that length without gaps stays as it is.
    """
    rows = np.empty((len(series), len(series[0]), length))
    for item, values in enumerate(series):
        for variable, row in enumerate(values):
            rows[item, variable] = interpolated(row, length)
    return rows


def interpolated(row: np.ndarray, length: int) -> np.ndarray:
    """Interpolate the observed values of `row` (time,) linearly at `length` even steps from its first to its last."""
    observed = np.flatnonzero(~np.isnan(row))
    if len(observed) == len(row) == length:
        return row
    if not len(observed):
        return np.zeros(length)
    steps: np.ndarray = np.interp(np.linspace(0, len(row) - 1, length), observed, row[observed])
    return steps


def normalised(rows: np.ndarray) -> np.ndarray:
    """Bring series of one variable (items, 1, length) to mean 0 and deviation 1; several variables stay as they are.

    So are the UCR archive's own figures made, also on the sets that it gives as they were measured. Of several
    variables the levels tell classes apart too often: they are what differs between sensors, or between speakers.
    """
    if rows.shape[1] > 1:
        return rows
    constant = np.ptp(rows, axis=2, keepdims=True) == 0
    deviation = np.where(constant, 1.0, rows.std(axis=2, keepdims=True))
    scaled: np.ndarray = np.where(constant, 0.0, (rows - rows.mean(axis=2, keepdims=True)) / deviation)
    return scaled


def certain(chosen: np.ndarray, classes: int) -> np.ndarray:
    """All probability (items, classes) to the chosen class (items,) of each."""
    probabilities: np.ndarray = np.eye(classes)[chosen]
    return probabilities


class NearestNeighbour:
    """The class of the training series at the smallest Euclidean distance, of equally near ones the first.

    The UCR archive's own baseline, by its rules, which `normalised` is one of. Series of other lengths are resampled to
    the longest training series, gaps are interpolated. All probability goes to one class.
    """

    def fit_classes(self, series: Sequence[np.ndarray], labels: np.ndarray) -> None:
        """Remember the series."""
        self.length = max(values.shape[1] for values in series)
        self.known = self._flat(series)
        _, self.labels = np.unique(labels, return_inverse=True)

    def classify(self, series: Sequence[np.ndarray]) -> np.ndarray:
        """(items, classes), one 1 a row."""
        nearest = []
        for row in self._flat(series):
            difference = self.known - row
            # Squares of differences, not the faster |a|² - 2ab + |b|²: exact copies are at distance 0, ties stay ties.
            nearest.append(np.einsum("ij,ij->i", difference, difference).argmin())
        return certain(self.labels[nearest], self.labels.max() + 1)

    def _flat(self, series: Sequence[np.ndarray]) -> np.ndarray:
        return normalised(rectangular(series, self.length)).reshape(len(series), -1)


@dataclass
class NearestByWarping:
    """The class of the training series at the smallest distance of dynamic time warping, computed by aeon.

    Series are `normalised`, gaps interpolated, lengths as they are; several variables are warped together. All
    probability goes to one class.

    Parameters
    ----------
    window
        How far a path may leave the diagonal, as a share of the length. 10 % is the custom; more is slower and no
        better (Ratanamahatana and Keogh, "Everything you know about dynamic time warping is wrong", 2004, myth 2).
    """

    window: float = 0.1

    def fit_classes(self, series: Sequence[np.ndarray], labels: np.ndarray) -> None:
        """Remember the series; aeon is imported here, so that it is not counted as time to answer."""
        from aeon.distances import dtw_pairwise_distance

        self.distances = partial(dtw_pairwise_distance, window=self.window)
        self.known = self._ready(series)
        _, self.labels = np.unique(labels, return_inverse=True)

    def classify(self, series: Sequence[np.ndarray]) -> np.ndarray:
        """(items, classes), one 1 a row."""
        nearest = self.distances(self._ready(series), self.known).argmin(axis=1)
        return certain(self.labels[nearest], self.labels.max() + 1)

    def _ready(self, series: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [normalised(rectangular([values], values.shape[1]))[0] for values in series]


class MiniRocket:
    """Ridge regression on 10,000 convolution features (Dempster, Schmidt and Webb, 2021), by aeon, seeded.

    Series of other lengths are resampled to the longest training series and at least 9 steps, gaps are interpolated.
    The probabilities are the softmax of the regression's class scores, which are trained towards 1 and -1: they order
    classes as the classifier does, but are too cautious to be taken as shares.
    """

    def fit_classes(self, series: Sequence[np.ndarray], labels: np.ndarray) -> None:
        """Learn kernels' thresholds and the regression."""
        from aeon.classification.convolution_based import MiniRocketClassifier

        self.length = max(SHORTEST, *(values.shape[1] for values in series))
        self.model: Any = MiniRocketClassifier(random_state=0).fit(rectangular(series, self.length), labels)

    def classify(self, series: Sequence[np.ndarray]) -> np.ndarray:
        """(items, classes)."""
        scores = self.model.pipeline_.decision_function(rectangular(series, self.length))
        if scores.ndim == 1:  # two classes have one score, that of the second
            scores = np.stack([-scores, scores], axis=1)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
        return probabilities


def nearest_neighbour() -> NearestNeighbour:
    """The baseline of every classification leaderboard."""
    return NearestNeighbour()


def dtw_1nn() -> NearestByWarping:
    """The archive's stronger baseline, at a window that is not tuned."""
    require_aeon("dtw-1nn")
    return NearestByWarping()


def minirocket() -> MiniRocket:
    """A fast classifier near the best known on the UCR archive."""
    require_aeon("minirocket")
    return MiniRocket()


def require_aeon(name: str) -> None:
    """Refuse a model whose library is not installed; nothing is imported."""
    if find_spec("aeon") is None:
        raise MissingError(f"{name} needs aeon: pip install 'stillroom-bench[baselines]'")
