"""Muon for the matrices of a network, AdamW for all else, behind one optimizer.

Muon (Jordan 2024; scaled to AdamW's step size as in Liu et al. 2025, "Muon is Scalable for LLM Training", section 2.2)
needs far fewer steps from scratch than AdamW, which is what counts where steps are dear. Fine-tuning stays with AdamW:
its steps are what pre-trained weights are used to. This room knows parameters, not what they are for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def muon(model: nn.Module, learning_rate: float, weight_decay: float) -> MuonWithAdamW:
    """Build the optimizer for `model`: the weights of its linear layers go to Muon, everything else to AdamW.

    An output layer that is tied to an embedding counts as the embedding. Weight decay is for matrices only.
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    linear = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)} - embeddings
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return MuonWithAdamW(
        [parameter for parameter in trained if id(parameter) in linear],
        [parameter for parameter in trained if id(parameter) not in linear],
        learning_rate,
        weight_decay,
    )


class MuonWithAdamW(torch.optim.Optimizer):
    """Two optimizers that step together and share one learning rate.

    Parameters
    ----------
    matrices
        (out, in) weights, for Muon; its steps are scaled to the size of AdamW's.
    others
        Everything else, for AdamW without weight decay.
    """

    def __init__(
        self, matrices: list[nn.Parameter], others: list[nn.Parameter], learning_rate: float, weight_decay: float
    ) -> None:
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            part = torch.optim.Muon(
                matrices, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
            )
            self.parts.append(part)
        if others:
            adam = torch.optim.AdamW(others, lr=learning_rate, weight_decay=0.0, betas=(0.9, 0.98), fused=True)
            self.parts.append(adam)
        super().__init__([group for part in self.parts for group in part.param_groups], {})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move all parameters."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of both."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of both up again."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]  # loading replaced them
