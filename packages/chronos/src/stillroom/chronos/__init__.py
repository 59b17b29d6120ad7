"""Forecast with, adapt and distil Chronos-T5, Chronos-Bolt and Chronos-2, behind one API.

>>> from stillroom.chronos import adapt, distill, forecast, load

Names are imported when they are first used, so that importing the package brings no torch.
"""

from __future__ import annotations

from stillroom.core.lazy import on_first_use

_HOMES = {
    "AdaptRecipe": "recipe",
    "Adapted": "adapt",
    "ChronosModel": "model",
    "DistillRecipe": "recipe",
    "Distilled": "distill",
    "adapt": "adapt",
    "distill": "distill",
    "forecast": "forecast",
    "load": "families",
    "merge": "adapt",
}
__all__ = [*_HOMES]

on_first_use(__name__, _HOMES)
