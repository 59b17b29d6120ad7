"""What UniTS learns from: named losses of one batch, the very functions that the other families of models run.

    pinball, mse        what the model says, at every level and as a value, of steps that were hidden from it
    cross_entropy       what it says of a series' class
    quantile_match      the quantiles of a teacher, stored or asked live
    forward_kl          a live teacher's classes
    huber, hidden       a live teacher's values and hidden states

A batch is a mapping of one task:

    values              (rows, variables, time)            what the model sees, NaN = missing
    present             (rows, variables, time)            False = padding
    task                a text: whose prompt tokens stand in front
    truth               (rows, variables, time + horizon)  what there was, NaN = unknown
    asked               (rows, variables, time + horizon)  which steps of it count
    labels              (rows,)                            classes of the task by number
    teacher_quantiles   (rows, variables, horizon, levels) what a teacher said, in the units of the series

All that is learned of values is learned in the normalised space of the row's own variable, where series weigh alike.
This module draws no data, moves no weight, and works on a network with or without an adapter around it.

References
----------
Gao et al. (2024), UniTS: A Unified Multi-Task Time Series Model, arXiv 2403.00131, section 4.3; the quantiles and what
a teacher says are additions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stillroom.core.errors import ModelError
from stillroom.core.objectives import (
    IGNORED_LABEL,
    cross_entropy,
    forward_kl,
    hidden_alignment,
    huber,
    pinball,
    quantile_match,
)

Batch = Mapping[str, Any]

FAR = 20.0
"""Scales from a variable's location: a truth further away is no forecast's business, and would outweigh its batch."""


def losses(
    model: nn.Module,
    batch: Batch,
    teacher: nn.Module | None = None,
    *,
    smoothing: float = 0.0,
    temperature: float = 1.0,
    names: tuple[str, ...] | None = None,
) -> dict[str, Tensor]:
    """Return the losses that a batch has something for, as `DistillTrainer` calls them: losses(model, batch, teacher).

    Parameters
    ----------
    model
        A `UnitsModel`, bare or within an adapter.
    teacher
        A live one: another `UnitsModel` with the same tasks.
    smoothing
        Share of a label that is spread over all classes (Szegedy et al. 2016, section 7).
    temperature
        Of the classes' distributions in `forward_kl`, which is not weighed by its square here.
    names
        The losses to return, in every batch: 0 for those that it has nothing for. None: all that it has.

    Raises
    ------
    ModelError
        Student and teacher cut series into other patches, tell other classes apart, or have other quantiles.
    """
    values, present, task = batch["values"], batch.get("present"), batch["task"]
    horizon = _horizon(batch)
    said = model(values=values, present=present, horizon=horizon, task=task)
    levels = bare(model).config.quantiles
    found: dict[str, Tensor] = {}
    truth, counts = known(batch, said) or (None, None)
    if truth is not None:
        found["pinball"] = pinball(said.quantiles.transpose(-1, -2), truth, levels, counts)
        found["mse"] = 2 * huber(said.values, truth, counts, delta=2 * FAR)  # e² up to there, which no truth exceeds
    if "labels" in batch:
        found["cross_entropy"] = cross_entropy(said.class_logits, *_smoothed(batch["labels"], said, smoothing))
    if "teacher_quantiles" in batch:
        found["quantile_match"] = _stored_match(batch, said)
    if teacher is not None:
        with torch.no_grad():
            theirs = teacher(values=values, present=present, horizon=horizon, task=task)
        found |= _shown(said, theirs, counts, temperature)
        if names is None or "hidden" in names:
            found["hidden"] = _alike_in_relations(said, theirs)
    if names is not None:
        nothing = said.values.new_zeros(())
        found = {name: found.get(name, nothing) for name in names}
    return _touching_all(model, found)


def known(batch: Batch, said: Any) -> tuple[Tensor, Tensor] | None:
    """Return the truth in normalised space and which of it counts; None where a batch has none.

    Steps that were not asked for do not count, nor unknown ones, those that are `FAR` away, and those of variables
    whose observed values are missing or all the same: such a variable has no scale to measure an error by.

    Parameters
    ----------
    said
        What the model says of the batch: the truth is normalised as it normalised its input.

    Returns
    -------
    tuple of Tensor
        Both (rows, variables, time + horizon).
    """
    if "truth" not in batch:
        return None
    truth = (batch["truth"].float() - said.loc) / said.scale
    near = torch.nan_to_num(truth.abs(), nan=torch.inf) <= FAR
    return torch.nan_to_num(truth), batch["asked"] & near & varies(batch["values"])


def varies(values: Tensor) -> Tensor:
    """Say which variables have two different observed values: (rows, variables, 1) of (rows, variables, time)."""
    seen = torch.isfinite(values)
    highest = values.masked_fill(~seen, -torch.inf).amax(dim=-1, keepdim=True)
    lowest = values.masked_fill(~seen, torch.inf).amin(dim=-1, keepdim=True)
    return highest > lowest


def relations(hidden: Tensor, present: Tensor) -> Tensor:
    """Return how alike each two tokens of a variable are: cosines (…, tokens, tokens) of states (…, tokens, width).

    Networks of different widths can be compared by it without a projection, which would have to be trained, saved and
    thrown away. Tokens that are not present are like nothing.

    References
    ----------
    Tung and Mori (2019), Similarity-Preserving Knowledge Distillation, section 3, here with cosines between tokens.
    """
    directions = functional.normalize(hidden.float(), dim=-1).masked_fill(~present.unsqueeze(-1), 0.0)
    return directions @ directions.transpose(-1, -2)


def bare(model: Any) -> Any:
    """The network inside an adapter, or the network itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _horizon(batch: Batch) -> int:
    """The steps to look ahead, from whatever in the batch reaches over them."""
    if "truth" in batch:
        return int(batch["truth"].shape[-1] - batch["values"].shape[-1])
    return int(batch["teacher_quantiles"].shape[2]) if "teacher_quantiles" in batch else 0


