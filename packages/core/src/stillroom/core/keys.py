"""The address of a target: a hash of everything it depends on, the same in every process and on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from stillroom.core.tensors import pack


def key(**parts: Any) -> str:
    """Return the SHA-256, in hex, of everything that a target depends on: teacher, input, options, …

    The order of names does not matter, neither here nor in nested mappings. Lists and tuples are the same; 1, 1.0, True
    and "1" are four different things; a NaN equals a NaN. Numpy scalars count as Python's; arrays and torch tensors by
    dtype, shape and content.

    Raises
    ------
    TypeError
        A part of another kind, or a mapping whose keys are not text.
    """
    return hashlib.sha256(json.dumps(_canonical(parts), separators=(",", ":")).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """A JSON value that two parts share only if they are the same; every list in it starts with its kind."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.bool_ | np.integer | np.floating):
        return value.item()
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("the keys of a mapping in a target's key must be text")
        return ["mapping", [[name, _canonical(value[name])] for name in sorted(value)]]
    if isinstance(value, list | tuple):
        return ["list", [_canonical(item) for item in value]]
    if isinstance(value, bytes):
        return ["bytes", hashlib.sha256(value).hexdigest()]
    if isinstance(value, np.ndarray) or hasattr(value, "detach"):
        return ["array", hashlib.sha256(pack({"": value})).hexdigest()]
    raise TypeError(f"a {type(value).__name__} cannot be part of a target's key: say it in text and numbers")
