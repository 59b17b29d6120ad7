"""Two tables of scores side by side on exactly the tasks that both have: ours beside published ones, or two folders.

Every score is relative to the baseline of its own table, so that small differences in how two tables were computed
cancel; and the two baselines are held against each other, so that large ones do not go unseen. Failures count as the
baseline's score, as in `leaderboard.py`. The published tables that ship lie in `published/*.csv`; nothing here knows
who made them: each of their rows says its source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stillroom.bench.aggregates import relative, standings
from stillroom.bench.kinds import Kind
from stillroom.bench.leaderboard import Grid, installed
from stillroom.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SHIPPED = Path(__file__).parent / "published"
AGREE = 1e-3
"""Largest relative difference of two baselines on one task that rounding and other copies of the data explain."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models of two tables on their common tasks.

    Parameters
    ----------
    name
        The suite or kind that the tasks are of.
    kind, baseline, metrics
        As in a leaderboard, but of the metrics those that both tables have.
    tasks
        What was compared.
    left_out
        Tasks of the first table that cannot be compared, and models of the second that lack a task.
    table
        One row a model, best first: `model`, `source`, the numbers of `aggregates.standings`, `failures` and `leakage`
        (tasks). The baseline stands there once, with the source `both`.
    difference, differs_on
        The largest relative difference between the two baselines' scores, and the metric and the task where it is.
    """

    name: str
    kind: str
    baseline: str
    metrics: tuple[str, ...]
    tasks: tuple[str, ...]
    left_out: tuple[str, ...]
    table: pd.DataFrame
    difference: float
    differs_on: tuple[str, str]

    @property
    def remarks(self) -> list[str]:
        """What a reader must know beside the table, as sentences."""
        metric, task = self.differs_on
        both = f"the scores of {self.baseline} in both tables"
        if self.difference > AGREE:
            said = (
                f"warning: {both} differ by {self.difference:.2%} on {task} ({metric}): they are not of the same "
                "values there, so find out why before you believe this comparison"
            )
        elif self.difference > 0:
            said = f"{both} differ by at most {self.difference:.1g}, relative ({metric} of {task})"
        else:
            said = f"{both} are equal"
        remarks = [said]
        if self.table["failures"].any():
            remarks.append(f"a failed task counts as the score of {self.baseline}")
        if self.left_out:
            remarks.append(f"left out, as not both tables have them in full: {', '.join(self.left_out)}")
        return remarks


def beside_published(scores: pd.DataFrame, source: str, path: Path | None = None, **options: Any) -> list[Comparison]:
    """Set the scores of a folder beside published ones: one comparison a published suite.

    Tasks are matched by their data set, as the ids of tasks are everybody's own.

    Parameters
    ----------
    scores, source
        The rows, and what to call their source.
    path
        A CSV file with the columns of `read_published`; default: all that ship.
    options
        `on_left_out`, called with a sentence for every published suite that has data sets of ours and cannot be
        compared.

    Raises
    ------
    DataError
        When nothing can be compared.
    """
    ours = scores.assign(task=scores["dataset"], source=source)

    def parts() -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
        for kind, published in read_published(path).groupby("kind", sort=False):
            rows = ours[(ours["kind"] == kind) & (ours["status"] != "skipped")]
            for suite, theirs in published.groupby("suite", sort=False):
                elsewhere = set(published["task"]) - set(theirs["task"])
                if rows["task"].isin(theirs["task"]).any():
                    yield str(suite), rows[~rows["task"].isin(elsewhere)], theirs

    return _compare_each(parts(), f"none of the data sets in {source} has published scores", **options)


def beside_folder(
    first: pd.DataFrame, second: pd.DataFrame, sources: tuple[str, str], **options: Any
) -> list[Comparison]:
    """Set the scores of two folders side by side: one comparison a kind, tasks matched by their ids."""
    tables = [scores.assign(source=source) for scores, source in zip((first, second), sources, strict=True)]
    parts = (
        (kind, *(rows[rows["kind"] == kind] for rows in tables))
        for kind in first["kind"].unique()
        if (second["kind"] == kind).any()
    )
    return _compare_each(parts, f"{' and '.join(sources)} have no kind of task in common", **options)


def _compare_each(
    parts: Iterator[tuple[str, pd.DataFrame, pd.DataFrame]],
    otherwise: str,
    on_left_out: Callable[[str], None] = lambda sentence: None,
) -> list[Comparison]:
    made, sentences = [], []
    for name, ours, theirs in parts:
        try:
            made.append(compare(ours, theirs, name))
        except DataError as error:
            sentences.append(f"{name}: {error}")
    if not made:
        raise DataError(sentences[0] if sentences else otherwise)
    for sentence in sentences:
        on_left_out(sentence)
    return made


def compare(ours: pd.DataFrame, theirs: pd.DataFrame, name: str, resamples: int = 1000, seed: int = 0) -> Comparison:
    """Set two tables of one kind side by side.

    Parameters
    ----------
    ours, theirs
        Score rows with a `source`. Tasks of ours that not every model has are left out; so are models of theirs that do
        not have every one of the common tasks.
    name
        What to call the comparison.
    resamples, seed
        Of the bootstrap over tasks.

    Raises
    ------
    DataError
        When they have no metric, or no task with a score of the baseline, in common.
    """
    import pandas as pd

    kind = installed(ours)
    metrics = [metric for metric in kind.metrics if metric in ours and metric in theirs]
    if not metrics:
        raise DataError(f"the two tables have none of the metrics {', '.join(kind.metrics)} in common")
    ours, theirs = (rows[rows["status"] != "skipped"] for rows in (ours, theirs))
    twice = ours[ours.duplicated(["task", "model"])]
    if len(twice):
        raise DataError(f"two tasks are on the data set {twice['task'].iloc[0]}: choose a suite with --suite")
    mine, other = Grid(ours), Grid(theirs)
    usable = _scored(mine, kind, metrics) & mine.there.all(1)
    common = sorted({*mine.tasks[usable]} & {*other.tasks[_scored(other, kind, metrics)]})
    if not common:
        raise DataError(f"the two tables have no task in common on which both have a score of {kind.baseline}")
    other = Grid(theirs[theirs["task"].isin(common)])
    lacking = np.array(other.models)[~other.there.all(0)]
    left_out = (*(task for task in mine.tasks if task not in common), *lacking)
    ours = ours[ours["task"].isin(common)]
    theirs = theirs[theirs["task"].isin(common) & ~theirs["model"].isin(lacking)]
    mine, other = Grid(ours), Grid(theirs)  # both are full now, and their tasks sorted alike
    added = np.array(other.models) != kind.baseline

    def joined(of_mine: Any, of_other: Any) -> np.ndarray:
        both: np.ndarray = np.concatenate([of_mine, np.asarray(of_other)[..., added]], axis=-1)
        return both

    errors, differences = {}, {}
    for metric in metrics:
        (left, base), (right, other_base) = (_scaled(grid, metric, kind) for grid in (mine, other))
        errors[metric] = joined(left, right)
        differences[metric] = np.abs(relative(base, other_base) - 1)
    worst = max(metrics, key=lambda metric: differences[metric].max())
    baseline = mine.models.index(kind.baseline)
    table: dict[str, Any] = {
        "model": joined(mine.models, other.models).astype(object),
        "source": joined(_sources(ours), _sources(theirs)).astype(object),
        **standings(errors, baseline, resamples, seed),
        "failures": joined((mine.status == "failed").sum(0), (other.status == "failed").sum(0)),
        "leakage": joined(mine.leaks.sum(0), other.leaks.sum(0)),
    }
    table["source"][baseline] = "both"
    return Comparison(
        name,
        kind.name,
        kind.baseline,
        tuple(metrics),
        tuple(common),
        left_out,
        pd.DataFrame(table).sort_values([f"relative_{metrics[0]}", "model"], ignore_index=True),
        float(differences[worst].max()),
        (worst, common[int(differences[worst].argmax())]),
    )


def _scored(grid: Grid, kind: Kind, metrics: list[str]) -> np.ndarray:
    """(tasks,) Whether the baseline has every metric."""
    at = grid.position(kind.baseline, "the baseline")
    scores = np.stack([grid.errors(metric, kind)[:, at] for metric in metrics])
    there: np.ndarray = ~np.isnan(scores).any(0)
    return there


def _scaled(grid: Grid, metric: str, kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    """Errors relative to the table's own baseline (tasks, models), 1 where there is none; and the baseline's."""
    errors = grid.errors(metric, kind)
    base: np.ndarray = errors[:, grid.models.index(kind.baseline)]
    return np.nan_to_num(relative(errors, base[:, None]), nan=1.0), base


def _sources(rows: pd.DataFrame) -> list[str]:
    """The source of each model, by the order of models in a `Grid`."""
    return list(rows.groupby("model")["source"].first())


def read_published(path: Path | None = None) -> pd.DataFrame:
    """Read published scores as score rows.

    Columns of the CSV: `kind`, `suite`, `dataset`, `model`, `source`, one a metric by its upper-case name, and if need
    be `leakage` (whether the model was trained on the data set). A row without one of its metrics is no row.

    Raises
    ------
    DataError
        When the file cannot be read or lacks a column.
    """
    import pandas as pd

    tables = []
    for file in [path] if path else sorted(SHIPPED.glob("*.csv")):
        try:
            table = pd.read_csv(file, float_precision="round_trip")
        except (OSError, ValueError) as error:
            raise DataError(f"{file} cannot be read as CSV: {' '.join(str(error).split())}") from None
        needed = ("kind", "suite", "dataset", "model", "source")
        if lacking := [name for name in needed if name not in table]:
            raise DataError(f"{file} is no table of published scores: it lacks the column {', '.join(lacking)}")
        tables.append(table.dropna(subset=[name for name in map(str, table) if name.isupper()]))
    return pd.concat(tables, ignore_index=True).rename(columns={"dataset": "task"}).assign(status="ok")
