"""What a model must be able to do, one Protocol a task kind; it holds no arrays and no code.

Windows are made by stillroom.series, which stands above core; here is only what a model may read of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np


class Window(Protocol):
    """The past of some series and how far to look ahead; the truth is not in it."""

    @property
    def past(self) -> Any:
        """The history of every item, its covariates known in advance reaching over the horizon (a series.Panel)."""

    @property
    def prediction_length(self) -> int:
        """The horizon, in time steps."""

    @property
    def season_length(self) -> int:
        """Time steps in one season; 1 where there is none."""


@runtime_checkable
class Forecaster(Protocol):
    """A model that forecasts."""

    def predict(self, window: Any, quantile_levels: Sequence[float]) -> np.ndarray:
        """Return quantiles (items, targets, horizon, levels), sorted over the levels; `window` is a `Window`."""
