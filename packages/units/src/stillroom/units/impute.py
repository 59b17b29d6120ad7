"""Impute: fill what is missing of a series, from what was observed of it, and leave the rest as it is.

What the network says of a missing step is the mean it expects there, which is what has the least squared error. A
series longer than it reads is filled piece by piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stillroom.core.progress import progress
from stillroom.units.asking import answers, row
from stillroom.units.pieces import pieces
from stillroom.units.scaling import standardised

OVERLAP = 0.25
"""Of one piece with the next: a gap near an end of a piece is filled by the one that sees both of its sides."""


def fill(model: Any, series: Sequence[np.ndarray], *, longest: int | None = None) -> list[np.ndarray]:
    """Fill every NaN.

    Parameters
    ----------
    model
        A `UnitsModel`.
    series
        Arrays (variables, time) as `arrays.as_series` makes them; not changed.
    longest
        Steps of a piece; None: as many as the model reads. Longer series go through in pieces that overlap.

    Returns
    -------
    list of np.ndarray
        The same series, float64 and finite, every observed value as it was to the last bit. A variable that is constant
        as far as it was observed goes on so. One that was never observed becomes 0, since nothing says in what unit it
        was to be measured.
    """
    longest = min(longest or model.config.max_length, model.config.max_length)
    filled = [one.copy() for one in series]
    scaled = [standardised(one) for one in series]
    asked, where = [], []
    for place, one in enumerate(scaled):
        for piece in pieces(one.values.shape[1], longest, OVERLAP):
            if np.isnan(one.values[:, piece.first : piece.last]).any():
                asked.append(one.values[:, piece.start : piece.stop])
                where.append((place, piece))
    with progress("filling gaps", total=len(asked)) as advance:
        for places, said in answers(model, asked, task="impute"):
            expected = said.loc + said.scale * said.values
            for number, place in enumerate(places.tolist()):
                target, piece = where[place]
                own = row(expected, number, *asked[place].shape)
                own = scaled[target].loc + scaled[target].scale * own
                part = filled[target][:, piece.first : piece.last]  # a view: what is written there stays
                gaps = np.isnan(part)
                part[gaps] = own[:, piece.first - piece.start : piece.last - piece.start][gaps]
            advance(len(places))
    return filled
