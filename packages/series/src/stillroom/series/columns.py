"""Reading one column of a user's long frame, or saying in one sentence what is wrong in it.

Rows are counted from 0, as in `frame.iloc[row]`. Knows single columns only; what they mean together `frames`
knows.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stillroom.core.errors import DataError

SINGLE = "series"  # the item_id of a frame that has no item_id column


def levels_as_columns(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Bring index levels of these names out as columns."""
    levels = [name for name in names if name in frame.index.names and name not in frame.columns]
    return frame.reset_index(level=levels) if levels else frame


def require(frame: pd.DataFrame, columns: Sequence[str], where: str) -> None:
    """Refuse a missing column, with the nearest name that is there."""
    there = [str(column) for column in frame.columns]
    for column in columns:
        if column not in frame.columns:
            lower = {name.lower(): name for name in there}
            near = difflib.get_close_matches(str(column).lower(), lower, n=1)
            meant = f" (did you mean {lower[near[0]]!r}?)" if near else ""
            raise DataError(f"There is no column {column!r} in {where}{meant}: its columns are {', '.join(there)}.")


def item_codes(frame: pd.DataFrame, item_id: str) -> tuple[np.ndarray, list[str | int]]:
    """Number the items by first appearance; integers stay integers, anything else is a string."""
    if item_id not in frame.columns:
        return np.zeros(len(frame), dtype=np.int64), [SINGLE]
    codes, ids = pd.factorize(frame[item_id])
    if (codes < 0).any():
        raise DataError(f"Row {np.argmax(codes < 0)} has no {item_id!r}: every row must say which series it is of.")
    return codes, [int(i) if isinstance(i, int | np.integer) else str(i) for i in ids]


def timestamps(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Read timestamps of any kind as datetime64 without a time zone."""
    raw = frame[column]
    if isinstance(raw.dtype, pd.PeriodDtype):
        raw = raw.dt.to_timestamp()
    if pd.api.types.is_numeric_dtype(raw.dtype):
        raise DataError(
            f"Column {column!r} holds numbers, not timestamps: turn them into dates first, "
            "for years with pd.to_datetime(frame[column], format='%Y')."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no common format, mixed time zones: what cannot be read is said below
        times = pd.to_datetime(raw, errors="coerce")
        if times.dtype == object:  # strings of several time zones
            times = pd.to_datetime(raw, errors="coerce", utc=True)
        if times.isna().any():  # dates among times, as spreadsheets write midnight
            times = pd.to_datetime(raw, errors="coerce", format="ISO8601")
    if times.isna().any():
        row = int(np.argmax(times.isna()))
        raise DataError(
            f"The timestamp {raw.iloc[row]!r} in row {row} cannot be read: write 2020-01-31 or 2020-01-31 13:00:00."
        )
    if times.dt.tz is not None:
        wall = times.dt.tz_localize(None)
        on_days = (wall == wall.dt.normalize()).all()
        times = wall if on_days else times.dt.tz_convert(None)
    return times.to_numpy()


def values_of(frame: pd.DataFrame, column: str, *, must: bool) -> np.ndarray:
    """Read a column as float64, or as objects where it holds no numbers and need not (categories)."""
    raw = frame[column]
    if not pd.api.types.is_numeric_dtype(raw.dtype):
        numbers = pd.to_numeric(raw.astype(object), errors="coerce")
        bad = numbers.isna() & raw.notna()
        if bad.any() and not must:
            return raw.astype(object).where(raw.notna(), None).to_numpy()
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(f"{column!r} must be numbers, but row {row} holds {raw.iloc[row]!r}.")
        raw = numbers
    values = raw.to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isinf(values).any():
        row = int(np.argmax(np.isinf(values)))
        raise DataError(f"{column!r} is infinite in row {row}: leave the value empty if it is missing.")
    return values


def constants(
    column: pd.Series, rows: np.ndarray, codes: np.ndarray, begins: np.ndarray, ids: list[str | int]
) -> list[Any]:
    """Take one value an item from a column that must not change within it."""
    kinds = pd.factorize(column)[0][rows]
    change = kinds != kinds[begins][codes]
    if change.any():
        i = int(np.argmax(change))
        raise DataError(
            f"Static covariate {column.name!r} changes within item {ids[codes[i]]!r} (row {rows[i]}): it must have one "
            "value a series."
        )
    return list(column.iloc[rows[begins]].tolist())
