"""Values as plain JSON: what commands print with `--json` and what `run.json` holds.

JSON has no NaN and no infinity: both become null. It does not know what the values mean.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def to_plain(value: Any) -> Any:
    """Return `value` as dicts with text keys, lists, text, finite numbers, booleans and None.

    Takes dataclasses, pydantic models, numpy and torch scalars and arrays, sets (sorted), paths, dates and times.

    Raises
    ------
    TypeError
        A value of another kind.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    for method in ("model_dump", "tolist", "isoformat"):  # pydantic; numpy and torch; dates and times
        if not isinstance(value, type) and hasattr(value, method):
            return to_plain(getattr(value, method)())
    raise TypeError(f"{type(value).__name__} has no plain JSON form")
