"""Objectives: pure tensor functions from a student's output and a target to one number. The module to import from.

`divergences` compares distributions over a vocabulary, `distances` compares values (quantile forecasts, points, hidden
states); this module names them all for recipes and adds them up. All are torch functions without state: a mask takes
out what does not count, the result is the mean over the rest, and 0 with a zero gradient where nothing counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from stillroom.core.distances import hidden_alignment, huber, pinball, quantile_match
from stillroom.core.divergences import (
    FLOOR,
    IGNORED_LABEL,
    TopK,
    cross_entropy,
    forward_kl,
    generalized_js,
    reverse_kl,
    skewed_forward_kl,
    skewed_reverse_kl,
    sparse_forward_kl,
    sparse_generalized_js,
    sparse_reverse_kl,
    top_k,
    total_variation,
)
from stillroom.core.errors import RecipeError

__all__ = [
    "FLOOR",
    "IGNORED_LABEL",
    "OBJECTIVES",
    "TopK",
    "cross_entropy",
    "forward_kl",
    "generalized_js",
    "hidden_alignment",
    "huber",
    "pinball",
    "quantile_match",
    "reverse_kl",
    "skewed_forward_kl",
    "skewed_reverse_kl",
    "sparse_forward_kl",
    "sparse_generalized_js",
    "sparse_reverse_kl",
    "top_k",
    "total_variation",
    "weighted_sum",
]

OBJECTIVES: dict[str, Callable[..., Tensor]] = {
    objective.__name__: objective
    for objective in (
        cross_entropy,
        forward_kl,
        reverse_kl,
        skewed_forward_kl,
        skewed_reverse_kl,
        generalized_js,
        total_variation,
        sparse_forward_kl,
        sparse_reverse_kl,
        sparse_generalized_js,
        pinball,
        quantile_match,
        huber,
        hidden_alignment,
    )
}
"""Every objective by the name that a recipe gives it."""


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Return Σ weight · loss over the weights' names.

    A loss without a weight does not count; neither does one with weight 0, even if it is NaN.

    Raises
    ------
    RecipeError
        A weight names no loss, or no loss has a weight.
    """
    known = ", ".join(sorted(losses))
    for name in weights:
        if name not in losses:
            raise RecipeError(f"there is no loss {name!r} to weigh: there are {known}")
    terms = [weight * losses[name] for name, weight in weights.items() if weight != 0]
    if not terms:
        raise RecipeError(f"no loss has a weight: give one to at least one of {known}")
    return torch.stack(terms).sum()
