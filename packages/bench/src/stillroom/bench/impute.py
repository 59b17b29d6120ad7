"""The imputation task: cut windows off the later part of every series, hide some values, and ask for them.

The protocol is that of Time-Series-Library (Wu et al., "TimesNet", 2023), which UniTS and others follow: windows of the
test part, standardised with the statistics of the train part, MAE and MSE of the hidden values. It differs in this:

- Exactly the ratio of each variable of each window is hidden (`stillroom.series.gaps`), there every value with that
  probability; and what is hidden follows from the task's seed, there it is drawn anew in every run.
- Hidden values are NaN, there 0. Values may be missing beforehand, which count nowhere.
- A model is handed the windows and the season length, no calendar, and nothing of the train part to learn from: what
  it was trained on is its own affair (there, on the train part of the same data set).
- Gaps may be blocks, not only points.

It computes no metric itself and knows no model.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from stillroom.bench.examples import Example, Line, Span, pick
from stillroom.bench.kinds import Stopwatch
from stillroom.bench.panels import SeriesTask, read_panel
from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.protocols import Imputer

if TYPE_CHECKING:
    import pandas as pd

    from stillroom.series.overlap import Index
    from stillroom.series.panel import Item, Panel

TOLERANCE = 1e-4
"""How far an observed value may come back from what it was, in standard deviations: float32 is well within."""


class ImputeTask(SeriesTask):
    """One imputation task, as a suite writes it."""

    kind: Literal["impute"] = "impute"
    variables: tuple[str, ...] = ()
    """Items to take together as the variables of one item, where a data set keeps them apart; the others are left."""
    window: int = Field(gt=1)
    """Steps that a model sees at a time."""
    stride: int | None = Field(None, gt=0)
    """Steps from one window to the next; default: one window, so that no value is judged twice."""
    ratio: float = Field(gt=0, lt=1)
    """Share of the observed values to hide."""
    mask: Literal["point", "block"] = "point"
    """What is hidden: single values, or blocks of `block_length` in a row, in each variable by itself."""
    block_length: int | None = Field(None, gt=1)
    seed: int = 0
    """Decides, with the names of item and variable, what is hidden. The run's own seed changes nothing of it."""
    train: int | float = 0.6
    """The first so many steps of every series, or this share of them (0.6 as in ETT's 12 of 20 months): their mean and
    standard deviation scale the windows."""
    test: tuple[int, int] | None = None
    """The part that windows are cut from: its first step, and the step after its last. Default: all after `train`."""

    @field_validator("train")
    @classmethod
    def _train_is_a_part(cls, train: int | float) -> int | float:
        if train <= 0 or (isinstance(train, float) and train >= 1):
            raise ValueError("must be a share between 0 and 1, or a whole number of steps")
        return train

    @model_validator(mode="after")
    def _keys_fit_together(self) -> ImputeTask:
        if (self.mask == "block") != (self.block_length is not None):
            raise ValueError("block_length goes with mask: block, and mask: block needs one")
        if self.block_length is not None and self.block_length >= self.window:
            raise ValueError(f"block_length must be less than the window of {self.window} steps")
        if len(set(self.variables)) < len(self.variables):
            raise ValueError("variables names an item twice")
        if self.test is not None and not 0 <= self.test[0] < self.test[1]:
            raise ValueError("test must name its first step and the step after its last")
        return self


@dataclass(frozen=True, eq=False)
class ImputeData:
    """All windows of all items, item by item, the earliest of each first; values in standard deviations of `train`."""

    panel: Panel
    season_length: int
    truth: np.ndarray
    """(windows, variables, time), NaN = missing."""
    hidden: np.ndarray
    """(windows, variables, time), True where a model is asked for a value."""
    item: np.ndarray
    """(windows,) the item's place in the panel."""
    number: np.ndarray
    """(windows,) the window's number within its item."""
    start: np.ndarray
    """(windows,) its first step."""
    mean: np.ndarray
    """(items, variables)"""
    deviation: np.ndarray
    """(items, variables)"""

    @property
    def fingerprint(self) -> str:
        """Hash of the series' content."""
        return self.panel.fingerprint()

    @property
    def size(self) -> int:
        """Hidden values."""
        return int(self.hidden.sum())

    def shared(self, index: Index) -> float:
        """Share of the telling windows of one series that the index holds, of the series with the largest."""
        return max(index.shared(values) for item in self.panel for values in item.target)


