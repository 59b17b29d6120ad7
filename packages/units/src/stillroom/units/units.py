"""A UniTS model in hand: one object that forecasts, classifies, imputes and detects, over frames and over arrays.

Here is what people give and get: which columns of a frame are meant, what comes back as a frame and what as an array,
and what the model remembers of what it was shown. How each job is done is the business of `forecast`, `classify`,
`impute` and `detect`, where models come from that of `families`. Importing this module brings no torch.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stillroom.core.errors import DataError, ModelError
from stillroom.series.reading import Columns, to_panel

if TYPE_CHECKING:
    from stillroom.series.panel import Panel
    from stillroom.series.windows import Window
    from stillroom.units.classify import Learned
    from stillroom.units.detect import Normal
    from stillroom.units.model import UnitsModel

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(eq=False)
class Units:
    """A loaded UniTS model: a `Forecaster`, `Classifier`, `Imputer` and `Detector` of `stillroom.core.protocols`.

    Its weights never change: what `fit_classes` and `fit_normal` learn is kept beside them.

    Data is a long frame, a panel or the path of a file, and then a frame comes back; or an array (items, variables,
    time) or (items, time), or a list of arrays (variables, time), and then arrays do. NaN is a missing value.

    Parameters
    ----------
    model
        The network.
    source
        The folder or hub id that it came from.
    learned
        The classes that it was shown; None: none.
    normal
        What it was shown of what is normal; None: nothing.
    lesson
        How it learns classes unless `fit_classes` is told: fields of `classify.Lesson`. Its folder may say so, under
        `lesson` in `config.json`.
    dataset
        What `meet` heard.
    """

    model: UnitsModel = field(repr=False)
    source: str = "a network in memory"
    learned: Learned | None = field(default=None, repr=False)
    normal: Normal | None = field(default=None, repr=False)
    lesson: Mapping[str, Any] = field(default_factory=dict)
    dataset: str | None = None

    @classmethod
    def load(cls, source: str | Path, device: str = "cpu") -> Units:
        """Load a model by a folder, a hub id or a registered name; see `families.find` for what is raised."""
        from stillroom.units.families import find

        return find(str(source), device=device)

    @property
    def max_length(self) -> int:
        """Steps that the model reads at once, those to forecast included."""
        return int(self.model.config.max_length)

    @property
    def quantile_levels(self) -> tuple[float, ...]:
        """The levels that the model was trained on; others are interpolated."""
        return tuple(self.model.config.quantiles)

    @property
    def tasks(self) -> dict[str, list[str] | None]:
        """The tasks that the model was trained for, with their classes."""
        return dict(self.model.config.tasks)

    def fingerprint(self) -> str:
        """Hash every weight (sha256, hex): the same network gives the same hash, wherever it was loaded from."""
        import torch

        digest = hashlib.sha256(b"units")
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    # Forecasts

    def predict(self, window: Window, quantile_levels: Sequence[float]) -> np.ndarray:
        """Forecast quantiles (items, targets, horizon, levels), not decreasing over ascending levels.

        Several targets are looked at together. Covariates are not looked at, and one warning says so.

        Raises
        ------
        DataError
            Values beyond single precision.
        RecipeError
            A level that is not strictly between 0 and 1, or a horizon longer than the model reads.
        """
        from stillroom.units import forecast

        forecast.check(self.model.config, window.prediction_length, quantile_levels)
        _say_what_is_ignored(window.past)
        shape = (len(window.past), len(window.past.targets), window.prediction_length, len(quantile_levels))
        if not len(window.past):
            return np.empty(shape)
        found = forecast.quantiles(self.model, _targets(window.past), window.prediction_length, quantile_levels)
        return np.stack(found)

    def forecast(
        self,
        data: Any,
        prediction_length: int,
        quantile_levels: Sequence[float] = DECILES,
        columns: Columns | None = None,
    ) -> Any:
        """Forecast every series.

        Parameters
        ----------
        data
            A frame, panel or path; or arrays.
        prediction_length
            Steps to forecast, in one pass, also more than the model was trained on.
        quantile_levels
            Any levels strictly between 0 and 1; see `forecast.quantiles` for those that the model was not trained on.
        columns
            What the columns of a frame mean.

        Returns
        -------
        pd.DataFrame or np.ndarray
            Of a frame: item_id, timestamp, target_name, predictions (the median) and one column a level, as
            `stillroom.chronos.forecast` gives it. Of arrays: (items, variables, horizon, levels).

        Raises
        ------
        DataError
            Nothing to forecast, or data that cannot be read.
        RecipeError
            A horizon or a level that cannot be.
        """
        from stillroom.units import forecast
        from stillroom.units.arrays import as_series

        forecast.check(self.model.config, prediction_length, quantile_levels)
        if not _is_table(data):
            series = as_series(data)
            if len({len(one) for one in series}) > 1:
                raise DataError(
                    "The series have different numbers of variables: forecast those of one number at a time."
                )
            return np.stack(forecast.quantiles(self.model, series, prediction_length, quantile_levels))
        from stillroom.series.frames import forecast_frame

        columns = columns or Columns()
        panel = _panel(data, columns)
        _say_what_is_ignored(panel)
        levels = [*quantile_levels, 0.5]  # the median is the point forecast
        found = np.stack(forecast.quantiles(self.model, _targets(panel), prediction_length, levels))
        return forecast_frame(
            panel,
            found[..., :-1],
            quantile_levels,
            point=found[..., -1],
            item_id=columns.item_id,
            timestamp=columns.timestamp,
        )

    # Classes

    def meet(self, dataset: str) -> None:
        """Hear which data set is to be learned next, by its name in benchmarks, such as `ucr:GunPoint`.

        Under `head: known` the model's task of that name answers.
        """
        self.dataset = dataset

    def fit_classes(self, series: Any, labels: Any, columns: Columns | None = None, **lesson: Any) -> None:
        """Learn classes from series and their labels; what was learned before is forgotten.

        Parameters
        ----------
        series
            A frame, panel or path; or arrays. Lengths may differ, variables may not.
        labels
            The class of each, (items,), names or numbers; of a frame also a mapping or pandas series by item id.
        lesson
            Fields of `classify.Lesson`: `head`, `task`, `share`, `moves`, `steps`, `batch_size`, `learning_rate`,
            `seed`; what is not said here is as the model's own `lesson` has it.

        Raises
        ------
        DataError
            Series and labels do not fit together, or not with the task that is to answer.
        RecipeError
            A lesson that cannot be meant, or a task that the model has not.
        """
        from stillroom.core.recipes import checked
        from stillroom.units import classify
        from stillroom.units.arrays import as_series

        how = checked(classify.Lesson, {**self.lesson, **lesson})
        if how.head == "known" and how.task is None and self.dataset is not None:
            from stillroom.units.sources import Classes

            how = how.model_copy(update={"task": Classes(source=self.dataset).task})
        if _is_table(series):
            panel = _panel(series, columns)
            labels = _by_item(labels, panel)
            series = _targets(panel)
        self.learned = classify.fit(self.model, as_series(series), labels, how)

    def classify(self, series: Any, columns: Columns | None = None, *, task: str | None = None) -> Any:
        """Say how likely each series is of each class.

        Parameters
        ----------
        series
            A frame, panel or path; or arrays.
        task
            One that the model was trained for, with its classes; None: what `fit_classes` learned.

        Returns
        -------
        np.ndarray or pd.DataFrame
            (items, classes), rows summing to 1, classes in the order of `np.unique` of the labels learned or of the
            task's list. Of a frame: item_id and one column a class.

        Raises
        ------
        ModelError
            No classes were learned.
        DataError
            Series of other variables than were learned from.
        RecipeError
            A task without classes.
        """
        from stillroom.units import classify
        from stillroom.units.arrays import as_series

        panel = _panel(series, columns) if _is_table(series) else None
        given = as_series(
            series if panel is None else _targets(panel), longest=None if task is None else self.max_length
        )
        if task is not None:
            found = classify.of_task(self.model, task, given)
            names = self.tasks[task] or []
        elif self.learned is None:
            raise ModelError("This model has learned no classes: call fit_classes first, or name one of its tasks.")
        else:
            found = classify.probabilities(self.model, self.learned, given)
            names = self.learned.classes.tolist()
        if panel is None:
            return found
        import pandas as pd

        from stillroom.series.panel import id_column

        frame = pd.DataFrame(found, columns=names)
        frame.insert(0, (columns or Columns()).item_id, id_column(panel.items))
        return frame

    # Gaps

    def impute(self, series: Any, season_length: int = 1, columns: Columns | None = None) -> Any:
        """Fill every NaN; what was observed stays as it was.

        Parameters
        ----------
        series
            A frame, panel or path; or arrays.
        season_length
            Not looked at: the network sees seasons by itself.

        Returns
        -------
        list of np.ndarray or pd.DataFrame
            Arrays (variables, time). Of a frame: the long frame with its gaps filled, also those of rows that were not
            there.

        Raises
        ------
        DataError
            Data that cannot be read.
        """
        from stillroom.units import impute
        from stillroom.units.arrays import as_series

        if not _is_table(series):
            return impute.fill(self.model, as_series(series))
        columns = columns or Columns()
        panel = _panel(series, columns)
        filled = impute.fill(self.model, _targets(panel))
        # an item without any step has none to fill
        items = tuple(replace(item, target=own[:, : item.length]) for item, own in zip(panel, filled, strict=True))
        frame = replace(panel, items=items).to_frame()
        return frame.rename(columns={"item_id": columns.item_id, "timestamp": columns.timestamp})

    # Anomalies

    def fit_normal(self, series: Any, season_length: int = 1, columns: Columns | None = None) -> None:
        """Learn what is normal, without labels; what was learned before is forgotten.

        Parameters
        ----------
        series
            One record (variables, time) or (time,); a list of records of the same variables; or a frame, panel or path
            whose items are records.
        season_length
            Steps in one cycle.

        Raises
        ------
        DataError
            Records of different variables, or data that cannot be read.
        """
        from stillroom.units import detect

        records = _targets(_panel(series, columns)) if _is_table(series) else _records(series)
        self.normal = detect.fit(self.model, records, season_length)

    def detect(self, series: Any, columns: Columns | None = None) -> Any:
        """Score how strange each step is.

        Parameters
        ----------
        series
            One record (variables, time) or (time,), a list of records, or a frame, panel or path.

        Returns
        -------
        np.ndarray, list of np.ndarray or pd.DataFrame
            (time,) of one record, finite; the higher, the stranger. Of a list, a list. Of a frame: item_id, timestamp
            and score, a row a step.

        Raises
        ------
        ModelError
            Nothing was learned of what is normal.
        DataError
            Other variables than were learned.
        """
        from stillroom.units import detect

        if self.normal is None:
            raise ModelError("This model has not learned what is normal: call fit_normal first.")
        panel = _panel(series, columns) if _is_table(series) else None
        records = _records(series) if panel is None else _targets(panel)
        found = detect.scores(self.model, self.normal, records)
        if panel is None:
            return found if _is_many(series) else found[0]
        import pandas as pd

        from stillroom.series.grid import join
        from stillroom.series.panel import id_column

        columns = columns or Columns()
        lengths = [item.length for item in panel]
        return pd.DataFrame(
            {
                columns.item_id: np.repeat(id_column(panel.items), lengths),
                columns.timestamp: join([panel.timestamps(item) for item in panel]),
                "score": np.concatenate([own[:steps] for own, steps in zip(found, lengths, strict=True)]),
            }
        )

    def threshold(self, quantile: float = 0.99) -> float:
        """Return the score above which a step is an alarm: what at most 1 - `quantile` of the training part exceeds.

        Raises
        ------
        ModelError
            Nothing was learned of what is normal.
        RecipeError
            A quantile that is not strictly between 0 and 1.
        """
        if self.normal is None:
            raise ModelError("This model has not learned what is normal: call fit_normal first.")
        return self.normal.threshold(quantile)

    def fresh(self) -> Units:
        """Return the same model with nothing learned beside its weights, which both share."""
        return Units(self.model, self.source, lesson=self.lesson)

    def __sklearn_clone__(self) -> Units:
        return self.fresh()


def _is_table(data: Any) -> bool:
    """A frame, a panel or a path, which have items by name, and not arrays."""
    return isinstance(data, str | Path) or hasattr(data, "to_frame") or hasattr(data, "to_parquet")


def _is_many(series: Any) -> bool:
    """Several records, and not one: a list of arrays, or an array (records, variables, time)."""
    return (isinstance(series, np.ndarray) and series.ndim == 3) or (
        isinstance(series, list | tuple) and len(series) > 0 and np.ndim(series[0]) > 0
    )


def _records(series: Any) -> list[np.ndarray]:
    from stillroom.units.arrays import as_series

    return as_series(series if _is_many(series) else [series])


def _panel(data: Any, columns: Columns | None) -> Panel:
    """Raises DataError for a panel without items."""
    panel = to_panel(data, columns or Columns())
    if not len(panel):
        raise DataError("There are no series: there is nothing to look at.")
    return panel


def _targets(panel: Panel) -> list[np.ndarray]:
    """The targets of every item; an empty history is an unknown one."""
    from stillroom.units.arrays import as_series

    return as_series([item.target if item.length else np.full((len(item.target), 1), np.nan) for item in panel])


def _by_item(labels: Any, panel: Panel) -> Any:
    """Labels in the order of the items; raises DataError where one has none."""
    if not isinstance(labels, Mapping) and not hasattr(labels, "to_dict"):
        return labels
    given: Mapping[Any, Any] = labels if isinstance(labels, Mapping) else labels.to_dict()
    lacking = [item.item_id for item in panel if item.item_id not in given]
    if lacking:
        raise DataError(f"Item {lacking[0]!r} has no label: give one, or leave its rows out.")
    return [given[item.item_id] for item in panel]


def _say_what_is_ignored(panel: Panel) -> None:
    covariates = sorted({name for item in panel for name in (*item.past, *item.known, *item.static)})
    if covariates:
        warnings.warn(
            f"UniTS looks at no covariates: {', '.join(covariates)} are ignored. Forecast them as targets, and it sees "
            "them together.",
            stacklevel=3,
        )
