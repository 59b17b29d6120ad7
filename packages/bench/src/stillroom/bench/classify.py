"""The classification task: learn classes from labelled series, tell others apart, compare with their labels.

It knows how a classifier is asked and how its answers are kept. It reads no file (`stillroom.series.labelled` does),
computes no metric (`stillroom.series.classes` does) and knows no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from stillroom.bench.examples import Example, Line, pick
from stillroom.bench.kinds import Stopwatch
from stillroom.core.errors import DataError, ModelError
from stillroom.core.protocols import Classifier

if TYPE_CHECKING:
    import pandas as pd

    from stillroom.series.labelled import LabelledSplit
    from stillroom.series.overlap import Index

PREFIX = "probability_"
"""Begins the columns of probabilities; the class follows."""
TOLERANCE = 1e-3
"""How far the probabilities of one series may be from a sum of 1: half precision stays within it."""


@runtime_checkable
class Acquainted(Protocol):
    """A classifier that may know a data set from its own training, and so is told which one comes.

    It still learns from the training part, unless it has a task for that very set. That it was trained on the set is
    said by its lineage, as for every model.
    """

    def meet(self, dataset: str) -> None:
        """Hear the task's `dataset`, before `fit_classes`."""


class ClassifyTask(BaseModel):
    """One classification task, as a suite writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["classify"] = "classify"
    dataset: str
    """`ucr:NAME`, a registered data set, an .npz file, or a pair of .ts files: see `stillroom.series.labelled.load`."""
    max_series: int | None = Field(None, gt=0)
    """Take only the first so many series of every class, to learn from and to judge by: a smaller task, with a key of
    its own. Of every class, as files are often sorted by class."""


@dataclass(frozen=True, eq=False)
class ClassifyData:
    """The labelled series of a task."""

    split: LabelledSplit

    @property
    def fingerprint(self) -> str:
        """Hash of the series and their labels."""
        return self.split.fingerprint()

    @property
    def size(self) -> int:
        """Series to classify."""
        return len(self.split.test)

    def shared(self, index: Index) -> float:
        """Share of the test series' telling windows that the index holds, all of them together.

        Together, as one short series has so few that a single look-alike would be a large share of them. Those that
        every model learns from do not count.
        """
        gap = np.array([np.nan])  # no window reaches over it
        rows = [part for series in self.split.test for row in series for part in (row, gap)]
        return index.shared(np.concatenate(rows))


class Classify:
    """The kind `classify`."""

    name = "classify"
    spec = ClassifyTask
    protocol = Classifier
    baseline = "nearest-neighbour"
    metrics = ("ACCURACY", "MACRO_F1")
    higher = frozenset({"ACCURACY", "MACRO_F1", "BALANCED_ACCURACY", "AUC"})
    meaning: ClassVar = {
        "ACCURACY": "share of the series whose most probable class is the true one",
        "MACRO_F1": "mean F1 over the classes, each counting the same",
    }

    @property
    def version(self) -> str:
        """That of the metrics."""
        from stillroom.series.classes import VERSION

        return str(VERSION)

    def load(self, spec: ClassifyTask) -> ClassifyData:
        """Read the data set."""
        from stillroom.series.labelled import load

        split = load(spec.dataset)
        return ClassifyData(split if spec.max_series is None else split.first(spec.max_series))

    def predict(self, model: Classifier, spec: ClassifyTask, data: ClassifyData, fitting: Stopwatch) -> pd.DataFrame:
        """Let the model learn, then classify: one row a test series, one column a class."""
        import pandas as pd

        split = data.split
        if isinstance(model, Acquainted):
            model.meet(spec.dataset)
        with fitting:
            model.fit_classes(split.train, split.train_labels)
        probabilities = np.asarray(model.classify(split.test), dtype=np.float64)
        expected = (len(split.test), len(split.classes))
        if probabilities.shape != expected:
            raise ModelError(f"the probabilities have the shape {probabilities.shape} instead of {expected}")
        if missing := int((~np.isfinite(probabilities)).sum()):
            raise ModelError(f"{missing:,} of {probabilities.size:,} probabilities are not finite numbers")
        if outside := int(((probabilities < 0) | (probabilities > 1 + TOLERANCE)).sum()):
            raise ModelError(f"{outside:,} of {probabilities.size:,} probabilities are not between 0 and 1")
        sums = probabilities.sum(axis=1)
        if wrong := int((np.abs(sums - 1) > TOLERANCE).sum()):
            worst = sums[np.abs(sums - 1).argmax()]
            raise ModelError(f"the probabilities of {wrong:,} of {len(sums):,} series sum to {worst:.3g} instead of 1")
        frame = pd.DataFrame(probabilities, columns=[f"{PREFIX}{name}" for name in split.classes])
        frame.insert(0, "item_id", np.arange(len(frame)))
        return frame

    def score(self, spec: ClassifyTask, data: ClassifyData, predictions: pd.DataFrame) -> dict[str, float]:
        """Accuracy, macro F1, balanced accuracy, log loss and the area under the curve."""
        from stillroom.series.classes import evaluate

        return evaluate(data.split.test_labels, probabilities_of(data, predictions), data.split.classes)

    def examples(self, spec: ClassifyTask, data: ClassifyData, predictions: pd.DataFrame) -> list[Example]:
        """The test series whose true class was found most, median and least probable."""
        split = data.split
        probabilities = probabilities_of(data, predictions)
        said = split.classes[probabilities.argmax(axis=1)]
        of_truth = probabilities[np.arange(len(said)), np.searchsorted(split.classes, split.test_labels)]
        examples = []
        for rank, item in pick(1 - of_truth):
            series = split.test[item]
            lines = [
                Line("value" if len(series) == 1 else f"variable {number}", "history", np.arange(len(row)), row)
                for number, row in enumerate(series, start=1)
            ]
            title = f"series {item}: is {split.test_labels[item]}, was said to be {said[item]}"
            examples.append(Example(rank, title, "probability of its class", float(of_truth[item]), tuple(lines)))
        return examples


def probabilities_of(data: ClassifyData, predictions: pd.DataFrame) -> np.ndarray:
    """The kept probabilities (items, classes) in the order of the test series, whatever the order of the rows."""
    columns = [f"{PREFIX}{name}" for name in data.split.classes]
    frame = predictions.set_index("item_id").reindex(range(len(data.split.test)), columns=columns)
    probabilities = frame.to_numpy(dtype=np.float64)
    if np.isnan(probabilities).any():
        raise DataError("these predictions are of other series or classes than the task's: run the task again")
    return probabilities


kind = Classify()
