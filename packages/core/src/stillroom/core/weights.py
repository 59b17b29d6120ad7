"""The tensors that training moves, to a file and back: with an adapter, the adapter alone.

What is frozen is not written, it comes back with the model itself. It does not know how the tensors are moved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stillroom.core.average import WeightAverage
from stillroom.core.errors import ModelError

IMPORTANCES = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # what AdaLoRA remembers of each weight, as PEFT names it


def trained(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that require gradients, by name; a parameter with two names once."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def write(file: Path, model: nn.Module, average: WeightAverage | None = None) -> None:
    """Write all of the model that training may move, and the moving average of its weights."""
    content = {
        "weights": {name: tensor.detach() for name, tensor in _moving(model).items()},
        "averages": None if average is None else average.averages,
        "allocation": _allocation(model),
    }
    torch.save(content, file)


def read(file: Path, model: nn.Module, average: WeightAverage | None = None) -> None:
    """Put back what `write` wrote, bit for bit, in place.

    Raises
    ------
    ModelError
        The file was written of a model with other weights.
    """
    content = torch.load(file, map_location="cpu", weights_only=True)
    moving = _moving(model)
    if {name: tensor.shape for name, tensor in content["weights"].items()} != {n: t.shape for n, t in moving.items()}:
        raise ModelError(f"{file.parent} holds the weights of another model; train this one in another folder")
    with torch.no_grad():
        for name, tensor in content["weights"].items():
            moving[name].copy_(tensor)
        if average is not None:
            for name, tensor in content["averages"].items():
                average.averages[name].copy_(tensor)
    _set_allocation(model, content["allocation"])


def _moving(model: nn.Module) -> dict[str, Tensor]:
    kept = model.state_dict().keys()  # without the buffers that a model makes anew
    return trained(model) | {name: buffer for name, buffer in model.named_buffers() if name in kept}


def _allocation(model: nn.Module) -> dict[str, Any] | None:
    """Return what AdaLoRA knows besides its weights: their importances, and which ranks are left."""
    allocator: Any = getattr(getattr(model, "base_model", None), "rankallocator", None)
    if allocator is None:
        return None
    return {name: getattr(allocator, name) for name in IMPORTANCES} | {"ranks": allocator.peft_config.rank_pattern}


def _set_allocation(model: nn.Module, saved: dict[str, Any] | None) -> None:
    allocator: Any = getattr(getattr(model, "base_model", None), "rankallocator", None)
    if allocator is not None and saved is not None:
        for name in IMPORTANCES:
            setattr(allocator, name, {key: value.to(_device(model)) for key, value in saved[name].items()})
        allocator.peft_config.rank_pattern = saved["ranks"]


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
