"""The domain that a model is adapted to and distilled for: births a woman, country by country, 1960 to 2011.

Some 200 yearly series of the World Bank, which come with statsmodels. They are smooth, as estimates between censuses
are, and they fall together, so they are fewer witnesses than they seem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stillroom.series import bundled
from stillroom.series.metrics import evaluate
from stillroom.series.panel import Panel
from stillroom.series.windows import Window, cut

if TYPE_CHECKING:
    from stillroom.core.protocols import Forecaster

HORIZON = 5  # years
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
COLUMNS = ("WQL", "MASE", "inside the 80 % band")


@dataclass(frozen=True, eq=False)
class Domain:
    """What may be learnt from, and the years after it.

    Parameters
    ----------
    past
        The series without their last `HORIZON` years.
    window, truth
        The same series as something to forecast, and what came (items, 1, HORIZON). No training sees it.
    """

    past: Panel
    window: Window
    truth: np.ndarray

    def score(self, model: Forecaster) -> dict[str, float]:
        """Score a model's deciles on the years after: WQL, MASE, COVERAGE of the 80 % band, …"""
        quantiles = model.predict(self.window, LEVELS)
        histories = self.window.histories()
        return evaluate(self.truth[:, 0], quantiles[:, 0], LEVELS, histories, self.window.season_length).totals


def fertility(series: int | None = None) -> Domain:
    """Load the domain; `series` takes the first so many of those that are observed in their last years."""
    panel = bundled.load("fertility")
    items = [item for item in panel if np.isfinite(item.target[:, -3 * HORIZON :]).all()]
    [(window, truth)] = cut(Panel(tuple(items[:series]), panel.freq), HORIZON)
    return Domain(window.past, window, truth)


def cells(score: dict[str, float]) -> list[str]:
    """Print a score under `COLUMNS`. The band of a point forecast is a point, which little falls into."""
    return [f"{score['WQL']:.4f}", f"{score['MASE']:.3f}", f"{score['COVERAGE']:.0%}"]
