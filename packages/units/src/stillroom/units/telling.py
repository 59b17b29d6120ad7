"""What the commands `classify` and `detect` do with a table: who teaches, who is told, and how the answer looks.

How classes and what is normal are learned is the model's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stillroom.core.errors import DataError, RecipeError
from stillroom.series import labelled
from stillroom.series.grid import join
from stillroom.series.intake import read_frame
from stillroom.series.panel import Panel, id_column
from stillroom.series.reading import Columns, to_panel
from stillroom.units.units import Units

LABEL = "label"


@dataclass(frozen=True, eq=False)
class Told:
    """Series that were told apart.

    Parameters
    ----------
    frame
        A row a series: its id, its true `label` where it is known, the `predicted` class, and a column a class with how
        likely it is.
    accuracy
        Share of the series whose class was said; None where no true one is known.
    """

    frame: pd.DataFrame
    accuracy: float | None


def of_set(model: Units, source: str, lesson: Mapping[str, Any], item_id: str = "item_id") -> Told:
    """Learn the classes of a labelled set from its training split, and tell its test split apart.

    Raises
    ------
    DataError, MissingError
        As `stillroom.series.labelled.load` has it.
    """
    split = labelled.load(source)
    model.fit_classes(list(split.train), split.train_labels, **lesson)
    found = model.classify(list(split.test))
    return _told(np.arange(len(found)), found, split.classes, item_id, split.test_labels)


def by_labels(model: Units, data: str, labels: Path, columns: Columns, lesson: Mapping[str, Any]) -> Told:
    """Learn from the series of a file that a table has labels for, and tell the others apart.

    Raises
    ------
    DataError
        The table has no such columns, names no series of the file, or names all of them.
    """
    panel = to_panel(data, columns)
    table = read_frame(labels, item_id=columns.item_id)
    for name in (columns.item_id, LABEL):
        if name not in table:
            raise DataError(f"{labels} has no column {name!r}: it needs {columns.item_id!r} and {LABEL!r}.")
    table = table.dropna(subset=[LABEL])
    given = dict(zip(table[columns.item_id].astype(str), table[LABEL], strict=True))
    known = [item for item in panel if str(item.item_id) in given]
    others = [item for item in panel if str(item.item_id) not in given]
    if not known:
        raise DataError(f"{labels} has a label for none of the series in {data}: its {columns.item_id} must be theirs.")
    if not others:
        raise DataError(f"{labels} has a label for every series in {data}: there is none left to be told.")
    names = [given[str(item.item_id)] for item in known]
    model.fit_classes([item.target for item in known], names, **lesson)
    found = model.classify([item.target for item in others])
    return _told(id_column(others), found, np.unique(np.asarray(names)), columns.item_id)


def by_task(model: Units, data: str, task: str, columns: Columns) -> Told:
    """Tell the series of a file apart by a task that the model was trained for; see `Units.classify`."""
    frame = model.classify(to_panel(data, columns), columns, task=task)
    classes = [name for name in frame.columns if name != columns.item_id]
    return _told(frame[columns.item_id].to_numpy(), frame[classes].to_numpy(), np.array(classes), columns.item_id)


def strangeness(
    model: Units, panel: Panel, train: float, quantile: float, season_length: int, columns: Columns
) -> pd.DataFrame:
    """Learn what is normal from the start of every series, and score the steps after it.

    Parameters
    ----------
    train
        A share below 1, or a number of steps.
    quantile
        See `Units.threshold`.

    Returns
    -------
    pd.DataFrame
        Item id, timestamp, `score` and `alarm`, a row a step that was not learned from.

    Raises
    ------
    RecipeError
        A `train` that is neither, or a quantile that cannot be.
    DataError
        A series of which nothing would be left to learn from or to judge.
    """
    if train >= 1 and train != int(train):
        raise RecipeError(f"--train {train} is neither a share below 1 nor a whole number of steps.")
    parts = []
    for item in panel:
        steps = int(train if train >= 1 else train * item.length)
        if not 0 < steps < item.length:
            raise DataError(
                f"Series {item.item_id!r} has {item.length} steps, which --train {train:g} does not cut in two: "
                "choose another."
            )
        model.fit_normal(item.target[:, :steps], season_length)
        score = model.detect(item.target[:, steps:])
        parts.append((item, steps, score, score > model.threshold(quantile)))
    if not parts:
        raise DataError("There are no series: there is nothing to watch.")
    items, _, scores, alarms = zip(*parts, strict=True)
    return pd.DataFrame(
        {
            columns.item_id: np.repeat(id_column(items), [len(score) for score in scores]),
            columns.timestamp: join([panel.timestamps(item)[steps:] for item, steps, _, _ in parts]),
            "score": np.concatenate(scores),
            "alarm": np.concatenate(alarms),
        }
    )


def _told(
    ids: np.ndarray, found: np.ndarray, classes: np.ndarray, item_id: str, truth: np.ndarray | None = None
) -> Told:
    predicted = classes[found.argmax(axis=1)]
    frame = pd.DataFrame({item_id: ids})
    if truth is not None:
        frame[LABEL] = truth
    frame["predicted"] = predicted
    likely = pd.DataFrame(found, columns=[str(name) for name in classes])
    return Told(pd.concat([frame, likely], axis=1), None if truth is None else float((predicted == truth).mean()))
