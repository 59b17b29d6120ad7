"""From the series that people have to the tensors that a model takes: checked, padded, and batched by size.

A series is an array (variables, time) with NaN where a value is missing. Padding stands on the left in time, so that
all series of a batch end together, and last among the variables; `present` says where it is not. It knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stillroom.core.errors import DataError

CELLS = 2**18
"""Values of a padded batch at most, unless told: some 100 MB of activations in a model of a few million parameters."""
UNEVEN = 1.25
"""How many times as long as its shortest series, and a few steps more, the longest of a batch may be."""
_SLACK = 16
_LARGEST = float(np.finfo(np.float32).max)


def as_series(data: Any, *, longest: int | None = None) -> list[np.ndarray]:
    """Return whatever holds series as a list of arrays (variables, time), float64, NaN = missing.

    Parameters
    ----------
    data
        An array (items, variables, time) or (items, time), or a sequence of arrays (variables, time) or (time,) of any
        lengths and numbers of variables.
    longest
        Steps that a series may have at most; None: any number.

    Raises
    ------
    DataError
        There is no series, or one has no variable or no step, is too long, or has values that are no numbers, infinite
        or beyond single precision.
    """
    if isinstance(data, np.ndarray) and data.ndim not in (2, 3) and data.dtype != object:
        raise DataError(
            f"An array of series must have the shape (items, variables, time) or (items, time), not {data.shape}: put "
            "a single series into a list."
        )
    if isinstance(data, str) or not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        raise DataError(f"Series come as an array or a list of arrays, not as a {type(data).__name__}.")
    if not len(data):
        raise DataError("There are no series: give at least one.")
    return [_checked(number, one, longest) for number, one in enumerate(data)]


def _checked(number: int, one: Any, longest: int | None) -> np.ndarray:
    name = f"Series {number}"
    try:
        raw = np.asarray(one)
        values = raw.astype(np.float64) if raw.dtype.kind in "biufO" else None
    except (TypeError, ValueError):
        values = None
    if values is None:
        raise DataError(f"{name} is not made of numbers: give an array (variables, time), NaN = missing.")
    if values.ndim == 1:
        values = values[None]
    if values.ndim != 2:
        raise DataError(f"{name} has the shape {values.shape} instead of (variables, time).")
    variables, steps = values.shape
    if not variables or not steps:
        lacking = "step" if variables else "variable"
        raise DataError(f"{name} has no {lacking}: leave it out, or give at least one.")
    if longest is not None and steps > longest:
        raise DataError(
            f"{name} has {steps:,} steps, and at most {longest:,} can be read: cut it, or average every "
            f"{-(-steps // longest)} steps."
        )
    if np.isinf(values).any():
        raise DataError(f"{name} has infinite values: write NaN where a value is missing.")
    if np.nanmax(np.abs(values), initial=0.0) > _LARGEST:
        raise DataError(f"{name} has values beyond {_LARGEST:.1e}: divide it by a constant.")
    return values


def pad(series: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Put series of any sizes into one batch.

    Parameters
    ----------
    series
        Arrays (variables, time), NaN = missing.

    Returns
    -------
    values
        (series, variables, time), float32, NaN where missing and where there is padding; as many variables and steps
        as the most of any.
    present
        Of the same shape, boolean: False = padding.

    Raises
    ------
    DataError
        There is no series.
    """
    if not len(series):
        raise DataError("There are no series to put into a batch: give at least one.")
    variables, steps = (max(one.shape[axis] for one in series) for axis in (0, 1))
    values = np.full((len(series), variables, steps), np.nan, dtype=np.float32)
    present = np.zeros(values.shape, dtype=bool)
    for row, one in enumerate(series):
        values[row, : len(one), steps - one.shape[1] :] = one
        present[row, : len(one), steps - one.shape[1] :] = True
    return torch.from_numpy(values), torch.from_numpy(present)


def by_size(series: Sequence[np.ndarray], cells: int = CELLS) -> list[np.ndarray]:
    """Say which series to pad together: those of like size, so that little of a batch is padding.

    As padding changes no result, the batches do not either.

    Parameters
    ----------
    series
        Arrays (variables, time).
    cells
        Values of a padded batch at most; a series that has more is a batch of its own.

    Returns
    -------
    list of np.ndarray
        The places of each batch's series, the largest batch elements first so that too little memory shows at once;
        every place stands in exactly one batch.
    """
    sizes = np.array([one.shape for one in series], dtype=np.int64).reshape(-1, 2)
    order = np.lexsort((sizes[:, 1], sizes[:, 0]))[::-1]  # by variables, then by steps, both falling
    batches: list[list[int]] = []
    for place in order.tolist():
        variables, steps = sizes[place].tolist()
        if batches:
            most, first = sizes[batches[-1][0]].tolist()
            full = (len(batches[-1]) + 1) * most * first > cells
            if not full and variables == most and first <= UNEVEN * steps + _SLACK:
                batches[-1].append(place)
                continue
        batches.append([place])
    return [np.array(batch) for batch in batches]
