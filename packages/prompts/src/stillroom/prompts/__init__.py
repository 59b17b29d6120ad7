"""Compress prompts with LLMLingua-2 token classifiers: verbatim, exact to a word, several times faster.

>>> from stillroom.prompts import Compressor

Names are imported when they are first used, so that importing the package brings no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {"Compressed": "compressed", "Compressor": "compressor"}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
