"""Scores, aggregated: relative score, skill, win rate and rank, each with a bootstrap interval over tasks.

The rules:
- A model's relative score on a task is its score divided by the baseline's, kept within 1/100 and 100 so that one
  absurd row decides nothing. Over tasks: the geometric mean. Below 1 is better than the baseline.
- Skill is 1 - relative score, of the first metric. The win rate is the share of (task, other model) pairs that the
  model wins on the first metric, a tie counting half; the average rank is the mean of its ranks, ties sharing theirs.
- A failed task counts as the baseline's score (relative score 1), and is counted in `failures`.
- Models are compared on exactly the tasks that every one of them has a row for; skipped rows are none.
- Intervals: 95 %, percentiles of seeded resamples of the tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stillroom.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

CLIP = 100.0


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """`table` has one row a model, best first; `tasks` were compared, `left_out` are those that not all models have."""

    table: pd.DataFrame
    metrics: tuple[str, ...]
    tasks: tuple[str, ...]
    left_out: tuple[str, ...]


def leaderboard(
    scores: pd.DataFrame,
    *,
    metrics: Sequence[str] = ("WQL", "MASE"),
    baseline: str = "seasonal-naive",
    resamples: int = 1000,
    seed: int = 0,
) -> Leaderboard:
    """Aggregate score rows.

    Parameters
    ----------
    scores
        Rows with `task`, `model`, `status` and the metrics; lower is better.
    metrics
        The first one decides skill, win rate, rank and order.
    baseline
        What scores are relative to.
    resamples, seed
        Of the bootstrap over tasks.

    Raises
    ------
    DataError
        When the baseline has no score, or no task is common to all models.
    """
    import pandas as pd

    ran = scores[scores["status"].isin(["ok", "failed"])]
    models = sorted(ran["model"].unique())
    if baseline not in models:
        raise DataError(f"there are no scores of the baseline {baseline!r} to compare with")
    if missing := [metric for metric in metrics if metric not in scores]:
        raise DataError(f"the scores have no column {missing[0]!r}")
    by_task = {metric: ran.pivot_table(metric, "task", "model", aggfunc="last", dropna=False) for metric in metrics}
    has_row = ran.pivot_table("status", "task", "model", aggfunc="count").reindex(columns=models).notna().all(axis=1)
    usable = np.all([by_task[m][baseline].reindex(has_row.index).notna() for m in metrics], axis=0) & has_row.to_numpy()
    tasks, left_out = tuple(has_row.index[usable]), tuple(has_row.index[~usable])
    if not tasks:
        raise DataError("no task has a row of every model and a score of the baseline, so there is nothing to compare")

    errors = {}  # (tasks, models), failures imputed
    for metric in metrics:
        values = by_task[metric].reindex(index=tasks, columns=models).to_numpy(np.float64, na_value=np.nan)
        errors[metric] = np.where(np.isnan(values), values[:, [models.index(baseline)]], values)
    failed = ran[ran["status"] == "failed"].pivot_table("status", "task", "model", aggfunc="count")
    failures = failed.reindex(index=tasks, columns=models).notna().sum().to_numpy()
    logs = {metric: np.log(relative(errors[metric], models.index(baseline))) for metric in metrics}
    first = errors[metrics[0]]
    wins, ranks = win_share(first), average_ranks(first)

    draws = np.random.default_rng(seed).multinomial(len(tasks), [1 / len(tasks)] * len(tasks), resamples) / len(tasks)
    table: dict[str, Any] = {"model": models}
    for metric in metrics:
        add_interval(table, f"relative_{metric}", np.exp(logs[metric].mean(0)), np.exp(draws @ logs[metric]))
    add_interval(table, "skill", 1 - table[f"relative_{metrics[0]}"], 1 - np.exp(draws @ logs[metrics[0]]))
    add_interval(table, "win_rate", wins.mean(0), draws @ wins)
    add_interval(table, "average_rank", ranks.mean(0), draws @ ranks)
    table["failures"] = failures
    table["tasks"] = len(tasks)
    if "inference_seconds" in ran:
        seconds = ran[ran["task"].isin(tasks)].groupby("model")["inference_seconds"].sum()
        table["inference_seconds"] = seconds.reindex(models).to_numpy(np.float64, na_value=np.nan)
    if "leakage" in ran:
        leaks = ran[ran["task"].isin(tasks)].groupby("model")["leakage"].sum()
        table["leakage"] = leaks.reindex(models).fillna(0).astype(int).to_numpy()
    frame = pd.DataFrame(table).sort_values([f"relative_{metrics[0]}", "model"], ignore_index=True)
    return Leaderboard(frame, tuple(metrics), tasks, left_out)


def relative(errors: np.ndarray, baseline: int) -> np.ndarray:
    """Errors (tasks, models) over the baseline's, clipped; 0 / 0 is 1: both are perfect."""
    base = errors[:, [baseline]]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((errors == 0) & (base == 0), 1.0, errors / base)
    return np.clip(ratio, 1 / CLIP, CLIP)


def win_share(errors: np.ndarray) -> np.ndarray:
    """Share of the other models that each model beats on each task (tasks, models); ties count half."""
    others = max(errors.shape[1] - 1, 1)
    mine, theirs = errors[:, :, None], errors[:, None, :]
    won: np.ndarray = (mine < theirs).sum(2) + 0.5 * ((mine == theirs).sum(2) - 1)  # -1: not against itself
    won /= others
    return won


def average_ranks(errors: np.ndarray) -> np.ndarray:
    """Rank of each model on each task (tasks, models), 1 is best; ties share the mean of theirs."""
    mine, theirs = errors[:, :, None], errors[:, None, :]
    ranks: np.ndarray = 1 + (theirs < mine).sum(2) + ((mine == theirs).sum(2) - 1) / 2
    return ranks


def add_interval(table: dict[str, Any], name: str, value: np.ndarray, resampled: np.ndarray) -> None:
    """Add a column and the 2.5 % and 97.5 % percentiles of its resamples (resamples, models) beside it."""
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
    table |= {name: value, f"{name}_low": low, f"{name}_high": high}
