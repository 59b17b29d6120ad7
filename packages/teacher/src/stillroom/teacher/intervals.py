"""Intervals for the mean of values between 0 and 1 that hold for any number of rows, and when every row agrees.

A bootstrap cannot do that: where 20 rows of 20 agree, so do those of every resample, and it calls the agreement
certain. Yes-or-no values have the exact binomial interval, graded ones a betting interval; both keep their promise
whatever the distribution. `core.gate` judges losses, which know no upper bound: another question. Rows count as
independent, and nothing here knows what the values mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stillroom.core.errors import DataError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

STEPS = 1000
"""Graded values are rounded to thousandths, outwards, so that a million rows cost no more than a thousand."""

BETS = np.sin(np.pi * (np.arange(64) + 0.5) / 128) ** 2
"""Shares of the wealth that are bet: they crowd at 0 (right for many rows) and at 1 (right for full agreement)."""

MOST_ROWS = 1_000_000
_HALVINGS = 50


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of values in 0 … 1, and its lower and upper bound: binomial for bool values, else by betting.

    The type decides, not the values: graded ones that happen to be all 1 in a sample are still graded.

    Raises
    ------
    DataError
        There are no values, or some lie outside 0 … 1.
    RecipeError
        `confidence` is not between 0 and 1.
    """
    array = np.asarray(values)
    if array.size == 0:
        raise DataError("there are no values to take a mean of: give at least one row")
    bounds = binomial(int(array.sum()), array.size, confidence) if array.dtype == bool else betting(array, confidence)
    return float(array.mean()), *bounds


def binomial(successes: int, rows: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a share (Clopper and Pearson 1934, Biometrika 26).

    Wilson's is narrower because it covers its confidence on average only, and less so for shares near 1.
    """
    side, logs = _side(confidence), _log_choose(rows)

    def lower(successes: int) -> float:
        return _last(lambda rate: _at_least(successes, logs, rate) <= side)

    return lower(successes), 1 - lower(rows - successes)


def betting(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Return an interval of the mean of values in 0 … 1, narrower the less they vary.

    Bet on each row that the mean lies above m, at odds that are fair if it is m: then the wealth, averaged over `BETS`,
    reaches 1 / side with a chance of at most `side` (Markov). The lower bound is the highest m at which it did
    (Waudby-Smith and Ramdas 2024, JRSS-B 86; a fixed mixture of bets, as in Orabona and Jun 2024, IEEE Trans. Inf.
    Theory 70, because the order of the rows should not matter). 2.5 % at either side by default.
    """
    array = np.asarray(values, np.float64)
    if not ((array >= 0) & (array <= 1)).all():
        raise DataError("an interval needs values between 0 and 1, such as shares")
    side = _side(confidence)
    return _betting_lower(array, side), 1 - _betting_lower(1 - array, side)


def rows_needed(tolerance: float, agreement: float = 1.0, *, power: float = 0.8, confidence: float = 0.95) -> int:
    """Return how many rows a yes-or-no measure needs for its lower bound to reach 1 − tolerance.

    The last few rows are not minimised: the chance is a saw-tooth of the number of rows. A graded measure needs fewer
    if its values vary little, and up to about twice as many if they are nearly all 0 or 1.

    Parameters
    ----------
    tolerance
        Share of rows that may disagree, as in 0.05.
    agreement
        The true share of rows that agree.
    power
        Chance that a pilot of this size succeeds; at 1.0 agreement every pilot does.

    Raises
    ------
    RecipeError
        No number of rows shows it (agreement is not above 1 − tolerance), or more than a million are needed.
    """
    side, bar = _side(confidence), 1 - tolerance
    if not 0 < tolerance < 1 or not bar < agreement <= 1 or not 0 < power < 1:
        raise RecipeError(
            f"an agreement of {agreement:g} never shows to be above {bar:g}: choose a tolerance (and a power) between "
            "0 and 1, and more than 1 - agreement"
        )

    def enough(rows: int) -> bool:
        logs = _log_choose(rows)
        tails = np.cumsum(_masses(logs, bar, 0)[::-1])[::-1]  # P(that many successes or more), if the truth is `bar`
        passing = int((tails > side).sum())
        return passing <= rows and _at_least(passing, logs, agreement) >= power

    high = 1
    while not enough(high):
        high *= 2
        if high > MOST_ROWS:
            raise RecipeError(
                f"it takes more than {MOST_ROWS:,} rows to show that {agreement:g} is above {bar:g}: tolerate more"
            )
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _side(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise RecipeError(f"confidence {confidence} cannot be: choose one between 0 and 1, such as 0.95")
    return (1 - confidence) / 2


def _last(holds: Callable[[float], bool]) -> float:
    """Return the last number of 0 … 1 up to which something holds."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _log_choose(rows: int) -> NDArray[np.float64]:
    """Return log C(rows, k) for k = 0 … rows."""
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, rows + 1)))])
    logs: NDArray[np.float64] = factorials[-1] - factorials - factorials[::-1]
    return logs


def _masses(logs: NDArray[np.float64], rate: float, start: int) -> NDArray[np.float64]:
    """Return the chances of start, start + 1, … successes."""
    rows = len(logs) - 1
    successes = np.arange(start, rows + 1)
    masses: NDArray[np.float64] = np.exp(logs[start:] + successes * np.log(rate) + (rows - successes) * np.log1p(-rate))
    return masses


def _at_least(successes: int, logs: NDArray[np.float64], rate: float) -> float:
    return 1.0 if rate == 1 else float(_masses(logs, rate, successes).sum())


def _betting_lower(values: NDArray[np.float64], side: float) -> float:
    distinct, counts = np.unique(np.floor(values * STEPS + 1e-9) / STEPS, return_counts=True)

    def rich(mean: float) -> bool:
        growth = counts @ np.log(1 - BETS + BETS * distinct[:, None] / mean)  # (bets,)
        return bool(growth.max() + np.log(np.exp(growth - growth.max()).mean()) >= -np.log(side))

    return _last(rich)  # each stake is worth less the higher the mean, so `rich` holds up to one mean and not beyond
