"""Forward passes of the three families, turned into named losses: what adapting, distilling and pre-training share.

A batch is a dict of tensors, NaN = missing:

    context             (rows, time)      histories, left-padded with NaN
    target              (rows, horizon)   what followed; all NaN in rows that are covariates
    group_ids           (rows,)           Chronos-2 only: rows of one series share a number
    future_covariates   (rows, horizon)   Chronos-2 only: what is known of the future, NaN where nothing is
    teacher_…           stored targets, see `targets.py`; a live teacher is asked instead, once a batch

Losses are means in the student's own scale, where all series weigh alike. This module draws no data and moves no
weight; it works on a network with or without an adapter around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from stillroom.core.errors import ModelError
from stillroom.core.objectives import (
    TopK,
    cross_entropy,
    forward_kl,
    pinball,
    quantile_match,
    sparse_forward_kl,
)

Batch = dict[str, Tensor]


class Teacher(Protocol):
    """A teacher in memory."""

    def __call__(self, batch: Batch) -> Batch:
        """Say what the teacher says of a batch, under the names of stored targets."""


def quantile_losses(model: nn.Module, batch: Batch, teacher: Teacher | None = None) -> dict[str, Tensor]:
    """Losses of Chronos-Bolt or Chronos-2: `pinball` on what followed, `quantile_match` with what the teacher said.

    Both are in the normalised space of the student. Rows whose history is constant or missing do not count: the network
    scales them by nothing, cannot answer any better, and one jump after a constant would outweigh all other series.

    Parameters
    ----------
    batch
        The teacher's quantiles, if stored, are `teacher_quantiles` (rows, levels, horizon) at the student's levels and
        in the units of the context.
    """
    network = bare(model)
    horizon = batch["target"].shape[-1]
    predicted, scale = quantile_pass(model, batch, horizon)
    counts = scale.informative.unsqueeze(-1)  # (rows, 1)
    seen = torch.isfinite(batch["target"]) & counts
    wanted = scale.normalise(torch.nan_to_num(batch["target"]))
    losses = {"pinball": pinball(predicted, wanted, network.quantiles, seen)}
    said = batch if teacher is None else teacher(batch)
    if "teacher_quantiles" in said:
        taught = scale.normalise(said["teacher_quantiles"].to(predicted.device))
        losses["quantile_match"] = quantile_match(predicted, taught, counts.expand_as(seen))
    return losses


class Scale:
    """A student's own scaling of each row, computed from the context it reads."""

    def __init__(self, network: Any, context: Tensor) -> None:
        context = context[..., -network.chronos_config.context_length :]
        self._norm = network.instance_norm
        self._loc, self._scale = self._norm(context)[1]
        constant = self._scale.squeeze(-1) == self._norm.eps  # upstream's stand-in for a deviation of zero
        self.informative = torch.isfinite(context).any(dim=-1) & ~constant  # (rows,)

    def normalise(self, values: Tensor) -> Tensor:
        """Bring values (rows, …, horizon) in the units of the context into the network's normalised space."""
        shape = (-1, *[1] * (values.dim() - 1))
        normalised: Tensor = self._norm(values, (self._loc.view(shape), self._scale.view(shape)))[0]
        return normalised


def quantile_pass(model: nn.Module, batch: Batch, horizon: int) -> tuple[Tensor, Scale]:
    """Run Bolt or Chronos-2 and return its quantiles (rows, levels, horizon) in normalised space, and the scale.

    They are read off the output block: the forward pass returns them in the units of the context, which for a series
    of small changes around a large mean would lose them to single precision.
    """
    network = bare(model)
    context = batch["context"]
    said: list[Tensor] = []
    handle = network.output_patch_embedding.register_forward_hook(lambda *call: said.append(call[-1]))
    try:
        if hasattr(network.chronos_config, "output_patch_size"):
            patches = math.ceil(horizon / network.chronos_config.output_patch_size)
            extra = {name: batch[name] for name in ("group_ids", "future_covariates") if name in batch}
            model(context=context, num_output_patches=patches, **extra)
            # (rows, patches, levels · steps) -> (rows, levels, patches · steps); the last patch may reach too far
            quantiles = said[0].view(len(context), patches, network.num_quantiles, -1).transpose(1, 2).flatten(2)
        else:
            model(context=context)
            quantiles = said[0].view(len(context), network.num_quantiles, -1)
    finally:
        handle.remove()
    if quantiles.shape[-1] < horizon:
        raise ModelError(f"The model looks {quantiles.shape[-1]} steps ahead in one pass, not {horizon}.")
    return quantiles[..., :horizon], Scale(network, context)


def token_losses(model: nn.Module, batch: Batch, teacher: Teacher | None = None) -> dict[str, Tensor]:
    """Losses of Chronos-T5: `cross_entropy` on the tokens that followed, `forward_kl` to the teacher's distribution.

    Parameters
    ----------
    batch
        The teacher's logits, if live, are `teacher_logits` (rows, horizon, vocabulary); if stored, its likeliest tokens
        `teacher_indices` and `teacher_log_probs` (rows, horizon, k), and `teacher_tail` (rows, horizon).
    """
    logits, labels, seen = token_pass(model, batch)
    losses = {"cross_entropy": cross_entropy(logits, labels, seen)}
    said = batch if teacher is None else teacher(batch)
    if "teacher_logits" in said:
        losses["forward_kl"] = forward_kl(logits, said["teacher_logits"], seen)
    elif "teacher_indices" in said:
        top = TopK(said["teacher_indices"], said["teacher_log_probs"], said["teacher_tail"])
        losses["forward_kl"] = sparse_forward_kl(logits, top, seen)
    return losses


def token_pass(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Run T5 on the true past and future: logits (rows, horizon, vocabulary), labels and what counts (rows, horizon).

    Upstream's tokenizer also closes a full horizon with an end token, which no forecast ever asks for: it is left out.
    """
    from chronos.chronos import ChronosConfig

    config = ChronosConfig(**bare(model).config.chronos_config)
    tokenizer = config.create_tokenizer()
    target = batch["target"].cpu()  # the tokenizer's bins live on the CPU
    horizon = target.shape[-1]
    tokens, observed, scale = tokenizer.context_input_transform(batch["context"].cpu())
    whole = functional.pad(target, (0, config.prediction_length - horizon), value=math.nan)
    labels, seen = tokenizer.label_input_transform(whole, scale)
    device = batch["target"].device
    labels, seen = labels[:, :horizon].to(device), seen[:, :horizon].to(device)
    answer = model(
        input_ids=tokens.to(device),
        attention_mask=observed.long().to(device),
        labels=labels.masked_fill(~seen, -100),  # T5 shifts them into its decoder's input
    )
    return answer.logits, labels, seen


LOSSES: dict[str, Callable[..., dict[str, Tensor]]] = {
    "bolt": quantile_losses,
    "chronos2": quantile_losses,
    "t5": token_losses,
}


def bare(model: Any) -> Any:
    """The upstream network inside an adapter, or the network itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
