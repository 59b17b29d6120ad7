"""One JSON object or GluonTS entry a series, made into a panel: `target`, `start`, `item_id`, `freq` and features.

Knows the keys of GluonTS's data sets, with `freq` beside them. Starts may be missing; then the panel's timestamps are
made up.
"""

from __future__ import annotations

import gzip
import json
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stillroom.core.errors import DataError
from stillroom.series.panel import Item, Panel


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Read a file of one JSON object a line, gzipped or not; empty lines are skipped."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        numbered = enumerate(lines, 1)
        while True:
            try:
                number, line = next(numbered, (0, None))
            except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
                raise DataError(f"{str(path)!r} is not whole: {error}.") from error
            if line is None:
                return
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise DataError(f"Line {number} of {str(path)!r} is not JSON: {error}.") from error


def from_records(records: Iterable[Mapping[str, Any]], *, freq: str | None = None, source: str = "the data") -> Panel:
    """Make a panel of records.

    Parameters
    ----------
    records
        Mappings with `target` (numbers, or one list a target; null or NaN = missing) and, where known, `start`,
        `item_id`, `freq`, `feat_dynamic_real` and `feat_dynamic_cat` (known for the future), `past_feat_dynamic_real`,
        `feat_static_real` and `feat_static_cat`. An id that comes again, as in rolling test sets, gets a number, `a#2`.
    freq
        The frequency of all of them; default: what they say themselves, or that of their start if it is a period. If
        they do not agree the panel has none, and a warning says so.
    source
        What to call them in an error.

    Raises
    ------
    DataError
        If a record has no target, or one that is not made of numbers.
    """
    items, freqs = [], []
    times: Counter[str] = Counter()
    for number, record in enumerate(records):
        where = f"series {number} of {source}"
        if not isinstance(record, Mapping) or record.get("target") is None:
            raise DataError(f"There is no 'target' in {where}: each needs a list of numbers under that name.")
        target = np.atleast_2d(_numbers(record["target"], "target", where))
        start, own = _start(record.get("start"), where)
        item_id = str(number if record.get("item_id") is None else record["item_id"])
        times[item_id] += 1
        items.append(
            Item(
                item_id if times[item_id] == 1 else f"{item_id}#{times[item_id]}",
                start,
                target,
                _features(record, "past_feat_dynamic_real", where),
                _features(record, "feat_dynamic_real", where) | _features(record, "feat_dynamic_cat", where),
                {
                    f"{name}_{i}": value
                    for name in ("feat_static_real", "feat_static_cat")
                    for i, value in enumerate(() if record.get(name) is None else record[name])
                },
            )
        )
        freqs.append(record.get("freq") or own)
    if not items:
        raise DataError(f"There are no series in {source}.")
    width = len(items[0].target)
    targets = ("target",) if width == 1 else tuple(f"target_{i}" for i in range(width))
    return Panel(tuple(items), freq or agreed_freq(freqs, source), targets)


def agreed_freq(freqs: Iterable[str | None], source: str) -> str | None:
    """Give the one frequency that all series have, or none, with a warning if they have several."""
    distinct = list(dict.fromkeys(freqs))
    if len(distinct) > 1:
        said = ", ".join(freq or "unknown" for freq in distinct)
        warnings.warn(f"{source} has several frequencies ({said}): it is read as having none.", stacklevel=3)
        return None
    return distinct[0]


def _numbers(values: Any, name: str, where: str) -> np.ndarray:
    try:
        numbers = np.array(values, dtype=np.float64)  # None becomes NaN
    except (TypeError, ValueError):
        numbers = np.empty(())
    if numbers.ndim not in (1, 2):
        raise DataError(f"{name!r} must be a list of numbers, or equally long lists of them, in {where}.")
    return np.where(np.isinf(numbers), np.nan, numbers)


def _start(value: Any, where: str) -> tuple[pd.Timestamp | None, str | None]:
    """Read a start, and the frequency that it brings if it is a period."""
    if value is None:
        return None, None
    if isinstance(value, pd.Period):
        return value.to_timestamp(), value.freqstr
    if isinstance(value, str):
        value = re.sub(r" (\d\d)-(\d\d)-(\d\d)$", r" \1:\2:\3", value)  # as the Monash archive writes times
    try:
        return pd.Timestamp(value).tz_localize(None), None
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The start {value!r} of {where} cannot be read: write it as 2020-01-31 or leave it out."
        ) from error


def _features(record: Mapping[str, Any], name: str, where: str) -> dict[str, np.ndarray]:
    rows = record.get(name)
    return (
        {} if rows is None else {f"{name}_{i}": row for i, row in enumerate(np.atleast_2d(_numbers(rows, name, where)))}
    )
