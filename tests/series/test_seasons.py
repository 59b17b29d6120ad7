import logging

import numpy as np
import pytest

from stillroom.core.errors import DataError
from stillroom.series.seasons import season_length, seasonal_naive


@pytest.mark.parametrize(
    ("freq", "steps"),
    {
        "M": 12, "ME": 12, "MS": 12, "BME": 12, "3M": 4, "Q": 4, "QE": 4, "QS-OCT": 4, "2Q": 2, "BQS": 4,
        "Y": 1, "A": 1, "YS-JAN": 1, "W": 1, "W-MON": 1, "2W": 1, "D": 1, "7D": 1, "B": 5, "2B": 1,
        "H": 24, "h": 24, "2h": 12, "5h": 1, "min": 1440, "T": 1440, "15T": 96, "15min": 96, "10min": 144, "30min": 48,
        "s": 3600, "S": 3600, "10s": 360, "ms": 1,
    }.items(),
)  # fmt: skip
def test_a_frequency_has_its_season(freq, steps):
    assert season_length(freq) == steps


@pytest.mark.parametrize(
    "freq", ["ME", "MS", "2ME", "QE", "QS-FEB", "YE", "W-WED", "3W", "D", "B", "h", "6h", "7h", "min", "15min", "30s"]
)
def test_seasons_equal_the_gluonts_reference(freq):
    from gluonts.time_feature.seasonality import get_seasonality

    logging.disable(logging.WARNING)
    try:
        assert season_length(freq) == get_seasonality(freq)
    finally:
        logging.disable(logging.NOTSET)


def test_an_unknown_frequency_has_no_season():
    assert season_length(None) == 1


def test_a_string_that_is_no_frequency_is_refused():
    with pytest.raises(DataError, match="'fortnight' is not a frequency"):
        season_length("fortnight")


def test_seasonal_naive_repeats_the_last_season():
    past = np.array([9.0, 9.0, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(seasonal_naive(past, 7, 3), [1, 2, 3, 1, 2, 3, 1])


def test_seasonal_naive_leaves_missing_values_missing():
    np.testing.assert_array_equal(seasonal_naive(np.array([1.0, 2.0, np.nan]), 3, 2), [2.0, np.nan, 2.0])


def test_seasonal_naive_of_a_short_history_is_the_mean_of_what_was_seen():
    past = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(seasonal_naive(past, 2, 4), [[2.0, 2.0], [np.nan, np.nan]])


def test_seasonal_naive_forecasts_every_row_at_once():
    past = np.arange(24.0).reshape(2, 3, 4)
    together = seasonal_naive(past, 5, 2)
    assert together.shape == (2, 3, 5)
    np.testing.assert_array_equal(together[1, 2], seasonal_naive(past[1, 2], 5, 2))
