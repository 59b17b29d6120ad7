"""The leaderboard against numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.bench.leaderboard import average_ranks, leaderboard, win_share
from stillroom.core.errors import DataError


def rows(**models: list[float | None]) -> pd.DataFrame:
    """Scores by model, one a task; None = failed. MASE is twice WQL."""
    return pd.DataFrame(
        [
            {
                "task": f"t{task}",
                "model": model.replace("_", "-"),
                "status": "failed" if value is None else "ok",
                "WQL": np.nan if value is None else value,
                "MASE": np.nan if value is None else 2 * value,
            }
            for model, values in models.items()
            for task, value in enumerate(values)
        ]
    )


def by_model(scores: pd.DataFrame, **options) -> pd.DataFrame:
    return leaderboard(scores, **options).table.set_index("model")


def test_relative_score_is_the_geometric_mean_over_tasks():
    board = by_model(rows(seasonal_naive=[1, 4], mine=[0.5, 1]))
    assert board.loc["mine", "relative_WQL"] == pytest.approx((0.5 * 0.25) ** 0.5)
    assert board.loc["mine", "relative_MASE"] == pytest.approx((0.5 * 0.25) ** 0.5)
    assert board.loc["mine", "skill"] == pytest.approx(1 - (0.5 * 0.25) ** 0.5)
    assert board.loc["seasonal-naive", "relative_WQL"] == 1


def test_win_rate_and_rank_share_ties():
    board = by_model(rows(seasonal_naive=[1, 1], a=[1, 2], b=[0.5, 3]))
    # t0: b, then seasonal-naive and a tied; t1: seasonal-naive, a, b
    assert board["win_rate"].to_dict() == pytest.approx(
        {"seasonal-naive": (0.25 + 1) / 2, "a": (0.25 + 0.5) / 2, "b": 0.5}
    )
    assert board["average_rank"].to_dict() == pytest.approx({"seasonal-naive": 1.75, "a": 2.25, "b": 2})


def test_the_best_model_comes_first():
    assert list(leaderboard(rows(seasonal_naive=[1], worse=[2], better=[0.5])).table["model"]) == [
        "better",
        "seasonal-naive",
        "worse",
    ]


def test_a_failed_task_counts_as_the_baseline_and_is_counted():
    board = by_model(rows(seasonal_naive=[1, 4], mine=[0.25, None]))
    assert board.loc["mine", "relative_WQL"] == pytest.approx(0.5)
    assert board.loc["mine", "failures"] == 1
    assert board.loc["mine", "win_rate"] == pytest.approx(0.75)


def test_models_are_compared_on_the_tasks_they_all_have():
    scores = rows(seasonal_naive=[1, 1, 1], mine=[0.5, 0.25, 0.1])
    board = leaderboard(scores.drop(index=5))
    assert board.tasks == ("t0", "t1")
    assert board.left_out == ("t2",)
    assert board.table.set_index("model").loc["mine", "relative_WQL"] == pytest.approx(0.125**0.5)


def test_skipped_rows_are_no_rows():
    scores = rows(seasonal_naive=[1, 1], mine=[0.5, 0.25])
    scores.loc[scores["task"] == "t1", ["status", "WQL", "MASE"]] = ["skipped", np.nan, np.nan]
    board = leaderboard(scores)
    assert board.tasks == ("t0",)
    assert board.left_out == ()


def test_a_task_on_which_the_baseline_failed_is_left_out():
    assert leaderboard(rows(seasonal_naive=[1, None], mine=[0.5, 0.5])).left_out == ("t1",)


def test_perfect_and_absurd_scores_are_clipped():
    board = by_model(rows(seasonal_naive=[1, 0], perfect=[0, 0], absurd=[1e9, 1]))
    assert board.loc["perfect", "relative_WQL"] == pytest.approx(0.1)  # 1/100 and 0/0 = 1
    assert board.loc["absurd", "relative_WQL"] == pytest.approx(100)


def test_intervals_hold_the_value_and_are_the_same_for_the_same_seed():
    rng = np.random.default_rng(1)
    scores = rows(seasonal_naive=[1.0] * 20, mine=list(rng.uniform(0.4, 1.4, 20)))
    board = by_model(scores)
    for name in ("relative_WQL", "relative_MASE", "skill", "win_rate", "average_rank"):
        assert (board[f"{name}_low"] <= board[name] + 1e-12).all()
        assert (board[name] <= board[f"{name}_high"] + 1e-12).all()
    assert board.loc["mine", "relative_WQL_low"] < board.loc["mine", "relative_WQL_high"]
    pd.testing.assert_frame_equal(board, by_model(scores))
    assert not board.equals(by_model(scores, seed=1))


def test_an_interval_is_that_of_the_resampled_mean():
    values = np.random.default_rng(2).uniform(0.4, 1.4, 30)
    board = by_model(rows(seasonal_naive=[1.0] * 30, mine=list(values)), resamples=20_000)
    draws = np.random.default_rng(3).choice(np.log(values), (20_000, 30)).mean(1)
    low, high = np.exp(np.percentile(draws, [2.5, 97.5]))
    assert board.loc["mine", "relative_WQL_low"] == pytest.approx(low, rel=0.01)
    assert board.loc["mine", "relative_WQL_high"] == pytest.approx(high, rel=0.01)


def test_without_a_baseline_there_is_no_board():
    with pytest.raises(DataError, match="no scores of the baseline"):
        leaderboard(rows(mine=[1]))


def test_without_a_common_task_there_is_no_board():
    scores = rows(seasonal_naive=[1, 1], mine=[1, 1], other=[1, 1])
    with pytest.raises(DataError, match="nothing to compare"):
        leaderboard(scores.drop(index=[2, 5]))


errors = st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=4, max_size=4), min_size=1, max_size=5)


@given(errors)
def test_wins_add_up_to_half_of_all_pairs_and_ranks_to_their_sum(table):
    values = np.array(table)
    assert win_share(values).sum(1) == pytest.approx(2)  # 4 models: each pair gives one win among 3 others
    assert average_ranks(values).sum(1) == pytest.approx(10)
    assert win_share(values) == pytest.approx((4 - average_ranks(values)) / 3)


def test_ranks_equal_scipy_reference():
    from scipy.stats import rankdata

    values = np.random.default_rng(0).integers(0, 4, (50, 6)).astype(float)
    np.testing.assert_array_equal(average_ranks(values), rankdata(values, axis=1))
