"""Each variable in units of its own mean and standard deviation, over what is known of it.

The network scales what it reads, in tensors (`normalised`). Who asks it scales before, in double precision
(`standardised`), because single precision loses small changes of large values. It knows no network.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


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


def normalised(values: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bring each variable to mean 0 and standard deviation 1 over what is known of it.

    Parameters
    ----------
    values, known
        (n, v, t).

    Returns
    -------
    loc, scale, normal
        (n, v, 1) twice, and (n, v, t) in float32, 0 where nothing is known. A variable of one value over and over has
        that as its loc and scale 1; one of which nothing is known has loc 0 and scale 1.
    """
    # squares of what float32 holds overflow in float32; Apple's GPUs have no wider numbers
    wide = torch.float32 if values.device.type == "mps" else torch.float64
    narrow = torch.promote_types(values.dtype, torch.float32)
    seen = torch.where(known, values.to(wide), 0.0)
    count = known.sum(-1, keepdim=True)
    mean = seen.sum(-1, keepdim=True) / count.clamp(min=1)
    lowest = seen.masked_fill(~known, torch.inf).amin(-1, keepdim=True)
    highest = seen.masked_fill(~known, -torch.inf).amax(-1, keepdim=True)
    flat = highest <= lowest  # also where nothing is known: -inf <= inf
    loc = torch.where(flat, torch.where(count > 0, lowest, 0.0), mean).to(narrow)
    apart = torch.where(known, seen - loc, 0.0)  # from the rounded mean, which is what gives the values back
    deviation = (apart.square().sum(-1, keepdim=True) / count.clamp(min=1)).sqrt()
    scale = torch.where(flat, 1.0, deviation.clamp(min=torch.finfo(narrow).tiny)).to(narrow)
    return loc, scale, (apart / scale).float()
