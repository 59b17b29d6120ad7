"""Labelled series, changed a little so that their class is the same: noise, another pace, a cut, missing points.

Few data sets have more than some hundred series to learn from. All changes are free of scale, pure in their random
generator, and small: where a class hangs on a single value, more would do harm. It knows no label and no model.

References
----------
Um et al. (2017), Data augmentation of wearable sensor data, section 3: jitter, time-warping, cropping.
"""

from __future__ import annotations

import numpy as np

from stillroom.units import masks

CHANCE = 0.5
"""How often each of the changes is made."""
NOISE = 0.05
"""The most noise, in standard deviations of its variable."""
PACE = 0.2
"""How much faster or slower than in the series time may run at any place."""
KEPT = 0.8
"""The least share of a series that is left of it by a cut."""
MISSING = 0.1
"""The largest share of the values that goes missing."""
SHORTEST = 16
"""Steps under which nothing is cut off."""


def augmented(series: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a series (variables, time) with some changes; its length may be less."""
    pace, cut, noise, missing = rng.random(4) < CHANCE
    if pace:
        series = warped(series, rng)
    if cut:
        series = cropped(series, rng)
    if noise:
        series = jittered(series, rng)
    if missing:
        hidden = masks.points(np.isfinite(series), float(rng.uniform(0, MISSING)), rng)
        series = np.where(hidden, np.nan, series)
    return series


def jittered(series: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add white noise, the same share of every variable's standard deviation."""
    seen = np.isfinite(series)
    count = np.maximum(seen.sum(axis=1, keepdims=True), 1)
    values = np.where(seen, series, 0.0)
    centred = np.where(seen, values - values.sum(axis=1, keepdims=True) / count, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    noisy: np.ndarray = series + rng.uniform(0, NOISE) * deviation * rng.standard_normal(series.shape)
    return noisy


def warped(series: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let time run faster here and slower there, the same way for all variables; the ends stay where they are."""
    steps = series.shape[1]
    time = np.linspace(0.0, 1.0, steps)
    waves = np.pi * int(rng.integers(1, 4))
    moved = time + rng.uniform(-PACE, PACE) * np.sin(waves * time) / waves  # its slope is between 1 - PACE and 1 + PACE
    return np.stack([np.interp(moved, time, values) for values in series])


def cropped(series: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keep a stretch of the series, anywhere in it."""
    steps = series.shape[1]
    kept = max(int(np.ceil(rng.uniform(KEPT, 1.0) * steps)), min(SHORTEST, steps))
    start = int(rng.integers(steps - kept + 1))
    return series[:, start : start + kept]
