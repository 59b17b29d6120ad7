"""Forecast, classify, impute and detect with one small model, behind one API.

>>> from stillroom.units import UnitsClassifier, adapt, distill, load

Names are imported when they are first used, so that importing the package brings no torch.
"""

from __future__ import annotations

from stillroom.core.lazy import on_first_use

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

on_first_use(__name__, _HOMES)
