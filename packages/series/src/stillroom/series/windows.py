"""Cutting a panel into histories to forecast from and truths to judge by.

A model is handed a `Window` and nothing else, so it cannot see the truth; only covariates that were declared as known
for the future reach over the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from stillroom.core.errors import DataError, RecipeError
from stillroom.series.grid import steps_from
from stillroom.series.panel import Item, Panel
from stillroom.series.seasons import season_length as season_of
from stillroom.series.seasons import to_offset


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
    offset: int | datetime | None = None,
    season_length: int | None = None,
    min_context: int | None = None,
    max_context: int | None = None,
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
        Where the first truth starts: counted from each series' end if negative, from its beginning if positive; or
        after a time, which is the last that may be seen. Default: so that the last truth ends where the series ends.
    season_length
        Default: that of the panel's frequency (1 where it is unknown).
    min_context
        Leave a series out of the windows that have fewer steps than this before them, or fewer than
        `prediction_length` to judge by. Default: refuse such a series.
    max_context
        Keep only so many of the last steps before a window.

    Returns
    -------
    list of (Window, np.ndarray)
        The earliest window first; each truth has the shape (items, targets, prediction_length). With `min_context`,
        not every item need be in every window.

    Raises
    ------
    RecipeError
        If the numbers do not fit together.
    DataError
        If a series is too short to leave at least one step of history, or with `min_context` all of them are.
    """
    step = prediction_length if step is None else step
    for name, number in (
        ("prediction_length", prediction_length),
        ("windows", windows),
        ("step", step),
        ("min_context", min_context),
        ("max_context", max_context),
    ):
        if number is not None and number < 1:
            raise RecipeError(f"{name} must be at least 1, not {number}.")
    reach = prediction_length + (windows - 1) * step
    first = -reach if offset is None else offset
    if isinstance(first, int) and -reach < first <= 0:
        raise RecipeError(
            f"offset {first} leaves no room for {windows} windows of {prediction_length} steps: use {-reach} or less."
        )
    if not panel.items:
        raise DataError("There are no series to cut.")
    season = season_of(panel.freq) if season_length is None else season_length
    cuts = []
    for number in range(windows):
        items, truths = [], []
        for item, seen in zip(panel, _seen(panel, first, number * step), strict=True):
            after = item.length - seen
            if seen >= (min_context or 1) and after >= prediction_length:
                begin = max(seen - max_context, 0) if max_context else 0
                items.append(_between(panel, item, begin, seen, prediction_length))
                truths.append(item.target[:, seen : seen + prediction_length])
            elif min_context is None:
                raise DataError(_too_short(panel, item, seen, first, reach))
        if not items:
            raise DataError(
                f"Every series is too short for window {number + 1}: none has {min_context} steps before it and "
                f"{prediction_length} in it."
            )
        past = Panel(tuple(items), panel.freq, panel.targets)
        cuts.append((Window(past, prediction_length, season), np.stack(truths)))
    return cuts


def _seen(panel: Panel, first: int | datetime, later: int) -> list[int]:
    """Count the steps of each item before a window, which begins `later` steps after the first one."""
    if isinstance(first, int):
        return [first + later if first > 0 else item.length + first + later for item in panel]
    last = pd.Timestamp(first)
    if later:
        if panel.freq is None:
            raise RecipeError("Windows that follow a time need a frequency: give freq=….")
        last += later * to_offset(panel.freq)  # as fev counts: the first step may be shorter, onto the calendar
    return [int(panel.timestamps(item).searchsorted(last, side="right")) for item in panel]


def _too_short(panel: Panel, item: Item, seen: int, first: int | datetime, reach: int) -> str:
    """Say which series cannot be cut, and what it would need."""
    advice = "drop it, or ask for fewer windows or a shorter horizon."
    if isinstance(first, int):
        item = min(panel, key=lambda item: item.length)
        least = 1 - first if first < 0 else first + reach
        return f"Item {item.item_id!r} has {item.length} steps, but these windows need at least {least}: {advice}"
    return (
        f"Item {item.item_id!r} has {seen} steps before a window and {item.length - seen} after it begins, which is "
        f"too little to cut windows after {first}: {advice}"
    )


def _between(panel: Panel, item: Item, begin: int, seen: int, horizon: int) -> Item:
    """Keep the steps from `begin` to a window, and known covariates until the end of the horizon."""
    start = item.start
    if start is not None and begin:
        start = steps_from(start, panel.freq or "D", 1, skip=begin)[0]
    return Item(
        item.item_id,
        start,
        item.target[:, begin:seen],
        {name: values[begin:seen] for name, values in item.past.items()},
        {name: values[begin : seen + horizon] for name, values in item.known.items()},
        item.static,
    )
