"""An exponential moving average of the weights: smoother than the weights themselves, and often better.

It does not know what the weights are for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class WeightAverage:
    """Averages of named parameters, moved a little towards them after each step.

    Parameters
    ----------
    parameters
        The tensors to follow, by name; the average starts as a copy of them.
    decay
        Share of the old average that stays each step, e.g. 0.999. Early on less of it stays, (1 + step) / (10 +
        step), or a short run would be judged by its starting weights (as in TensorFlow's ExponentialMovingAverage
        with `num_updates`).
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float) -> None:
        self.parameters = dict(parameters)
        self.decay = decay
        self.averages = {name: tensor.detach().clone() for name, tensor in self.parameters.items()}

    def update(self, step: int) -> None:
        """Move the averages towards the parameters after step number `step` (0, 1, …)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            live = [tensor.detach() for tensor in self.parameters.values()]
            torch._foreach_lerp_(list(self.averages.values()), live, 1 - decay)

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Let the parameters hold the averages within the body, and their own values again after it."""
        with torch.no_grad():
            own = {name: tensor.detach().clone() for name, tensor in self.parameters.items()}
            _copy(self.averages, self.parameters)
            try:
                yield
            finally:
                _copy(own, self.parameters)

    def settle(self) -> None:
        """Give the parameters the averages for good."""
        with torch.no_grad():
            _copy(self.averages, self.parameters)


def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, tensor in source.items():
        target[name].copy_(tensor)
