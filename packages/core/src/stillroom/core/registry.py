"""What is installed, by name: the models, data sets, suites, task kinds and commands that packages register.

A package joins by naming things in its pyproject as entry points of the groups `stillroom.models`, `.datasets`,
`.suites`, `.tasks` and `.commands`; ours and an outsider's join in the same way. Listing names imports nothing; a thing
is imported when it is asked for. An entry of `stillroom.models` is a `Path` (a mini: a model folder), a `ModelFamily`,
or a callable without arguments that returns a model (a baseline).

The registry does not know what a model does: it finds the family that claims it, and hands over its loader.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache, partial
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import Any

from stillroom.core.errors import MissingError, ModelError, RecipeError, UserError
from stillroom.core.folders import HUB_ID


@dataclass(frozen=True)
class ModelFamily:
    """A kind of checkpoint that somebody can load.

    Parameters
    ----------
    load
        `load(source, *, device="cpu")` returns a model with the Protocol of its tasks; `source` is a folder
        or a hub id.
    claims
        `claims(source)` says whether this folder or hub id is of this family, from `config.json` or
        `run.json` alone.
    can
        The Protocols (of `core.protocols`, or an outsider's own) that what is loaded has, so that a benchmark knows
        before it loads anything.
    """

    load: Callable[..., Any]
    claims: Callable[[str], bool]
    can: tuple[type, ...]


@dataclass(frozen=True)
class ResolvedModel:
    """A model that was found but not loaded yet.

    Parameters
    ----------
    id
        The name that scores carry: as the user wrote it.
    source
        The folder or hub id of the weights; None for a baseline, which has none.
    load
        Returns the model. With a `source` it takes the loader's options, such as `device="cuda"`.
    can
        The Protocols that it has, as its family says; None for a baseline, which is asked itself.
    """

    id: str
    source: str | None
    load: Callable[..., Any]
    can: tuple[type, ...] | None = None


def names(group: str) -> list[str]:
    """Return the sorted names registered in `group` (such as `"stillroom.models"`); nothing is imported."""
    return sorted({entry.name for entry in _entries(group, tuple(sys.path))})


def get(group: str, name: str) -> Any:
    """Import and return what is registered as `name` in `group`.

    Raises
    ------
    ModelError
        In `stillroom.models`: the name is unknown (the nearest known ones are given), registered twice, or cannot be
        imported.
    RecipeError
        The same in every other group.
    """
    entry = entry_point(group, name)
    try:
        return entry.load()
    except Exception as error:  # an outsider's module may fail in any way; the rest must go on
        message = f"{_noun(group)} {name!r} of {_package(entry)} cannot be loaded: {type(error).__name__}: {error}"
        raise _error(group)(message) from error


@lru_cache(maxsize=16)
def _entries(group: str, path: tuple[str, ...]) -> EntryPoints:
    """The entry points of a group on this `sys.path`: reading every package's metadata again costs 20 ms a name."""
    return entry_points(group=group)


def entry_point(group: str, name: str) -> EntryPoint:
    """Return the entry point itself, not imported; raises as `get` does."""
    found = list(_entries(group, tuple(sys.path)).select(name=name))
    if not found:
        raise _error(group)(f"there is no {_noun(group)} {name!r}; {_nearest(name, names(group))}")
    if len({entry.value for entry in found}) > 1:
        packages = " and ".join(sorted(_package(entry) for entry in found))
        raise _error(group)(f"{_noun(group)} {name!r} is registered by {packages}: uninstall all but one of them")
    return found[0]


def missing_module(entry: EntryPoint) -> str | None:
    """Return the name of the module that `entry` points to and that is not installed, or None; nothing is imported."""
    path = None
    parts = entry.module.split(".")
    for depth in range(1, len(parts) + 1):
        module = ".".join(parts[:depth])
        try:
            spec = next((spec for finder in sys.meta_path if (spec := finder.find_spec(module, path))), None)
        except KeyError:  # a namespace within a namespace cannot be looked into before it is imported
            return None
        if spec is None:
            return module
        path = spec.submodule_search_locations
    return None


def resolve_model(name: str) -> ResolvedModel:
    """Find the model that a user names, without loading it.

    Parameters
    ----------
    name
        A registered name; `FAMILY:SOURCE`; a folder or a hub id `owner/name` that a family claims.

    Raises
    ------
    ModelError
        Nothing answers to the name, or more than one family does.
    MissingError
        A family needs the network to know a hub id, and there is none.
    """
    known = names("stillroom.models")
    if name in known:
        return _registered(name)
    family, colon, source = name.partition(":")
    folder = Path(name).expanduser()
    if colon and source and family in known:
        entry = get("stillroom.models", family)
        if not isinstance(entry, ModelFamily):
            raise ModelError(f"{family!r} is one model, not a family: write {family!r} without {':' + source!r}")
        return _of(entry, name, source)
    if folder.is_dir():
        return _of(_claiming(str(folder)), str(Path(name)), str(folder))
    if HUB_ID.fullmatch(name):
        return _of(_claiming(name), name, name)
    raise ModelError(
        f"there is no model {name!r}: it is no registered name ({_nearest(name, known)}), no folder, "
        "no hub id OWNER/NAME and no FAMILY:SOURCE"
    )


def _of(family: ModelFamily, name: str, source: str) -> ResolvedModel:
    return ResolvedModel(name, source, partial(family.load, source), family.can)


def _registered(name: str) -> ResolvedModel:
    entry = get("stillroom.models", name)
    if isinstance(entry, ModelFamily):
        raise ModelError(f"{name!r} is a family of models: name one of them as {name}:FOLDER or {name}:OWNER/NAME")
    if isinstance(entry, Path):
        if not entry.is_dir():
            raise ModelError(
                f"the weights of {name!r} are not at {entry}: install its package again, or train it there"
            )
        return _of(_claiming(str(entry)), name, str(entry))
    if callable(entry):
        return ResolvedModel(name, None, entry)
    kind = type(entry).__name__
    raise ModelError(f"{name!r} is registered as {kind}: a model must be a Path, a ModelFamily or a callable")


def _claiming(source: str) -> ModelFamily:
    """Return the one family that claims a folder or hub id; a family that fails is named only if no other claims it."""
    claims: dict[str, ModelFamily] = {}
    failures: list[UserError] = []
    for name in names("stillroom.models"):
        try:
            entry = get("stillroom.models", name)
            if isinstance(entry, ModelFamily) and entry.claims(source):
                claims[name] = entry
        except UserError as error:
            failures.append(error)
    if len(claims) > 1:
        raise ModelError(f"{source!r} could be of the families {', '.join(claims)}: write FAMILY:{source}")
    if claims:
        return next(iter(claims.values()))
    for failure in failures:
        if isinstance(failure, MissingError):  # it may well be theirs, once the network is there
            raise failure
    reasons = "".join(f"; {error}" for error in failures)
    raise ModelError(
        f"no installed model family knows {source!r}{reasons}: check it, or install the package of its family"
    )


def _nearest(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=3)
    if close:
        return "did you mean " + " or ".join(repr(match) for match in close) + "?"
    return "known are " + ", ".join(known) if known else "nothing of this kind is installed"


def _error(group: str) -> type[UserError]:
    return ModelError if group == "stillroom.models" else RecipeError


def _noun(group: str) -> str:
    return {"datasets": "data set"}.get(group.rpartition(".")[2], group.rpartition(".")[2].removesuffix("s"))


def _package(entry: EntryPoint) -> str:
    return f"package {entry.dist.name}" if entry.dist else "a package"
