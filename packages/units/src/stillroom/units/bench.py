"""UniTS as the benchmark sees it: who claims a folder or hub id, and how it is loaded. One model does all four jobs."""

from __future__ import annotations

from stillroom.core.protocols import Classifier, Detector, Forecaster, Imputer
from stillroom.core.registry import ModelFamily
from stillroom.units.families import claims, load

family = ModelFamily(load=load, claims=claims, can=(Forecaster, Classifier, Imputer, Detector))
