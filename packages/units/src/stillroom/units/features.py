"""What the frozen network makes of a series, as a row of numbers that plain classifiers learn from.

Patches are brought to a number that the network is used to: a series of 24 steps would be three, in which nothing can
be seen. It looks at a series and at its changes from step to step, each as a whole and quarter by quarter.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from stillroom.core.progress import progress
from stillroom.core.seeds import seed_of
from stillroom.units.asking import answers
from stillroom.units.scaling import standardised

PATCHES = (32, 128)
"""The least and the most that the longest series of a set is brought to."""
QUARTERS = 4
"""Stretches of a series of which each has its own mean: in many sets it matters when something happens."""
TASK = "impute"
"""Whose prompt is in front: it asks for what is there, not for what comes."""
WIDEST = 40_000
"""Numbers a series, about; where variables are many, the features of each are projected by the same random matrix."""
FEWEST = 16
"""Numbers a variable at least."""


def pace_of(series: Sequence[np.ndarray], config: Any) -> float:
    """Return by what to multiply the lengths of all series of a set, so that the longest has some `PATCHES`."""
    longest = max(one.shape[1] for one in series)
    least, most = (patches * config.patch_size for patches in PATCHES)
    return float(np.clip(longest, min(least, config.max_length), min(most, config.max_length)) / longest)


def resampled(series: np.ndarray, steps: int) -> np.ndarray:
    """Bring a series (variables, time) to so many steps.

    More steps are interpolated linearly, and are missing where the nearest old one is; of fewer, each is the mean of
    what it covers, and missing where all of that is.
    """
    before = series.shape[1]
    if steps == before:
        return series
    seen = ~np.isnan(series)
    if steps > before:
        place = np.linspace(0, before - 1, steps)
        old = np.arange(before)
        rows = [
            np.interp(place, old[there], values[there]) if there.any() else np.full(steps, np.nan)
            for values, there in zip(series, seen, strict=True)
        ]
        return np.where(seen[:, np.rint(place).astype(int)], np.stack(rows), np.nan)
    edges = np.linspace(0, before, steps + 1)
    sums, counts = (_integral(part, edges) for part in (np.where(seen, series, 0.0), seen.astype(np.float64)))
    means: np.ndarray = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 1e-9)
    return means


def features(model: Any, series: Sequence[np.ndarray], pace: float) -> np.ndarray:
    """Describe every series.

    Parameters
    ----------
    model
        A `UnitsModel`, whose weights stay as they are.
    series
        Arrays (variables, time) of the same variables, NaN = missing.
    pace
        As `pace_of` found it for the series that were learned from.

    Returns
    -------
    np.ndarray
        (series, features), float32 and finite: for each variable the network's states of the series and of its
        changes, as mean, standard deviation and mean of each quarter; level and spread of the series, and its length.
    """
    limit = model.config.max_length
    shown = [resampled(one, min(max(round(one.shape[1] * pace), 1), limit)) for one in series]
    scaled = [standardised(one) for one in shown]
    views = [one.values for one in scaled]
    # the first change is unknown, so that both views have the same steps
    changes = [np.diff(values, axis=1, prepend=np.nan) for values in views]
    pooled: list[list[np.ndarray]] = [[] for _ in series]
    with progress("describing series", total=2 * len(series)) as advance:
        for view in (views, changes):
            for places, said in answers(model, view, task=TASK):
                for number, place in enumerate(places.tolist()):
                    variables, steps = view[place].shape
                    patches = -(-steps // model.config.patch_size)
                    own = said.hidden[number, :variables, said.hidden.shape[2] - patches :].float()
                    pooled[place].append(_pooled(own).cpu().numpy())
                advance(len(places))
    states = np.stack([np.concatenate(both, axis=1) for both in pooled])  # (series, variables, features)
    most = max(WIDEST // states.shape[1], FEWEST)
    if states.shape[2] > most:
        rng = np.random.default_rng(seed_of("projection", states.shape[2], most))
        states = states @ (rng.standard_normal((states.shape[2], most)) / np.sqrt(most)).astype(np.float32)
    level = np.stack([np.concatenate([one.loc, np.log(one.scale + 1e-12)], axis=1).ravel() for one in scaled])
    length = np.log([[one.shape[1]] for one in series])
    rows: np.ndarray = np.concatenate([states.reshape(len(series), -1), level, length], axis=1)
    return rows.astype(np.float32)


def _pooled(states: torch.Tensor) -> torch.Tensor:
    """(variables, patches, width) -> (variables, features); of fewer patches than quarters, some stand for several."""
    patches = states.shape[1]
    edges = np.linspace(0, patches, QUARTERS + 1)
    quarters = [
        states[:, int(first) : max(int(np.ceil(last)), int(first) + 1)].mean(dim=1) for first, last in pairwise(edges)
    ]
    return torch.cat([states.mean(dim=1), states.std(dim=1, unbiased=False), *quarters], dim=1)


def _integral(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Integrate a step function (variables, time) between each two edges: (variables, edges - 1)."""
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    old = np.arange(total.shape[1])
    return np.diff(np.stack([np.interp(edges, old, row) for row in total]), axis=1)
