"""Which timestamps a frequency means: stepping from a start, and finding the frequency and the step of timestamps.

A step is a fixed time, so many months, or so many business days, so everything is integer arithmetic on whole panels at
once. Knows no targets and no covariates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.tseries import offsets

from stillroom.core.errors import DataError
from stillroom.series.seasons import to_offset

_DAY = 86_400_000_000  # microseconds
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS_A_STEP = {"MS": 1, "ME": 1, "BMS": 1, "BME": 1, "QS": 3, "QE": 3, "BQS": 3, "BQE": 3,
                  "YS": 12, "YE": 12, "BYS": 12, "BYE": 12}  # fmt: skip


def steps_from(start: pd.Timestamp, freq: str, periods: int, *, skip: int = 0) -> pd.DatetimeIndex:
    """Give `periods` timestamps, one step of `freq` apart, `skip` steps after `start`.

    The start is kept: a monthly series that starts on the 1st stays on the 1st, whether its frequency is written "M",
    "ME" or "MS", and a weekly one keeps its weekday. Only business days that start on a weekend move to the Monday. Far
    futures that nanoseconds cannot hold come in seconds.
    """
    offset = to_offset(freq)
    begin = np.datetime64(start.as_unit("us"))
    steps = np.arange(skip, skip + periods) * offset.n
    if (size := _months_a_step(offset)) is not None:
        stamps = _days_of_months(begin, begin.astype("M8[M]") + steps * size, offset) + (begin - begin.astype("M8[D]"))
    elif isinstance(offset, offsets.BusinessDay) and offset.name == "B":
        day = begin.astype("M8[D]")
        stamps = np.busday_offset(day, steps, roll="forward") + (begin - day)
    elif (length := _microseconds(offset)) is not None:
        stamps = begin + np.arange(skip, skip + periods) * np.timedelta64(length, "us")
    else:
        return pd.date_range(start, periods=skip + periods, freq=offset)[skip:]
    index = pd.DatetimeIndex(stamps)
    try:
        return index.as_unit(start.unit)
    except pd.errors.OutOfBoundsDatetime:
        return index.as_unit("s")


def join(parts: Sequence[pd.DatetimeIndex]) -> np.ndarray:
    """Put timestamps end to end as datetime64, in seconds if some of them had to be."""
    arrays = [part.to_numpy() for part in parts]
    if len({array.dtype for array in arrays}) > 1:
        arrays = [array.astype("M8[s]") for array in arrays]
    return np.concatenate(arrays) if arrays else np.empty(0, "M8[ns]")


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
    stamps, starts = stamps.astype("M8[us]"), starts.astype("M8[us]")
    if (size := _months_a_step(offset)) is not None:
        steps = stamps.astype("M8[M]").astype(np.int64) - starts.astype("M8[M]").astype(np.int64)
        size, fits = offset.n * size, _same_phase(stamps, starts)
    elif isinstance(offset, offsets.BusinessDay) and offset.name == "B":
        days, first = stamps.astype("M8[D]"), starts.astype("M8[D]")
        steps, size = np.busday_count(first, days), offset.n
        fits = np.is_busday(days) & np.is_busday(first) & (stamps - days == starts - first)
    elif (size := _microseconds(offset)) is not None:
        steps, fits = (stamps - starts).astype(np.int64), np.ones(len(stamps), dtype=bool)
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
    if (gaps % _DAY).any():
        return to_offset(pd.Timedelta(_most_common(gaps), unit="us")).freqstr
    if gaps.min() >= 28 * _DAY and (letter := _month_phase(stamps, first)):
        months = _most_common(np.diff(stamps.astype("M8[M]").astype(np.int64))[within])
        month = int(stamps[0].astype("M8[M]").astype(np.int64)) % 12  # 0 is January
        if months % 12 == 0:
            return _times(months // 12, letter.replace("M", "Y"), _MONTHS[month])
        if months % 3 == 0:
            return _times(months // 3, letter.replace("M", "Q"), _MONTHS[month % 3 + 9])
        return _times(months, letter)
    days = _most_common(gaps) // _DAY
    dates = stamps.astype("M8[D]")
    if not (gaps % (7 * _DAY)).any():
        return _times(days // 7, "W", _WEEKDAYS[pd.Timestamp(dates[0]).weekday()])
    over_weekends = (np.busday_count(dates[:-1], dates[1:])[within] < gaps // _DAY).any()
    if days == 1 and over_weekends and np.is_busday(dates).all():
        return "B"
    return _times(days, "D")


def _months_a_step(offset: offsets.BaseOffset) -> int | None:
    return _MONTHS_A_STEP.get(offset.name.split("-")[0])


def _microseconds(offset: offsets.BaseOffset) -> int | None:
    """How long a step of fixed length is; None for calendars, and for nanoseconds, which nothing here counts."""
    if isinstance(offset, offsets.Week):
        return offset.n * 7 * _DAY
    return offset.nanos // 1000 if isinstance(offset, offsets.Tick) and offset.nanos % 1000 == 0 else None


def _days_of_months(begin: np.datetime64, months: np.ndarray, offset: offsets.BaseOffset) -> np.ndarray:
    """Find in each month the day that is to it what `begin` is to its own."""
    first, last = months.astype("M8[D]"), (months + 1).astype("M8[D]") - 1
    phases = _phases(np.array([begin]))[:, 0]
    code = offset.name.split("-")[0]
    own = 2 * code.startswith("B") + code.endswith("E")  # the calendar of the frequency itself, where begin is on it
    for calendar in (own, 0, 1, 2, 3):
        if phases[calendar] == 0:
            bound = last if calendar % 2 else first
            if calendar < 2:
                return bound
            return np.asarray(np.busday_offset(bound, 0, roll="backward" if calendar % 2 else "forward"))
    return np.asarray(np.minimum(first + phases[0], last))


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
