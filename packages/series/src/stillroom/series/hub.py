"""Data sets of the Hugging Face hub in the form of `autogluon/chronos_datasets`: one row a series, lists over time.

A row has an `id`, a list of timestamps and one or more lists of numbers; every list of numbers becomes a series of its
own, as in the published evaluations. The hub is reached through the `datasets` library alone, and nobody's code is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stillroom.core.errors import DataError, MissingError
from stillroom.core.hub import cache_only_without_network
from stillroom.series.columns import require
from stillroom.series.frames import from_frame
from stillroom.series.panel import Item, Panel

if TYPE_CHECKING:
    import pyarrow as pa

_CHUNK = 1_000  # rows of the table flattened at a time: bounds memory on sets of tens of millions of values


def fetch(name: str) -> Any:
    """Fetch `OWNER/REPOSITORY/CONFIGURATION`, or without the last part, from the hub or its cache.

    Raises
    ------
    MissingError
        If `datasets` is not installed, the hub cannot be reached, or the set would need its own code to be run.
    DataError
        If the repository has no such configuration.
    """
    owner, _, rest = name.partition("/")
    repository, _, configuration = rest.partition("/")
    if not repository:
        raise DataError(f"hub:{name} is not a data set: write hub:OWNER/REPOSITORY/NAME.")
    datasets = _library()
    try:
        with cache_only_without_network():
            return datasets.load_dataset(f"{owner}/{repository}", configuration or None, split="train")
    except ValueError as error:  # which names the configurations there are
        raise DataError(f"hub:{name} cannot be loaded: {str(error).splitlines()[0]}") from error
    except (OSError, RuntimeError) as error:  # no network; no such repository; a repository with a loading script
        file = f"forecasting/chronos/{configuration or repository}.jsonl.gz"
        raise MissingError(
            f"hub:{name} cannot be had here ({str(error).splitlines()[0]}): connect to the network with HF_HUB_OFFLINE "
            f"unset, or set STILLROOM_DATA to a folder that has {file}."
        ) from error


def open_saved(folder: Path) -> Any | None:
    """Open what the datasets library saved in a folder (its training split), or None if it saved nothing there."""
    if not (folder / "dataset_info.json").exists() and not (folder / "dataset_dict.json").exists():
        return None
    saved = _library().load_from_disk(str(folder))
    return saved["train"] if isinstance(saved, dict) else saved


def from_lists(
    table: pa.Table,
    *,
    freq: str | None = None,
    item_id: str | None = None,
    timestamp: str | None = None,
    targets: str | Sequence[str] | None = None,
    past_covariates: Sequence[str] = (),
    known_covariates: Sequence[str] = (),
    static_covariates: Sequence[str] | None = None,
) -> Panel:
    """Make a panel of an Arrow table with one row a series and lists over time.

    Parameters
    ----------
    table
        One row a series.
    freq
        A pandas frequency string; default: found from the timestamps.
    item_id, timestamp
        Columns that name a series and give its times; default: `id` or `item_id`, and the first list of times, if any.
    targets
        Lists of numbers to forecast, together. Default: all that are no covariates, and each is a series of its own,
        with `_` and the column's name behind the row's where there are several.
    past_covariates, known_covariates
        Lists of anything.
    static_covariates
        Columns with one value a series; default: none if targets are named, else all that there are.

    Raises
    ------
    DataError
        If a column is missing or no list, lists of one row differ in length, or timestamps are not regular.
    """
    import pyarrow as pa

    if not table.num_rows:
        raise DataError("The table has no series: it has no rows.")
    lists = [field for field in table.schema if pa.types.is_list(field.type) or pa.types.is_large_list(field.type)]
    ids = item_id or next((name for name in ("id", "item_id") if name in table.column_names), None)
    time = timestamp or next((field.name for field in lists if pa.types.is_temporal(field.type.value_type)), None)
    covariates = (*past_covariates, *known_covariates)
    split = targets is None
    if targets is None:
        numbers = [field.name for field in lists if _is_number(field.type.value_type)]
        targets = [name for name in numbers if name not in covariates]
        if not targets:
            raise DataError("The table has no series: it needs rows with lists of numbers over time.")
    targets = [targets] if isinstance(targets, str) else list(targets)
    over_time = [*targets, *covariates, *([time] if time else [])]
    named = [*([ids] if ids else []), *over_time, *(static_covariates or ())]
    require(pd.DataFrame(columns=table.column_names), named, "the table")
    if strange := set(over_time) - {field.name for field in lists}:
        raise DataError(f"Column {min(strange)!r} must hold a list over time in every row.")
    if static_covariates is None:
        static_covariates = [n for n in table.column_names if n not in {f.name for f in lists} | {ids}] if split else []
    all_names = [str(i) for i in (table[ids].to_pylist() if ids else range(table.num_rows))]
    if len(set(all_names)) < len(all_names):
        raise DataError(f"Several rows of the table have the same {ids!r}: each row must be a series of its own.")
    items: list[Item] = []
    for begin in range(0, table.num_rows, _CHUNK):
        chunk = table.slice(begin, _CHUNK).combine_chunks()
        columns = {"targets": targets, "past_covariates": past_covariates, "known_covariates": known_covariates}
        panel = _flatten(chunk, all_names[begin : begin + _CHUNK], time, over_time, freq, columns)
        freq = freq or panel.freq
        for row, item in enumerate(panel):
            items.append(replace(item, static={name: chunk[name][row].as_py() for name in static_covariates}))
    panel = Panel(tuple(items), freq, tuple(targets))
    return panel.univariate() if split else panel


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingError("This needs the datasets library: pip install 'stillroom-series[hub]'.") from error
    return datasets


def _flatten(
    chunk: pa.Table, names: list[str], time: str | None, over_time: list[str], freq: str | None, columns: dict[str, Any]
) -> Panel:
    """Read rows of lists as a long frame, one item a row; without times, as one with made up times."""
    import pyarrow.compute as pc

    lengths = {name: pc.list_value_length(chunk[name]).to_numpy() for name in over_time}
    reference = lengths[over_time[0]]
    for name, own in lengths.items():
        if not np.array_equal(own, reference):
            i = int(np.argmax(own != reference))
            raise DataError(f"The lists {over_time[0]!r} and {name!r} of item {names[i]!r} have different lengths.")
    if not reference.all():
        raise DataError(f"Item {names[int(np.argmin(reference))]!r} has no values: leave such rows out.")
    frame = pd.DataFrame({name: pc.list_flatten(chunk[name]).to_pandas() for name in over_time})
    frame["item_id"] = pd.Categorical.from_codes(np.repeat(np.arange(len(names)), reference), pd.Index(names))
    if time is not None:
        return from_frame(frame, timestamp=time, freq=freq, **columns)
    steps = np.concatenate([np.arange(length) for length in reference])
    frame["timestamp"] = np.datetime64("1900-01-01") + steps.astype("m8[D]")
    panel = from_frame(frame, freq="D", **columns)
    return Panel(tuple(replace(item, start=None) for item in panel), freq, panel.targets)


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
