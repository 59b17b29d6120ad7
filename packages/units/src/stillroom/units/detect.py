"""Detect: how strange each step of a series is to a network that was shown what is normal.

A step is strange where its value is not what the network expects from all around it, where it lies outside of all that
the training part held, and where the stretch it lies in is like none there. All three are told against the training
part, variable by variable: how rarely it was as bad. No label is looked at, and no weight moves.

It looks both ways in time, so it judges a record, not a stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stillroom.core.errors import DataError, RecipeError
from stillroom.units.looking import nearest, states, unexpected
from stillroom.units.scaling import standardised

SMALL = 0.1
"""The least distance, in the same units, by which what goes beyond all that was learned is measured."""
MOST = 4096
"""Patches of the training part that are remembered, evenly spaced if there are more."""
LONGEST = 100
"""Steps at most that a score is averaged over, as in isolation forests of the field (TSB-UAD)."""


@dataclass(frozen=True, eq=False)
class Normal:
    """What is normal, as far as the training part says.

    Parameters
    ----------
    loc, unit
        (variables, 1): mean and standard deviation. The unit of a variable that never moved is its own size, or 1.
    low, high
        (variables, 1): the range of the values, in that unit; NaN where nothing was observed.
    errors
        What the network's errors were, sorted, an array a variable.
    states
        (variables, patches, width): the network's states of the remembered patches, of length 1.
    distances
        How far each patch was from its nearest like, sorted, an array a variable.
    window
        Steps that a score is averaged over.
    series, scores
        The training part itself, and the score of each step of it.
    """

    loc: np.ndarray
    unit: np.ndarray
    low: np.ndarray
    high: np.ndarray
    errors: list[np.ndarray]
    states: np.ndarray
    distances: list[np.ndarray]
    window: int
    series: list[np.ndarray]
    scores: list[np.ndarray]

    def threshold(self, quantile: float = 0.99) -> float:
        """Return the smallest score of the training part that at most 1 - `quantile` of its steps exceed.

        Raises RecipeError for a quantile that is not strictly between 0 and 1.
        """
        if not 0 < quantile < 1:
            raise RecipeError(f"The quantile of a threshold lies strictly between 0 and 1, not at {quantile}.")
        return float(np.quantile(np.concatenate(self.scores), quantile, method="higher"))


def fit(model: Any, series: Sequence[np.ndarray], season_length: int = 1) -> Normal:
    """Learn what is normal.

    Parameters
    ----------
    model
        A `UnitsModel`; not changed.
    series
        Arrays (variables, time) of the same variables, as `arrays.as_series` makes them: one record, or several.
    season_length
        Steps in a cycle: what scores are averaged over, but at least a patch and at most `LONGEST`.

    Raises
    ------
    DataError
        The records have different variables.
    RecipeError
        A season that cannot be.
    """
    if season_length < 1:
        raise RecipeError(f"season_length must be at least 1, not {season_length}.")
    if len({len(one) for one in series}) > 1:
        raise DataError("The records to learn from have different numbers of variables: give those of one machine.")
    whole = np.concatenate(series, axis=1)
    seen = ~np.isnan(whole)
    _, loc, spread = standardised(whole)
    unit = np.where(spread > 0, spread, np.where(loc != 0, np.abs(loc), 1.0))
    scaled = [(one - loc) / unit for one in series]
    observed = seen.any(axis=1, keepdims=True)
    inside = np.where(seen, (whole - loc) / unit, np.nan)
    low = np.where(observed, np.where(seen, inside, np.inf).min(axis=1, keepdims=True), np.nan)
    high = np.where(observed, np.where(seen, inside, -np.inf).max(axis=1, keepdims=True), np.nan)
    moving = (high > low)[:, 0]  # nothing was observed of others, or always the same

    missed = unexpected(model, scaled, moving)
    errors = [np.sort(own[~np.isnan(own)]) for own in np.concatenate(missed, axis=1)]
    read = states(model, scaled, moving)
    together = np.concatenate([one.states for one in read], axis=1)
    chosen = np.unique(np.linspace(0, together.shape[1] - 1, min(MOST, together.shape[1])).astype(int))
    known = together[:, chosen]
    far = nearest(together, known, apart=chosen)
    distances = [np.sort(own[~np.isnan(own)]) for own in far]

    window = min(max(season_length, model.config.patch_size), LONGEST)
    normal = Normal(loc, unit, low, high, errors, known, distances, window, list(series), [])
    ends = np.cumsum([one.states.shape[1] for one in read])[:-1]
    for one, error, own, reading in zip(scaled, missed, np.split(far, ends, axis=1), read, strict=True):
        normal.scores.append(_score(normal, one, error, own[:, reading.place]))
    return normal


def scores(model: Any, normal: Normal, series: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Score every step of some records.

    Parameters
    ----------
    model
        The one that `normal` was learned with.
    series
        Arrays (variables, time), NaN = missing.

    Returns
    -------
    list of np.ndarray
        (time,) of each, finite and at least 0; the higher, the stranger. A training part is scored as it was in
        learning: there, a patch is not its own like. A missing value is not strange.

    Raises
    ------
    DataError
        Another number of variables than was learned.
    """
    for one in series:
        if len(one) != len(normal.loc):
            raise DataError(
                f"This series has {len(one)} variables, but what is normal was learned of {len(normal.loc)}."
            )
    found = [_remembered(normal, one) for one in series]
    new = [number for number, own in enumerate(found) if own is None]
    scaled = [(series[number] - normal.loc) / normal.unit for number in new]
    moving = (normal.high > normal.low)[:, 0]
    missed, read = unexpected(model, scaled, moving), states(model, scaled, moving)
    for number, one, error, reading in zip(new, scaled, missed, read, strict=True):
        far = nearest(reading.states, normal.states)[:, reading.place]
        found[number] = _score(normal, one, error, far)
    return [own for own in found if own is not None]


