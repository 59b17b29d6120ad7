"""Forecast, classify, impute and detect with one small model, behind one API.

>>> from stillroom.units import UnitsClassifier, adapt, distill, load

Names are imported when they are first used, so that importing the package brings no torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_HOMES = {
    "AdaptRecipe": "recipe",
    "Adapted": "adapt",
    "DistillRecipe": "recipe",
    "Distilled": "distill",
    "PretrainRecipe": "recipe",
    "Units": "units",
    "UnitsClassifier": "estimators",
    "UnitsConfig": "config",
    "UnitsDetector": "estimators",
    "UnitsForecaster": "estimators",
    "UnitsImputer": "estimators",
    "UnitsModel": "model",
    "adapt": "adapt",
    "distill": "distill",
    "load": "families",
    "pretrain": "pretrain",
}
__all__ = [*_HOMES]


class _Package(ModuleType):
    """Keeps `adapt` the function when Python, having imported the module of that name, would bind the module to it."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _HOMES.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
