"""Forecast: quantiles of the steps that follow a series, any number of them in one pass.

The network fills in patches that were never observed, so a horizon is as long as one likes and costs what a history of
that length would. It looks at the variables of a series together, and at no covariates. Frames are `units`' business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stillroom.core.errors import RecipeError
from stillroom.core.progress import progress
from stillroom.series.levels import at_levels
from stillroom.units.asking import answers, row
from stillroom.units.config import DECILES
from stillroom.units.scaling import standardised
from stillroom.units.windows import begun


def quantiles(
    model: Any,
    series: Sequence[np.ndarray],
    horizon: int,
    levels: Sequence[float] = DECILES,
    *,
    context_length: int | None = None,
) -> list[np.ndarray]:
    """Forecast every series.

    Parameters
    ----------
    model
        A `UnitsModel`.
    series
        Arrays (variables, time) as `arrays.as_series` makes them, NaN = missing.
    horizon
        Steps to forecast, also more than any training asked for.
    levels
        Any strictly between 0 and 1. Between the levels that the model was trained on they are interpolated linearly;
        beyond the outermost, each tail is that of a normal distribution which has the model's median and its outermost
        quantile (see `stillroom.series.levels`).
    context_length
        Read at most so many of the last steps; None: as many as the model has room for.

    Returns
    -------
    list of np.ndarray
        (variables, horizon, levels) in float64, in the units of the series, not decreasing over ascending levels, and
        finite. A constant series forecasts itself at every level, one without any value 0: neither has a scale that an
        error could be told in.

    Raises
    ------
    RecipeError
        A level that cannot be, or a horizon that leaves no room for a history.
    """
    room = check(model.config, horizon, levels)
    if context_length is not None:
        if context_length < 1:
            raise RecipeError(f"context_length must be at least 1, not {context_length}.")
        room = min(room, context_length)
    scaled = [standardised(begun(one[:, -room:])) for one in series]
    found: list[Any] = [None] * len(series)
    with progress("forecasting", total=len(series)) as advance:
        for places, said in answers(model, [one.values for one in scaled], task="forecast", horizon=horizon):
            ahead = said.loc[..., None] + said.scale[..., None] * said.quantiles[:, :, -horizon:]
            for number, place in enumerate(places.tolist()):
                _, loc, scale = scaled[place]
                own = np.sort(row(ahead, number, len(loc), horizon), axis=-1)  # whatever levels are asked for
                wanted = at_levels(own, model.config.quantiles, levels, tails="normal")
                found[place] = loc[..., None] + scale[..., None] * wanted
            advance(len(places))
    return found


def check(config: Any, horizon: int, levels: Sequence[float]) -> int:
    """Return the steps of history that the model has room for.

    Raises
    ------
    RecipeError
        A level that is not strictly between 0 and 1, a horizon under 1, or one that leaves no patch of history.
    """
    if not len(levels) or not all(0 < level < 1 for level in levels):
        raise RecipeError("Quantile levels lie strictly between 0 and 1, as in 0.1 0.5 0.9.")
    longest = config.max_length - config.patch_size
    if not 1 <= horizon <= longest:
        raise RecipeError(f"prediction_length must be between 1 and {longest:,} for this model, not {horizon:,}.")
    return int(config.max_length - horizon)
