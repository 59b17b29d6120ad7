"""Weights on disk in half precision, under a config that loads them as float32: half the size, and as fast on a CPU.

It knows nothing of what the weights do. Adapters, which are small, stay as they are (see `adapters.save`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stillroom.core.runs import write_atomic


def save_pretrained(model: Any, folder: str | Path, half: bool = True) -> None:
    """Write a model of transformers as its `save_pretrained` does; it is not changed.

    Parameters
    ----------
    half
        Weights as float16, where they fit; a weight that float16 cannot hold stays as it is. Either way they load as
        float32.
    """
    model.save_pretrained(folder, state_dict=halved(model.state_dict()) if half else None)
    path = Path(folder) / "config.json"
    write_atomic(path, json.dumps(json.loads(path.read_text()) | {"dtype": "float32"}, indent=2) + "\n")


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights as float16 where they fit; tied ones stay one tensor, else they would be written twice."""
    halves: dict[tuple[int, torch.Size], Tensor] = {}
    found = {}
    for name, tensor in weights.items():
        place = tensor.data_ptr(), tensor.shape
        if place not in halves:
            half = tensor.detach().half() if tensor.is_floating_point() else tensor
            halves[place] = half if bool(half.isfinite().all()) else tensor
        found[name] = halves[place]
    return found