def _smoothed(labels: Tensor, said: Any, smoothing: float) -> tuple[Tensor, Tensor]:
    """Labels as core's cross-entropy takes them, and which count."""
    counts = labels != IGNORED_LABEL
    if not smoothing:
        return labels, counts
    classes = said.class_logits.shape[-1]
    hard = functional.one_hot(labels.masked_fill(~counts, 0), classes).float()
    return (1 - smoothing) * hard + smoothing / classes, counts


def _stored_match(batch: Batch, said: Any) -> Tensor:
    told = batch["teacher_quantiles"].to(said.loc.device).float()
    taught = (told - said.loc.unsqueeze(-1)) / said.scale.unsqueeze(-1)  # (rows, variables, horizon, levels)
    near = torch.nan_to_num(taught.abs(), nan=torch.inf).amax(dim=-1) <= FAR
    ours = said.quantiles[:, :, said.quantiles.shape[2] - told.shape[2] :]
    taught = torch.nan_to_num(taught).transpose(-1, -2)
    return quantile_match(ours.transpose(-1, -2), taught, near & varies(batch["values"]))


def _shown(said: Any, theirs: Any, counts: Tensor | None, temperature: float) -> dict[str, Tensor]:
    """What a live teacher teaches: classes where the task has some, and values at the steps that were asked for."""
    found = {}
    if said.class_logits is not None:
        found["forward_kl"] = forward_kl(said.class_logits, theirs.class_logits, temperature=temperature)
    if counts is not None:
        found["huber"] = huber(said.values, theirs.values, counts)
        ours, others = said.quantiles.transpose(-1, -2), theirs.quantiles.transpose(-1, -2)
        found["quantile_match"] = quantile_match(ours, others, counts)
    return found


def _alike_in_relations(said: Any, theirs: Any) -> Tensor:
    """The hidden states' distance, token by token, in how alike they are to the other tokens of their variable."""
    if said.hidden.shape[:-1] != theirs.hidden.shape[:-1]:
        raise ModelError(
            f"The student makes {said.hidden.shape[2]} tokens of a series and the teacher {theirs.hidden.shape[2]}: "
            "give the student the teacher's patch_size, or leave the loss `hidden` out."
        )
    there = said.token_present
    return hidden_alignment(relations(said.hidden, there), relations(theirs.hidden, there), there)


def _touching_all(model: nn.Module, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Let every weight have a gradient, if only zero, where processes share them: each may have drawn another task."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return found
    weights = [weight.flatten()[:1].float() for weight in model.parameters() if weight.requires_grad]
    nothing = 0.0 * torch.cat(weights).sum()
    return {name: loss + nothing for name, loss in found.items()}
