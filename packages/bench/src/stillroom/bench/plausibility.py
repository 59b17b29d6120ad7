"""Scores that deserve a second look before they are believed, each with a sentence that says why.

Nothing is changed or left out for it. It knows score rows, and of a kind only its headline metrics and its baseline; a
rule about a metric by its name applies wherever rows have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from stillroom.bench.aggregates import relative
from stillroom.bench.kinds import Kind
from stillroom.bench.leaderboard import Grid, installed
from stillroom.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

DISAGREEMENT = 10.0
"""How many times further from the baseline WQL may be than MASE, or MASE than WQL."""
SAME = 3
"""Tasks with equal, imperfect scores that make it unlikely that two models are two."""
EVERY_TASK, EVERY_MODEL = "every task", "every model"

ABOVE = {
    "CROSSING": (0.0, "{:.2g} of all neighbouring quantiles are in the wrong order"),
    "MISSING": (0.0, "{:.2g} of the forecast is missing and escapes the metrics"),
}
"""Metric -> (what it must not exceed, the sentence if it does)."""
BELOW = {
    "AUC": (0.5, "AUC is {:.2f}, worse than guessing: are the classes mixed up?"),
    "AUC_ROC": (0.5, "AUC_ROC is {:.2f}, worse than guessing: do high scores mean normal?"),
    "R2": (0.0, "R2 is {:.2f}: the mean of what was hidden would have been a better guess"),
}
"""Metric -> (what it must reach, the sentence if it does not)."""


def flags(scores: pd.DataFrame) -> pd.DataFrame:
    """Return what is suspicious about score rows: columns `task`, `model`, `flag` (a sentence), sorted.

    - forecasts with crossing quantiles (`CROSSING` > 0) or without values (`MISSING` > 0);
    - a headline metric that is NaN although another model has a number (a detection task without anomalies has none);
    - MASE and WQL that disagree: relative to the baseline, one is more than 10 times the other. The median and the
      whole distribution then tell different stories: a wrong season length or scale, one wild series;
    - scores that are worse than guessing: an area under the ROC curve (`AUC`, `AUC_ROC`) below a half, `R2` below 0;
    - a model whose headline metrics equal the baseline's on every task (at least three of them not perfect);
    - a task on which every model failed.

    Of kinds that are not installed only the metrics that are looked at alone are.
    """
    import pandas as pd

    found: set[tuple[str, str, str]] = set()
    for name in scores["kind"].unique():
        rows = scores[scores["kind"] == name]
        found |= set(_alone(rows[rows["status"] == "ok"]))
        try:
            kind = installed(rows)
        except DataError:
            continue
        found |= set(_together(Grid(rows), kind))
    return pd.DataFrame(sorted(found), columns=["task", "model", "flag"])


def _alone(rows: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """What one metric of one row says."""
    for metric, (bound, sentence) in (ABOVE | BELOW).items():
        if metric in rows:
            values = rows[metric].to_numpy(float)
            for row in np.flatnonzero(values > bound if metric in ABOVE else values < bound):
                yield rows["task"].iloc[row], rows["model"].iloc[row], sentence.format(values[row])


def _together(grid: Grid, kind: Kind) -> Iterator[tuple[str, str, str]]:
    """What only several metrics, models or tasks say."""
    ran = grid.status == "ok"
    for task in np.flatnonzero(~ran.any(1)):
        yield grid.tasks[task], EVERY_MODEL, "every model failed: look at the task before the models"
    errors = {metric: grid.errors(metric, kind) for metric in kind.metrics}
    for metric, values in errors.items():
        missing = np.isnan(values)
        for task, model in np.argwhere(missing & ran & ~missing.all(1, keepdims=True)):
            yield grid.tasks[task], grid.models[model], f"{metric} is not a number"
    if kind.baseline not in grid.models:
        return
    baseline = grid.models.index(kind.baseline)
    if {"MASE", "WQL"} <= errors.keys():
        mase, wql = (relative(errors[metric], errors[metric][:, [baseline]]) for metric in ("MASE", "WQL"))
        for task, model in np.argwhere(np.abs(np.log(mase / wql)) > np.log(DISAGREEMENT)):
            sentence = f"relative to {kind.baseline}, MASE is {mase[task, model]:.2g} and WQL {wql[task, model]:.2g}"
            yield grid.tasks[task], grid.models[model], f"{sentence}: they tell different stories"
    table = np.stack(list(errors.values()))  # (metrics, tasks, models)
    base = table[:, :, [baseline]]
    same = (table == base).all(0)
    telling = same & (base > 0).all(0)
    for model, name in enumerate(grid.models):
        # A task without scores says neither that they are one model nor that they are two.
        if model != baseline and same[ran[:, model], model].all() and telling[:, model].sum() >= SAME:
            yield EVERY_TASK, name, f"its scores are those of {kind.baseline}: it is probably the same model"
