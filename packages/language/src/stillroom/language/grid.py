"""What `compare` compares: one recipe, and every meaningful combination of what varies in it.

    base: {student: {model: student}, data: [{path: labels.sqlite}], prompt: {form: plain}, train: {steps: 500}}
    adapters: [full, lora, ia3]
    labels: [100, 1000]
    ranks: [8, 64]

A cell is one training. Combinations that mean nothing, such as a rank for ia3, are no cells, and why is said once a
method. It trains nothing and reads no weights; that a network cannot take a method is read from its config.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from stillroom.core.errors import RecipeError
from stillroom.core.methods import LOW_RANK, METHODS, PROMPT, AdapterSpec, quantization
from stillroom.core.recipes import checked, read
from stillroom.language.architectures import CAUSAL
from stillroom.language.recipe import DistillRecipe

ADAPTERS = ("full", "lora", "dora", "ia3", "vera")
KEPT = ("dropout", "target_modules", "virtual_tokens", "frequencies")
"""Strengths of the base's adapter that hold for every method which has them."""


class CompareRecipe(BaseModel):
    """What to compare.

    Parameters
    ----------
    base
        A recipe of `distill`, or the path of one: all that does not vary. Where it names no learning rate each method
        has its own default, which is fairer than one for all.
    adapters
        Methods.
    students
        Models; none: the base's.
    labels
        Numbers of rows to learn from; none: all there are. A larger number holds all rows of a smaller one.
    ranks
        None: the base's adapter's, else each method's own default.
    alphas
        Of the methods that are LoRA's kin; fourierft's scale is another thing and stays as it is. None: the base's,
        else twice the rank.
    seeds
        Each is a training of its own; the table has their mean.
    noise
        The share of words with a slip in the suite's task with noise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: dict[str, Any]
    adapters: tuple[str, ...] = Field(ADAPTERS, min_length=1)
    students: tuple[str, ...] = ()
    labels: tuple[PositiveInt, ...] = ()
    ranks: tuple[PositiveInt, ...] = ()
    alphas: tuple[PositiveFloat, ...] = ()
    seeds: tuple[NonNegativeInt, ...] = Field((0,), min_length=1)
    noise: float = Field(0.1, gt=0, le=1)

    @classmethod
    def of(cls, recipe: CompareRecipe | Mapping[str, Any] | str | Path) -> CompareRecipe:
        """Take a recipe, a mapping or a YAML file; RecipeError if it cannot be meant."""
        return checked(cls, recipe)

    @field_validator("base", mode="before")
    @classmethod
    def _read(cls, base: Any) -> Any:
        return read(Path(base)) if isinstance(base, str | Path) else base

    @field_validator("base")
    @classmethod
    def _meant(cls, base: dict[str, Any]) -> dict[str, Any]:
        DistillRecipe.of(base)
        return base

    @field_validator("adapters")
    @classmethod
    def _known(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for method in methods:
            if method not in METHODS:
                near = difflib.get_close_matches(method, METHODS, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(METHODS)}"
                raise ValueError(f"there is no adapter method {method!r}: {hint}")
        return methods


@dataclass(frozen=True)
class Cell:
    """One training.

    Parameters
    ----------
    name
        Of its Run's folder: readable, and unlike that of any other cell.
    student, adapter, seed
        What it has of what varies.
    labels
        Rows to learn from; None: all.
    """

    name: str
    student: str
    adapter: AdapterSpec
    labels: int | None
    seed: int

    def recipe(self, base: Mapping[str, Any], data: Sequence[Mapping[str, Any]]) -> DistillRecipe:
        """Return the recipe of the cell: the base's, with what varies, and the rows of `data`."""
        own = base["student"]
        student = {**({"model": own} if isinstance(own, str) else own), "model": self.student}
        return DistillRecipe.of(
            {
                **base,
                "student": student,
                "data": list(data),
                "adapter": self.adapter.model_dump(exclude_unset=True),
                "train": {**(base.get("train") or {}), "seed": self.seed},
            }
        )


@dataclass(frozen=True)
class Grid:
    """All cells of a comparison, and sentences on what is not among them."""

    cells: list[Cell]
    sentences: list[str]


