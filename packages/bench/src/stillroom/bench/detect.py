"""The detection task: learn what is normal, score how strange each later step is, compare with labelled anomalies.

It knows how a detector is asked and how its answers are kept. It reads no file (`stillroom.series.anomalous` does),
computes no metric (`stillroom.series.anomalies` does) and knows no model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from stillroom.bench.examples import Example, Line, Span, pick
from stillroom.bench.kinds import Stopwatch
from stillroom.core.errors import DataError, ModelError
from stillroom.core.protocols import Detector
from stillroom.series import anomalies

if TYPE_CHECKING:
    import pandas as pd

    from stillroom.series.anomalous import AnomalyItem, AnomalySet

SHOWN = 1000
"""Steps of a long series that an example shows."""
VARIABLES = 3
"""Variables of a wide series that an example shows, the first ones: that of telemetry is what was measured."""


class DetectTask(BaseModel):
    """One detection task, as a suite writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["detect"] = "detect"
    dataset: str
    """`nab:CATEGORY`, `telemetry:SMAP`, `aeon:NAME`, a registered data set or a file: see
    `stillroom.series.anomalous.load`."""
    train: int | float | None = None
    """Steps, or the share, at the start of each series to learn from; default: what the source says, else 15 %."""
    alarm_quantile: float = Field(0.99, gt=0, lt=1)
    """A score is an alarm above this quantile of the scores of the training part, so no label sets the threshold.
    Default 0.99: one alarm in a hundred steps is what normal data may cost, and the shortest training part of NAB, 169
    steps, holds no higher quantile but its maximum."""
    season_length: int | None = Field(None, gt=0)
    """Steps in one cycle: what a detector is told, and the widest buffer of VUS. Default: found in the training part
    of each series (`stillroom.series.anomalous.period`)."""
    max_series: int | None = Field(None, gt=0)
    """Take only the first so many series: a smaller task, with a key of its own."""

    @field_validator("train", mode="before")
    @classmethod
    def _part_is_steps_or_a_share(cls, train: object) -> object:
        whole = isinstance(train, int) and not isinstance(train, bool) and train > 0
        if train is None or whole or (isinstance(train, float) and 0 < train < 1):
            return train
        raise ValueError("must be a number of steps, such as 500, or a share between 0 and 1, such as 0.15")

    def season_of(self, item: AnomalyItem) -> int:
        """Steps in one cycle of a series."""
        return self.season_length or item.period


class Detect:
    """The kind `detect`. Scores are means over series."""

    name = "detect"
    spec = DetectTask
    protocol = Detector
    baseline = "moving-z-score"
    metrics = ("VUS_PR", "AUC_PR")
    higher = frozenset(anomalies.METRICS) - {"FALSE_ALARMS"}
    meaning: ClassVar = {
        "VUS_PR": "volume under the range-aware precision-recall surface: near misses count in part; no threshold",
        "AUC_PR": "average precision of single steps; no threshold",
    }

    @property
    def version(self) -> str:
        """That of the metrics."""
        return str(anomalies.VERSION)

    def load(self, spec: DetectTask) -> AnomalySet:
        """Read the data set and cut each series in two."""
        from stillroom.series.anomalous import AnomalySet, load

        return AnomalySet(load(spec.dataset, train=spec.train).items[: spec.max_series])

    def predict(self, model: Detector, spec: DetectTask, data: AnomalySet, fitting: Stopwatch) -> pd.DataFrame:
        """Learn each series' training part, score both parts: one row a step to judge, with its series' threshold.

        The threshold is the smallest score of the training part that at most 1 - `alarm_quantile` of them exceed. A
        model scores there what it has learned, so one that learns by heart sets itself too low a threshold.
        """
        import pandas as pd

        frames = []
        for item in data.items:
            season = spec.season_of(item)
            with fitting:
                model.fit_normal(item.train, season)
            learned = detected(model, item.train, f"the training part of {item.item_id}")
            scores = detected(model, item.test, item.item_id)
            threshold = np.quantile(learned, spec.alarm_quantile, method="higher")
            columns = {"item_id": item.item_id, "step": np.arange(len(scores)), "score": scores, "threshold": threshold}
            frames.append(pd.DataFrame(columns))
        return pd.concat(frames, ignore_index=True)

    def score(self, spec: DetectTask, data: AnomalySet, predictions: pd.DataFrame) -> dict[str, float]:
        """Metrics of kept predictions, each series by itself and then their mean."""
        return anomalies.macro(metrics_of(spec, data, predictions))

    def examples(self, spec: DetectTask, data: AnomalySet, predictions: pd.DataFrame) -> list[Example]:
        """The series with the best, the median and the worst VUS_PR, around their first anomaly."""
        values = metrics_of(spec, data, predictions)["VUS_PR"]
        answers = answers_of(data, predictions)
        return [
            example(rank, float(values[place]), data.items[place], *answers[place]) for rank, place in pick(1 - values)
        ]


