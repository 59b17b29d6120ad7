"""Which timestamps a frequency means: stepping from a start, and finding the frequency of given timestamps.

Everything is integer arithmetic on numpy datetimes, whole panels at once: a step is so many nanoseconds, months or
business days. Knows no targets and no covariates.
"""

from __future__ import annotations

import pandas as pd
from pandas.tseries import offsets

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
