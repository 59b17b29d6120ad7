"""GluonTS predictors as models.

    def my_model():                                # registered under the entry points `stillroom.models`
        return GluonTSForecaster(SeasonalNaivePredictor(prediction_length=24, season_length=24))

It knows GluonTS's data entries and forecasts, and nothing of how a predictor came about (`gluonts_saved` loads saved
ones).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from stillroom.core.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

    from stillroom.series.panel import Item, Panel
    from stillroom.series.windows import Window

PERIODS = {"MS": "M", "ME": "M", "BMS": "M", "BME": "M", "QS": "Q", "QE": "Q", "BQS": "Q", "BQE": "Q",
           "YS": "Y", "YE": "Y", "BYS": "Y", "BYE": "Y"}  # fmt: skip
"""Frequencies that a period has under another name; months, quarters and years have no first or last day there."""


class GluonTSForecaster:
    """A GluonTS predictor as a forecaster.

    It is given what GluonTS's own loaders give: single precision, a period as start, numbers known for the future as
    `feat_dynamic_real`, past ones as `past_feat_dynamic_real`, and constants as `feat_static_real`. Covariates of words
    are left out, as nobody knows their codes; the categories of a GluonTS data set keep theirs. Missing values stay
    missing: what to do with them the predictor knows.

    Parameters
    ----------
    predictor
        Its `prediction_length` must be at least the horizon; of a longer forecast the first steps are taken.
    multivariate
        Give it all targets of an item as one series, of shape (targets, time), instead of one by one.
    """

    def __init__(self, predictor: Any, *, multivariate: bool = False) -> None:
        self.predictor = predictor
        self.model = getattr(predictor, "prediction_net", None)  # whose parameters are counted
        self.multivariate = multivariate
        self.notes = ""

    def predict(self, window: Window, quantile_levels: Sequence[float]) -> np.ndarray:
        """(items, targets, horizon, levels), sorted over levels.

        Raises
        ------
        ModelError
            If the predictor looks less far ahead than the window, or gives another number of forecasts or targets.
        """
        own, horizon = self.predictor.prediction_length, window.prediction_length
        if own < horizon:
            raise ModelError(f"the GluonTS predictor looks {own} steps ahead, but {horizon} are asked for")
        if lead := getattr(self.predictor, "lead_time", 0):
            raise ModelError(f"the GluonTS predictor leaves out {lead} steps (lead_time), which are asked for")
        words = sorted({name for item in window.past for name in words_of(item)})
        self.notes = f"covariates left out, as they are words: {', '.join(words)}" if words else ""
        given = list(entries(window.past, multivariate=self.multivariate))
        forecasts = list(self.predictor.predict(given))
        if len(forecasts) != len(given):
            raise ModelError(f"the GluonTS predictor gave {len(forecasts)} forecasts of {len(given)} series")
        rows = [[np.asarray(forecast.quantile(float(level))) for level in quantile_levels] for forecast in forecasts]
        quantiles = np.sort(np.stack(rows).astype(np.float64), axis=1)[:, :, :horizon]  # (series, levels, steps, …)
        items, targets = len(window.past), len(window.past.targets)
        if quantiles.size != items * targets * horizon * len(quantile_levels):
            raise ModelError(
                f"the GluonTS predictor gave forecasts of shape {rows[0][0].shape} for {own} steps of {targets} targets"
            )
        if self.multivariate:  # … are the targets
            return quantiles.reshape(items, len(quantile_levels), horizon, targets).transpose(0, 3, 2, 1)
        return quantiles.reshape(items, targets, len(quantile_levels), horizon).swapaxes(2, 3)


def entries(panel: Panel, *, multivariate: bool = False) -> Iterator[dict[str, Any]]:
    """Give a panel as GluonTS's data entries, one a target or one an item."""
    for item in panel:
        entry = {
            "item_id": str(item.item_id),
            "start": period(panel.timestamps(item)[0], panel.freq or "D"),
            "feat_dynamic_real": numbers(item.known, "real"),
            "feat_dynamic_cat": numbers(item.known, "cat"),
            "past_feat_dynamic_real": numbers(item.past, "real"),
            "feat_static_real": constants(item.static, "real"),
            "feat_static_cat": constants(item.static, "cat"),
        }
        entry = {name: value for name, value in entry.items() if value is not None}
        for target in [item.target] if multivariate else item.target:
            yield entry | {"target": target.astype(np.float32)}


def period(start: pd.Timestamp, freq: str) -> pd.Period:
    """The period that a series begins with. Quarters and years keep the month in which they end."""
    import pandas as pd

    from stillroom.series.seasons import to_offset

    offset = to_offset(freq)
    name = offset.name.split("-")[0]
    if name not in PERIODS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # periods of business days, which GluonTS has
            return pd.Period(start, freq=offset.freqstr)
    alias = f"{offset.n}{PERIODS[name]}"
    if alias[-1] in "QY":
        months = {"Q": 3, "Y": 12}[alias[-1]]
        end = start if name.endswith("E") else start + pd.DateOffset(months=months - 1)
        alias += f"-{end:%b}".upper()
    return pd.Period(start, freq=alias)


def numbers(covariates: Mapping[str, np.ndarray], kind: str) -> np.ndarray | None:
    """Covariates over time as an array (covariates, time): `real` ones, or `cat`egories that GluonTS has coded."""
    rows = [
        values
        for name, values in covariates.items()
        if values.dtype != object and ("cat" if name.startswith("feat_dynamic_cat_") else "real") == kind
    ]
    return np.stack(rows).astype(np.float32 if kind == "real" else np.int32) if rows else None


def constants(static: Mapping[str, Any], kind: str) -> np.ndarray | None:
    """Static covariates as an array (covariates,), told apart in the same way."""
    row = [
        value
        for name, value in static.items()
        if isinstance(value, Real) and ("cat" if name.startswith("feat_static_cat_") else "real") == kind
    ]
    return np.array(row, dtype=np.float32 if kind == "real" else np.int32) if row else None


def words_of(item: Item) -> list[str]:
    """Names of the covariates that are no numbers."""
    over_time = [name for name, values in (*item.past.items(), *item.known.items()) if values.dtype == object]
    return over_time + [name for name, value in item.static.items() if not isinstance(value, Real)]
