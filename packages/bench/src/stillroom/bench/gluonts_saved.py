"""GluonTS predictors that `Predictor.serialize` has written in a folder, as a family of models.

    stillroom bench run demo-forecast --model gluonts:FOLDER       # or the folder alone

A saved predictor names the classes and functions that GluonTS makes it of (`gluonts.core.serde` imports and calls
them), and could name anything that is installed. Only what GluonTS itself defines for models is let in, before any of
it is made; a predictor of another package is code of its own, and joins as a model of its own.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

from stillroom.bench.gluonts_models import GluonTSForecaster
from stillroom.core.errors import MissingError, ModelError
from stillroom.core.protocols import Forecaster
from stillroom.core.registry import ModelFamily

CONFIG = "gluonts-config.json"

ALLOWED = tuple(f"gluonts.{part}." for part in ("model", "torch", "transform", "time_feature", "ext.statsforecast"))
"""Where the classes and functions of a saved predictor may be defined."""

PLAIN = frozenset(
    [f"builtins.{name}" for name in ("bool", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple")]
    + [f"numpy.{name}" for name in ("array", "datetime64", "dtype", "float16", "float32", "float64", "int32", "int64")]
    + ["pandas.Period", "pandas.Timestamp", "pandas.tseries.frequencies.to_offset"]
)
"""Others that only hold values. `functools.partial` and `getattr`, which GluonTS allows, would call anything."""


def load(source: str, *, device: str = "cpu") -> GluonTSForecaster:
    """Load what `Predictor.serialize` wrote in a folder.

    Raises
    ------
    MissingError
        If GluonTS, or what it needs for this predictor (such as lightning), is not installed.
    ModelError
        If the folder is no predictor, names anything but what GluonTS defines for models, or is broken.
    """
    folder = Path(source).expanduser()
    kind = checked_type(folder)
    options = {"device": device} if hasattr(kind, "to") else {}
    try:
        return GluonTSForecaster(kind.deserialize(folder, **options))
    except Exception as error:  # of whatever class the files name
        raise ModelError(f"the GluonTS predictor in {source} cannot be read: {error}") from error


def checked_type(folder: Path) -> Any:
    """The class of a saved predictor, after a look at everything that it would make and call.

    GluonTS makes a predictor by importing what its files name and calling it (`gluonts.core.serde`).
    """
    try:
        name = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["type"]
        content = json.loads((folder / "predictor.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder} is no saved GluonTS predictor ({error}): name a folder with {CONFIG}") from None
    for other in classes_in(content):
        if other not in PLAIN:
            defined(other, folder)
    kind = defined(str(name), folder)
    from gluonts.model.predictor import Predictor

    if not (isinstance(kind, type) and issubclass(kind, Predictor)):
        raise ModelError(f"{folder} names {name}, which is no GluonTS predictor")
    return kind


def classes_in(content: Any) -> Iterator[str]:
    """Every name of a class or function in a file that `gluonts.core.serde` wrote."""
    if isinstance(content, dict):
        if "__kind__" in content:
            yield str(content.get("class"))
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from classes_in(part)


def defined(name: str, folder: Path) -> Any:
    """Import a class or function that is defined, not only reachable, in a module for models of GluonTS."""
    module, _, own = name.rpartition(".")
    found = None
    if name.startswith(ALLOWED):
        try:
            found = getattr(importlib.import_module(module), own, None)
        except ModuleNotFoundError as error:
            missing = str(error.name)
            if not missing.startswith("gluonts."):
                extra = "stillroom-bench[gluonts]" if missing == "gluonts" else "gluonts[torch]"
                raise MissingError(f"{folder} needs {missing}: pip install '{extra}'") from None
    if not isinstance(found, type | FunctionType) or found.__module__ != module:
        raise ModelError(
            f"{folder} names {name}, which is not of GluonTS's own models: if you trust it, load it yourself in a "
            "callable that returns GluonTSForecaster(predictor), and register that"
        )
    return found


def claims(source: str) -> bool:
    """Say whether a folder is a saved predictor."""
    return (Path(source).expanduser() / CONFIG).is_file()


family = ModelFamily(load, claims, can=(Forecaster,))
