"""Cutting a panel into histories to forecast from and truths to judge by.

A model is handed a `Window` and nothing else, so it cannot see the truth; only covariates that were declared as known
for the future reach over the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stillroom.core.errors import DataError, RecipeError
from stillroom.series.panel import Item, Panel
from stillroom.series.seasons import season_length as season_of


@dataclass(frozen=True, eq=False)
class Window:
    """What a forecaster may see, and how far it must look.

    Parameters
    ----------
    past
        The history of every item. Its `known` covariates have `prediction_length` more steps than the history.
    prediction_length
        Steps to forecast.
    season_length
        Steps in a season, for baselines and for scaled metrics.
    """

    past: Panel
    prediction_length: int
    season_length: int

    def histories(self) -> list[np.ndarray]:
        """List every target's history, item by item: the `past` that `metrics.evaluate` takes, items x targets long."""
        return [row for item in self.past for row in item.target]


def cut(
    panel: Panel,
    prediction_length: int,
    *,
    windows: int = 1,
    step: int | None = None,
    offset: int | None = None,
    season_length: int | None = None,
) -> list[tuple[Window, np.ndarray]]:
    """Cut a panel into windows and their truths.

    Parameters
    ----------
    panel
        Series to cut; they may have different lengths, and each is cut from its own end.
    prediction_length
        Steps in each truth.
    windows
        How many windows.
    step
        Steps between the starts of two truths; default `prediction_length`, so that no truth is judged twice.
    offset
        Where the first truth starts, negative and counted from each series' end; default: so that the last truth ends
        where the series ends.
    season_length
        Default: that of the panel's frequency (1 where it is unknown).

    Returns
    -------
    list of (Window, np.ndarray)
        The earliest window first; each truth has the shape (items, targets, prediction_length).

    Raises
    ------
    RecipeError
        If the numbers do not fit together.
    DataError
        If a series is too short to leave at least one step of history.
    """
    step = prediction_length if step is None else step
    for name, number in (("prediction_length", prediction_length), ("windows", windows), ("step", step)):
        if number < 1:
            raise RecipeError(f"{name} must be at least 1, not {number}.")
    reach = prediction_length + (windows - 1) * step
    first = -reach if offset is None else offset
    if -first < reach:
        raise RecipeError(
            f"offset {first} leaves no room for {windows} windows of {prediction_length} steps: use {-reach} or less."
        )
    if not panel.items:
        raise DataError("There are no series to cut.")
    shortest = min(panel, key=lambda item: item.length)
    if shortest.length <= -first:
        raise DataError(
            f"Item {shortest.item_id!r} has {shortest.length} steps, but these windows need at least {1 - first}: "
            "drop it, or ask for fewer windows or a shorter horizon."
        )
    season = season_of(panel.freq) if season_length is None else season_length
    return [
        (
            Window(_until(panel, begin, prediction_length), prediction_length, season),
            np.stack([_slice(item.target, begin, prediction_length) for item in panel]),
        )
        for begin in range(first, first + windows * step, step)
    ]


def _slice(values: np.ndarray, begin: int, length: int) -> np.ndarray:
    """Take `length` steps from `begin` (negative, from the end)."""
    begin += values.shape[-1]
    return values[..., begin : begin + length]


def _until(panel: Panel, begin: int, horizon: int) -> Panel:
    """Keep what was there before `begin`, and known covariates until the end of the horizon."""
    items = []
    for item in panel:
        now = item.length + begin
        items.append(
            Item(
                item.item_id,
                item.start,
                item.target[:, :now],
                {name: values[:now] for name, values in item.past.items()},
                {name: values[: now + horizon] for name, values in item.known.items()},
                item.static,
            )
        )
    return Panel(tuple(items), panel.freq, panel.targets)