def _remembered(normal: Normal, series: np.ndarray) -> np.ndarray | None:
    """The scores of a training part, if it is one."""
    for known, own in zip(normal.series, normal.scores, strict=True):
        if np.array_equal(known, series, equal_nan=True):
            return own.copy()
    return None


def _score(normal: Normal, scaled: np.ndarray, error: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Add up what is strange over the variables, and let a step share in what is strange around it: (time,).

    Surprises are logarithms of how rare something is, so that their sum tells how rare all of it is together (Fisher's
    method). A step's neighbours count as much as it does itself: what is wrong lasts.
    """
    total: np.ndarray = np.zeros(scaled.shape[1])
    beyond = np.maximum(np.maximum(normal.low - scaled, scaled - normal.high), 0.0)
    for variable, row_of in enumerate(zip(error, distance, strict=True)):
        total += surprise(normal.errors[variable], row_of[0])
        total += surprise(normal.distances[variable], row_of[1])
        total += np.nan_to_num(np.log1p(beyond[variable] / SMALL))
    score: np.ndarray = total + smoothed(total, normal.window)
    return score


def surprise(learned: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Say how rarely the training part had anything as large: minus the logarithm of its share.

    Parameters
    ----------
    learned
        (n,), sorted. None at all: nothing surprises.
    values
        (time,), NaN = unknown, which surprises nobody.

    Returns
    -------
    np.ndarray
        (time,), 0 for the smallest. Beyond the largest that was learned it grows on with the logarithm of the distance,
        in widths of the training part's highest tenth.
    """
    if not len(learned):
        return np.zeros(len(values))
    known = np.nan_to_num(values, nan=-np.inf)
    rarer = len(learned) - np.searchsorted(learned, known, side="left")
    width = max(float(learned[-1] - np.quantile(learned, 0.9)), SMALL)
    further = np.log1p(np.maximum(known - learned[-1], 0.0) / width)
    rare: np.ndarray = np.log((len(learned) + 1) / (rarer + 1)) + further
    return np.where(np.isnan(values), 0.0, rare)


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Average over the `window` steps around each, fewer where the series begins or ends: (time,)."""
    total = np.append(0.0, np.cumsum(values))
    place = np.arange(len(values))
    first, last = np.maximum(place - window // 2, 0), np.minimum(place + (window + 1) // 2, len(values))
    average: np.ndarray = (total[last] - total[first]) / (last - first)
    return average
