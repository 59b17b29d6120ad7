"""Training windows, drawn from real series in memory or made on the spot: arrays (variables, time) of many lengths.

Series that were measured together are the variables of one item, and a window may hold several of them. Where nothing
was measured beside a series, others that have nothing to do with it can stand beside it, so that a model learns to
leave them alone. Everything is pure in the random generator that is handed over. It knows no file, job or model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from stillroom.core.errors import DataError
from stillroom.series import patterns, synthetic
from stillroom.series.mixture import imperfect
from stillroom.series.mixup import MAX_MIXED, ts_mixup

FEWEST = 4
"""Steps that a series has at least: fewer teach nothing."""
STRANGERS = 4
"""Variables of a window at most, where they have nothing to do with each other."""
STILL = 0.1
"""How often a variable that never changes is drawn, beside one that does: telemetry is full of idle commands."""
KERNEL_STEPS = 1024
"""The longest KernelSynth series: its cost grows with the cube of its steps."""
TRIES = 10
"""Draws before a window without any observed value is accepted."""


class Windows(Protocol):
    """Something that windows are drawn from."""

    @property
    def widest(self) -> int:
        """The most variables that belong together."""

    def draw(self, rng: np.random.Generator, count: int, length: int, variables: int) -> list[np.ndarray]:
        """Draw `count` windows of at most so many steps and variables, float32, NaN = missing."""


@dataclass(frozen=True, eq=False)
class Items:
    """Series to draw windows from.

    Parameters
    ----------
    series
        Arrays (variables, time), NaN = missing, of at least `FEWEST` steps.
    weights
        How often to draw each beside the others, (items,); default: the root of its length.
    mixed
        Share of the windows of one variable that are a TSMixup of several.

    Raises
    ------
    DataError
        There are no series.
    """

    series: Sequence[np.ndarray]
    weights: np.ndarray | None = None
    mixed: float = 0.0

    def __post_init__(self) -> None:
        if not len(self.series):
            raise DataError("There are no series to draw windows from.")

    @cached_property
    def widest(self) -> int:
        """The most variables of an item."""
        return max(len(values) for values in self.series)

    @cached_property
    def _chances(self) -> np.ndarray:
        """How often to draw each item, (items,), summing to 1."""
        weights = np.sqrt([values.shape[1] for values in self.series]) if self.weights is None else self.weights
        chances: np.ndarray = weights / weights.sum()
        return chances

    @cached_property
    def _rows(self) -> list[np.ndarray]:
        """How often to draw each variable of each item beside the others."""
        weights = []
        for values in self.series:
            seen = np.isfinite(values)
            moves = np.where(seen, values, -np.inf).max(axis=1) > np.where(seen, values, np.inf).min(axis=1)
            weights.append(np.where(moves, 1.0, STILL))
        return weights

    @cached_property
    def _single(self) -> tuple[list[np.ndarray], np.ndarray]:
        """All variables as series of their own, and how often to draw each, summing to 1."""
        chances = [chance * rows / rows.sum() for chance, rows in zip(self._chances, self._rows, strict=True)]
        return [row for values in self.series for row in values], np.concatenate(chances)

    def draw(self, rng: np.random.Generator, count: int, length: int, variables: int) -> list[np.ndarray]:
        """Draw windows of at most `length` steps, shorter where a series is, of at most so many variables of an item.

        An item of one variable is joined by up to `STRANGERS` - 1 others that it has nothing to do with.
        """
        mixed = int(rng.binomial(count, self.mixed)) if variables == 1 and self.mixed else 0
        windows = [self._window(rng, length, variables) for _ in range(count - mixed)]
        if mixed:
            series, chances = self._single
            mixtures = ts_mixup(series, mixed, length, rng, weights=chances, max_mixed=MAX_MIXED)
            windows += [begun(row[None].astype(np.float32)) for row in mixtures]
        return windows

    def _window(self, rng: np.random.Generator, length: int, variables: int) -> np.ndarray:
        window = self._cut(rng, length, variables)
        if variables == 1 or len(window) > 1:
            return window
        others = [self._cut(rng, window.shape[1], 1) for _ in range(min(variables, STRANGERS) - 1)]
        return beside([window, *others])

    def _cut(self, rng: np.random.Generator, length: int, variables: int) -> np.ndarray:
        """Cut a window out of one item, anywhere."""
        for _ in range(TRIES):
            place = int(rng.choice(len(self.series), p=self._chances))
            values = self.series[place]
            count = min(variables, len(values))
            # The first of so many clocks to ring are a weighted draw without replacement (Efraimidis, Spirakis 2006).
            rows = np.argsort(rng.exponential(size=len(values)) / self._rows[place], kind="stable")[:count]
            steps = min(length, values.shape[1])
            start = int(rng.integers(values.shape[1] - steps + 1))
            window = values[rows, start : start + steps]
            if np.isfinite(window).any():
                break
        return begun(window.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Synthetic:
    """Made series; each is as long as asked for, but for KernelSynth's (`KERNEL_STEPS`).

    Parameters
    ----------
    shares
        How much of a batch each family makes up, by the names in `stillroom.series.mixture.SYNTHETIC`; scaled to sum
        to 1.
    """

    shares: Mapping[str, float]

    @property
    def widest(self) -> int:
        """One: series that are made have nothing to do with each other."""
        return 1

    def draw(self, rng: np.random.Generator, count: int, length: int, variables: int) -> list[np.ndarray]:
        """Draw windows of `length` steps and up to `STRANGERS` variables."""
        variables = min(variables, STRANGERS)
        weights = np.array(list(self.shares.values()))
        counts = rng.multinomial(count * variables, weights / weights.sum())
        made: list[np.ndarray] = []
        for name, many in zip(self.shares, counts.tolist(), strict=True):
            made += [row[None] for row in imperfect(_made(name, rng, many, length), rng)] if many else []
        order = rng.permutation(len(made)).reshape(count, variables)
        return [begun(beside([made[place] for place in places]).astype(np.float32)) for places in order]


def _made(name: str, rng: np.random.Generator, count: int, length: int) -> np.ndarray:
    if name == "kernel_synth":
        seed = int(rng.integers(2**63))
        return np.stack(list(synthetic.kernel_synth(count, min(length, KERNEL_STEPS), seed=seed)))
    return patterns.FAMILIES[name](rng, count, length)


@dataclass(frozen=True, eq=False)
class Labelled(Items):
    """Series to draw windows from, or to tell apart.

    Parameters
    ----------
    labels
        The number of each one's class, (items,).
    """

    labels: np.ndarray = field(kw_only=True)


def with_labels(windows: Windows) -> Labelled:
    """Return labelled series as what they are; DataError for any others."""
    if not isinstance(windows, Labelled):
        raise DataError("These series have no labels: only labelled ones can be told apart.")
    return windows


def begun(window: np.ndarray) -> np.ndarray:
    """Cut off the steps before the first observed value of any variable; a window without any stays as it is."""
    seen = np.isfinite(window).any(axis=0)
    return window[:, int(np.argmax(seen)) :]


def beside(windows: Sequence[np.ndarray]) -> np.ndarray:
    """Put the variables of several windows into one; they end together, and what a shorter one lacks is missing."""
    steps = max(window.shape[1] for window in windows)
    return np.concatenate([np.pad(one, ((0, 0), (steps - one.shape[1], 0)), constant_values=np.nan) for one in windows])


def few_of_each(numbers: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Draw a share of the items of each class, at least one: their places, ascending.

    Parameters
    ----------
    numbers
        The number of each item's class, (items,).
    """
    rng = np.random.default_rng([seed, len(numbers)])
    members = [rng.permutation(np.flatnonzero(numbers == label)) for label in np.unique(numbers)]
    return np.sort(np.concatenate([own[: max(round(share * len(own)), 1)] for own in members]))
