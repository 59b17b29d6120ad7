"""Ask the network about series of any sizes: brought to one scale, put into batches by size, answered in eval mode.

Every job of the model asks here. It knows no job: whoever asks says what is missing, what is to come, and reads the
answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stillroom.units.arrays import by_size, pad


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