class Impute:
    """The kind `impute`. Scores pool all hidden values, of all variables, windows and items."""

    name = "impute"
    spec = ImputeTask
    protocol = Imputer
    baseline = "linear-interpolation"
    metrics = ("MAE", "MSE")
    higher = frozenset({"R2"})
    meaning: ClassVar = {
        "MAE": "mean absolute error of the hidden values, in standard deviations of the train part",
        "MSE": "mean squared error of the same",
    }

    @property
    def version(self) -> str:
        """That of what is hidden and of the metrics."""
        from stillroom.series.gaps import VERSION

        return str(VERSION)

    def load(self, spec: ImputeTask) -> ImputeData:
        """Read the data set, cut its windows and decide what is hidden."""
        from stillroom.series.seasons import season_length

        panel = read_panel(spec)
        if spec.variables:
            try:
                panel = together(panel, spec.variables)
            except DataError as error:
                raise DataError(f"task {spec.id}: {error}") from None
        panel = replace(panel, items=panel.items[: spec.max_series])
        truth, hidden, start, mean, deviation = zip(*(cut(item, panel.targets, spec) for item in panel), strict=True)
        counts = [len(own) for own in start]
        data = ImputeData(
            panel,
            season_length(panel.freq) if spec.season_length is None else spec.season_length,
            truth=np.concatenate(truth),
            hidden=np.concatenate(hidden),
            item=np.repeat(np.arange(len(panel)), counts),
            number=np.concatenate([np.arange(count) for count in counts]),
            start=np.concatenate(start),
            mean=np.stack(mean),
            deviation=np.stack(deviation),
        )
        if not data.size:
            raise DataError(f"task {spec.id}: no window has observed values enough to hide {spec.ratio} of them")
        return data

    def predict(self, model: Imputer, spec: ImputeTask, data: ImputeData, fitting: Stopwatch) -> pd.DataFrame:
        """Have all windows filled: one row a hidden value, with what the model said in standard deviations."""
        import pandas as pd

        from stillroom.series.panel import id_column

        given = np.where(data.hidden, np.nan, data.truth)
        filled = check(model.impute(list(given), data.season_length), data)
        window, variable, step = np.nonzero(data.hidden)
        return pd.DataFrame(
            {
                "window": data.number[window],
                "item_id": pd.Categorical.from_codes(data.item[window], pd.Index(id_column(data.panel))),
                "variable": pd.Categorical.from_codes(variable, pd.Index(data.panel.targets)),
                "step": step + 1,
                "value": filled[data.hidden],
            }
        )

    def score(self, spec: ImputeTask, data: ImputeData, predictions: pd.DataFrame) -> dict[str, float]:
        """Metrics of kept predictions: `stillroom.series.gaps.evaluate` on all hidden values at once."""
        from stillroom.series.gaps import evaluate

        return evaluate(data.truth[data.hidden], predictions["value"].to_numpy())

    def examples(self, spec: ImputeTask, data: ImputeData, predictions: pd.DataFrame) -> list[Example]:
        """The variable of a window that was filled best, at the median and worst, by its MAE; in the data's units."""
        hidden = data.hidden
        filled = data.truth.copy()
        filled[hidden] = predictions["value"].to_numpy()
        count = hidden.sum(axis=2)
        error = np.where(hidden, np.abs(filled - data.truth), 0.0).sum(axis=2)
        errors = np.divide(error, count, out=np.full(error.shape, np.nan), where=count > 0)
        examples = []
        for rank, place in pick(errors.ravel()):
            window, variable = divmod(place, errors.shape[1])
            owner = data.item[window]
            scale, mean = data.deviation[owner, variable], data.mean[owner, variable]
            truth, prediction = (values[window, variable] * scale + mean for values in (data.truth, filled))
            gap = hidden[window, variable]
            edge = gap | np.append(gap[1:], False) | np.append(False, gap[:-1])  # lines that reach what was observed
            steps = data.start[window] + np.arange(len(gap))
            name = str(data.panel.items[owner].item_id)
            if errors.shape[1] > 1:
                name += f", {data.panel.targets[variable]}"
            lines = (
                Line("observed", "history", steps, np.where(gap, np.nan, truth)),
                Line("hidden", "truth", steps, np.where(edge, truth, np.nan)),
                Line("filled", "prediction", steps, np.where(edge, prediction, np.nan)),
            )
            spans = tuple(Span("gap", float(steps[first]), float(steps[last])) for first, last in runs(gap))
            examples.append(Example(rank, name, "MAE", float(errors[window, variable]), lines, spans=spans))
        return examples


