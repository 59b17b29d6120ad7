"""Recipes as files: a YAML mapping, checked by pydantic, and what is wrong with one said in a sentence.

It does not know what a recipe is for: whoever carries it out brings the model that checks it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from stillroom.core.errors import MissingError, RecipeError

Model = TypeVar("Model", bound=BaseModel)


def checked(cls: type[Model], recipe: Model | Mapping[str, Any] | str | Path) -> Model:
    """Return a recipe, a mapping or a YAML file as a `cls`.

    Raises
    ------
    RecipeError
        No such file, not YAML, an unknown name (the nearest known one is given) or a value that cannot be meant.
    """
    if isinstance(recipe, cls):
        return recipe
    where = ""
    if isinstance(recipe, str | Path):
        where, recipe = f"{recipe}: ", read(Path(recipe))
    try:
        return cls.model_validate(recipe)
    except ValidationError as error:
        raise RecipeError(where + _sentence(cls, error)) from error


def filled_in(text: str) -> str:
    """Fill in the environment variables of a path, as a recipe names it; MissingError where one is not set."""
    filled = os.path.expandvars(text)
    if "$" in filled:
        raise MissingError(f"{text} needs an environment variable that is not set: export it, or write the path out.")
    return filled


def read(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML file; RecipeError if there is none."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"There is no file {path}: give a YAML file.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{path} is not a recipe: it must be a mapping of names to values.")
    return content


def overridden(recipe: Mapping[str, Any], *options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe with the options that were given on a command line; None stands for one that was not.

    An option that is a mapping changes those parts of the recipe's mapping of that name that it names.
    """
    changed = dict(recipe)
    for option in options:
        for name, value in option.items():
            if isinstance(value, Mapping):
                given = {key: item for key, item in value.items() if item is not None}
                if given:
                    changed[name] = {**(changed.get(name) or {}), **given}
            elif value is not None:
                changed[name] = value
    return changed


def _sentence(cls: type[BaseModel], error: ValidationError) -> str:
    """The first thing wrong with a recipe, in one sentence."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"{place}: {first['msg']}" if place else first["msg"].removeprefix("Value error, ")
    known: Any = cls
    for part in first["loc"][:-1]:
        if isinstance(part, str) and part in known.model_fields:  # else the number of an item in a list
            known = _model(known.model_fields[part].annotation)
    near = difflib.get_close_matches(str(first["loc"][-1]), known.model_fields, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known.model_fields)}."
    return f"{place} means nothing here: {hint}"


def _model(annotation: Any) -> Any:
    """The model within an annotation such as `X`, `X | None` or `tuple[X, ...]`."""
    return next((kind for kind in (annotation, *get_args(annotation)) if hasattr(kind, "model_fields")), annotation)
