"""Packages whose names are imported when they are first used, so that importing one brings no torch.

It knows no package.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def on_first_use(package: str, homes: Mapping[str, str]) -> None:
    """Let a package, from its `__init__`, give names that stand in its modules.

    Parameters
    ----------
    package
        Its `__name__`.
    homes
        The module of each name. A function may have the name of its module: it is what the package then gives, though
        Python binds the module to that name when it is imported.
    """

    class Package(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name not in homes:
                raise AttributeError(f"module {package!r} has no attribute {name!r}")
            return getattr(import_module(f"{package}.{homes[name]}"), name)

        def __setattr__(self, name: str, value: Any) -> None:
            if isinstance(value, ModuleType) and homes.get(name) == name:
                value = getattr(value, name)
            super().__setattr__(name, value)

    sys.modules[package].__class__ = Package
