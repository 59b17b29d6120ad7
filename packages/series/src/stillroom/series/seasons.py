"""What a season is: how many steps long for a frequency, and the forecast that repeats the last one.

Knows pandas' frequency strings, old ("M", "H", "15T") and new ("ME", "h", "15min"). Knows no series and no timestamps.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from stillroom.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# One step of each frequency → steps in the season that the field measures against (a day of hours, a year of months).
_SEASONS = {
    "s": 3600, "min": 1440, "h": 24, "D": 1, "B": 5, "W": 1,
    "MS": 12, "ME": 12, "BMS": 12, "BME": 12, "QS": 4, "QE": 4, "BQS": 4, "BQE": 4,
}  # fmt: skip


@cache  # parsing takes longer than a series' timestamps
def to_offset(freq: str) -> pd.tseries.offsets.BaseOffset:
    """Turn a frequency string, in pandas' old or new spelling, into an offset.

    Raises
    ------
    DataError
        If pandas does not know the string.
    """
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the old spellings are what data sets in the wild carry
        try:
            offset = pd.tseries.frequencies.to_offset(freq)
        except (ValueError, TypeError):
            offset = None
    if offset is None:
        raise DataError(f"{freq!r} is not a frequency: use one of pandas', such as 'h', '15min', 'D', 'W', 'MS', 'YS'.")
    return offset


def season_length(freq: str | None) -> int:
    """Steps in one season of a frequency: ME 12, QE 4, Y 1, W 1, D 1, B 5, h 24, 30min 48, 15min 96, s 3600.

    The rule is that of `gluonts.time_feature.get_seasonality`, which the published Chronos figures follow: days have no
    season (not 7), and a multiple that does not divide the season (5h, 2W) has none, which is 1. It differs in two
    points: business months and quarters count as months and quarters (gluonts: 1), and nothing is logged.

    Parameters
    ----------
    freq
        A pandas frequency string; None, an unknown frequency, has no season.
    """
    if freq is None:
        return 1
    offset = to_offset(freq)
    steps, rest = divmod(_SEASONS.get(offset.name.split("-")[0], 1), offset.n)
    return steps if rest == 0 else 1


def seasonal_naive(past: np.ndarray, horizon: int, season_length: int) -> np.ndarray:
    """Repeat the last season over the horizon: the forecast that every other is measured against.

    A value that is missing in the last season stays missing in the forecast; nothing is imputed. This is what
    reproduces the published seasonal-naive scores of the Chronos benchmarks, with the rules of
    `stillroom.series.metrics`. A history shorter than one season gives the mean of what was observed, as gluonts does.

    Parameters
    ----------
    past
        The history, shape (..., time).
    horizon, season_length
        In steps.

    Returns
    -------
    np.ndarray
        Shape (..., horizon).
    """
    past = np.asarray(past, dtype=np.float64)
    if past.shape[-1] < season_length:
        seen = np.isfinite(past)
        count = seen.sum(axis=-1, keepdims=True)
        mean = np.where(seen, past, 0.0).sum(axis=-1, keepdims=True) / np.where(count, count, np.nan)
        return np.repeat(mean, horizon, axis=-1)
    return past[..., np.arange(horizon) % season_length + past.shape[-1] - season_length]
