"""A user's series, by the columns that they say: a long frame, a file, or whatever else `intake` reads.

What the columns mean to a model (which are forecast, which are only taken along) is said once, in `Columns`, by recipes
and by commands alike. It knows no model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import pandas as pd

    from stillroom.series.panel import Panel


class Columns(BaseModel):
    """How to read a frame or a file: the columns of `stillroom.series`, in the field's own words.

    Parameters
    ----------
    covariates
        Which other columns to take along; None: all of them, as upstream's `predict_df` has it.
    known_covariates
        Those among them whose future is known when a forecast is made.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    item_id: str = "item_id"
    timestamp: str = "timestamp"
    targets: tuple[str, ...] = ("target",)
    covariates: tuple[str, ...] | None = None
    known_covariates: tuple[str, ...] = ()
    freq: str | None = None


def to_panel(data: pd.DataFrame | Panel | str | Path, columns: Columns, future_frame: Any = None) -> Panel:
    """Read a frame, or whatever `stillroom.series.intake.load` takes, by the columns of a recipe; a panel stays itself.

    Raises
    ------
    DataError
        A missing file or column, or timestamps and values that cannot be read.
    """
    import pandas as pd  # a recipe is read without it

    from stillroom.series import intake
    from stillroom.series.frames import from_frame
    from stillroom.series.panel import Panel

    if isinstance(data, Panel):
        return data
    if not isinstance(data, pd.DataFrame):
        table = str(data).endswith((".csv", ".csv.gz", ".parquet"))
        frame = intake.read_frame(data, item_id=columns.item_id) if table else None
        if frame is None or _one_row_a_series(frame):
            return intake.load(data, **({} if columns.freq is None else {"freq": columns.freq}))
        data = frame
    taken = {columns.item_id, columns.timestamp, *columns.targets}
    known = list(columns.known_covariates)
    if future_frame is not None and not known:
        known = [name for name in future_frame.columns if name not in taken]
        known = [name for name in known if columns.covariates is None or name in columns.covariates]
    others = [name for name in data.columns if name not in taken]
    past = [name for name in (others if columns.covariates is None else columns.covariates) if name not in known]
    return from_frame(
        data,
        item_id=columns.item_id,
        timestamp=columns.timestamp,
        targets=columns.targets,
        past_covariates=past,
        known_covariates=known,
        freq=columns.freq,
        future_frame=future_frame if known else None,
    )


def _one_row_a_series(frame: pd.DataFrame) -> bool:
    """Does any cell of the first row hold a whole series? Such tables say themselves what their columns are."""
    return len(frame) > 0 and any(hasattr(value, "__len__") and not isinstance(value, str) for value in frame.iloc[0])
