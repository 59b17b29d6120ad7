"""Objectives on values: quantile forecasts, points, hidden states.

Quantile forecasts are (..., levels, horizon), as Chronos-Bolt and Chronos-2 emit them. Every function returns a scalar:
the mean over the numbers that count. NaN stands for a missing value everywhere in Stillroom, but nothing is guessed
here: a NaN target that no mask takes out makes the loss NaN. It knows no scale: give it normalised values, or weights.
Users import these from `stillroom.core.objectives`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from stillroom.core.errors import ModelError
from stillroom.core.masked import counted, mean, widen


def pinball(quantiles: Tensor, target: Tensor, levels: Tensor | Sequence[float], mask: Tensor | None = None) -> Tensor:
    """Return the mean pinball (quantile) loss max(τ·e, (τ − 1)·e) with e = target − quantile.

    Half of what GluonTS and Chronos-Bolt call the quantile loss. Bolt's own loss also sums over the horizon: without
    missing values it is 2 · horizon · pinball.

    Parameters
    ----------
    quantiles
        (..., levels, horizon): the forecast.
    target
        (..., horizon): what happened.
    levels
        (levels,): the τ of each row of `quantiles`, in (0, 1).
    mask
        Shaped like `target`, or broadcastable to `quantiles`; True counts.

    References
    ----------
    Koenker and Bassett (1978), Regression Quantiles, section 2.
    """
    error = widen(target).unsqueeze(-2) - widen(quantiles)
    tau = torch.as_tensor(levels, dtype=error.dtype, device=error.device).unsqueeze(-1).expand_as(error)
    mask = _for_every_level(mask, quantiles)
    error, tau = counted(error, mask), counted(tau, mask)
    return mean(torch.maximum(tau * error, (tau - 1) * error))


def quantile_match(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean absolute difference between two quantile forecasts at the same levels.

    Over evenly spaced levels this is the 1-Wasserstein distance between the two predictive distributions at each step,
    in the units of the forecast: the same units as `pinball`, so that the two weigh alike.

    Parameters
    ----------
    student, teacher
        (..., levels, horizon), at the same levels in the same order.
    mask
        (..., horizon), the same for every level, or broadcastable to `student`; True counts.

    Raises
    ------
    ModelError
        The two forecasts differ in shape.

    References
    ----------
    Dabney et al. (2018), Distributional Reinforcement Learning with Quantile Regression, the Wasserstein metric as the
    distance between inverse CDFs.
    """
    if student.shape != teacher.shape:
        raise ModelError(
            f"the student's (…, levels, horizon) is {tuple(student.shape)} and the teacher's {tuple(teacher.shape)}: "
            "ask both for the same levels and the same prediction length"
        )
    difference = counted(widen(student) - widen(teacher), _for_every_level(mask, student))
    return mean(difference.abs())


def huber(prediction: Tensor, target: Tensor, mask: Tensor | None = None, delta: float = 1.0) -> Tensor:
    """Return the mean Huber loss: e²/2 up to |e| = delta, then delta·(|e| − delta/2).

    Parameters
    ----------
    prediction, target
        (...), the same shape.
    mask
        Broadcastable to `prediction`; True counts.
    delta
        Where squares give way to absolute values; 1 suits values normalised to unit scale.

    References
    ----------
    Huber (1964), Robust Estimation of a Location Parameter.
    """
    error = counted(widen(prediction) - widen(target), mask)
    return mean(functional.huber_loss(error, torch.zeros_like(error), reduction="none", delta=delta))


def hidden_alignment(
    student_hidden: Tensor,
    teacher_hidden: Tensor,
    mask: Tensor | None = None,
    projection: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Return the mean squared difference between hidden states.

    Parameters
    ----------
    student_hidden
        (..., student width): one layer of the student, at each token or patch.
    teacher_hidden
        (..., teacher width): the layer it should resemble, at the same places.
    mask
        Broadcastable to the places (...); True counts.
    projection
        Maps the student's width to the teacher's, usually a `torch.nn.Linear` that trains along and is thrown away.
        Needed where the widths differ.

    Raises
    ------
    ModelError
        The widths differ after projection.

    References
    ----------
    Jiao et al. (2020), TinyBERT, section 3.1, hidden-state distillation.
    """
    student, teacher = counted(student_hidden, mask, inner=1), counted(teacher_hidden, mask, inner=1)
    if projection is not None:
        student = projection(student)
    if student.shape != teacher.shape:
        raise ModelError(
            f"the student's hidden states are {student.shape[-1]} wide at {tuple(student_hidden.shape[:-1])} places, "
            f"the teacher's {teacher.shape[-1]} at {tuple(teacher_hidden.shape[:-1])}: "
            "give a projection between the widths, and the same places"
        )
    return mean((widen(student) - widen(teacher)).square())


def _for_every_level(mask: Tensor | None, quantiles: Tensor) -> Tensor | None:
    """Give a mask of the horizon the axis of levels, so that (batch, horizon) never broadcasts as (levels, horizon)."""
    if mask is not None and mask.dim() == quantiles.dim() - 1:
        return mask.unsqueeze(-2)
    return mask
