"""The leaderboard against numbers computed by hand, and against fev's."""

from __future__ import annotations

import sys
import warnings
from itertools import pairwise as neighbours
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stillroom.bench.leaderboard import boards, leaderboard, pairwise
from stillroom.core.errors import DataError, RecipeError

COINS = """
class Coins:
    name = "coins"
    baseline = "penny"
    metrics = ("HEADS", "LOSS")
    higher = frozenset({"HEADS"})

kind = Coins()
"""


@pytest.fixture
def coins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that brings a kind with a metric of which more is better."""
    info = tmp_path / "coins-1.0.dist-info"
    info.mkdir()
    (tmp_path / "coins.py").write_text(COINS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: coins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stillroom.tasks]\ncoins = coins:kind\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "coins", raising=False)


def rows(kind: str = "forecast", **models: list[float | None]) -> pd.DataFrame:
    """Scores by model, one a task; None = failed. MASE is twice WQL."""
    first, second = ("WQL", "MASE") if kind == "forecast" else ("HEADS", "LOSS")
    return pd.DataFrame(
        [
            {
                "task": f"t{task}",
                "kind": kind,
                "model": model.replace("_", "-"),
                "status": "failed" if value is None else "ok",
                first: np.nan if value is None else value,
                second: np.nan if value is None else 2 * value,
                "leakage": False,
            }
            for model, values in models.items()
            for task, value in enumerate(values)
        ]
    )


def leak(scores: pd.DataFrame, model: str, *tasks: str) -> pd.DataFrame:
    scores.loc[(scores["model"] == model) & scores["task"].isin(tasks), "leakage"] = True
    return scores


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


def test_the_best_model_comes_first_in_the_table_and_in_the_errors():
    board = leaderboard(rows(seasonal_naive=[1], worse=[2], better=[0.5]))
    assert board.models == ("better", "seasonal-naive", "worse")
    assert board.errors["WQL"].tolist() == [[0.5, 1, 2]]
    assert board.errors["MASE"].tolist() == [[1, 2, 4]]


def test_a_failed_task_counts_as_the_baseline_and_is_counted():
    board = by_model(rows(seasonal_naive=[1, 4], mine=[0.25, None]))
    assert board.loc["mine", "relative_WQL"] == pytest.approx(0.5)
    assert board.loc["mine", "failures"] == 1
    assert board.loc["mine", "win_rate"] == pytest.approx(0.75)


def test_a_row_without_the_metric_counts_as_a_failed_one():
    scores = rows(seasonal_naive=[1, 4], mine=[0.25, 1])
    scores.loc[3, "WQL"] = np.nan
    board = by_model(scores)
    assert board.loc["mine", "relative_WQL"] == pytest.approx(0.5)
    assert board.loc["mine", "relative_MASE"] == pytest.approx(0.25)
    assert board.loc["mine", "failures"] == 1


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


def test_another_baseline_can_be_named():
    board = by_model(rows(seasonal_naive=[1, 4], mine=[0.5, 1]), baseline="mine")
    assert board.loc["seasonal-naive", "relative_WQL"] == pytest.approx(8**0.5)
    assert board.loc["mine", "skill"] == 0


def test_without_a_baseline_there_is_no_board():
    with pytest.raises(DataError, match="no scores of the baseline 'seasonal-naive'; there are those of mine"):
        leaderboard(rows(mine=[1]))


def test_without_a_common_task_there_is_no_board():
    scores = rows(seasonal_naive=[1, 1], mine=[1, 1], other=[1, 1])
    with pytest.raises(DataError, match="nothing to compare"):
        leaderboard(scores.drop(index=[2, 5]))


def test_a_folder_of_skipped_rows_has_no_board():
    with pytest.raises(DataError, match="every row is skipped"):
        leaderboard(rows(seasonal_naive=[1], mine=[1]).assign(status="skipped"))


def test_where_more_is_better_the_distance_from_one_is_compared(coins):
    board = leaderboard(rows("coins", penny=[0.5, 0.8], mine=[0.75, 0.9]))
    assert board.models == ("mine", "penny")
    assert board.table.loc[0, "relative_HEADS"] == pytest.approx(0.5)
    assert board.table.loc[0, "relative_LOSS"] == pytest.approx((1.5 * 9 / 8) ** 0.5)
    assert board.errors["HEADS"][:, 0] == pytest.approx([0.25, 0.1])


def test_every_kind_has_its_board_in_the_order_of_the_rows(coins):
    scores = pd.concat([rows("coins", penny=[0.5], mine=[0.75]), rows(seasonal_naive=[1], mine=[0.5])])
    assert [(board.kind, board.baseline, board.metrics) for board in boards(scores)] == [
        ("coins", "penny", ("HEADS", "LOSS")),
        ("forecast", "seasonal-naive", ("WQL", "MASE")),
    ]
    with pytest.raises(DataError, match=r"several kinds \(coins, forecast\)"):
        leaderboard(scores)


def test_a_kind_that_is_not_installed_is_left_out_in_a_sentence():
    scores = pd.concat([rows("coins", penny=[0.5]), rows(seasonal_naive=[1], mine=[0.5])])
    said: list[str] = []
    assert [board.kind for board in boards(scores, on_left_out=said.append)] == ["forecast"]
    assert len(said) == 1
    assert said[0].startswith("coins: no installed package brings this kind")
    with pytest.raises(DataError, match="coins: no installed package"):
        boards(scores[scores["kind"] == "coins"])


def test_a_leak_is_kept_and_counted_by_default():
    board = leaderboard(leak(rows(seasonal_naive=[1, 4], mine=[0.5, 1], other=[1, 2]), "mine", "t1"))
    assert board.tasks == ("t0", "t1")
    assert board.table.set_index("model")["leakage"].to_dict() == {"mine": 1, "other": 0, "seasonal-naive": 0}
    assert board.table.set_index("model").loc["mine", "relative_WQL"] == pytest.approx(0.125**0.5)


def test_a_leaking_task_can_be_excluded_for_all():
    scores = leak(rows(seasonal_naive=[1, 4], mine=[0.5, 1], other=[1, 2]), "mine", "t1")
    board = leaderboard(scores, leakage="exclude")
    assert board.tasks == ("t0",)
    assert board.excluded == ("t1",)
    assert board.left_out == ()
    with pytest.raises(DataError, match="on every task some model leaks"):
        leaderboard(leak(scores, "other", "t0"), leakage="exclude")


def test_a_leaking_score_can_be_replaced():
    scores = leak(rows(seasonal_naive=[1, 4], mine=[0.5, 1], other=[1, 2]), "mine", "t1")
    assert by_model(scores, leakage="impute").loc["mine", "relative_WQL"] == pytest.approx(0.5**0.5)
    board = leaderboard(scores, leakage="impute", impute_from="other")
    assert board.errors["WQL"][:, board.models.index("mine")].tolist() == [0.5, 2]
    assert board.table.set_index("model").loc["mine", "leakage"] == 1


def test_a_model_that_leaks_itself_cannot_stand_in():
    scores = leak(rows(seasonal_naive=[1, 4], mine=[0.5, 1], other=[1, 2]), "other", "t1")
    with pytest.raises(DataError, match="other leaks itself"):
        leaderboard(scores, leakage="impute", impute_from="other")
    with pytest.raises(DataError, match="no scores of the model to impute from 'nobody'"):
        leaderboard(scores, leakage="impute", impute_from="nobody")
    with pytest.raises(RecipeError, match="no rule 'ignore' for leakage: use flag, exclude, impute"):
        leaderboard(scores, leakage="ignore")
    with pytest.raises(RecipeError, match="only under the rule `impute`"):
        leaderboard(scores, impute_from="mine")


def test_a_pair_is_compared_in_both_directions():
    board = leaderboard(rows(seasonal_naive=[1, 1], a=[0.5, 2], b=[0.25, 4]))
    table = pairwise(board).set_index(["model", "other"])
    assert len(table) == 6
    assert table.loc[("a", "b"), "skill"] == pytest.approx(0)
    assert table.loc[("a", "seasonal-naive"), "win_rate"] == 0.5
    for one, other in neighbours(board.models):
        forth, back = table.loc[(one, other)], table.loc[(other, one)]
        assert forth["win_rate"] == 1 - back["win_rate"]
        assert 1 - forth["skill"] == pytest.approx(1 / (1 - back["skill"]))
        assert forth["skill_low"] <= forth["skill"] <= forth["skill_high"]


def as_summaries(scores: pd.DataFrame) -> pd.DataFrame:
    """The same rows as fev reads them."""
    from fev import __version__
    from fev.analysis import RESULTS_DTYPES

    table = pd.DataFrame({name: [None] * len(scores) for name in RESULTS_DTYPES}, index=scores.index)
    return table.assign(
        dataset_path=scores["task"],
        model_name=scores["model"],
        test_error=scores["WQL"],
        trained_on_this_dataset=scores["leakage"],
        quantile_levels="[0.5]",
        fev_version=__version__,
    )


@pytest.fixture(scope="module")
def many() -> pd.DataFrame:
    """Seven models on thirty tasks with ties, failures, leaks and a perfect baseline."""
    rng = np.random.default_rng(0)
    values = np.round(rng.lognormal(0, 0.5, (7, 30)), 1) + 0.1
    models = {f"m{number}": list(of_model) for number, of_model in enumerate(values[2:])}
    scores = rows(seasonal_naive=list(values[0]), other=list(values[1]), **models)
    free = ~scores["model"].isin(["seasonal-naive", "other"])
    scores.loc[free & (rng.random(len(scores)) < 0.2), "leakage"] = True
    scores.loc[free & (rng.random(len(scores)) < 0.1), ["status", "WQL", "MASE"]] = ["failed", np.nan, np.nan]
    return scores


@pytest.mark.parametrize(("leakage", "stand_in"), [("flag", None), ("impute", "other"), ("impute", "seasonal-naive")])
def test_skill_wins_and_their_intervals_equal_fev_reference(many, leakage, stand_in):
    from fev.analysis import leaderboard as peer
    from fev.analysis import pairwise_comparison as peer_pairs

    rule = {"missing_strategy": "impute", "baseline_model": "seasonal-naive", "n_resamples": 500, "seed": 7}
    rule |= {"leakage_imputation_model": stand_in}
    board = leaderboard(many, leakage=leakage, impute_from=stand_in, resamples=500, seed=7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = [peer(as_summaries(many), **rule), peer_pairs(as_summaries(many), **rule)]
    ours = [board.table.set_index("model"), pairwise(board).set_index(["model", "other"])]
    assert len(ours[0]) == 7
    for mine, other in zip(ours, theirs, strict=True):
        for name, their_name in (("skill", "skill_score"), ("win_rate", "win_rate")):
            for end, their_end in (("", ""), ("_low", "_lower"), ("_high", "_upper")):
                expected = other.loc[mine.index, f"{their_name}{their_end}"].to_numpy()
                np.testing.assert_allclose(mine[f"{name}{end}"].to_numpy(), expected, rtol=0, atol=1e-9)
    if leakage == "flag":
        assert ours[0]["failures"].to_dict() == theirs[0]["num_failures"].to_dict()
