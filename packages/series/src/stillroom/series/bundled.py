"""Real series that come with statsmodels, so that everything can be tried without a network.

Every column is a series of its own; missing values stay missing. Cross-sections and series without dates, which
statsmodels has too, are not here.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pandas as pd

from stillroom.core.errors import DataError, MissingError
from stillroom.series.panel import Item, Panel

# name → first timestamp, frequency, columns that are no series
_SETS = {
    "co2": ("1958-03-29", "W-SAT", ()),
    "copper": ("1951-01-01", "YS", ("TIME",)),
    "danish_data": ("1974-01-01", "QS", ()),
    "elec_equip": ("1995-01-01", "MS", ()),
    "elnino": ("1950-01-01", "MS", ()),
    "fertility": ("1960-01-01", "YS", ()),
    "grunfeld": ("1935-01-01", "YS", ()),
    "interest_inflation": ("1972-04-01", "QS", ("year", "quarter")),
    "longley": ("1947-01-01", "YS", ("YEAR",)),
    "macrodata": ("1959-01-01", "QS", ("year", "quarter")),
    "nile": ("1871-01-01", "YS", ("year",)),
    "sunspots": ("1700-01-01", "YS", ("YEAR",)),
}


def names() -> list[str]:
    """List the data sets that `load` knows."""
    return list(_SETS)


def load(name: str) -> Panel:
    """Load a data set that comes with statsmodels, each column an item.

    Raises
    ------
    DataError
        If it is none of `names()`.
    MissingError
        If statsmodels is not installed.
    """
    if name not in _SETS:
        raise DataError(f"statsmodels:{name} is not a set of time series: there are {', '.join(_SETS)}.")
    try:
        frame = import_module(f"statsmodels.datasets.{name}.data").load_pandas().data
    except ImportError as error:
        raise MissingError(
            f"statsmodels:{name} needs statsmodels: pip install 'stillroom-series[statsmodels]'."
        ) from error
    start, freq, drop = _SETS[name]
    if name == "elnino":  # a row a year, a column a month
        frame = pd.DataFrame({"TEMPERATURE": frame.drop(columns="YEAR").to_numpy().ravel()})
    elif name == "fertility":  # a row a country, a column a year; the last years and some countries are empty
        frame = frame.set_index("Country Name").iloc[:, 3:].T.dropna(how="all").dropna(axis=1, how="all")
    elif name == "grunfeld":  # a row a firm and year
        parts = frame.drop(columns="year").set_index("firm").groupby(level="firm")
        frame = pd.DataFrame({f"{firm}/{name}": part[name].to_numpy() for firm, part in parts for name in part})
    frame = frame.drop(columns=list(drop))
    first = pd.Timestamp(start)
    items = (Item(column, first, frame[[column]].to_numpy(dtype=np.float64).T) for column in frame.columns)
    return Panel(tuple(items), freq)
