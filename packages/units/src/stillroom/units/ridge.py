"""A ridge classifier whose strength and whose certainty are both chosen by leaving one item out.

Rows of features in, probabilities out. It knows neither series nor networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

ALPHAS = np.logspace(-1, 6, 15)
"""Strengths to choose from, for some hundred to some ten thousand features of variance 1."""
TEMPERATURES = np.logspace(-1, 1, 21)
"""To choose from: what the regression's scores, made for -1 and 1, are divided by before they become probabilities."""


@dataclass(frozen=True, eq=False)
class Ridge:
    """A regression on one column a class, 1 for its own items and -1 for all others.

    Parameters
    ----------
    mean, deviation
        (features,): what they are standardised by.
    weights, intercept
        (features, classes) and (classes,).
    temperature
        See `TEMPERATURES`.
    """

    mean: np.ndarray
    deviation: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray
    temperature: float

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """(items, features) -> (items, classes)."""
        scores = (rows - self.mean) / self.deviation @ self.weights + self.intercept
        return softmax(scores / self.temperature)


def fit(rows: np.ndarray, labels: np.ndarray, classes: int) -> Ridge:
    """Fit by scikit-learn's `RidgeCV`.

    Parameters
    ----------
    rows
        (items, features), at least two of them; a feature that never varies says nothing.
    labels
        (items,): numbers of classes from 0 on, of two or more different ones.
    """
    from sklearn.linear_model import RidgeCV

    mean, deviation = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    deviation = np.where(deviation > 1e-9 * np.maximum(np.abs(mean), 1e-9), deviation, np.inf)  # x / inf = 0
    truth = np.where(np.arange(classes) == labels[:, None], 1.0, -1.0)
    regression: Any = RidgeCV(ALPHAS, scoring=likelihood, store_cv_results=True)
    regression.fit((rows - mean) / deviation, truth)
    left_out = regression.cv_results_[:, :, int(np.abs(ALPHAS - regression.alpha_).argmin())]
    temperature, _ = calibrated(left_out, labels)
    return Ridge(mean, deviation, regression.coef_.T, np.asarray(regression.intercept_), temperature)


def likelihood(_: Any, scores: np.ndarray, truth: np.ndarray) -> float:
    """Mean log likelihood of the classes under scores (items, classes), as well as a temperature can make it."""
    return calibrated(scores, truth.argmax(axis=1))[1]


def calibrated(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the temperature under which the labels are likeliest, and their mean log likelihood then.

    References
    ----------
    Guo et al. (2017), On Calibration of Modern Neural Networks, section 4.2.
    """
    found = []
    for temperature in TEMPERATURES:
        own = softmax(scores / temperature)[np.arange(len(labels)), labels]
        found.append(float(np.log(np.maximum(own, 1e-12)).mean()))
    best = int(np.argmax(found))
    return float(TEMPERATURES[best]), found[best]


def softmax(scores: np.ndarray) -> np.ndarray:
    """(items, classes) -> (items, classes), rows summing to 1."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
