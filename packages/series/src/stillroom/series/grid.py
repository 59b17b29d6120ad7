"""Which timestamps a frequency means: stepping from a start, and finding the frequency and the step of timestamps.

A step is a fixed time, so many months, or so many business days, so everything is integer arithmetic on whole panels at
once. Knows no targets and no covariates.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.tseries import offsets

from stillroom.core.errors import DataError
from stillroom.series.seasons import to_offset

_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS_A_STEP = {"MS": 1, "ME": 1, "BMS": 1, "BME": 1, "QS": 3, "QE": 3, "BQS": 3, "BQE": 3,
                  "YS": 12, "YE": 12, "BYS": 12, "BYE": 12}  # fmt: skip


def steps_from(start: pd.Timestamp, freq: str, periods: int) -> pd.DatetimeIndex:
    """Give `periods` timestamps from `start` on, one step of `freq` apart.

    The start is kept: a monthly series that starts on the 1st stays on the 1st, whether its frequency is written "M",
    "ME" or "MS", and a weekly one keeps its weekday. Only a start that no such calendar passes through (business days
    from a Sunday) moves forward to the first that does. Far futures that nanoseconds cannot hold come in seconds.
    """
    offset = offset_through(start, freq)
    try:
        return pd.date_range(start, periods=periods, freq=offset, unit=start.unit)
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        return pd.date_range(start.as_unit("s"), periods=periods, freq=offset, unit="s")


def offset_through(start: pd.Timestamp, freq: str) -> offsets.BaseOffset:
    """Give the offset with the step of `freq` whose calendar passes through `start`."""
    offset = to_offset(freq)
    if offset.is_on_offset(start):
        return offset
    if isinstance(offset, offsets.Week):
        return offsets.Week(offset.n, weekday=start.weekday())
    months = _MONTHS_A_STEP.get(offset.name.split("-")[0], 0)
    if not months:
        return offset
    if start.day == 1:
        return offsets.MonthBegin(offset.n * months)
    if start.is_month_end:
        return offsets.MonthEnd(offset.n * months)
    if start == start + offsets.BMonthEnd(0):
        return offsets.BMonthEnd(offset.n * months)
    return pd.DateOffset(months=offset.n * months)


def positions(stamps: np.ndarray, starts: np.ndarray, freq: str) -> np.ndarray:
    """Count the steps from each row's start to its timestamp.

    A calendar passes through its start: months count from the 15th to the 15th, from month end to month end, or from
    business month end to business month end, each series by its own start.

    Parameters
    ----------
    stamps, starts
        datetime64, shape (rows,): a timestamp, and the first one of the same series.
    freq
        A pandas frequency string.

    Returns
    -------
    np.ndarray
        int64, shape (rows,); -1 where the timestamp is on no step.

    Raises
    ------
    DataError
        If the frequency is one whose steps cannot be counted here, such as business hours.
    """
    offset = to_offset(freq)
    name = offset.name.split("-")[0]
    stamps, starts = stamps.astype("M8[us]"), starts.astype("M8[us]")
    if name in _MONTHS_A_STEP:
        steps = stamps.astype("M8[M]").astype(np.int64) - starts.astype("M8[M]").astype(np.int64)
        size, fits = offset.n * _MONTHS_A_STEP[name], _same_phase(stamps, starts)
    elif isinstance(offset, offsets.BusinessDay) and name == "B":
        days, first = stamps.astype("M8[D]"), starts.astype("M8[D]")
        steps, size = np.busday_count(first, days), offset.n
        fits = np.is_busday(days) & np.is_busday(first) & (stamps - days == starts - first)
    elif isinstance(offset, offsets.Tick | offsets.Week) and offset != offsets.Nano(offset.n):
        step = pd.Timedelta(days=7 * offset.n) if isinstance(offset, offsets.Week) else pd.Timedelta(offset.nanos)
        steps, size = (stamps - starts).astype(np.int64), step // pd.Timedelta(microseconds=1)
        fits = np.ones(len(stamps), dtype=bool)
    else:
        raise DataError(
            f"Series of frequency {freq!r} cannot be read: use ticks, days, business days, weeks or months."
        )
    return np.where(fits & (steps % size == 0) & (steps >= 0), steps // size, -1)


def infer_freq(stamps: np.ndarray, first: np.ndarray) -> str | None:
    """Find the frequency of whole series by the most common distance between neighbours; gaps do not disturb it.

    Whether every row is on that frequency is for `positions` to say.

    Parameters
    ----------
    stamps
        datetime64, shape (rows,), rising within each series.
    first
        bool, shape (rows,): true at the first row of each series.

    Returns
    -------
    str or None
        In pandas' names, anchored where the calendar needs it ("W-MON", "QS-OCT"); None if no series has two rows.
    """
    stamps = stamps.astype("M8[us]")
    within = ~first[1:]
    gaps = np.diff(stamps)[within].astype(np.int64)
    if not len(gaps):
        return None
    day = 86_400_000_000
    if (gaps % day).any():
        return to_offset(pd.Timedelta(_most_common(gaps), unit="us")).freqstr  # type: ignore[arg-type]
    if gaps.min() >= 28 * day and (letter := _month_phase(stamps, first)):
        months = _most_common(np.diff(stamps.astype("M8[M]").astype(np.int64))[within])
        month = int(stamps[0].astype("M8[M]").astype(np.int64)) % 12  # 0 is January
        if months % 12 == 0:
            return _times(months // 12, letter.replace("M", "Y"), _MONTHS[month])
        if months % 3 == 0:
            return _times(months // 3, letter.replace("M", "Q"), _MONTHS[month % 3 + 9])
        return _times(months, letter)
    days = _most_common(gaps) // day
    dates = stamps.astype("M8[D]")
    if not (gaps % (7 * day)).any():
        return _times(days // 7, "W", _WEEKDAYS[pd.Timestamp(dates[0]).weekday()])
    over_weekends = (np.busday_count(dates[:-1], dates[1:])[within] < gaps // day).any()
    if days == 1 and over_weekends and np.is_busday(dates).all():
        return "B"
    return _times(days, "D")


def _times(count: int, name: str, anchor: str | None = None) -> str:
    return f"{count if count > 1 else ''}{name}{'-' + anchor if anchor else ''}"


def _most_common(numbers: np.ndarray) -> int:
    values, counts = np.unique(numbers, return_counts=True)
    return int(values[counts.argmax()])


def _same_phase(stamps: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Are both at the same time of the same day of their months, counted from either end, in days or business days?"""
    here, there = _phases(stamps), _phases(starts)
    same_day = (here[0] == there[0]) | ((here[1:] == 0) & (there[1:] == 0)).any(axis=0)
    clock, clock_then = stamps - stamps.astype("M8[D]"), starts - starts.astype("M8[D]")
    return np.asarray(same_day & (clock == clock_then))


def _month_phase(stamps: np.ndarray, first: np.ndarray) -> str | None:
    """Name the monthly frequency that all stamps are on: MS, ME, BMS, BME; MS also for the same later day."""
    for name, days in zip(("MS", "ME", "BMS", "BME"), _phases(stamps), strict=True):
        if not days.any():
            return name
    starts = stamps[np.flatnonzero(first)[np.cumsum(first) - 1]]
    return "MS" if _same_phase(stamps, starts).all() else None


def _phases(stamps: np.ndarray) -> np.ndarray:
    """Days from the month's first day, last day, first business day and last business day, shape (4, rows)."""
    dates, months = stamps.astype("M8[D]"), stamps.astype("M8[M]")
    begin = months.astype("M8[D]")
    end = (months + 1).astype("M8[D]") - 1
    open_, close = np.busday_offset(begin, 0, roll="forward"), np.busday_offset(end, 0, roll="backward")
    return np.stack([dates - begin, end - dates, dates - open_, close - dates]).astype(np.int64)
