"""One door for whatever series a forecaster has: frames, files, folders, GluonTS and hub data sets, statsmodels' own.

`load` looks at what it is given and hands it to the module that reads it; all of them give a `Panel`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from stillroom.core.errors import DataError, RecipeError
from stillroom.series import bundled, gluonts_files, hub
from stillroom.series.frames import from_frame
from stillroom.series.panel import Item, Panel
from stillroom.series.records import agreed_freq, from_records, read_records

_ENDINGS = (".csv", ".csv.gz", ".parquet", ".jsonl", ".jsonl.gz", ".json.gz")
_EXTRA = ("ETTh", "ETTm", "brazilian_cities_temperature", "spanish_energy_and_weather")  # in a second repository


def load(source: Any, **columns: Any) -> Panel:
    """Load series from wherever they are.

    Parameters
    ----------
    source
        - a long DataFrame, or the path of one as CSV or Parquet;
        - the path of a JSON Lines file in GluonTS's form (.jsonl, .jsonl.gz), of a Parquet file with one row a series
          and lists over time, or of a folder of any of these, whose items are pooled and named `FILE/item`;
        - the path of a folder that GluonTS or the `datasets` library has saved;
        - `hub:OWNER/REPOSITORY/NAME`, a Hugging Face data set in the form of `autogluon/chronos_datasets`, or a data
          set that the `datasets` library has loaded or saved;
        - `statsmodels:NAME`, a data set that comes with statsmodels (`bundled.names()`);
        - a GluonTS data set: anything that gives mappings with a `target`.
    **columns
        What the columns of a frame mean, as in `frames.from_frame`, or of a table with lists, as in `hub.from_lists`;
        other sources take `freq` alone.

    Raises
    ------
    DataError
        If it cannot be found or read.
    RecipeError
        If columns are named of something that has none.
    MissingError
        If it needs a network or a package that is not there.
    """
    if isinstance(source, pd.DataFrame):
        return from_frame(source, **columns)
    if isinstance(source, Panel):
        return _with_freq(source, columns)
    if isinstance(source, str) and source.startswith("statsmodels:"):
        return _with_freq(bundled.load(source.partition(":")[2]), columns)
    if isinstance(source, str) and source.startswith("hub:"):
        source = hub.fetch(source.partition(":")[2])
    if isinstance(source, str | Path):
        return _load_path(Path(source).expanduser(), columns)
    if hasattr(source, "with_format"):  # a data set of the datasets library
        return hub.from_lists(source.with_format("arrow")[:], **columns)
    if isinstance(source, Iterable):
        return from_records(source, **_freq_only(columns))
    raise DataError(
        f"Series cannot be read from {type(source).__name__!r}: give a frame, a path or a GluonTS data set."
    )


def load_named(name: str) -> Panel:
    """Load a data set of the Chronos benchmarks by its name there, such as "monash_car_parts".

    From the folder STILLROOM_DATA if it is set and has the set, else from the hub.

    Raises
    ------
    MissingError
        If it is in neither place, or the hub cannot be reached.
    """
    if folder := os.environ.get("STILLROOM_DATA"):
        path = Path(folder, "forecasting", "chronos", f"{name}.jsonl.gz")
        if path.exists():
            return load(path)
    return load(f"hub:autogluon/chronos_datasets{'_extra' if name in _EXTRA else ''}/{name}")


def read_frame(path: str | Path, *, item_id: str = "item_id") -> pd.DataFrame:
    """Read a CSV or Parquet file as the frame it is; item ids of a CSV stay strings, so that "007" stays itself.

    Raises
    ------
    DataError
        If there is no such file, or it is empty or no table.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise DataError(f"There is no file {str(path)!r}: give the path of a {', '.join(_ENDINGS)} file.")
    try:
        if path.name.endswith(".parquet"):
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype={item_id: str})
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{str(path)!r} is empty: it needs a header and rows.") from error
    except (ValueError, OSError) as error:  # which parsers' and decoders' errors are
        raise DataError(f"{str(path)!r} cannot be read as a table: {str(error).splitlines()[0]}") from error


def _load_path(path: Path, columns: dict[str, Any]) -> Panel:
    if path.is_dir():
        return _load_folder(path, columns)
    if not path.exists():
        raise DataError(f"There is no file {str(path)!r}: give the path of a {', '.join(_ENDINGS)} file.")
    if not path.name.endswith(_ENDINGS):
        raise DataError(f"{str(path)!r} is of a kind that cannot be read: use one of {', '.join(_ENDINGS)}.")
    if ".json" in path.name:
        return from_records(read_records(path), source=str(path), **_freq_only(columns))
    if path.name.endswith(".parquet") and _has_lists(path):
        import pyarrow.parquet as pq

        return hub.from_lists(pq.read_table(path), **columns)
    return from_frame(read_frame(path, item_id=columns.get("item_id", "item_id")), **columns)


def _load_folder(folder: Path, columns: dict[str, Any]) -> Panel:
    """Pool the files of a folder, or open what the datasets library or GluonTS saved there."""
    if (saved := hub.open_saved(folder)) is not None:
        return load(saved, **columns)
    if gluonts_files.is_saved(folder):
        return gluonts_files.load_saved(folder, **_freq_only(columns))
    files = sorted(path for path in folder.rglob("*") if path.name.endswith(_ENDINGS))
    if not files:
        raise DataError(f"There are no series in {str(folder)!r}: it has no {', '.join(_ENDINGS)} file.")
    panels = [_load_path(path, columns) for path in files]
    if len(panels) == 1:
        return panels[0]
    if len({panel.targets for panel in panels}) > 1:
        raise DataError(f"The files of {str(folder)!r} have different targets: load them one by one.")
    items: list[Item] = []
    for path, panel in zip(files, panels, strict=True):
        name = path.relative_to(folder).as_posix()
        stem = next(name.removesuffix(ending) for ending in _ENDINGS if name.endswith(ending))
        items += [replace(item, item_id=f"{stem}/{item.item_id}") for item in panel]
    return Panel(tuple(items), agreed_freq((panel.freq for panel in panels), str(folder)), panels[0].targets)


def _has_lists(path: Path) -> bool:
    """Does a Parquet file have one row a series? A file that is no Parquet at all is for `read_frame` to refuse."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        kinds = pq.read_schema(path).types
    except (pa.ArrowInvalid, OSError):
        return False
    return any(pa.types.is_list(kind) or pa.types.is_large_list(kind) for kind in kinds)


def _freq_only(columns: dict[str, Any]) -> dict[str, Any]:
    if named := [name for name in columns if name != "freq"]:
        raise RecipeError(f"{', '.join(named)} can only be given for frames, CSV and Parquet files and hub data sets.")
    return columns


def _with_freq(panel: Panel, columns: dict[str, Any]) -> Panel:
    return replace(panel, **_freq_only(columns))
