"""Answers that are one of a set: accuracy and macro-F1. They know no order among classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stillroom.core.errors import DataError
from stillroom.language.exact import normalise, normalised
from stillroom.language.scored import Predictions, References, Scored, several

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_CLASSES = 200
"""With more different references, they are texts and no classes."""


def accuracy(predictions: Predictions, references: References, sources: Sequence[str] = ()) -> Scored:
    """Return the share of right answers: what `exact.normalised` returns, under the name it has for classes."""
    return normalised(predictions, references)


def macro_f1(predictions: Predictions, references: References, sources: Sequence[str] = ()) -> Scored:
    """Return the mean of the classes' F1, whatever their size.

    Classes are what references say, normalised, in their case. An answer that is none of them is a miss of the right
    class, and no class of its own: else a model would be judged by how many ways it finds to be wrong. Where a row has
    several references, the right class is the one that was answered, or else the first. A resample's mean is over the
    classes that it has.

    Raises
    ------
    DataError
        There are more than `MOST_CLASSES` different references, or what `several` raises.
    """
    right = [tuple(map(normalise, those)) for those in several(predictions, references)]
    said = [None if one is None else normalise(one) for one in predictions]
    gold = [one if one in those else those[0] for one, those in zip(said, right, strict=True)]
    classes = {name: place for place, name in enumerate(sorted({name for those in right for name in those}))}
    if len(classes) > MOST_CLASSES:
        raise DataError(
            f"macro_f1 is for answers that are one of a set, and there are {len(classes):,} different references: "
            "choose exact or chrf for texts"
        )
    parts = np.zeros((len(gold), 3, len(classes)))  # right, answered, both
    for row, (one, answer) in enumerate(zip(gold, said, strict=True)):
        parts[row, 0, classes[one]] = 1
        if answer in classes:
            parts[row, 1, classes[answer]] = 1
            parts[row, 2, classes[one]] = one == answer
    return Scored(parts.reshape(len(gold), -1), _macro_f1)


def _macro_f1(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    right, answered, both = np.moveaxis(sums.reshape(*sums.shape[:-1], 3, -1), -2, 0)  # each (..., classes)
    there = right + answered
    f1 = 2 * both / np.maximum(there, 1)
    mean: NDArray[np.float64] = f1.sum(-1) / np.maximum((there > 0).sum(-1), 1)
    return mean
