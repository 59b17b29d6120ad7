"""In which order the rows of several tasks are trained on, and how often each task comes.

A pass has as many rows as there are, and each task its share of them. A task whose share is smaller than its rows goes
on in the next pass with those that were left; one whose share is larger begins again. Either way none of its rows
comes again before all of them have. It knows the tasks' names and sizes, not their rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from stillroom.core.errors import RecipeError
from stillroom.core.seeds import seed_of


def shares(
    counts: Mapping[str, int], weights: Mapping[str, float | None] | None = None, temperature: float = 1.0
) -> dict[str, float]:
    """Return the share of each task, by name; together they are 1.

    Parameters
    ----------
    counts
        Rows of each task.
    weights
        Shares in proportion to these numbers; None, or None for each task: in proportion to the rows.
    temperature
        Rows to the power of 1 / temperature: at 1 each row comes as often as any other, and the higher it is, the more
        alike are the shares of large tasks and small ones (Raffel et al. 2020, arXiv:1910.10683, section 3.5.2).

    Raises
    ------
    RecipeError
        A weight for some tasks but not for others, for a task that is not there, or with a temperature; a number that
        is not above zero.
    """
    given = {name: weight for name, weight in (weights or {}).items() if weight is not None}
    if strange := sorted(given.keys() - counts.keys()):
        raise RecipeError(f"there is no task {strange[0]!r} to weigh: there are {_listed(counts)}")
    if given and (bare := sorted(counts.keys() - given.keys())):
        raise RecipeError(f"task {bare[0]!r} has no weight and others have: give each of them one, or none")
    if temperature <= 0 or any(weight <= 0 for weight in given.values()):
        raise RecipeError("weights and the temperature of a mixture are above zero")
    if given and temperature != 1:
        raise RecipeError("weights say the shares already: leave out either them or the temperature of the mixture")
    sizes = given or {name: count ** (1 / temperature) for name, count in counts.items()}
    return {name: sizes[name] / sum(sizes.values()) for name in counts}


class Mixture:
    """The order of the rows, pass by pass: mixture(turn) is a pure function of the arguments and the turn.

    Parameters
    ----------
    tasks
        The task of each row.
    weights, temperature
        See `shares`.
    seed
        Of the order.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        weights: Mapping[str, float | None] | None = None,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.seed = seed
        names = np.array(tasks, dtype=object)
        self.rows = {name: np.flatnonzero(names == name) for name in Counter(tasks)}
        counts = {name: len(rows) for name, rows in self.rows.items()}
        self.draws = apportioned(shares(counts, weights, temperature), len(tasks)) if tasks else {}

    def __call__(self, turn: int) -> np.ndarray:
        """Return the numbers of the rows of one pass, in order."""
        drawn = [self._stretch(name, turn * draws, (turn + 1) * draws) for name, draws in self.draws.items()]
        together = np.concatenate(drawn) if drawn else np.empty(0, dtype=np.int64)
        return np.random.default_rng([seed_of("order", self.seed), turn]).permutation(together)

    def _stretch(self, name: str, begin: int, end: int) -> np.ndarray:
        """Rows `begin` to `end` of all passes over a task laid end to end, each shuffled its own way."""
        rows = self.rows[name]
        first, last = begin // len(rows), -(-end // len(rows))
        shuffled = [
            np.random.default_rng([seed_of("task", self.seed, name), turn]).permutation(rows)
            for turn in range(first, last)
        ]
        stretch: np.ndarray = np.concatenate(shuffled)[begin - first * len(rows) : end - first * len(rows)]
        return stretch


def apportioned(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Split a number by shares: whole parts, at least 1 each, and what is left to those who lost most by rounding."""
    parts = {name: max(1, int(share * total)) for name, share in shares.items()}
    left = total - sum(parts.values())
    lost = sorted(shares, key=lambda name: parts[name] - shares[name] * total)
    for name in lost[: max(left, 0)]:
        parts[name] += 1
    return parts


def _listed(names: Mapping[str, int]) -> str:
    return ", ".join(repr(name) for name in names)
