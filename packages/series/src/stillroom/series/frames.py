"""Long pandas frames in, panels out; forecasts in, long pandas frames out.

A long frame has one row a series and timestamp. What is wrong with it is said in one sentence that names the item and
the row, counted from 0 as in `frame.iloc[row]`. Knows no files: `intake` reads those.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stillroom.core.errors import DataError, RecipeError
from stillroom.series.columns import constants, item_codes, levels_as_columns, require, timestamps, values_of
from stillroom.series.grid import infer_freq, join, positions
from stillroom.series.panel import Item, Panel, id_column


def from_frame(
    frame: pd.DataFrame,
    *,
    item_id: str = "item_id",
    timestamp: str = "timestamp",
    targets: str | Sequence[str] | None = ("target",),
    past_covariates: Sequence[str] = (),
    known_covariates: Sequence[str] = (),
    static_covariates: Sequence[str] = (),
    freq: str | None = None,
    future_frame: pd.DataFrame | None = None,
) -> Panel:
    """Turn a long frame into a panel.

    Rows may come in any order; items keep the order of their first rows. Rows that a regular frequency would have and
    the frame has not become NaN, and one warning says how many. Timestamps with a time zone lose it: series on calendar
    days keep their wall clock, others go to UTC.

    Parameters
    ----------
    frame
        One row a series and timestamp; the two may also be index levels.
    item_id
        Column that tells series apart; a frame without it is one series.
    timestamp
        Column of dates, periods or strings that pandas can read.
    targets
        One or more numeric columns to forecast; None: all that are nothing else.
    past_covariates, known_covariates, static_covariates
        Columns known up to now, known for the future too, and constant within a series.
    freq
        A pandas frequency string; default: found from the timestamps.
    future_frame
        Rows of the same shape for the steps that follow each series, with the known covariates. Where it is given and
        `known_covariates` is not, every covariate in it is taken as known.

    Raises
    ------
    DataError
        For missing columns, empty frames, unreadable, duplicate or irregular timestamps, values that are not numbers,
        static covariates that change, and futures that do not follow the history.
    """
    frame = levels_as_columns(frame, [item_id, timestamp])
    if targets is None:
        others = {item_id, timestamp, *past_covariates, *known_covariates, *static_covariates}
        targets = [name for name in frame.select_dtypes("number").columns if name not in others]
        if not targets:
            raise DataError("The frame has no column of numbers to forecast.")
    targets = (targets,) if isinstance(targets, str) else tuple(targets)
    if future_frame is not None:
        future_frame = levels_as_columns(future_frame, [item_id, timestamp])
        if not known_covariates:
            known_covariates = [c for c in future_frame.columns if c not in (item_id, timestamp, *targets)]
    require(frame, [timestamp, *targets, *past_covariates, *known_covariates, *static_covariates], "the frame")
    if not len(frame):
        raise DataError("The frame has no rows: there is nothing to forecast.")

    codes, ids = item_codes(frame, item_id)
    codes, stamps, rows = _sort(codes, timestamps(frame, timestamp), np.arange(len(frame)))
    begins = np.flatnonzero(np.diff(codes, prepend=-1))  # each item's first row
    _refuse_duplicates(codes, stamps, rows, ids, None if item_id in frame else item_id)
    steps, freq = _steps(codes, stamps, rows, begins, ids, freq)

    lengths = _last(steps, begins) + 1
    ends = np.cumsum(lengths)
    place = (ends - lengths)[codes] + steps  # where each row goes when all items stand end to end, gaps left open
    missing = int(ends[-1]) - len(rows)
    if missing:
        gappy = int((lengths > np.bincount(codes)).sum())
        warnings.warn(
            f"{missing} missing rows in {gappy} of {len(ids)} series were filled with NaN (frequency {freq}).",
            stacklevel=2,
        )

    def read(column: str, *, must: bool = False) -> np.ndarray:
        values: np.ndarray = values_of(frame, column, must=must)[rows]
        if not missing:
            return values
        filled = np.full(ends[-1], None if values.dtype == object else np.nan, dtype=values.dtype)
        filled[place] = values
        return filled

    target = np.stack([read(name, must=True) for name in targets])
    past = {name: read(name) for name in past_covariates}
    known = {name: read(name) for name in known_covariates}
    static = {name: constants(frame[name], rows, codes, begins, ids) for name in static_covariates}
    starts = pd.DatetimeIndex(stamps[begins])
    future = {}
    if future_frame is not None:
        future = _future(future_frame, item_id, timestamp, known_covariates, ids, starts, lengths, freq)
    items = []
    for i, (begin, end) in enumerate(zip(ends - lengths, ends, strict=True)):
        items.append(
            Item(
                ids[i],
                starts[i],
                target[:, begin:end],
                {name: values[begin:end] for name, values in past.items()},
                {
                    name: np.append(values[begin:end], future[name][i] if future else [])
                    for name, values in known.items()
                },
                {name: values[i] for name, values in static.items()},
            )
        )
    return Panel(tuple(items), freq, targets)


def forecast_frame(
    panel: Panel,
    quantiles: np.ndarray,
    quantile_levels: Sequence[float],
    *,
    point: np.ndarray | None = None,
    item_id: str = "item_id",
    timestamp: str = "timestamp",
) -> pd.DataFrame:
    """Write forecasts as the long frame that upstream's `predict_df` gives: same columns, order and dtypes.

    Parameters
    ----------
    panel
        The history that was forecast.
    quantiles
        Shape (items, targets, horizon, levels).
    quantile_levels
        Each becomes a column named by its number ("0.1").
    point
        Shape (items, targets, horizon), the column `predictions`; default: the median, read off between the two nearest
        levels where 0.5 is not among them.
    item_id, timestamp
        Names of the first two columns.

    Returns
    -------
    pd.DataFrame
        item_id, timestamp, target_name, predictions and the levels; a block of `horizon` rows an item and target.
    """
    items, targets, horizon, levels = quantiles.shape
    if (items, targets, levels) != (len(panel), len(panel.targets), len(quantile_levels)):
        raise RecipeError(
            f"Forecasts of shape {quantiles.shape} do not fit {len(panel)} items, {len(panel.targets)} targets and "
            f"{len(quantile_levels)} levels."
        )
    if point is None:
        point = _median(quantiles, np.asarray(quantile_levels, np.float64))
    futures = [future for item in panel for future in [panel.future(item, horizon)] * targets]
    columns: dict[str, Any] = {
        item_id: np.repeat(id_column(panel.items), targets * horizon),
        timestamp: join(futures),
        "target_name": np.tile(np.repeat(np.array(panel.targets, dtype=object), horizon), items),
        "predictions": point.ravel(),
    }
    flat = quantiles.reshape(-1, levels)
    return pd.DataFrame(columns | {str(level): flat[:, i] for i, level in enumerate(quantile_levels)})


def _median(quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Read the level 0.5 off the two levels around it."""
    above = int(np.searchsorted(levels, 0.5 - 1e-9))
    if above == len(levels) or (above == 0 and not np.isclose(levels[0], 0.5)):
        raise RecipeError("Quantile levels on one side of 0.5 say no point forecast: add 0.5 to them.")
    if np.isclose(levels[above], 0.5):
        return quantiles[..., above]
    share = (0.5 - levels[above - 1]) / (levels[above] - levels[above - 1])
    median = (1 - share) * quantiles[..., above - 1] + share * quantiles[..., above]
    return np.asarray(median, dtype=quantiles.dtype)


