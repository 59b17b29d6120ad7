from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError, RecipeError
from stillroom.series.panel import Item, Panel
from stillroom.series.windows import cut


def panel(*lengths, targets=1, ahead=0, freq="MS"):
    items = []
    for i, length in enumerate(lengths):
        values = np.arange(targets * length, dtype=float).reshape(targets, length) + 1000 * i
        covariates = {"past": {"p": values[0].copy()}, "known": {"k": np.arange(length + ahead, dtype=float)}}
        items.append(Item(f"i{i}", pd.Timestamp("2020-01-01"), values, **covariates))
    return Panel(tuple(items), freq, tuple(f"t{i}" for i in range(targets)))


def test_one_window_ends_where_each_series_ends():
    ((window, truth),) = cut(panel(10, 14), 3)
    assert [item.length for item in window.past] == [7, 11]
    np.testing.assert_array_equal(truth, [[[7, 8, 9]], [[1011, 1012, 1013]]])


def test_windows_come_earliest_first_and_do_not_overlap():
    cuts = cut(panel(20), 3, windows=3)
    assert [truth[0, 0].tolist() for _, truth in cuts] == [[11, 12, 13], [14, 15, 16], [17, 18, 19]]


def test_a_step_moves_windows_by_less_than_their_length():
    assert [truth[0, 0, 0] for _, truth in cut(panel(20), 3, windows=3, step=1)] == [15, 16, 17]


def test_an_offset_says_where_the_first_truth_starts():
    ((window, truth),) = cut(panel(20), 3, offset=-10)
    assert truth[0, 0].tolist() == [10, 11, 12]
    assert window.past.items[0].length == 10


def test_only_known_covariates_reach_over_the_horizon():
    for window, _ in cut(panel(20, ahead=4), 3, windows=2):
        item = window.past.items[0]
        assert len(item.past["p"]) == item.length
        assert item.known["k"].tolist() == list(range(item.length + 3))


def test_the_season_is_that_of_the_frequency_unless_given():
    assert cut(panel(20, freq="MS"), 3)[0][0].season_length == 12
    assert cut(panel(20, freq=None), 3)[0][0].season_length == 1
    assert cut(panel(20), 3, season_length=7)[0][0].season_length == 7


def test_histories_go_item_by_item_and_target_by_target():
    window, truth = cut(panel(10, 12, targets=2), 3)[0]
    histories = window.histories()
    assert [len(history) for history in histories] == [7, 7, 9, 9]
    assert [history[-1] + 1 for history in histories] == truth.reshape(-1, 3)[:, 0].tolist()


def test_a_window_holds_nothing_of_its_truth():
    window, truth = cut(panel(10), 3)[0]
    before = window.past.fingerprint()
    truth[:] = np.nan
    assert window.past.fingerprint() == before
    assert window.past.items[0].target.max() == 6


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(25, 60), min_size=1, max_size=4), st.integers(1, 6), st.integers(1, 4), st.integers(1, 2))
def test_history_and_truths_reassemble_the_series(lengths, horizon, windows, targets):
    whole = panel(*lengths, targets=targets)
    cuts = cut(whole, horizon, windows=windows)
    for i, item in enumerate(whole):
        parts = [cuts[0][0].past.items[i].target, *(truth[i] for _, truth in cuts)]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), item.target)


@pytest.mark.parametrize(
    "options", [{"prediction_length": 0}, {"windows": 0}, {"step": 0}, {"offset": -2}, {"windows": 2, "offset": -5}]
)
def test_numbers_that_do_not_fit_are_refused(options):
    with pytest.raises(RecipeError):
        cut(panel(30), **({"prediction_length": 3} | options))


def test_a_series_too_short_for_the_windows_is_named():
    with pytest.raises(DataError, match="'i1' has 6 steps, but these windows need at least 7"):
        cut(panel(10, 6), 3, windows=2)


def test_nothing_to_cut_is_refused():
    with pytest.raises(DataError, match="no series"):
        cut(Panel((), "D"), 3)


def test_a_positive_offset_counts_from_the_beginning():
    first, second = cut(panel(20, 12), 3, offset=4, windows=2)
    assert [item.length for item in first[0].past] == [4, 4]
    assert [item.length for item in second[0].past] == [7, 7]
    assert second[1][:, 0, 0].tolist() == [7, 1007]


def test_after_a_time_every_series_is_cut_at_its_own_step():
    early, late = panel(20), panel(20)
    late = replace(late.items[0], item_id="late", start=pd.Timestamp("2020-05-01"))
    cuts = cut(Panel((*early.items, late), "MS"), 3, offset=datetime(2020, 8, 1), windows=2, step=2)
    assert [[item.length for item in window.past] for window, _ in cuts] == [[8, 4], [10, 6]]
    assert cuts[1][1][:, 0, 0].tolist() == [10, 6]


def test_a_time_between_steps_belongs_to_the_step_before_it():
    ((window, _),) = cut(panel(20), 3, offset=datetime(2020, 8, 20))
    assert window.past.items[0].length == 8


def test_windows_after_a_time_need_a_frequency_only_if_there_are_several():
    assert len(cut(panel(20, freq=None), 3, offset=datetime(2020, 1, 5))) == 1
    with pytest.raises(RecipeError, match="need a frequency"):
        cut(panel(20, freq=None), 3, offset=datetime(2020, 1, 5), windows=2)


def test_series_with_too_little_context_are_left_out_of_the_windows_that_lack_it():
    cuts = cut(panel(20, 8, 7), 3, windows=2, min_context=2)
    assert [[item.item_id for item in window.past] for window, _ in cuts] == [["i0", "i1"], ["i0", "i1", "i2"]]
    assert [truth.shape for _, truth in cuts] == [(2, 1, 3), (3, 1, 3)]


def test_series_with_too_little_to_judge_by_are_left_out():
    ((window, _),) = cut(panel(20, 10), 3, offset=8, min_context=1)
    assert [item.item_id for item in window.past] == ["i0"]


def test_when_every_series_is_too_short_it_is_said_for_which_window():
    with pytest.raises(DataError, match="too short for window 1: none has 30 steps before it and 3 in it"):
        cut(panel(20), 3, min_context=30)


@pytest.mark.parametrize(
    ("offset", "sentence"),
    [(18, "'i1' has 6 steps, but these windows need at least 21"), (datetime(2021, 7, 1), "'i0' has 19 steps before")],
)
def test_without_a_least_context_a_series_that_is_too_short_is_refused(offset, sentence):
    with pytest.raises(DataError, match=sentence):
        cut(panel(20, 6), 3, offset=offset)


def test_at_most_so_much_context_is_kept_with_its_own_start():
    ((window, truth),) = cut(panel(20, 6, ahead=5), 3, max_context=4)
    long, short = window.past.items
    assert long.target.tolist() == [[13, 14, 15, 16]]
    assert long.start == pd.Timestamp("2021-02-01")
    assert long.past["p"].tolist() == [13, 14, 15, 16]
    assert long.known["k"].tolist() == [13, 14, 15, 16, 17, 18, 19]
    assert (short.length, short.start) == (3, pd.Timestamp("2020-01-01"))
    assert truth[0, 0].tolist() == [17, 18, 19]


@pytest.mark.parametrize("name", ["min_context", "max_context"])
def test_a_context_of_nothing_is_refused(name):
    with pytest.raises(RecipeError, match=f"{name} must be at least 1"):
        cut(panel(20), 3, **{name: 0})
