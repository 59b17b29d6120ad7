"""The forecast task: cut windows off the end of every series, ask for quantiles, compare with what happened.

It knows how a forecast is asked for and kept. It reads no data set itself (`panels` does), computes no metric
(`stillroom.series.metrics` does) and knows no model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from stillroom.bench.examples import Band, Example, Line, pick
from stillroom.bench.kinds import Stopwatch
from stillroom.bench.panels import SeriesTask, read_panel
from stillroom.core.errors import ModelError
from stillroom.core.protocols import Forecaster

if TYPE_CHECKING:
    import pandas as pd

    from stillroom.series.overlap import Index
    from stillroom.series.panel import Panel
    from stillroom.series.windows import Window

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class ForecastTask(SeriesTask):
    """One forecasting task, as a suite writes it."""

    kind: Literal["forecast"] = "forecast"
    prediction_length: int = Field(gt=0)
    windows: int = Field(1, gt=0)
    step: int | None = Field(None, gt=0)
    """Time steps from one window to the next; default: one horizon, so that windows do not overlap."""
    offset: int | datetime | None = None
    """Where the first window begins: counted from the end of a series if negative, from its beginning if positive, or
    after a time. Default: so that the last one ends where the series ends."""
    min_context_length: int | None = Field(None, gt=0)
    """Leave a series out of the windows with fewer steps before them; default: refuse data with such a series."""
    max_context_length: int | None = Field(None, gt=0)
    """Show models, and scale MASE by, only so many of the last steps before a window."""
    average_windows: bool = False
    """Score every window by itself and take the mean, as fev does; default: all cells count alike, as in gluonts."""
    quantile_levels: tuple[float, ...] = DECILES
    past_covariates: tuple[str, ...] = ()
    known_covariates: tuple[str, ...] = ()
    static_covariates: tuple[str, ...] = ()
    fev: dict[str, Any] | None = None
    """The task as a fev benchmark has it, where it comes from one (`fev_tasks`)."""

    @field_validator("offset", mode="before")
    @classmethod
    def _text_is_a_time(cls, offset: Any) -> Any:
        try:
            return datetime.fromisoformat(offset) if isinstance(offset, str) else offset
        except ValueError:
            raise ValueError("must be a number of steps, or a time such as 2024-01-31") from None

    @field_validator("quantile_levels")
    @classmethod
    def _levels_ascend_through_the_median(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if 0.5 not in levels or list(levels) != sorted(set(levels)) or not 0 < levels[0] <= levels[-1] < 1:
            raise ValueError("must ascend between 0 and 1 and include 0.5, which MASE is computed from")
        return levels


@dataclass(frozen=True, eq=False)
class ForecastData:
    """Windows with their truth, earliest first: `[(window, truth (items, targets, horizon)), …]`."""

    panel: Panel
    windows: list[tuple[Window, np.ndarray]]

    @property
    def fingerprint(self) -> str:
        """Hash of the series' content."""
        return self.panel.fingerprint()

    @property
    def size(self) -> int:
        """Steps to forecast, over all windows, items and targets."""
        return sum(truth.size for _, truth in self.windows)

    def shared(self, index: Index) -> float:
        """Share of the telling windows of one series that the index holds, of the series with the largest."""
        return max(index.shared(target) for item in self.panel for target in item.target)