def _sort(codes: np.ndarray, stamps: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bring rows into the order of items and time, unless they are."""
    step = np.diff(codes)
    if (step < 0).any() or ((step == 0) & (stamps[1:] < stamps[:-1])).any():
        rows = np.lexsort([stamps, codes])
        return codes[rows], stamps[rows], rows
    return codes, stamps, rows


def _last(values: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Take the last of each item's values."""
    return np.asarray(values[np.append(begins[1:], len(values)) - 1])


def _refuse_duplicates(
    codes: np.ndarray, stamps: np.ndarray, rows: np.ndarray, ids: list[str | int], lacking: str | None
) -> None:
    """Refuse two rows of one item and timestamp; in a frame that lacks an item column, guess why."""
    again = np.flatnonzero((codes[1:] == codes[:-1]) & (stamps[1:] == stamps[:-1]))
    if len(again):
        i = int(again[0])
        hint = (
            f"; if these are several series, name the column that tells them apart, not {lacking!r}" if lacking else ""
        )
        raise DataError(
            f"Rows {rows[i]} and {rows[i + 1]} of item {ids[codes[i]]!r} have the same timestamp "
            f"{pd.Timestamp(stamps[i])}{hint}."
        )


def _steps(
    codes: np.ndarray, stamps: np.ndarray, rows: np.ndarray, begins: np.ndarray, ids: list[str | int], freq: str | None
) -> tuple[np.ndarray, str]:
    """Count each row's steps from its item's start, by the frequency given or found."""
    found = freq or infer_freq(stamps, np.diff(codes, prepend=-1) > 0)
    if found is None:
        raise DataError("No series has two rows, so no frequency can be found: give one, such as freq='D'.")
    steps = positions(stamps, stamps[begins][codes], found)
    if (steps < 0).any():
        i = int(np.argmax(steps < 0))
        how = "the frequency given" if freq else "the commonest distance between rows; if it is another, give freq=…"
        raise DataError(
            f"Row {rows[i]} of item {ids[codes[i]]!r} ({pd.Timestamp(stamps[i])}) is irregular: it is on no step of "
            f"{found!r}, {how}."
        )
    if freq is None:
        _refuse_mixtures(steps, begins, ids, found)
    return steps, found


def _refuse_mixtures(steps: np.ndarray, begins: np.ndarray, ids: list[str | int], freq: str) -> None:
    """Refuse items that plainly have a coarser frequency than the one found, and frames that are nearly all gaps."""
    counts, last = np.diff(np.append(begins, len(steps))), _last(steps, begins)
    strides = np.diff(steps, append=0)
    strides[np.append(begins[1:], len(steps)) - 1] = np.iinfo(np.int64).max  # an item's last row has no next
    stride = np.minimum.reduceat(strides, begins)
    coarse = (counts >= 5) & (stride > 1) & (last == stride * (counts - 1))
    if coarse.any():
        i = int(np.argmax(coarse))
        raise DataError(
            f"Item {ids[i]!r} has a row every {stride[i]} steps of {freq!r}, which other items have: load series of "
            "different frequencies one by one, or give freq=… to fill the steps between with missing values."
        )
    if last.sum() > 100 * len(steps):
        raise DataError(
            f"Less than 1 % of the rows that frequency {freq!r} asks for are there: resample the rows, or give freq=…."
        )


def _future(
    frame: pd.DataFrame,
    item_id: str,
    timestamp: str,
    known: Sequence[str],
    ids: list[str | int],
    starts: pd.DatetimeIndex,
    lengths: np.ndarray,
    freq: str,
) -> dict[str, list[np.ndarray]]:
    """Read what is known of the steps after each series: name → one array an item."""
    require(frame, [timestamp, *known], "future_frame")
    own, names = item_codes(frame, item_id)
    where = {name: i for i, name in enumerate(ids)}
    strange = [name for name in names if name not in where]
    if strange or len(names) < len(ids):
        item = strange[0] if strange else next(name for name in ids if name not in set(names))
        has, lacks = ("future_frame", "the frame") if strange else ("The frame", "future_frame")
        raise DataError(f"{has} has item {item!r}, but {lacks} has not: both must have the same items.")
    codes = np.array([where[name] for name in names])[own]
    codes, stamps, rows = _sort(codes, timestamps(frame, timestamp), np.arange(len(frame)))
    begins = np.searchsorted(codes, np.arange(len(ids)))
    expected = np.arange(len(codes)) - begins[codes] + lengths[codes]
    off = positions(stamps, starts.to_numpy()[codes], freq) != expected
    if off.any():
        i = int(np.argmax(off))
        raise DataError(
            f"Row {rows[i]} of future_frame ({pd.Timestamp(stamps[i])}) must follow the history of item "
            f"{ids[codes[i]]!r} step by step (frequency {freq!r}), without gaps or repeats."
        )
    return {name: np.split(values_of(frame, name, must=False)[rows], begins[1:]) for name in known}
