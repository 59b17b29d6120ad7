"""Classification metrics of a whole test set in one numpy pass, by the rules of scikit-learn.

Knows arrays only: no models, no series. The rules, each of which has a test:

- The class that is said is the most probable one; of equally probable ones, the first.
- BALANCED_ACCURACY is the mean recall of the classes that are true of some item.
- MACRO_F1 is the mean F1 of the classes that are true of some item or said of one.
- LOG_LOSS takes the probability of the true class no nearer to 0 or 1 than 2.2e-16, so that one certain mistake costs
  36 and not everything.
- AUC is the area under the curve of each class against the rest, averaged over the classes that are true of some items
  and not of all; NaN when there is none. A tie counts half.
"""

from __future__ import annotations

import numpy as np

from stillroom.core.errors import RecipeError

VERSION = 1  # part of every score's key: raise it when a rule above changes, and old scores are recomputed

METRICS = ("ACCURACY", "MACRO_F1", "BALANCED_ACCURACY", "AUC", "LOG_LOSS")


def evaluate(truth: np.ndarray, probabilities: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """Score class probabilities of n items; one number a metric, by its name in `METRICS`.

    Parameters
    ----------
    truth
        The class of each item, shape (n,).
    probabilities
        Shape (n, classes), rows summing to 1.
    classes
        The classes of the columns, sorted, as `np.unique` gives them.

    Raises
    ------
    RecipeError
        If shapes do not fit, or a true class is none of `classes`.
    """
    truth, classes = np.asarray(truth), np.asarray(classes)
    probabilities = np.asarray(probabilities, np.float64)
    if not len(truth) or probabilities.shape != (len(truth), len(classes)):
        raise RecipeError(
            f"These do not fit together: {len(truth)} items, {len(classes)} classes, probabilities of the shape "
            f"{probabilities.shape}."
        )
    true = np.searchsorted(classes, truth).clip(max=len(classes) - 1)
    if (unknown := classes[true] != truth).any():
        raise RecipeError(f"The true class {str(truth[unknown][0])!r} has no column of probabilities.")
    size = len(classes)
    said = probabilities.argmax(axis=1)
    table = np.bincount(true * size + said, minlength=size * size).reshape(size, size)  # (true, said)
    hits, is_true, is_said = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
    some, named = is_true > 0, is_true + is_said > 0
    nearest = np.finfo(np.float64).eps
    of_truth = probabilities[np.arange(len(truth)), true].clip(nearest, 1 - nearest)
    return {
        "ACCURACY": float(hits.sum() / len(truth)),
        "MACRO_F1": float((2 * hits[named] / (is_true + is_said)[named]).mean()),
        "BALANCED_ACCURACY": float((hits[some] / is_true[some]).mean()),
        "AUC": _auc(true, probabilities),
        "LOG_LOSS": float(-np.log(of_truth).mean()),
    }


def _auc(true: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean area under the curve by ranks (Mann and Whitney, 1947); equal probabilities share the mean of theirs."""
    areas = []
    for column, values in enumerate(probabilities.T):
        inside = true == column
        count = int(inside.sum())
        if 0 < count < len(true):
            _, place, ties = np.unique(values, return_inverse=True, return_counts=True)
            ranks = np.cumsum(ties) - (ties - 1) / 2
            areas.append((ranks[place[inside]].sum() - count * (count + 1) / 2) / (count * (len(true) - count)))
    return float(np.mean(areas)) if areas else float("nan")
