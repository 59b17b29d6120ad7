"""Aggregates of arrays against scipy, brute force and fev."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.bench.aggregates import average_ranks, pairs, relative, resample, standings, wins

errors = st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=4, max_size=4), min_size=1, max_size=5)


@given(errors)
def test_wins_add_up_to_one_a_pair_and_ranks_to_their_sum(table):
    values = np.array(table)
    won = wins(values)
    assert (won + won.transpose(0, 2, 1) == 1).all()
    assert average_ranks(values).sum(1) == pytest.approx(10)  # 1 + 2 + 3 + 4


@given(errors)
def test_a_win_rate_is_the_mean_of_the_win_rates_against_each_other(table):
    values = np.array(table)
    against = pairs(values, 100, 0)["win_rate"]
    np.fill_diagonal(against, 0)
    assert standings({"WQL": values}, 0, 100, 0)["win_rate"] == pytest.approx(against.sum(1) / 3)


@given(errors)
def test_skill_against_the_baseline_is_that_of_the_pair(table):
    values = np.array(table)
    assert standings({"WQL": values}, 2, 100, 0)["skill"] == pytest.approx(pairs(values, 100, 0)["skill"][:, 2])


def test_ranks_equal_scipy_reference():
    from scipy.stats import rankdata

    values = np.random.default_rng(0).integers(0, 4, (50, 6)).astype(float)
    np.testing.assert_array_equal(average_ranks(values), rankdata(values, axis=1))


def test_a_resample_draws_as_many_tasks_as_there_are():
    shares = resample(7, 50, 0)
    assert shares.shape == (50, 7)
    assert shares.sum(1) == pytest.approx(1)
    assert (shares * 7 == np.round(shares * 7)).all()


def test_an_interval_is_that_of_means_of_drawn_tasks():
    values = np.random.default_rng(2).uniform(0.4, 1.4, (30, 1))
    table = standings({"WQL": np.hstack([np.ones((30, 1)), values])}, 0, 20_000, 0)
    drawn = np.random.default_rng(3).choice(np.log(values[:, 0]), (20_000, 30)).mean(1)
    low, high = np.exp(np.percentile(drawn, [2.5, 97.5]))
    assert table["relative_WQL_low"][1] == pytest.approx(low, rel=0.01)
    assert table["relative_WQL_high"][1] == pytest.approx(high, rel=0.01)


def test_one_task_has_no_interval():
    table = standings({"WQL": np.array([[1.0, 0.5]])}, 0, 100, 0)
    assert table["skill"].tolist() == [0, 0.5]
    for name in ("relative_WQL", "skill", "win_rate", "average_rank"):
        assert np.isnan(table[f"{name}_low"]).all()
        assert np.isnan(table[f"{name}_high"]).all()


def test_a_model_alone_has_no_win_rate():
    assert np.isnan(standings({"WQL": np.ones((5, 1))}, 0, 100, 0)["win_rate"]).all()


def test_relative_scores_are_clipped_and_two_perfect_ones_are_equal():
    assert relative(np.array([0.0, 0.0, 1e9, 3.0, 1.0]), np.array([0.0, 1.0, 1.0, 2.0, 0.0])).tolist() == [
        1, 0.01, 100, 1.5, 100,
    ]  # fmt: skip
