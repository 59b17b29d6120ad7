"""Score rows, compared: one leaderboard a kind of task, and the rules by which rows become comparable numbers.

The rules:
- Models are compared on exactly the tasks that every one of them has a row for; skipped rows are none. A task without
  a score of the baseline is left out.
- Of metrics where higher is better, 1 - score is compared.
- A failed task counts as the baseline's score (relative score 1), and so does a row without the metric; both are
  counted in `failures`.
- Leakage (the model was trained on the task's data set) is counted always, and handled by one of three rules. `flag`:
  the score stays. `exclude`: tasks that leak to any of the models are left out for all. `impute`: the leaking model
  gets the score of another named one there, which must not leak itself (as in fev).
- What is aggregated, and how intervals are made, is said in `aggregates.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from stillroom.bench.aggregates import pairs, standings
from stillroom.bench.kinds import Kind, kind_of
from stillroom.core.errors import DataError, RecipeError

if TYPE_CHECKING:
    import pandas as pd

Leakage = Literal["flag", "exclude", "impute"]


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Models compared on tasks of one kind.

    Parameters
    ----------
    kind, baseline, metrics
        The kind's name, the model that scores are relative to, and the headline metrics; the first one ranks.
    tasks, left_out, excluded
        The tasks that were compared; those that not every model or not the baseline has; those excluded for leakage.
    table
        One row a model, best first: `model`, the numbers of `aggregates.standings`, `failures`, `tasks`,
        `inference_seconds` and `leakage` (tasks).
    errors
        (tasks, models) a metric, models as in `models`: what was compared, after all the rules.
    leakage, impute_from, resamples, seed
        How it was made.
    """

    kind: str
    baseline: str
    metrics: tuple[str, ...]
    tasks: tuple[str, ...]
    left_out: tuple[str, ...]
    excluded: tuple[str, ...]
    table: pd.DataFrame
    errors: dict[str, np.ndarray]
    leakage: Leakage
    impute_from: str
    resamples: int
    seed: int

    @property
    def models(self) -> tuple[str, ...]:
        """Best first."""
        return tuple(self.table["model"])


def boards(
    scores: pd.DataFrame, *, on_left_out: Callable[[str], None] = lambda sentence: None, **options: Any
) -> list[Leaderboard]:
    """Make one leaderboard a kind of task, in the order in which kinds appear.

    Parameters
    ----------
    scores
        The rows of a folder, as `rows.assemble` returns them.
    on_left_out
        Called with a sentence for every kind that has no leaderboard: it is not installed, or cannot be compared.
    options
        Those of `leaderboard`.

    Raises
    ------
    DataError
        When there is not one leaderboard; the sentence is the first kind's.
    """
    made, sentences = [], []
    for name in scores["kind"].unique():
        try:
            made.append(leaderboard(scores[scores["kind"] == name], **options))
        except DataError as error:
            sentences.append(f"{name}: {error}")
    if not made:
        raise DataError(sentences[0])
    for sentence in sentences:
        on_left_out(sentence)
    return made


