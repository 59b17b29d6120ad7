"""What a metric returns: numbers a row that can be summed, and how the sums become the value.

That is what lets a bootstrap be exact for metrics that are no mean over rows, such as BLEU: it sums the rows that it
drew, and asks for the value of the sums. It knows no metric.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from stillroom.core.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Predictions: TypeAlias = Sequence[str | None]
"""One a row; None: there is no prediction, which is wrong whatever the reference."""

References: TypeAlias = Sequence[str | Sequence[str]]
"""One or several a row."""


@dataclass(frozen=True, eq=False)
class Scored:
    """How well predictions did.

    Parameters
    ----------
    parts
        (rows, k): what each row adds to the k sums that the value is made of.
    of_sums
        From sums (..., k) to values (...), each in 0 … 1, higher is better.
    """

    parts: NDArray[np.float64]
    of_sums: Callable[[NDArray[np.float64]], NDArray[np.float64]]

    @property
    def value(self) -> float:
        """The value over all rows, in 0 … 1."""
        return float(self.of_sums(self.parts.sum(0)))

    def __len__(self) -> int:
        return len(self.parts)

    def take(self, rows: ArrayLike) -> Scored:
        """Return the same of some rows: their numbers, or a truth value for each row."""
        return Scored(self.parts[np.asarray(rows)], self.of_sums)


def mean(values: Sequence[float] | Sequence[bool]) -> Scored:
    """Return the mean over rows of a value in 0 … 1 that each has."""
    parts = np.ones((len(values), 2))
    parts[:, 0] = values
    return Scored(parts, lambda sums: sums[..., 0] / sums[..., 1])


def several(predictions: Predictions, references: References) -> list[tuple[str, ...]]:
    """Return the references of each row, one or several.

    Raises
    ------
    DataError
        There are no rows, not as many references as predictions, or a row without any reference.
    """
    if not len(predictions):
        raise DataError("there are no predictions to score: give at least one row")
    if len(predictions) != len(references):
        raise DataError(f"there are {len(predictions)} predictions and {len(references)} references: give one each row")
    found = [(one,) if isinstance(one, str) else tuple(one or ()) for one in references]
    for row, those in enumerate(found):
        if not those:
            raise DataError(f"row {row} has no reference: leave out what cannot be judged")
    return found