def detected(model: Detector, series: np.ndarray, name: str) -> np.ndarray:
    """The model's scores (time,) of a series (variables, time).

    Raises
    ------
    ModelError
        If they have another shape or are not all finite.
    """
    scores = np.asarray(model.detect(series), dtype=np.float64)
    if scores.shape != series.shape[1:]:
        raise ModelError(f"the scores of {name} have the shape {scores.shape} instead of {series.shape[1:]}")
    if missing := int((~np.isfinite(scores)).sum()):
        raise ModelError(f"{missing:,} of {scores.size:,} scores of {name} are not finite numbers")
    return scores


def answers_of(data: AnomalySet, predictions: pd.DataFrame) -> list[tuple[np.ndarray, float]]:
    """Kept scores (time,) and threshold of every series, in the order of the data.

    Raises
    ------
    DataError
        If the predictions are of other series.
    """
    kept = dict(iter(predictions.groupby("item_id", sort=False)))
    if [len(kept.get(item.item_id, ())) for item in data.items] != [len(item.truth) for item in data.items]:
        raise DataError("these predictions are of other series than the task's: run the task again")
    frames = [kept[item.item_id].sort_values("step") for item in data.items]
    return [(frame["score"].to_numpy(), float(frame["threshold"].iloc[0])) for frame in frames]


def metrics_of(spec: DetectTask, data: AnomalySet, predictions: pd.DataFrame) -> dict[str, np.ndarray]:
    """Every metric of every series (items,)."""
    scores, thresholds = zip(*answers_of(data, predictions), strict=True)
    truths = [item.truth for item in data.items]
    return anomalies.evaluate(truths, scores, thresholds, [spec.season_of(item) for item in data.items])


def example(rank: str, value: float, item: AnomalyItem, scores: np.ndarray, threshold: float) -> Example:
    """Draw a series, its scores and what was to be found; step 0 is the first one after the training part."""
    starts, stops = anomalies.ranges(item.truth)
    # A quarter of the picture is what comes before the first anomaly.
    begin = max(0, min(starts[0] - SHOWN // 4, len(scores) - SHOWN))
    steps = np.arange(begin, min(begin + SHOWN, len(scores)))
    names = [f"variable {number}" for number in range(1, len(item.test) + 1)] if len(item.test) > 1 else ["series"]
    lines = [
        Line(name, "history", steps, values[steps]) for name, values in zip(names, item.test[:VARIABLES], strict=False)
    ]
    lines.append(Line("score", "score", steps, scores[steps]))
    lines.append(Line("threshold", "threshold", steps, np.full(len(steps), threshold)))
    spans = [
        Span("anomaly", float(max(start, steps[0])), float(min(stop - 1, steps[-1])))
        for start, stop in zip(starts, stops, strict=True)
        if start <= steps[-1] and stop > steps[0]
    ]
    return Example(rank, item.item_id, "VUS_PR", value, tuple(lines), spans=tuple(spans))


kind = Detect()