def leaderboard(
    scores: pd.DataFrame,
    *,
    baseline: str | None = None,
    leakage: Leakage = "flag",
    impute_from: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Leaderboard:
    """Aggregate the score rows of one kind.

    Parameters
    ----------
    scores
        Rows with `task`, `kind`, `model`, `status` and the metrics.
    baseline
        What scores are relative to, and what failures count as; default: the kind's.
    leakage, impute_from
        The rule, and the model whose scores stand in under `impute` (default: the baseline).
    resamples, seed
        Of the bootstrap over tasks.

    Raises
    ------
    DataError
        When the kind is not installed, the baseline has no score, or no task is common to all models.
    RecipeError
        For options that cannot be meant.
    """
    import pandas as pd

    if leakage not in get_args(Leakage):
        raise RecipeError(f"there is no rule {leakage!r} for leakage: use {', '.join(get_args(Leakage))}")
    if impute_from and leakage != "impute":
        raise RecipeError(f"{impute_from!r} would stand in only under the rule `impute`, not under {leakage!r}")
    kind = installed(scores)
    baseline = baseline or kind.baseline
    grid = Grid(scores)
    reference = grid.position(baseline, "the baseline")
    errors = {metric: grid.errors(metric, kind) for metric in kind.metrics}
    usable = grid.there.all(1) & np.all([~np.isnan(values[:, reference]) for values in errors.values()], axis=0)
    excluded = usable & (grid.leaks.any(1) if leakage == "exclude" else False)
    kept = usable & ~excluded
    if not kept.any():
        raise DataError(
            "on every task some model leaks, so none is left: use --leakage impute, or leave models out"
            if usable.any()
            else "no task has a row of every model and a score of the baseline, so there is nothing to compare: "
            "choose models that ran on the same tasks"
        )

    failures = ((grid.status == "failed") | np.any([np.isnan(values) for values in errors.values()], axis=0))[kept]
    leaks = grid.leaks[kept]
    stand_in = reference
    if leakage == "impute":
        stand_in = grid.position(impute_from or baseline, "the model to impute from")
        if leaks[:, stand_in].any():
            raise DataError(f"{grid.models[stand_in]} leaks itself: impute from a model that was trained on no task")
    for metric, values in errors.items():
        values = values[kept]
        if leakage == "impute":
            values = np.where(leaks, values[:, [stand_in]], values)
        errors[metric] = np.where(np.isnan(values), values[:, [reference]], values)

    table: dict[str, Any] = {"model": grid.models, **standings(errors, reference, resamples, seed)}
    table |= {"failures": failures.sum(0), "tasks": int(kept.sum())}
    seconds = grid.numbers("inference_seconds")[kept]
    table["inference_seconds"] = np.where(np.isnan(seconds).all(0), np.nan, np.nansum(seconds, 0))
    table["leakage"] = leaks.sum(0)
    frame = pd.DataFrame(table).sort_values([f"relative_{kind.metrics[0]}", "model"])
    return Leaderboard(
        kind.name,
        baseline,
        tuple(kind.metrics),
        tuple(grid.tasks[kept]),
        tuple(grid.tasks[~usable]),
        tuple(grid.tasks[excluded]),
        frame.reset_index(drop=True),
        {metric: values[:, frame.index] for metric, values in errors.items()},
        leakage,
        grid.models[stand_in],
        resamples,
        seed,
    )


def pairwise(board: Leaderboard) -> pd.DataFrame:
    """Every model against every other, best first: skill and win rate of `model` over `other`, by the first metric.

    Columns `model, other, skill, skill_low, skill_high, win_rate, win_rate_low, win_rate_high`. The skill is
    1 - geometric mean of the ratio of their scores, positive where `model` is better; both directions are there.
    """
    import pandas as pd

    table = pairs(board.errors[board.metrics[0]], board.resamples, board.seed)
    models = np.array(board.models, dtype=object)
    mine, theirs = np.nonzero(~np.eye(len(models), dtype=bool))
    names = {"model": models[mine], "other": models[theirs]}
    return pd.DataFrame(names | {name: values[mine, theirs] for name, values in table.items()})


def installed(scores: pd.DataFrame) -> Kind:
    """The kind of these rows.

    Raises
    ------
    DataError
        When they are of several kinds, or of one that no installed package registers.
    """
    names = list(scores["kind"].unique())
    if len(names) > 1:
        raise DataError(f"the scores are of several kinds ({', '.join(names)}), which cannot be compared: choose one")
    try:
        return kind_of(names[0])
    except RecipeError as error:
        raise DataError(f"no installed package brings this kind, so its scores mean nothing here ({error})") from None


class Grid:
    """The rows that ran, laid out as (tasks, models), both sorted; of two rows of a pair the last one counts."""

    def __init__(self, scores: pd.DataFrame) -> None:
        import pandas as pd

        self._rows = scores[scores["status"].isin(["ok", "failed"])]
        task, tasks = pd.factorize(self._rows["task"], sort=True)
        model, models = pd.factorize(self._rows["model"], sort=True)
        self.tasks = np.asarray(tasks, dtype=object)
        self.models: list[str] = list(models)
        self._at = np.full((len(tasks), len(models)), -1)
        self._at[task, model] = np.arange(len(self._rows))
        self.there: np.ndarray = self._at >= 0
        """(tasks, models) Whether there is a row."""
        self.status = self._take(self._rows["status"].to_numpy(object), None)
        """(tasks, models) `ok`, `failed`, or None where there is no row."""
        self.leaks = self.numbers("leakage") == 1
        """(tasks, models)"""

    def _take(self, column: np.ndarray, absent: Any) -> np.ndarray:
        return np.where(self.there, column[self._at], absent)

    def numbers(self, column: str) -> np.ndarray:
        """A column of numbers as (tasks, models), NaN where there is no row, no value or no such column."""
        if column not in self._rows:
            return np.full(self._at.shape, np.nan)
        return self._take(self._rows[column].to_numpy(np.float64, na_value=np.nan), np.nan)

    def errors(self, metric: str, kind: Kind) -> np.ndarray:
        """A metric as (tasks, models) so that lower is better; failed rows have none."""
        values = np.where(self.status == "ok", self.numbers(metric), np.nan)
        return 1 - values if metric in kind.higher else values

    def position(self, model: str, role: str) -> int:
        """Which column a model has."""
        if not self.models:
            raise DataError("every row is skipped, so there is nothing to compare")
        if model not in self.models:
            raise DataError(f"there are no scores of {role} {model!r}; there are those of {', '.join(self.models)}")
        return self.models.index(model)
