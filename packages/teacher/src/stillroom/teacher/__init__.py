"""Label data with a large model: each answer paid for once, within a hard budget.

>>> from stillroom.teacher import Prompt, label

Names are imported when they are first used, so that importing the package brings no client and no template engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {"Prompt": "prompt", "label": "labelling"}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