def grid(recipe: CompareRecipe) -> Grid:
    """Return the cells: by student, labels, method, rank, alpha and seed, in the order of the recipe.

    Raises
    ------
    ModelError, MissingError
        A student that is not there, or bitsandbytes, which qlora needs.
    RecipeError
        Nothing is left to compare.
    """
    base = DistillRecipe.of(recipe.base)
    if "qlora" in recipe.adapters:
        quantization(AdapterSpec(method="qlora"), CAUSAL)  # says so here if bitsandbytes is not installed
    students = recipe.students or (base.student.model,)
    named = dict(zip(students, short(students), strict=True))
    cells: dict[str, Cell] = {}
    sentences: dict[str, None] = {}
    for student, labels, method in product(students, recipe.labels or (None,), recipe.adapters):
        if (why := impossible(method, student, base)) is not None:
            sentences[why] = None
            continue
        for spec, seed in product(specs(method, recipe, base.adapter), recipe.seeds):
            name = "-".join(_parts(named[student], spec, labels, seed))
            cells.setdefault(name, Cell(name, student, spec, labels, seed))
    if not cells:
        raise RecipeError(f"There is nothing to compare: {' '.join(sentences)}")
    for strengths, values, noun in (({"rank"}, recipe.ranks, "rank"), (LOW_RANK, recipe.alphas, "alpha")):
        without = [method for method in dict.fromkeys(recipe.adapters) if not strengths <= METHODS[method]]
        if len(values) > 1 and without:
            has = "have" if len(without) > 1 else "has"
            sentences[f"{_listed(without)} {has} no {noun} to vary: one Run for all of them."] = None
    rate = (recipe.base.get("train") or {}).get("learning_rate")
    if rate is not None and len(set(recipe.adapters)) > 1:
        sentences[
            f"All methods train at the base's learning rate of {rate:g}, which suits some better than others: leave it "
            "out of the base, and each has its own."
        ] = None
    return Grid(list(cells.values()), list(sentences))


def specs(method: str, recipe: CompareRecipe, base: AdapterSpec) -> Iterator[AdapterSpec]:
    """Yield a method at every rank and alpha that mean something to it."""
    has = METHODS[method]
    kept = {name: getattr(base, name) for name in KEPT if name in has and name in base.model_fields_set}
    ranks: Sequence[int | None] = (None,)
    alphas: Sequence[float | None] = (None,)
    if "rank" in has:
        ranks = recipe.ranks or ((base.rank,) if has == LOW_RANK else (None,))
    if has == LOW_RANK:
        alphas = recipe.alphas or (base.alpha,)
    for rank, alpha in product(dict.fromkeys(ranks), dict.fromkeys(alphas)):
        given = {name: value for name, value in (("rank", rank), ("alpha", alpha)) if value is not None}
        yield AdapterSpec(method=method, **kept, **given)


def impossible(method: str, student: str, base: DistillRecipe) -> str | None:
    """Say in a sentence why a student cannot be trained with a method; None if it can."""
    if base.packing and METHODS[method] == PROMPT:
        return f"{method} is left out: a learned prompt stands before a whole row, and rows are packed."
    name, possible = _methods(student, base.student.kind, base.student.classes)
    if method in possible:
        return None
    if METHODS[method] == PROMPT:
        return f"{method} is left out for {student}: it works on causal language models and on T5, not on {name}."
    return f"{method} is left out for {student}: it trains biases, and {name} has none."


@cache
def _methods(student: str, kind: Any, classes: tuple[str, ...] | None) -> tuple[str, tuple[str, ...]]:
    """The name of a network, and the methods that it can be trained with: a question to its shape alone."""
    from stillroom.core.adapters import supported
    from stillroom.language.plan import network_of
    from stillroom.language.students import distinct

    _, network, architecture = network_of(student, kind, distinct(classes) if classes else None)
    return architecture.name, tuple(supported(network, architecture))


def _parts(student: str, spec: AdapterSpec, labels: int | None, seed: int) -> Iterator[str]:
    yield student
    yield spec.method
    if spec.rank is not None:
        yield f"r{spec.rank}"
    if spec.alpha is not None:
        yield f"a{spec.alpha:g}"
    yield "all" if labels is None else f"n{labels}"
    yield f"s{seed}"


def short(students: Sequence[str]) -> list[str]:
    """Return a short name for each student, unlike the others'."""
    names = [re.sub(r"[^A-Za-z0-9.]+", "-", Path(student).name).strip("-.") or "student" for student in students]
    return [name if names.count(name) == 1 else f"{name}-{number}" for number, name in enumerate(names, start=1)]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