def cut(item: Item, names: tuple[str, ...], spec: ImputeTask) -> tuple[np.ndarray, ...]:
    """Cut one item, whose variables have `names`: truth, hidden and start of its windows; its mean and deviation.

    Shapes as in `ImputeData`, without the items.

    Raises
    ------
    RecipeError, DataError
        If the parts overlap, the item is too short, or a variable has nothing to be scaled by.
    """
    from stillroom.series.gaps import hide, scale_of

    where = f"task {spec.id}: item {item.item_id!r}"
    train = spec.train if isinstance(spec.train, int) else int(spec.train * item.length)
    begin, end = spec.test or (train, item.length)
    if begin < train:
        raise RecipeError(f"{where}: the test part begins at step {begin}, within the {train} steps of the train part")
    if end > item.length or end - begin < spec.window:
        raise DataError(
            f"{where} has {item.length} steps, but a window of {spec.window} after step {begin} needs at least "
            f"{max(begin + spec.window, end)}: ask for shorter windows or a shorter train part"
        )
    try:
        mean, deviation = scale_of(item.target[:, :train])
    except DataError as error:
        raise DataError(f"{where}: in the {train} steps of the train part, {error}") from None
    values = (item.target[:, begin:end] - mean[:, None]) / deviation[:, None]
    stride = spec.stride or spec.window
    windows = np.lib.stride_tricks.sliding_window_view(values, spec.window, axis=1)[:, ::stride]
    hidden = [
        hide(~np.isnan(rows), spec.ratio, spec.seed, str(item.item_id), name, block_length=spec.block_length or 1)
        for name, rows in zip(names, windows, strict=True)
    ]
    start = begin + stride * np.arange(windows.shape[1])
    return np.swapaxes(windows, 0, 1), np.stack(hidden, axis=1), start, mean, deviation


def together(panel: Panel, names: tuple[str, ...]) -> Panel:
    """Make one item of several: their targets become its variables, named as the items; it has their common prefix.

    Raises
    ------
    DataError
        If there is no item of a name, or they do not cover the same steps.
    """
    from stillroom.series.panel import Panel

    if len(panel.targets) > 1:
        raise DataError(f"the items have {len(panel.targets)} variables already: leave `variables` out")
    prefix = os.path.commonprefix(names)  # noqa: RUF071 — of characters: ETTh1_HUFL and ETTh1_OT make ETTh1
    item = panel.joined(names, prefix.rstrip("_-/. ") or names[0])
    return Panel((item,), panel.freq, names)


def check(answer: list[np.ndarray], data: ImputeData) -> np.ndarray:
    """Return what an imputer filled as (windows, variables, time).

    Raises
    ------
    ModelError
        If it is of another shape, has a value that is no number, or changed what was observed.
    """
    if len(answer) != len(data.truth):
        raise ModelError(f"{len(answer)} windows came back instead of {len(data.truth)}")
    for window in answer:
        if np.shape(window) != data.truth.shape[1:]:
            raise ModelError(f"a window came back with the shape {np.shape(window)} instead of {data.truth.shape[1:]}")
    filled = np.stack([np.asarray(window, dtype=np.float64) for window in answer])
    if missing := int((~np.isfinite(filled)).sum()):
        raise ModelError(f"{missing:,} of {filled.size:,} values that came back are not finite numbers")
    observed = ~data.hidden & ~np.isnan(data.truth)
    moved = np.abs(filled - data.truth)[observed]
    allowed = TOLERANCE * np.maximum(1.0, np.abs(data.truth[observed]))
    if changed := int((moved > allowed).sum()):
        raise ModelError(
            f"{changed:,} of {observed.sum():,} observed values came back changed, by up to {moved.max():.3g} standard "
            "deviations: an imputer fills gaps and leaves the rest as it was"
        )
    return filled


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return list(zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True))


kind = Impute()
