"""Errors of models on tasks, aggregated: relative score, skill, win rate and rank, alone and in pairs, with intervals.

It works on arrays of shape (tasks, models), lower is better, 0 is perfect, no NaN. It knows no score rows and no rules
about failures: `leaderboard.py` does.

Intervals hold 95 %: percentiles of seeded resamples of the tasks, all models on the same tasks in each. They say how
much would change with other tasks of the same sort, not with another seed of a model. Of one task there is none (NaN).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

CLIP = 100.0
"""Relative scores are kept within 1/100 and 100, so that one absurd row decides nothing (fev's choice, too)."""


def relative(errors: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Errors over others (broadcast together), clipped; 0 / 0 is 1: both are perfect."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((errors == 0) & (to == 0), 1.0, errors / to)
    return np.clip(ratio, 1 / CLIP, CLIP)


def wins(errors: np.ndarray) -> np.ndarray:
    """1 where a model has less than the other, 0.5 where both have the same: (tasks, models, others)."""
    mine, theirs = errors[:, :, None], errors[:, None, :]
    won: np.ndarray = (mine < theirs) + 0.5 * (mine == theirs)
    return won


def average_ranks(errors: np.ndarray) -> np.ndarray:
    """Rank of each model on each task (tasks, models), 1 is best; ties share the mean of theirs."""
    ranks: np.ndarray = errors.shape[1] + 0.5 - wins(errors).sum(2)  # who beats all and ties with itself is first
    return ranks


def standings(errors: Mapping[str, np.ndarray], baseline: int, resamples: int, seed: int) -> dict[str, np.ndarray]:
    """One number a model, and `_low` and `_high` beside each.

    Parameters
    ----------
    errors
        (tasks, models) a metric; the first one decides skill, win rate and rank.
    baseline
        The position of the model that scores are relative to.
    resamples, seed
        Of the bootstrap.

    Returns
    -------
    relative_METRIC
        Geometric mean over tasks of score / the baseline's score; below 1 is better than the baseline.
    skill
        1 - relative score.
    win_rate
        Share of (task, other model) pairs that the model wins, ties counting half; NaN for a model alone. A win is one
        outside the clip, too (in fev's pairwise comparison as here; in its leaderboard it is a tie).
    average_rank
        Mean over tasks.
    """
    first = next(iter(errors.values()))
    shares = resample(len(first), resamples, seed)
    logs = {metric: np.log(relative(values, values[:, [baseline]])) for metric, values in errors.items()}
    table: dict[str, np.ndarray] = {}
    for metric in errors:
        table |= with_interval(f"relative_{metric}", logs[metric], shares, np.exp)
    table |= with_interval("skill", logs[next(iter(errors))], shares, lambda mean: 1 - np.exp(mean))
    ranks, models = average_ranks(first), first.shape[1]
    table |= with_interval("win_rate", (models - ranks) / (models - 1) if models > 1 else ranks * np.nan, shares)
    table |= with_interval("average_rank", ranks, shares)
    return table


def pairs(errors: np.ndarray, resamples: int, seed: int) -> dict[str, np.ndarray]:
    """`skill` (1 - geometric mean of the ratio) and `win_rate` of every model against every other, with intervals.

    Each has the shape (models, models), the row's model against the column's.
    """
    shares = resample(len(errors), resamples, seed)
    logs = np.log(relative(errors[:, :, None], errors[:, None, :]))
    return with_interval("skill", logs, shares, lambda mean: 1 - np.exp(mean)) | with_interval(
        "win_rate", wins(errors), shares
    )


def resample(tasks: int, resamples: int, seed: int) -> np.ndarray:
    """Share that each task has in each resample, drawn with replacement: (resamples, tasks), rows add up to 1.

    The draws are those of fev for the same seed. A mean over a resample is then one row of a matrix product, which is
    what makes a thousand of them cheap.
    """
    drawn = np.random.default_rng(seed).integers(0, tasks, (resamples, tasks))
    drawn += tasks * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * tasks).reshape(resamples, tasks) / tasks


def with_interval(
    name: str, values: np.ndarray, shares: np.ndarray, transform: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> dict[str, np.ndarray]:
    """The mean over tasks (the first axis of `values`), transformed, and its 2.5 % and 97.5 % percentiles."""
    mean = transform(values.mean(0))
    low = high = np.full(mean.shape, np.nan)
    if len(values) > 1:
        drawn = transform(shares @ values.reshape(len(values), -1))
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0).reshape(2, *mean.shape)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}
