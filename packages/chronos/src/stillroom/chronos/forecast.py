"""Frames in, forecasts out: the columns of upstream's `predict_df`, from any of the three families.

Knows what a user's frame means to a forecaster (which columns are targets, which are covariates); how frames become
panels is `stillroom.series`' business, how windows become quantiles model.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stillroom.chronos.model import DECILES, ChronosModel
from stillroom.core.errors import DataError, RecipeError
from stillroom.core.progress import progress
from stillroom.series.frames import forecast_frame
from stillroom.series.panel import Panel
from stillroom.series.reading import Columns, to_panel
from stillroom.series.windows import Window

if TYPE_CHECKING:
    import pandas as pd


def forecast(
    model: ChronosModel | str | Path,
    frame: pd.DataFrame | Panel,
    prediction_length: int,
    quantile_levels: Sequence[float] = DECILES,
    future_frame: pd.DataFrame | None = None,
    targets: str | Sequence[str] = "target",
    *,
    covariates: Sequence[str] | None = None,
    item_id: str = "item_id",
    timestamp: str = "timestamp",
    freq: str | None = None,
) -> pd.DataFrame:
    """Forecast every series of a long frame.

    Parameters
    ----------
    model
        A loaded model, a folder, a hub id or a registered name.
    frame
        One row a series and timestamp, or a panel. It is not changed.
    prediction_length
        Steps to forecast, also more than the model was trained on.
    quantile_levels
        Any levels strictly between 0 and 1.
    future_frame
        Covariates of the steps to forecast: the same ids, `prediction_length` rows a series. Chronos-2 only.
        A panel brings its own; what it knows of no future step counts as known in the past only.
    targets
        One column; several for Chronos-2.
    covariates
        Columns to take along; None: every other column, as upstream has it. `()` leaves them all out.
    item_id, timestamp, freq
        As `stillroom.series.frames.from_frame` takes them.

    Returns
    -------
    pd.DataFrame
        item_id, timestamp, target_name, predictions and one column a level, one row a series, target and step, series
        in the order of their first rows. `predictions` is the median, for Chronos-T5 the mean of its sample paths.

    Raises
    ------
    DataError
        A missing column, nothing to forecast, or a future that does not fit the horizon.
    ModelError
        Covariates or several targets for Chronos-T5 or Chronos-Bolt.
    RecipeError
        A horizon or a level that cannot be.

    Examples
    --------
    >>> forecast("amazon/chronos-2", frame, prediction_length=24, future_frame=calendar)
    """
    from stillroom.chronos import families

    if prediction_length < 1:
        raise RecipeError(f"prediction_length must be at least 1, not {prediction_length}.")
    if not isinstance(model, ChronosModel):
        model = families.find(str(model))
    names = (targets,) if isinstance(targets, str) else tuple(targets)
    taken = None if covariates is None else tuple(covariates)
    columns = Columns(item_id=item_id, timestamp=timestamp, targets=names, covariates=taken, freq=freq)
    panel = to_panel(frame, columns, future_frame)
    if not len(panel):
        raise DataError("There are no series: there is nothing to forecast.")
    model.check_takes(panel)
    for item in panel:
        for name, values in item.known.items():
            if item.length < len(values) < item.length + prediction_length:
                raise DataError(
                    f"The future of series {item.item_id!r} has {len(values) - item.length} rows of {name!r}: "
                    f"{prediction_length} steps need as many."
                )
    with progress("forecasting", total=len(panel)) as advance:
        quantiles, point = model.predict_with_point(Window(panel, prediction_length, 1), quantile_levels, advance)
    return forecast_frame(panel, quantiles, quantile_levels, point=point, item_id=item_id, timestamp=timestamp)
