"""Which of the weights tried so far are the best on held-out data, and whether it is worth trying on.

It does not know what a metric measures, only that lower is better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from stillroom.core.errors import RecipeError


@dataclass
class Selection:
    """The validations of a run, in order, and the best of them.

    Parameters
    ----------
    select_by
        The metric that decides; lower is better, and what is not a finite number is never the best.
    patience
        Give up after this many validations in a row without a new best; None never does.
    history
        One row a validation: {"step": …, metric: value, …}.
    best
        The row with the lowest metric, the earliest of equals; None while no validation gave a number.
    """

    select_by: str
    patience: int | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, float] | None = None

    def add(self, step: int, metrics: dict[str, float]) -> bool:
        """Remember a validation; return whether it is the best so far.

        Raises
        ------
        RecipeError
            `select_by` is not among the metrics.
        """
        if self.select_by not in metrics:
            raise RecipeError(
                f"select_by: validation gives no metric {self.select_by!r}; it gives {', '.join(metrics)}"
            )
        row = {"step": step, **metrics}
        self.history.append(row)
        value = row[self.select_by]
        if not math.isfinite(value) or (self.best is not None and value >= self.best[self.select_by]):
            return False
        self.best = row
        return True

    @property
    def given_up(self) -> bool:
        """Whether patience has run out."""
        best_step = -1 if self.best is None else self.best["step"]
        since = sum(row["step"] > best_step for row in self.history)
        return self.patience is not None and since >= self.patience
