"""The forecast task: cut windows off the end of every series, ask for quantiles, compare with what happened.

It knows where data sets come from and how a forecast is asked for and kept. It computes no metric itself
(`stillroom.series.metrics` does) and knows no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from stillroom.bench.examples import Example
from stillroom.bench.kinds import Stopwatch
from stillroom.bench.tasks import is_path
from stillroom.core import registry
from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.protocols import Forecaster

if TYPE_CHECKING:
    import pandas as pd

    from stillroom.series.overlap import Index
    from stillroom.series.panel import Panel
    from stillroom.series.windows import Window

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class ForecastTask(BaseModel):
    """One forecasting task, as a suite writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["forecast"] = "forecast"
    dataset: str
    """A Chronos benchmark name, `hub:owner/repository/name`, `statsmodels:NAME`, a registered data set or a file."""
    prediction_length: int = Field(gt=0)
    windows: int = Field(1, gt=0)
    step: int | None = Field(None, gt=0)
    """Time steps from one window to the next; default: one horizon, so that windows do not overlap."""
    offset: int | None = Field(None, lt=0)
    """Where the first window begins, counted from the end of a series; default: so that the last one ends there."""
    season_length: int | None = Field(None, gt=0)
    """Default: what the frequency suggests."""
    freq: str | None = None
    """Default: what the timestamps say."""
    quantile_levels: tuple[float, ...] = DECILES
    targets: tuple[str, ...] = ("target",)
    item_id: str = "item_id"
    timestamp: str = "timestamp"
    past_covariates: tuple[str, ...] = ()
    known_covariates: tuple[str, ...] = ()
    static_covariates: tuple[str, ...] = ()
    max_series: int | None = Field(None, gt=0)
    """Take only the first so many series: a smaller task, with a key of its own."""

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

    @property
    def version(self) -> str:
        """That of the metrics."""
        from stillroom.series.metrics import VERSION

        return str(VERSION)

    def load(self, spec: ForecastTask) -> ForecastData:
        """Read the data set and cut its windows."""
        from stillroom.series.windows import cut

        panel = read_panel(spec)
        if spec.max_series is not None:
            panel = panel.select([item.item_id for item in panel][: spec.max_series])
        if len(panel) == 0:
            raise DataError(f"task {spec.id}: {spec.dataset} has no series, so there is nothing to forecast")
        windows = cut(
            panel,
            spec.prediction_length,
            windows=spec.windows,
            step=spec.step,
            offset=spec.offset,
            season_length=spec.season_length,
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

        shape = (len(data.windows), *data.windows[0][1].shape, len(spec.quantile_levels))
        quantiles = predictions[[str(level) for level in spec.quantile_levels]].to_numpy().reshape(shape)
        truth = np.stack([truth for _, truth in data.windows])  # (windows, items, targets, horizon)
        windows, items, targets, horizon = truth.shape
        totals: dict[str, list[float]] = {}
        for target in range(targets):
            scores = evaluate(
                truth[:, :, target].reshape(-1, horizon),
                quantiles[:, :, target].reshape(windows * items, horizon, -1),
                spec.quantile_levels,
                [item.target[target] for window, _ in data.windows for item in window.past],
                data.windows[0][0].season_length,
            )
            for name, value in scores.totals.items():
                totals.setdefault(name, []).append(float(value))
        return {name: float(np.mean(values)) for name, values in totals.items()}

    def examples(self, spec: ForecastTask, data: ForecastData, predictions: pd.DataFrame) -> list[Example]:
        """The series of the last window whose forecasts cost least, median and most, by MASE."""
        return []


def read_panel(spec: ForecastTask) -> Panel:
    """The series a task names: a file or prefixed source, a registered data set, or a Chronos benchmark name."""
    options: dict[str, Any] = {
        name: getattr(spec, name)
        for name in (
            "targets", "item_id", "timestamp", "past_covariates", "known_covariates", "static_covariates", "freq",
        )
        if getattr(spec, name) != ForecastTask.model_fields[name].default
    }  # fmt: skip
    if ":" in spec.dataset or is_path(spec.dataset):
        from stillroom.series.intake import load

        return load(spec.dataset, **options)
    if options:
        raise RecipeError(f"task {spec.id}: {', '.join(options)} can only be given for a file, not for {spec.dataset}")
    if spec.dataset in registry.names("stillroom.datasets"):
        panel: Panel = registry.get("stillroom.datasets", spec.dataset)()
        return panel
    from stillroom.series.intake import load_named

    return load_named(spec.dataset)


kind = Forecast()
