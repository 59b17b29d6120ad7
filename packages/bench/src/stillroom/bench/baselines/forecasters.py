"""Models that need no weights: the last season repeated, and four classics from statsforecast.

Each is a zero-argument callable registered under `stillroom.models`; what it returns forecasts one series at a time and
looks at nothing but the target: covariates are ignored, several targets are forecast one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from stillroom.bench.baselines.imputers import interpolate
from stillroom.core.errors import MissingError

if TYPE_CHECKING:
    from stillroom.series.windows import Window

FEWEST = 8
"""Shorter histories (after leading gaps are dropped) get the fallback: statsforecast's AutoETS needs 8 observations."""


def repeat_season(history: np.ndarray, prediction_length: int, season_length: int) -> np.ndarray:
    """Repeat the last season of `history` (time,) over the horizon; returns (prediction_length,), always finite.

    A missing value of that season takes the last value observed before it; a history without any value forecasts 0.
    Where the published seasonal naive has no forecast, the truth is missing too, so the figures are the same.
    """
    from stillroom.series.seasons import seasonal_naive

    observed = ~np.isnan(history)
    if not observed.any():
        return np.zeros(prediction_length)
    latest = np.maximum.accumulate(np.where(observed, np.arange(len(history)), -1))
    filled = np.where(latest >= 0, history[latest], history[observed][0])
    return seasonal_naive(filled, prediction_length, season_length)


def one_by_one(window: Window, forecast: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Forecast every target of every item with `forecast`: (time,) -> (horizon, levels)."""
    return np.stack([[forecast(history) for history in item.target] for item in window.past])


class SeasonalNaive:
    """The last season repeated: a point forecast, the same at every quantile level."""

    def predict(self, window: Window, quantile_levels: Sequence[float]) -> np.ndarray:
        """(items, targets, horizon, levels)."""

        def forecast(history: np.ndarray) -> np.ndarray:
            path = repeat_season(history, window.prediction_length, window.season_length)
            return np.repeat(path[:, None], len(quantile_levels), axis=1)

        return one_by_one(window, forecast)


@dataclass
class Statistical:
    """One of statsforecast's automatic models, fitted anew to every series; its intervals give the quantiles.

    Leading missing values are dropped, inner and trailing ones are interpolated linearly. The season is used only where
    the history holds two of them, else the model is fitted without one. A series with fewer than 8 observations, or one
    on which the model raises or returns no finite forecast, gets seasonal naive instead; `notes` says how many did.

    Raises
    ------
    MissingError
        When it is made and statsforecast, an extra, is not installed. It is heavy, so it is imported when it is used.
    """

    model: str
    largest_season: int | None = None
    """Beyond it the model cannot use a season, and is fitted without."""
    intermittent: bool = False
    """For demand that is zero for the most part: it has no season and no intervals, so that all levels have its mean,
    and it takes a negative value for none."""
    fallbacks: int = 0
    series: int = 0
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if find_spec("statsforecast") is None:
            raise MissingError(f"{self.model} needs statsforecast: pip install 'stillroom-bench[baselines]'")

    def predict(self, window: Window, quantile_levels: Sequence[float]) -> np.ndarray:
        """(items, targets, horizon, levels), sorted over levels."""
        peer = getattr(import_module("statsforecast.models"), self.model)

        def forecast(history: np.ndarray) -> np.ndarray:
            self.series += 1
            try:
                return self._fit(peer, fill(history), window, quantile_levels)
            except Exception as error:  # the peer raises many types for a series it cannot fit
                self.fallbacks += 1
                self.reasons.append(" ".join(str(error).split())[:80])
                path = repeat_season(history, window.prediction_length, window.season_length)
                return np.repeat(path[:, None], len(quantile_levels), axis=1)

        return one_by_one(window, forecast)

    @property
    def notes(self) -> str:
        """How many series fell back to seasonal naive, and why the first of them did."""
        if not self.fallbacks:
            return ""
        return f"seasonal naive instead on {self.fallbacks} of {self.series} series ({self.reasons[0]})"

    def _fit(self, peer: Any, values: np.ndarray, window: Window, levels: Sequence[float]) -> np.ndarray:
        horizon, season = window.prediction_length, window.season_length
        if len(values) < FEWEST:
            raise ValueError(f"fewer than {FEWEST} observations")
        if self.intermittent:
            if (values < 0).any():
                raise ValueError("negative values are no demand")
            answer = peer().forecast(y=values, h=horizon)
            columns = [answer["mean"]] * len(levels)
        else:
            if len(values) < 2 * season or (self.largest_season is not None and season > self.largest_season):
                season = 1
            # The q-quantile is an end of the central interval that holds |2q - 1| of the mass; the median is the mean.
            percents = {level: round(abs(200 * level - 100), 6) for level in levels}
            answer = peer(season_length=season).forecast(
                y=values, h=horizon, level=sorted({percent for percent in percents.values() if percent > 0}) or None
            )
            ends = {(name[:2], float(name[3:])): values for name, values in answer.items() if name[:2] in ("lo", "hi")}
            columns = [
                answer["mean"] if percents[level] == 0 else ends["lo" if level < 0.5 else "hi", percents[level]]
                for level in levels
            ]
        quantiles = np.sort(np.stack([np.asarray(column, np.float64) for column in columns], axis=-1), axis=-1)
        if not np.isfinite(quantiles).all():
            raise ValueError("the model returned no finite forecast")
        return quantiles


def fill(history: np.ndarray) -> np.ndarray:
    """Drop leading missing values of `history` (time,) and interpolate the others linearly."""
    observed = np.flatnonzero(~np.isnan(history))
    return interpolate(history[observed[0] :]) if len(observed) else np.empty(0)


def seasonal_naive() -> SeasonalNaive:
    """The baseline of every leaderboard."""
    return SeasonalNaive()


def auto_ets() -> Statistical:
    """Exponential smoothing chosen by information criterion (Hyndman et al., 2002); seasons up to 24."""
    return Statistical("AutoETS", largest_season=24)


def auto_theta() -> Statistical:
    """The best of four Theta models (Fiorucci et al., 2016)."""
    return Statistical("AutoTheta")


def auto_arima() -> Statistical:
    """ARIMA orders chosen stepwise (Hyndman and Khandakar, 2008); seasons beyond 24 would take minutes a series."""
    return Statistical("AutoARIMA", largest_season=24)


def croston_optimized() -> Statistical:
    """Size and interval of rare demand, each smoothed (Croston, 1972): a point forecast, the same at all levels."""
    return Statistical("CrostonOptimized", intermittent=True)
