"""What a teacher says of a training batch, be it asked anew each time or asked once and kept (`core.stored`).

Bolt students are taught quantiles, in the units of the series, at their own levels; T5 students the distribution over
the next token. Names and shapes are those that losses.py reads. Which batches there are, samples.py says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from stillroom.chronos.losses import Batch, token_pass
from stillroom.chronos.model import ChronosModel
from stillroom.core.objectives import top_k
from stillroom.series.panel import Item, Panel
from stillroom.series.windows import Window


@dataclass(frozen=True, eq=False)
class QuantileTeacher:
    """A teacher of any family that says the quantile paths of each row, at the student's levels.

    Its history is the batch's, however much of it the student reads.
    """

    kind = "quantiles"
    teacher: ChronosModel
    levels: tuple[float, ...]

    def __call__(self, batch: Batch) -> Batch:
        """Return `teacher_quantiles` (rows, levels, horizon) in the units of the context."""
        rows = batch["context"].cpu().numpy()
        items = tuple(Item(i, None, _observed(row)[None].astype(np.float64)) for i, row in enumerate(rows))
        window = Window(Panel(items, None), batch["target"].shape[-1], 1)
        quantiles = self.teacher.predict(window, self.levels)[:, 0].transpose(0, 2, 1)
        return {"teacher_quantiles": torch.from_numpy(np.ascontiguousarray(quantiles))}

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that the answer depends on besides the batch."""
        return {"teacher": self.teacher.fingerprint(), "seed": self.teacher.seed, "levels": self.levels}


@dataclass(frozen=True, eq=False)
class TokenTeacher:
    """A Chronos-T5 that says how likely each token is after the true ones before it.

    Parameters
    ----------
    k
        Keep the likeliest k tokens and one bucket for the rest, which is what is worth storing; None: all logits.
    """

    kind = "top_k"
    teacher: ChronosModel
    k: int | None = None

    def __call__(self, batch: Batch) -> Batch:
        """Return `teacher_logits`, or `teacher_indices`, `teacher_log_probs` and `teacher_tail`."""
        network, device = self.teacher.model, batch["context"].device
        with torch.no_grad():
            logits, _, _ = token_pass(network, {name: values.to(network.device) for name, values in batch.items()})
        logits = logits.to(device)
        if self.k is None:
            return {"teacher_logits": logits}
        top = top_k(logits, min(self.k, logits.shape[-1]))
        return {
            "teacher_indices": top.indices,
            "teacher_log_probs": top.log_probs,
            "teacher_tail": top.tail_log_prob,
        }

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that the answer depends on besides the batch."""
        return {"teacher": self.teacher.fingerprint(), "top_k": self.k}


def _observed(row: np.ndarray) -> np.ndarray:
    """A history without the NaN it was padded with on the left."""
    seen = np.flatnonzero(np.isfinite(row))
    return row[seen[0] :] if len(seen) else row[:0]
