import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError
from stillroom.series.grid import infer_freq, positions, steps_from

FREQS = [
    "YS", "YE", "YS-JUN", "YE-MAR", "QS", "QE", "QS-FEB", "QE-NOV", "BQE", "BQS", "MS", "ME", "BMS", "BME", "2MS",
    "W", "W-MON", "2W", "D", "3D", "B", "h", "4h", "15min", "10min", "min", "s", "30s", "ms",
]  # fmt: skip


def dates(freq, periods=40, start="1999-03-01"):
    return pd.date_range(start, periods=periods, freq=freq)


def infer(stamps):
    return infer_freq(stamps.to_numpy(), np.arange(len(stamps)) == 0)


@pytest.mark.parametrize("freq", FREQS)
def test_frequencies_are_those_of_the_pandas_reference(freq):
    assert infer(dates(freq)) == pd.infer_freq(dates(freq))


@pytest.mark.parametrize("freq", FREQS)
def test_gaps_do_not_disturb_the_frequency(freq):
    assert infer(dates(freq).delete([3, 17, 18, 30])) == infer(dates(freq))


@pytest.mark.parametrize("freq", FREQS)
def test_two_steps_are_enough_unless_they_hide_a_calendar(freq):
    start = "1999-03-05"  # a Friday, so that business days show
    found = infer(dates(freq, periods=3, start=start))
    assert steps_from(dates(freq, 3, start)[0], found, 3).equals(dates(freq, 3, start))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FREQS), st.integers(0, 10_000), st.sets(st.integers(1, 59), max_size=20))
def test_positions_undo_steps(freq, day, holes):
    stamps = dates(freq, 60, pd.Timestamp("1980-01-01") + pd.Timedelta(days=day))
    kept = [i for i in range(60) if i not in holes]
    found = positions(stamps.to_numpy()[kept], stamps.to_numpy()[[0] * len(kept)], freq)
    np.testing.assert_array_equal(found, kept)
    assert steps_from(stamps[0], freq, 60).equals(stamps)
    assert steps_from(stamps[0], freq, 20, skip=40).equals(stamps[40:])


@pytest.mark.parametrize(
    ("freq", "start", "second"),
    [
        ("M", "2020-01-01", "2020-02-01"),
        ("MS", "2020-01-31", "2020-02-29"),
        ("MS", "2020-01-15", "2020-02-15"),
        ("W", "1996-03-18", "1996-03-25"),  # a Monday; W is Sunday in pandas
        ("Q", "2020-02-01", "2020-05-01"),
        ("Y", "1975-06-01", "1976-06-01"),
        ("YS", "1975-12-31", "1976-12-31"),
        ("BQE", "2024-01-31", "2024-04-30"),
        ("BMS", "2024-05-01", "2024-06-03"),
        ("MS", "2024-05-01", "2024-06-01"),
        ("M", "2023-01-30", "2023-02-28"),
        ("h", "2024-02-28 23:30", "2024-02-29 00:30"),
        ("MS", "2024-02-01 09:00", "2024-03-01 09:00"),
    ],
)
def test_a_start_is_kept_whatever_the_anchor_of_its_frequency(freq, start, second):
    assert list(steps_from(pd.Timestamp(start), freq, 2)) == [pd.Timestamp(start), pd.Timestamp(second)]


def test_business_days_from_a_sunday_begin_on_monday():
    assert steps_from(pd.Timestamp("2024-01-07"), "B", 2)[0] == pd.Timestamp("2024-01-08")


def test_timestamps_reach_beyond_what_nanoseconds_hold():
    assert steps_from(pd.Timestamp("1900-01-01"), "YS", 835)[-1] == pd.Timestamp("2734-01-01").as_unit("s")


def test_rows_between_steps_have_no_position():
    stamps = pd.to_datetime(["2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 01:30"]).to_numpy()
    np.testing.assert_array_equal(positions(stamps, stamps[[0, 0, 0]], "h"), [0, 1, -1])


def test_weekends_are_no_business_days():
    stamps = pd.to_datetime(["2024-01-05", "2024-01-06", "2024-01-08"]).to_numpy()
    np.testing.assert_array_equal(positions(stamps, stamps[[0, 0, 0]], "B"), [0, -1, 1])


def test_each_series_counts_from_its_own_start():
    stamps = pd.to_datetime(["2020-01-31", "2020-02-29", "2020-02-01", "2020-04-01"]).to_numpy()
    np.testing.assert_array_equal(positions(stamps, stamps[[0, 0, 2, 2]], "MS"), [0, 1, 0, 2])


def test_a_week_of_weekdays_is_daily_until_a_weekend_is_skipped():
    assert infer(pd.date_range("2024-01-01", periods=5, freq="B")) == "D"
    assert infer(pd.date_range("2024-01-01", periods=6, freq="B")) == "B"


def test_series_of_one_row_have_no_frequency():
    assert infer_freq(dates("D", 2).to_numpy(), np.array([True, True])) is None


def test_frequencies_without_countable_steps_are_refused():
    stamps = dates("D").to_numpy()
    with pytest.raises(DataError, match="'bh' cannot be read"):
        positions(stamps, stamps, "bh")
