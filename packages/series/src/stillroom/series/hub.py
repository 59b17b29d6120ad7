"""Data sets of the Hugging Face hub in the form of `autogluon/chronos_datasets`: one row a series, lists over time.

A row has an `id`, a list of timestamps and one or more lists of numbers; every list of numbers becomes a series of its
own, as in the published evaluations. The hub is reached through the `datasets` library alone, and nobody's code is run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stillroom.core.errors import DataError, MissingError
from stillroom.core.hub import cache_only_without_network
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


def from_lists(table: pa.Table, *, freq: str | None = None) -> Panel:
    """Make a panel of an Arrow table with one row a series and lists over time.

    A series is named by its `id` (or `item_id`), with `_` and the column's name behind it where rows have several lists
    of numbers. Other columns are static covariates.

    Raises
    ------
    DataError
        If there are no lists of numbers, lists of one row differ in length, or timestamps are not regular.
    """
    import pyarrow as pa

    lists = [field for field in table.schema if pa.types.is_list(field.type) or pa.types.is_large_list(field.type)]
    times = [field.name for field in lists if pa.types.is_temporal(field.type.value_type)]
    targets = [field.name for field in lists if _is_number(field.type.value_type)]
    ids = next((name for name in ("id", "item_id") if name in table.column_names), None)
    if not targets or not table.num_rows:
        raise DataError("The table has no series: it needs rows with lists of numbers over time.")
    static = [name for name in table.column_names if name not in {field.name for field in lists} and name != ids]
    all_names = [str(i) for i in (table[ids].to_pylist() if ids else range(table.num_rows))]
    if len(set(all_names)) < len(all_names):
        raise DataError(f"Several rows of the table have the same {ids!r}: each row must be a series of its own.")
    items: list[Item] = []
    for begin in range(0, table.num_rows, _CHUNK):
        chunk = table.slice(begin, _CHUNK).combine_chunks()
        names = all_names[begin : begin + _CHUNK]
        panel = _flatten(chunk, names, times[0] if times else None, targets, freq)
        freq = freq or panel.freq
        for row, item in enumerate(panel):
            others = {name: chunk[name][row].as_py() for name in static}
            for i, column in enumerate(targets):
                own = f"{names[row]}_{column}" if len(targets) > 1 else names[row]
                items.append(Item(own, item.start, item.target[i : i + 1], static=others))
    return Panel(tuple(items), freq)


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingError("This needs the datasets library: pip install 'stillroom-series[hub]'.") from error
    return datasets


def _flatten(chunk: pa.Table, names: list[str], time: str | None, targets: list[str], freq: str | None) -> Panel:
    """Read rows of lists as a long frame, one item a row."""
    import pyarrow.compute as pc

    lengths = {name: pc.list_value_length(chunk[name]).to_numpy() for name in (*targets, *([time] if time else []))}
    reference = lengths[targets[0]]
    for name, own in lengths.items():
        if not np.array_equal(own, reference):
            i = int(np.argmax(own != reference))
            raise DataError(f"The lists {targets[0]!r} and {name!r} of item {names[i]!r} have different lengths.")
    if not reference.all():
        raise DataError(f"Item {names[int(np.argmin(reference))]!r} has no values: leave such rows out.")
    flat = {name: pc.list_flatten(chunk[name]).to_numpy().astype(np.float64) for name in targets}
    if time is None:
        splits = np.cumsum(reference)[:-1]
        rows = np.split(np.stack(list(flat.values())), splits, axis=1)
        return Panel(tuple(Item(name, None, row) for name, row in zip(names, rows, strict=True)), freq, tuple(targets))
    frame = pd.DataFrame({"timestamp": pc.list_flatten(chunk[time]).to_numpy(), **flat})
    frame["item_id"] = pd.Categorical.from_codes(np.repeat(np.arange(len(names)), reference), pd.Index(names))
    return from_frame(frame, targets=targets, freq=freq)


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
