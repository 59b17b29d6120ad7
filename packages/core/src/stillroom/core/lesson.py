"""One lesson: the student, its teacher and the losses between them as a single module.

Processes that share a run then share gradients whatever the losses call, not only the student's `forward`. It does
not know what the losses are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from stillroom.core.errors import RecipeError

Losses = Callable[[nn.Module, Any, Any], dict[str, Tensor]]
"""losses(model, batch, teacher) -> named, unweighted scalar losses."""


class Lesson(nn.Module):
    """Maps a batch to its named losses.

    The teacher is out of torch's sight: it is neither trained, nor copied, nor put into training mode.

    Parameters
    ----------
    model, losses, teacher
        The losses are called as losses(model, batch, teacher).
    device, precision
        With "bf16" they run under autocast on a device of this type.
    """

    def __init__(self, model: nn.Module, losses: Losses, teacher: Any, *, device: str, precision: str) -> None:
        super().__init__()
        self.model = model
        self.compute = lambda batch: losses(model, batch, teacher)
        self.device, self.halved = device, precision == "bf16"

    def forward(self, batch: Any) -> dict[str, Tensor]:  # noqa: D102
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.halved):
            named: dict[str, Tensor] = self.compute(batch)  # type: ignore[no-untyped-call]
            return named


def frozen(teacher: Any, student: nn.Module, device: torch.device) -> Any:
    """Return the teacher ready to teach: on the device, in eval mode, without gradients; what is no module, as it is.

    Raises
    ------
    RecipeError
        It shares weights with the student, which would then not train, or would drag its teacher along.
    """
    if not isinstance(teacher, nn.Module):
        return teacher
    if {id(parameter) for parameter in teacher.parameters()} & {id(parameter) for parameter in student.parameters()}:
        raise RecipeError("the teacher shares weights with the student and would be trained with it; give a copy of it")
    return teacher.requires_grad_(False).eval().to(device)
