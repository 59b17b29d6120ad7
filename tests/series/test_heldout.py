from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stillroom.core.errors import DataError
from stillroom.series.heldout import CHOOSING, DECILES, assess, hold_out, losses_by_series
from stillroom.series.panel import Item, Panel


def seasons(count, length, targets=1):
    rng = np.random.default_rng(0)
    wave = 10 + 5 * np.sin(np.arange(length) * 2 * np.pi / 8)
    start = pd.Timestamp("2024-01-01")
    items = (Item(f"s{i:02d}", start, wave + rng.standard_normal((targets, length))) for i in range(count))
    return Panel(tuple(items), "h", tuple(f"t{i}" for i in range(targets)))


class Mean:
    """Forecasts the mean of each history, and around it the quantiles of a uniform."""

    def predict(self, window, quantile_levels):
        means = np.array([[row.mean() for row in item.target] for item in window.past])
        spread = np.asarray(quantile_levels) - 0.5
        return means[:, :, None, None] + np.tile(spread, (window.prediction_length, 1))


def test_the_last_window_chooses_the_one_before_judges_and_neither_is_trained_on():
    panel = seasons(24, 96)
    held = hold_out(panel, 8)
    for i, item in enumerate(panel):
        np.testing.assert_array_equal(held.choose[1][i], item.target[:, 88:])
        np.testing.assert_array_equal(held.judge[1][i], item.target[:, 80:88])
        np.testing.assert_array_equal(held.train.items[i].target, item.target[:, :80])
        assert held.judge[0].past.items[i].length == 80


def test_series_too_short_to_be_held_out_are_skipped_and_counted():
    panel = Panel((*seasons(3, 40).items, *seasons(2, 16).items), "h", ("t0",))
    held = hold_out(panel, 8)
    assert len(held.train) == 3
    assert held.skipped == ("s00", "s01")


def test_a_panel_of_short_series_alone_is_refused_with_the_length_it_needs():
    with pytest.raises(DataError, match="take 17 steps, and the longest series has 16"):
        hold_out(seasons(3, 16), 8)


def test_few_series_choose_but_all_judge():
    held = hold_out(seasons(CHOOSING + 10, 30), 8)
    assert len(held.choose[1]) == len(held.choose[0].past) == CHOOSING
    assert len(held.judge[1]) == CHOOSING + 10


@pytest.mark.parametrize("targets", [1, 2])
def test_the_sums_behind_the_wql_make_the_wql(targets):
    window, truth = hold_out(seasons(24, 96, targets), 8).judge
    truth = truth.copy()
    truth[3] = np.nan  # a series without anything to be judged by
    scores = assess(Mean(), window, truth)
    losses = losses_by_series(scores, truth)
    assert losses.shape == (23, targets)
    assert scores.totals["WQL"] == pytest.approx(losses.sum() / len(DECILES) / np.nansum(np.abs(truth)))
