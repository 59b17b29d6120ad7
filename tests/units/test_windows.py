from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError
from stillroom.series.mixture import SYNTHETIC
from stillroom.units.windows import STRANGERS, Items, Labelled, Synthetic, begun, beside, few_of_each, with_labels

seeds = st.integers(0, 2**32)


def random(seed=0):
    return np.random.default_rng(seed)


def ramps(*sizes):
    """Series whose values say where they come from: item, variable and step."""
    return [
        1e4 * place + 1e3 * np.arange(v)[:, None] + np.arange(t, dtype=np.float32) for place, (v, t) in enumerate(sizes)
    ]


def same(ours, theirs):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, length=st.integers(1, 60), variables=st.integers(1, 5))
def test_a_window_is_a_stretch_of_different_variables_of_one_item(seed, length, variables):
    series = ramps((4, 100), (2, 30))
    windows = Items(series).draw(random(seed), 8, length, variables)
    assert len(windows) == 8
    for window in windows:
        item = int(window[0, 0] // 1e4)
        own, steps = series[item].shape
        assert window.shape == (min(variables, own), min(length, steps))
        assert window.dtype == np.float32
        numbers = (window[:, 0] % 1e4 // 1e3).astype(int)
        assert len(set(numbers.tolist())) == len(numbers)
        first = int(window[0, 0] % 1e3)
        np.testing.assert_array_equal(window, series[item][numbers, first : first + window.shape[1]])


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_a_series_with_nothing_beside_it_gets_strangers_that_end_with_it(seed):
    for window in Items(ramps((1, 100), (1, 12), (1, 40))).draw(random(seed), 10, 20, 9):
        assert len(window) == STRANGERS
        assert np.isfinite(window[:, -1]).all()
        for row in window:
            own = row[np.isfinite(row)]
            np.testing.assert_array_equal(np.diff(own), 1.0)
            assert np.isfinite(row[-len(own) :]).all()


def test_items_are_drawn_by_their_weights_and_else_by_the_root_of_their_length():
    series = ramps((1, 400), (1, 100))
    for items, share in ((Items(series), 2 / 3), (Items(series, np.array([1.0, 9.0])), 0.1)):
        first = [window[0, 0] < 1e4 for window in items.draw(random(), 2000, 10, 1)]
        assert np.mean(first) == pytest.approx(share, abs=0.05)


def test_variables_that_never_change_are_drawn_seldom():
    series = ramps((10, 50))
    series[0][1:] = 7.0
    moving = [window[0, 0] != 7.0 for window in Items(series).draw(random(), 1000, 10, 1)]
    assert np.mean(moving) == pytest.approx(1 / 1.9, abs=0.05)


def test_mixed_windows_are_combinations_and_only_single_variables_are_mixed():
    series = [np.full((2, 50), 1.0, dtype=np.float32), np.full((1, 20), -1.0, dtype=np.float32)]
    values = np.concatenate([window.ravel() for window in Items(series, mixed=1.0).draw(random(), 200, 10, 1)])
    assert np.abs(values).max() <= 1 + 1e-6
    assert (np.abs(values) < 0.99).mean() > 0.1
    values = np.concatenate([window.ravel() for window in Items(series, mixed=1.0).draw(random(), 200, 10, 2)])
    assert set(values.tolist()) == {-1.0, 1.0}


def test_missing_values_stay_missing_but_no_window_begins_with_them():
    values = np.arange(60.0)[None]
    values[0, :20] = values[0, 40] = np.nan
    windows = Items([values]).draw(random(), 200, 60, 1)
    assert {window.shape for window in windows} == {(1, 40)}
    assert np.isnan(windows[0]).sum() == 1
    assert all(np.isfinite(window[0, 0]) for window in Items([values]).draw(random(), 200, 15, 1))


def test_series_without_any_value_still_give_windows():
    assert [one.shape for one in Items([np.full((2, 8), np.nan)]).draw(random(), 3, 5, 1)] == [(1, 5)] * 3


@pytest.mark.parametrize("windows", [Items(ramps((3, 90), (1, 30)), mixed=0.5), Synthetic({"seasonal": 1.0})])
def test_draws_depend_on_the_generator_alone(windows):
    for variables in (1, 3):
        same(windows.draw(random(5), 6, 24, variables), windows.draw(random(5), 6, 24, variables))


@pytest.mark.parametrize("variables", [1, 3])
def test_made_series_have_the_length_asked_for(variables):
    made = Synthetic(dict.fromkeys(SYNTHETIC, 1.0)).draw(random(), 30, 40, variables)
    assert len(made) == 30
    assert {len(window) for window in made} == {variables}
    assert all(35 <= window.shape[1] <= 40 for window in made)  # a few begin with gaps, which are cut off
    assert not any(np.isinf(window).any() for window in made)


def test_variables_of_made_series_are_no_more_than_strangers():
    assert {len(window) for window in Synthetic({"smoothing": 1.0}).draw(random(), 5, 20, 16)} == {STRANGERS}


def test_kernel_synth_stays_affordable_in_long_windows(monkeypatch):
    monkeypatch.setattr("stillroom.units.windows.KERNEL_STEPS", 32)
    assert max(window.shape[1] for window in Synthetic({"kernel_synth": 1.0}).draw(random(), 5, 500, 1)) == 32


def test_made_families_take_their_shares_and_come_in_any_order():
    rows = Synthetic({"intermittent": 3.0, "kernel_synth": 1.0}).draw(random(), 400, 30, 1)
    counts = np.array([bool((row[np.isfinite(row)] >= 0).all()) for row in rows])  # demand is never negative
    assert counts.mean() == pytest.approx(0.8, abs=0.1)
    assert np.abs(np.diff(counts.astype(int))).sum() > 20


def test_steps_before_the_first_value_are_cut_off():
    np.testing.assert_array_equal(
        begun(np.array([[np.nan, np.nan, 1.0], [np.nan, 2.0, np.nan]])), [[np.nan, 1], [2, np.nan]]
    )
    assert begun(np.full((1, 3), np.nan)).shape == (1, 3)


def test_windows_beside_each_other_end_together():
    np.testing.assert_array_equal(beside([np.array([[1.0, 2.0]]), np.array([[3.0]])]), [[1, 2], [np.nan, 3]])


def test_series_without_labels_cannot_be_told_apart():
    labelled = Labelled(ramps((1, 9)), labels=np.array([0]))
    assert with_labels(labelled) is labelled
    with pytest.raises(DataError, match="no labels"):
        with_labels(Items(ramps((1, 9))))


def test_items_without_series_are_refused():
    with pytest.raises(DataError, match="no series to draw windows from"):
        Items([])


@pytest.mark.parametrize(
    ("share", "counts"), [(0.05, [2, 1, 1]), (0.15, [6, 2, 1]), (0.2, [8, 3, 1]), (1.0, [40, 15, 1])]
)
def test_a_share_takes_as_much_of_every_class_and_at_least_one_item(share, counts):
    numbers = np.random.default_rng(0).permutation([0] * 40 + [1] * 15 + [2])
    places = few_of_each(numbers, share, 0)
    assert np.bincount(numbers[places]).tolist() == counts
    assert (np.diff(places) > 0).all()
    np.testing.assert_array_equal(places, few_of_each(numbers, share, 0))
    assert share == 1 or places.tolist() != few_of_each(numbers, share, 1).tolist()
