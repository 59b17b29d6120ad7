from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stillroom.chronos.families import load
from stillroom.chronos.heldout import CHOOSING, assess, hold_out, losses_by_series
from stillroom.chronos.samples import TrainingWindows
from stillroom.core.errors import DataError
from stillroom.series.panel import Item, Panel


def test_the_last_window_chooses_the_one_before_judges_and_neither_is_trained_on(season_panel):
    held = hold_out(season_panel, 8)
    for i, item in enumerate(season_panel):
        time = item.length
        np.testing.assert_array_equal(held.choose[1][i], item.target[:, time - 8 :])
        np.testing.assert_array_equal(held.judge[1][i], item.target[:, time - 16 : time - 8])
        np.testing.assert_array_equal(held.train.items[i].target, item.target[:, : time - 16])
        assert held.judge[0].past.items[i].length == time - 16


@pytest.mark.parametrize("kind", ["bolt", "chronos2"])
def test_no_training_batch_holds_a_held_out_value(folders, season_panel, kind):
    def marked(item: Item) -> Item:
        target = item.target.copy()
        target[:, -16:] = 1e6
        return replace(item, target=target)

    panel = Panel(tuple(marked(item) for item in season_panel), season_panel.freq)
    windows = TrainingWindows(
        load(folders[kind]), hold_out(panel, 8).train, horizon=8, context_length=64, batch_size=16
    )
    for index in range(50):
        batch = windows[index]
        assert np.nanmax(batch["context"].numpy()) < 1e3
        assert np.nanmax(batch["target"].numpy()) < 1e3


def test_series_too_short_to_be_held_out_are_skipped_and_counted(make_seasons):
    panel = Panel((*make_seasons(3, 40).items, *make_seasons(2, 16).items), "h")
    held = hold_out(panel, 8)
    assert len(held.train) == 3
    assert held.skipped == ("s00", "s01")


def test_a_panel_of_short_series_alone_is_refused_with_the_length_it_needs(make_seasons):
    with pytest.raises(DataError, match="take 17 steps, and the longest series has 16"):
        hold_out(make_seasons(3, 16), 8)


def test_few_series_choose_but_all_judge(make_seasons):
    held = hold_out(make_seasons(CHOOSING + 10, 30), 8)
    assert len(held.choose[1]) == len(held.choose[0].past) == CHOOSING
    assert len(held.judge[1]) == CHOOSING + 10


def test_the_sums_behind_the_wql_make_the_wql(folders, season_panel):
    window, truth = hold_out(season_panel, 8).judge
    truth = truth.copy()
    truth[3] = np.nan  # a series without anything to be judged by
    scores = assess(load(folders["bolt"]), window, truth)
    losses = losses_by_series(scores, truth)
    assert losses.shape == (23, 1)
    assert scores.totals["WQL"] == pytest.approx(losses.sum() / 9 / np.nansum(np.abs(truth)))
