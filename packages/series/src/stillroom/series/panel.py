"""The one shape of data in the house: a panel of series, each with targets, covariates and a start.

Missing values are NaN and stay NaN. A panel is plain arrays; it knows no files and no models. It never changes: cutting
and selecting make new panels that share the arrays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from stillroom.core.errors import DataError
from stillroom.series.grid import join, steps_from

SYNTHETIC_START = pd.Timestamp("1900-01-01")  # a Monday and the first of a year, so that every calendar passes through


@dataclass(frozen=True, eq=False)
class Item:
    """One series: its targets over time, what else was measured, and when it starts.

    Parameters
    ----------
    item_id
        Its name; the integer itself where a frame had an integer column.
    start
        The timestamp of the first value, or None where nobody knows.
    target
        Shape (targets, time), float64, NaN = missing.
    past
        Covariates known up to now, name → shape (time,); numbers as float64, anything else as objects.
    known
        Covariates also known for the future, name → shape (time,) or (time + horizon,).
    static
        What never changes, name → value.
    """

    item_id: str | int
    start: pd.Timestamp | None
    target: np.ndarray
    past: Mapping[str, np.ndarray] = field(default_factory=dict)
    known: Mapping[str, np.ndarray] = field(default_factory=dict)
    static: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.target.ndim != 2 or not len(self.target):
            raise DataError(f"The target of item {self.item_id!r} must have the shape (targets, time).")
        for name, values in self.past.items():
            if len(values) != self.length:
                raise DataError(f"Past covariate {name!r} of item {self.item_id!r} must be as long as its target.")
        for name, values in self.known.items():
            if len(values) < self.length:
                raise DataError(f"Known covariate {name!r} of item {self.item_id!r} is shorter than its target.")

    @property
    def length(self) -> int:
        """Steps of history."""
        return len(self.target[0])


@dataclass(frozen=True, eq=False)
class Panel:
    """Series that share one frequency and the same targets.

    Parameters
    ----------
    items
        The series, in order.
    freq
        A pandas frequency string as the source gave it, or None where it is unknown or the series differ.
    targets
        The names of the target rows.
    """

    items: tuple[Item, ...]
    freq: str | None
    targets: tuple[str, ...] = ("target",)

    def __post_init__(self) -> None:
        for item in self.items:
            if len(item.target) != len(self.targets):
                raise DataError(
                    f"Item {item.item_id!r} has {len(item.target)} targets, but the panel names {len(self.targets)}."
                )

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def timestamps(self, item: Item, ahead: int = 0) -> pd.DatetimeIndex:
        """Give the timestamps of an item's history and of `ahead` steps after it.

        An item without a start begins at 1900-01-01, a panel without a frequency is daily: made up, but regular,
        which is what calendars and models need.
        """
        return steps_from(item.start or SYNTHETIC_START, self.freq or "D", item.length + ahead)

    def future(self, item: Item, steps: int) -> pd.DatetimeIndex:
        """Give the timestamps of the steps after an item's history."""
        return steps_from(item.start or SYNTHETIC_START, self.freq or "D", steps, skip=item.length)

    def select(self, ids: Iterable[str | int]) -> Panel:
        """Keep the items of these ids, in the order asked for.

        Raises
        ------
        DataError
            If the panel has no such item.
        """
        by_id = {item.item_id: item for item in self.items}
        wanted = list(ids)
        unknown = [i for i in wanted if i not in by_id]
        if unknown:
            raise DataError(f"There is no item {unknown[0]!r} among the {len(self)} items.")
        return Panel(tuple(by_id[i] for i in wanted), self.freq, self.targets)

    def joined(self, ids: Iterable[str | int], name: str) -> Item:
        """Make one item of several: their targets become its variables.

        Raises
        ------
        DataError
            If the panel has no such item, or they do not cover the same steps.
        """
        items = self.select(ids).items
        for item in items[1:]:
            if (item.start, item.length) != (items[0].start, items[0].length):
                raise DataError(
                    f"Items {items[0].item_id!r} and {item.item_id!r} do not cover the same steps: they cannot be one."
                )
        return Item(name, items[0].start, np.concatenate([item.target for item in items]))

    def univariate(self) -> Panel:
        """Make every target an item of its own, named `ITEM_TARGET` where there are several."""
        items = (
            replace(item, item_id=f"{item.item_id}_{name}", target=item.target[row : row + 1])
            for item in self
            for row, name in enumerate(self.targets)
        )
        return Panel(tuple(items), self.freq) if len(self.targets) > 1 else replace(self, targets=("target",))

    def to_frame(self) -> pd.DataFrame:
        """Write the history as a long frame: item_id, timestamp, targets, past, known and static covariates."""
        lengths = [item.length for item in self.items]
        columns: dict[str, Any] = {"item_id": np.repeat(id_column(self.items), lengths)}
        columns["timestamp"] = join([self.timestamps(item) for item in self.items])
        for row, name in enumerate(self.targets):
            columns[name] = np.concatenate([np.empty(0), *(item.target[row] for item in self.items)])
        if self.items:
            first = self.items[0]
            for name in first.past:
                columns[name] = np.concatenate([item.past[name] for item in self.items])
            for name in first.known:
                columns[name] = np.concatenate([item.known[name][: item.length] for item in self.items])
            for name in first.static:
                columns[name] = np.repeat(np.array([item.static[name] for item in self.items]), lengths)
        return pd.DataFrame(columns)

    def fingerprint(self) -> str:
        """Hash the content (sha256, hex): frequency, targets, and every item's id, start, values and covariates."""
        digest = hashlib.sha256(repr((self.freq, self.targets)).encode())
        for item in self.items:
            digest.update(repr((item.item_id, str(item.start), item.target.shape)).encode())
            _hash(digest, item.target)
            for kind, arrays in (("past", item.past), ("known", item.known)):
                for name in sorted(arrays):
                    digest.update(repr((kind, name, len(arrays[name]))).encode())
                    _hash(digest, arrays[name])
            digest.update(repr(sorted((name, str(value)) for name, value in item.static.items())).encode())
        return digest.hexdigest()


def id_column(items: Iterable[Item]) -> np.ndarray:
    """Give item ids as a column: integers stay integers, anything else is an object column of strings."""
    ids = [item.item_id for item in items]
    return np.array(ids, dtype=np.int64 if ids and all(isinstance(i, int) for i in ids) else object)


def _hash(digest: Any, values: np.ndarray) -> None:
    """Feed an array to a digest; every NaN has the same bytes, whatever made it."""
    if values.dtype == object:
        digest.update(repr(values.tolist()).encode())
    else:
        digest.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())
