"""What counts: the part of a tensor that a mask keeps, and its mean.

What does not count is taken out before anything is computed from it. So NaN, ±inf or stale numbers in padding and in
missing observations reach neither a loss nor its gradient, where multiplying by a zero mask would keep them
(0 · NaN = NaN). It knows no loss: `objectives` and `distances` are written with it.
"""

from __future__ import annotations

import torch
from torch import Tensor


def widen(values: Tensor) -> Tensor:
    """Return half-precision `values` as float32: sums over a vocabulary or a horizon lose too much in 8 or 11 bits."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def counted(values: Tensor, mask: Tensor | None, inner: int = 0) -> Tensor:
    """Return the entries of `values` that count.

    Parameters
    ----------
    values
        (..., *inner axes).
    mask
        Broadcastable to the outer axes of `values`; True or non-zero counts. None: everything does.
    inner
        How many trailing axes stay whole: 1 for logits and hidden states, 0 for single numbers.

    Returns
    -------
    Tensor
        (n, *inner axes) for the n entries that count; `values` itself without a mask.
    """
    if mask is None:
        return values
    return values[mask.bool().expand(values.shape[: values.dim() - inner])]


def mean(values: Tensor) -> Tensor:
    """Return the mean of what counts, and 0 with a zero gradient where nothing does."""
    return values.sum() / max(values.numel(), 1)
