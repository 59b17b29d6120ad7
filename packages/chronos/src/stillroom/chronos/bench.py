"""The Chronos families as the benchmark sees them: who claims a folder or hub id, and how it is loaded."""

from __future__ import annotations

from stillroom.chronos.families import claims, load
from stillroom.core.protocols import Forecaster
from stillroom.core.registry import ModelFamily

family = ModelFamily(load=load, claims=claims, can=(Forecaster,))
