"""Look at records step by step: what the network expects where it is shown the rest, and in what state a patch puts it.

All in units of a training part, in pieces of a length that is cheap. What is strange about what is seen is the business
of `detect`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from stillroom.core.progress import progress
from stillroom.series.levels import at_levels
from stillroom.units.asking import answers, row
from stillroom.units.pieces import Piece, pieces
from stillroom.units.scaling import standardised

PATCHES = 64
"""Of a piece that is looked at together: long enough for a week of hours, short enough to be cheap."""
OVERLAP = 0.25
"""Of one piece with the next."""
PASSES = 3
"""Every step is hidden in one of so many passes, and expected from the rest, which is two thirds of the series."""
RUN = 2
"""Patches in a row that are hidden together: what is as short cannot explain itself."""
QUIET = 0.05
"""The narrowest band of quantiles that counts, in standard deviations of the training part: where the network is sure
of a value to the last digit, that digit would else be an alarm."""
NEAR = 2
"""Patches of a record on either side of one that do not count as its like, as they read the same steps."""
ROWS = 4096
"""Patches that are compared at a time, which bounds the memory of long records."""


class Reading(NamedTuple):
    """The network's states of a record."""

    states: np.ndarray  # (variables, patches, width), each of length 1, or 0 for one that does not count
    place: np.ndarray  # (time,): each step's patch


def unexpected(model: Any, scaled: Sequence[np.ndarray], moving: np.ndarray) -> list[np.ndarray]:
    """Hide every step once, and compare what stands there with what the network expects.

    A variable that never moved in the training part is expected to stand still, and the network is not asked: what it
    would say around a first movement is nothing to be surprised by.

    Parameters
    ----------
    scaled
        Records (variables, time), in units of the training part.
    moving
        (variables,): those that moved in the training part.

    Returns
    -------
    list of np.ndarray
        (variables, time) of each: the distance from the median, in widths of the band between the outermost quantiles;
        NaN where nothing was observed. Of a variable that never moved, the distance from where it always stood.
    """
    found = [np.abs(one) for one in scaled]
    looked = np.flatnonzero(moving)
    if not len(looked):
        return found
    asked, where = [], []
    for number, one in enumerate(scaled):
        for piece in _pieces(model, one):
            part = one[looked, piece.start : piece.stop]
            for hidden in passes(part.shape[1], model.config.patch_size):
                asked.append(standardised(np.where(hidden, np.nan, part)))
                where.append((number, piece, hidden))
    levels = model.config.quantiles
    with progress("looking at every step", total=len(asked)) as advance:
        for places, said in answers(model, [one.values for one in asked], task="detect"):
            expected = said.loc[..., None] + said.scale[..., None] * said.quantiles
            for line, place in enumerate(places.tolist()):
                values, loc, scale = asked[place]
                number, piece, hidden = where[place]
                own = loc[..., None] + scale[..., None] * np.sort(row(expected, line, *values.shape), axis=-1)
                middle, band = at_levels(own, levels, [0.5])[..., 0], own[..., -1] - own[..., 0]
                there = scaled[number][looked, piece.start : piece.stop]
                error = np.abs(there - middle) / np.maximum(band, QUIET)
                chosen = hidden & piece.owned
                found[number][np.ix_(looked, np.flatnonzero(chosen) + piece.start)] = error[:, chosen]
            advance(len(places))
    return found


def passes(steps: int, patch_size: int) -> np.ndarray:
    """Say what is hidden in each pass, (passes, steps): every step in exactly one; patches end where the series ends.

    A series of one patch is hidden whole: what is expected then is the mean of the training part.
    """
    patches = -(-steps // patch_size)
    run = RUN if patches >= RUN * PASSES else 1
    number = (steps - 1 - np.arange(steps)) // patch_size // run
    hidden: np.ndarray = number % PASSES == np.arange(PASSES)[:, None]
    return hidden[hidden.any(axis=1)]


def states(model: Any, scaled: Sequence[np.ndarray], moving: np.ndarray) -> list[Reading]:
    """Read the network's states of records (variables, time), in units of the training part.

    States of variables that never moved in the training part are 0, and so are those of patches without any observed
    value.
    """
    looked = np.flatnonzero(moving)
    patch, width = model.config.patch_size, model.config.d_model
    found, asked, where = [], [], []
    for number, one in enumerate(scaled):
        place, end = np.empty(one.shape[1], dtype=np.int64), 0
        for piece in _pieces(model, one):
            begin, end = end, end - (piece.start - piece.stop) // patch
            steps = np.arange(piece.first, piece.last)
            place[steps] = end - 1 - (piece.stop - 1 - steps) // patch
            asked.append(standardised(one[looked, piece.start : piece.stop]).values)
            where.append((number, slice(begin, end)))
        found.append(Reading(np.zeros((len(one), end, width), dtype=np.float32), place))
    if not len(looked):
        return found
    for places, said in answers(model, asked, task="detect"):
        for line, piece_number in enumerate(places.tolist()):
            values, (number, span) = asked[piece_number], where[piece_number]
            own = row(said.hidden, line, len(looked), span.stop - span.start)
            length = np.linalg.norm(own, axis=-1, keepdims=True)
            before = np.full((len(looked), -values.shape[1] % patch), np.nan)  # patches end where the piece ends
            seen = ~np.isnan(np.concatenate([before, values], axis=1)).reshape(*own.shape[:2], patch)
            counts = seen.any(axis=2, keepdims=True) & (length > 0)
            found[number].states[looked, span] = np.where(counts, own / np.where(counts, length, 1.0), 0.0)
    return found


def nearest(own: np.ndarray, known: np.ndarray, apart: np.ndarray | None = None) -> np.ndarray:
    """Find how far each state is from the nearest known one of its variable.

    Parameters
    ----------
    own, known
        (variables, patches, width), as in `Reading`.
    apart
        Where the known ones are some of `own` themselves, which: those within `NEAR` of a patch are not its like.

    Returns
    -------
    np.ndarray
        (variables, patches), NaN where there is nothing to compare with.
    """
    found = np.full(own.shape[:2], np.nan)
    for variable, (ours, theirs) in enumerate(zip(own, known, strict=True)):
        for begin in range(0, len(ours), ROWS):
            some = ours[begin : begin + ROWS]
            alike = some @ theirs.T
            out = ~theirs.any(axis=1)[None] | ~some.any(axis=1)[:, None]
            if apart is not None:
                out = out | (np.abs(begin + np.arange(len(some))[:, None] - apart) <= NEAR)
            best = np.where(out, -np.inf, alike).max(axis=1, initial=-np.inf)
            far = np.sqrt(np.maximum(2 - 2 * np.where(np.isfinite(best), best, 1.0), 0.0))
            found[variable, begin : begin + ROWS] = np.where(np.isfinite(best), far, np.nan)
    return found


def _pieces(model: Any, series: np.ndarray) -> list[Piece]:
    longest = min(PATCHES * model.config.patch_size, model.config.max_length)
    return pieces(series.shape[1], longest, OVERLAP)