class Forecast:
    """The kind `forecast`. Scores pool all items and windows of a target; several targets are averaged."""

    name = "forecast"
    spec = ForecastTask
    protocol = Forecaster
    baseline = "seasonal-naive"
    metrics = ("WQL", "MASE")
    higher: frozenset[str] = frozenset()
    meaning: ClassVar = {
        "WQL": "weighted quantile loss: twice the pinball loss over the sum of |truth|, mean over quantile levels",
        "MASE": "mean absolute error of the median over that of the seasonal naive forecast within the history",
    }

    @property
    def version(self) -> str:
        """That of the metrics."""
        from stillroom.series.metrics import VERSION

        return str(VERSION)

    def load(self, spec: ForecastTask) -> ForecastData:
        """Read the data set and cut its windows."""
        from stillroom.series.windows import cut

        panel = read_panel(spec)
        panel = replace(panel, items=panel.items[: spec.max_series])
        windows = cut(
            panel,
            spec.prediction_length,
            windows=spec.windows,
            step=spec.step,
            offset=spec.offset,
            season_length=spec.season_length,
            min_context=spec.min_context_length,
            max_context=spec.max_context_length,
        )
        return ForecastData(panel, windows)

    def predict(self, model: Forecaster, spec: ForecastTask, data: ForecastData, fitting: Stopwatch) -> pd.DataFrame:
        """Forecast every window: one row a window, item, target and step, one column a quantile level."""
        import pandas as pd

        frames = []
        for number, (window, truth) in enumerate(data.windows):
            quantiles = np.asarray(model.predict(window, spec.quantile_levels), dtype=np.float64)
            expected = (*truth.shape, len(spec.quantile_levels))
            if quantiles.shape != expected:
                raise ModelError(f"the forecast has shape {quantiles.shape} instead of {expected}")
            if missing := int((~np.isfinite(quantiles)).sum()):
                raise ModelError(f"{missing:,} of {quantiles.size:,} forecast values are not finite numbers")
            items, targets, horizon = truth.shape
            frame = pd.DataFrame(quantiles.reshape(-1, expected[-1]), columns=[str(q) for q in spec.quantile_levels])
            frame.insert(0, "window", number)
            frame.insert(1, "item_id", np.repeat([item.item_id for item in window.past], targets * horizon))
            frame.insert(2, "target_name", np.tile(np.repeat(window.past.targets, horizon), items))
            frame.insert(3, "step", np.tile(np.arange(1, horizon + 1), items * targets))
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def score(self, spec: ForecastTask, data: ForecastData, predictions: pd.DataFrame) -> dict[str, float]:
        """Metrics of kept predictions: `stillroom.series.metrics.evaluate` on all items and windows at once."""
        from stillroom.series.metrics import evaluate

        kept = predictions[[str(level) for level in spec.quantile_levels]].to_numpy()
        parts = np.split(kept, np.cumsum([truth.size for _, truth in data.windows])[:-1])
        answers = [
            (window, truth, part.reshape(*truth.shape, -1))
            for (window, truth), part in zip(data.windows, parts, strict=True)
        ]
        totals: dict[str, list[float]] = {}
        for group in [[answer] for answer in answers] if spec.average_windows else [answers]:
            for target in range(len(data.panel.targets)):
                scores = evaluate(
                    np.concatenate([truth[:, target] for _, truth, _ in group]),
                    np.concatenate([quantiles[:, target] for _, _, quantiles in group]),
                    spec.quantile_levels,
                    [item.target[target] for window, _, _ in group for item in window.past],
                    group[0][0].season_length,
                )
                for name, value in scores.totals.items():
                    totals.setdefault(name, []).append(float(value))
        return {name: float(np.mean(values)) for name, values in totals.items()}

    def examples(self, spec: ForecastTask, data: ForecastData, predictions: pd.DataFrame) -> list[Example]:
        """The series of the last window whose forecasts cost least, median and most, by MASE.

        Step 0 is the last one that the model saw.
        """
        from stillroom.series.metrics import evaluate

        window, truth = data.windows[-1]
        items, targets, horizon = truth.shape
        frame = predictions[predictions["window"] == len(data.windows) - 1]
        levels = list(spec.quantile_levels)
        quantiles = frame[[str(level) for level in levels]].to_numpy().reshape(items * targets, horizon, -1)
        truth = truth.reshape(items * targets, horizon)
        histories = window.histories()
        errors = evaluate(truth, quantiles, levels, histories, window.season_length).items["MASE"]
        bounds = (0.1, 0.9) if {0.1, 0.9} <= set(levels) else (levels[0], levels[-1])
        shown = max(4 * horizon, 2 * window.season_length)  # enough to see a season, and the forecast beside it
        ahead = np.arange(1, horizon + 1)
        examples = []
        for rank, place in pick(errors):
            history, forecast = histories[place][-shown:], quantiles[place]
            item = str(window.past.items[place // targets].item_id)
            if targets > 1:
                item += f", {window.past.targets[place % targets]}"
            low, high = (forecast[:, levels.index(level)] for level in bounds)
            lines = (
                Line("history", "history", np.arange(1 - len(history), 1), history),
                # What came begins at the last step seen: reality has no gap there.
                Line("what came", "truth", np.arange(horizon + 1), np.append(history[-1], truth[place])),
                Line("median", "prediction", ahead, forecast[:, levels.index(0.5)]),
            )
            bands = (Band(f"{100 * (bounds[1] - bounds[0]):.0f} % band", ahead, low, high),) if len(levels) > 1 else ()
            examples.append(Example(rank, item, "MASE", float(errors[place]), lines, bands))
        return examples


kind = Forecast()
