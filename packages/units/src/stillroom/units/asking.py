"""Ask the network about series of any sizes: brought to one scale, put into batches by size, answered in eval mode.

Every job of the model asks here. It knows no job: whoever asks says what is missing, what is to come, and reads the
answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stillroom.units.arrays import by_size, pad


class Standard(NamedTuple):
    """A series in its own units of location and scale: the series is `loc + scale * values`."""

    values: np.ndarray  # (variables, time), NaN = missing
    loc: np.ndarray  # (variables, 1)
    scale: np.ndarray  # (variables, 1)


def standardised(series: np.ndarray) -> Standard:
    """Bring each variable of a series (variables, time) to mean 0 and standard deviation 1, in double precision.

    The network does the same, but what it is given has single precision, in which a small change of a large value is
    lost. A constant variable, and one of which nothing is known, becomes 0, of scale 0 around its value or around 0:
    whatever the network says of it, the answer is that value.
    """
    seen = ~np.isnan(series)
    count = np.maximum(seen.sum(axis=1, keepdims=True), 1)
    filled = np.where(seen, series, 0.0)
    loc = filled.sum(axis=1, keepdims=True) / count
    lowest = np.where(seen, series, np.inf).min(axis=1, keepdims=True)
    highest = np.where(seen, series, -np.inf).max(axis=1, keepdims=True)
    reach = np.where(highest > lowest, highest - lowest, 1.0)
    away = np.where(seen, series - loc, 0.0)
    scale = reach * np.sqrt(((away / reach) ** 2).sum(axis=1, keepdims=True) / count)  # tiny squares would be 0
    flat = (lowest >= highest) | (scale < np.finfo(np.float64).tiny)
    loc = np.where(flat & np.isfinite(lowest), lowest, loc)
    values = np.where(flat, 0.0, away / np.where(flat, 1.0, scale))
    return Standard(np.where(seen, values, np.nan), loc, np.where(flat, 0.0, scale))


@torch.no_grad()
def answers(
    model: Any, series: Sequence[np.ndarray], *, task: str, horizon: int = 0
) -> Iterator[tuple[np.ndarray, Any]]:
    """Ask the network about every series, those of like size together.

    Parameters
    ----------
    model
        A `UnitsModel`, on whatever device it is; left in the mode it was in.
    series
        Arrays (variables, time), NaN = missing, at most `max_length` - `horizon` steps long.
    task
        One of the model's tasks.
    horizon
        Steps to look ahead.

    Yields
    ------
    places
        Which series these are, (rows,).
    said
        The network's `UnitsOutput` on them. Row r has its variables first and its steps last: padding stands after the
        last variable and before the first step.
    """
    # as if the horizon were there already, so that a batch stays within its budget
    sizes = [np.broadcast_to(np.float32(0), (len(one), one.shape[1] + horizon)) for one in series]
    training = model.training
    model.eval()
    try:
        for places in by_size(sizes):
            values, present = pad([series[place] for place in places.tolist()])
            padding = None if present.all() else present.to(model.device)  # without it, attention is faster
            yield places, model(values=values.to(model.device), present=padding, horizon=horizon, task=task)
    finally:
        model.train(training)


def row(said: Tensor, number: int, variables: int, steps: int) -> np.ndarray:
    """Read the answer on one series, (variables, steps, …) in float64, out of a batch's (rows, variables, steps, …)."""
    one = said[number, :variables, said.shape[2] - steps :]
    values: np.ndarray = one.detach().double().cpu().numpy()
    return values
