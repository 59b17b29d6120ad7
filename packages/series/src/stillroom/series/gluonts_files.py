"""A data set as GluonTS saves it: a folder with metadata.json, train/ and test/, in JSON Lines, Parquet or Arrow files.

Knows how the files lie and how their entries are written; what an entry means `records` knows. GluonTS is not needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stillroom.core.errors import DataError
from stillroom.series.panel import Panel
from stillroom.series.records import from_records, read_records

if TYPE_CHECKING:
    import pyarrow as pa

_LINES = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
_TABLES = (".parquet", ".arrow", ".feather")
_SHAPE = "._np_shape"


def is_saved(folder: Path) -> bool:
    """Does a folder have what GluonTS writes: metadata with a frequency, and the data beside it?"""
    path = _metadata(folder)
    return path is not None and any((folder / split).is_dir() for split in ("test", "train"))


def load_saved(folder: Path, *, freq: str | None = None) -> Panel:
    """Read the test split, whose series end with the steps to forecast; the train split where there is no other.

    Raises
    ------
    DataError
        If there is no file that can be read, or the metadata is broken.
    """
    split = next(part for name in ("test", "train") if (part := folder / name).is_dir())
    files = sorted(
        path for path in split.rglob("*") if path.name.endswith((*_LINES, *_TABLES)) and not path.name.startswith(".")
    )
    if not files:
        raise DataError(f"There are no series in {str(split)!r}: it has no {', '.join((*_LINES, *_TABLES))} file.")
    path = _metadata(folder)
    assert path is not None
    try:
        said = json.loads(path.read_text(encoding="utf-8")).get("freq")
    except (ValueError, AttributeError) as error:
        raise DataError(f"{str(path)!r} is not the metadata of a data set: {error}.") from error
    entries = chain.from_iterable(read_records(path) if path.name.endswith(_LINES) else _rows(path) for path in files)
    return from_records(entries, freq=freq or said, source=str(split))


def _metadata(folder: Path) -> Path | None:
    places = (folder / "metadata.json", folder / "metadata" / "metadata.json")  # as it writes it, and as it ships it
    return next((path for path in places if path.is_file()), None)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Entries of a Parquet or Arrow file; arrays of two dimensions lie flat beside their shape, or as lists of rows."""
    for row in _table(path).to_pandas().to_dict("records"):
        for name in [name for name in row if name.endswith(_SHAPE)]:
            shape = row.pop(name)
            row[name.removesuffix(_SHAPE)] = row[name.removesuffix(_SHAPE)].reshape(shape)
        nested = [name for name, value in row.items() if isinstance(value, np.ndarray) and value.dtype.kind == "O"]
        yield row | {name: np.stack(row[name]) for name in nested}


def _table(path: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        begin = file.read(6)
    try:
        if begin.startswith(b"PAR1"):
            return pq.read_table(path)
        opened = pa.ipc.open_file(path) if begin == b"ARROW1" else pa.ipc.open_stream(path)
        return opened.read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{str(path)!r} cannot be read as a table: {str(error).splitlines()[0]}") from error
