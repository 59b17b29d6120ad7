"""Classify: learn classes from labelled series, tell others apart, say how sure.

Two ways to learn. `ridge` leaves the network as it is and fits a regression on what it makes of the series. `tokens`
trains the network itself to point from its CLS token at the classes' category tokens: only tokens move, or all weights.
Where there are enough items, some are kept back and the better way is taken. A model that was trained for these very
classes needs no learning: `known` answers as it is. It knows no file and no metric.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from stillroom.core.batches import Batches
from stillroom.core.errors import DataError, RecipeError
from stillroom.core.seeds import own_random
from stillroom.core.settings import TrainSettings
from stillroom.core.trainer import DistillTrainer
from stillroom.units import ridge
from stillroom.units.asking import answers
from stillroom.units.features import features, pace_of, resampled
from stillroom.units.losses import losses
from stillroom.units.means import begin_at_means
from stillroom.units.scaling import standardised
from stillroom.units.stream import labelled
from stillroom.units.windows import Labelled, few_of_each

TASK = "learned-here"
"""The name of the task that is added to a copy of the network."""
HELD_OUT = 0.2
"""Share of a class's items that are kept back to choose by."""
ENOUGH = 40
"""Items from which on some are kept back: of fewer, the few could not tell two ways apart."""
JUDGES = 500
"""Items kept back at most, as each validation reads them all."""
RATES = {"tokens": 1e-2, "all": 5e-4}
VALIDATIONS = 10


class Lesson(BaseModel):
    """How classes are learned.

    Parameters
    ----------
    head
        `ridge`, `tokens`, or `auto`: whichever is right more often on items that were kept back, `ridge` where they are
        equal or too few. `known` learns nothing: the model's own tokens of a task with these classes answer.
    task
        The name of that task, for `known`.
    share
        Few-shot: learn from this share of the items of each class, at least one of each; nothing sees the others.
    moves
        What training moves: the task's tokens and CLS (`tokens`), or every weight (`all`).
    steps, batch_size, learning_rate
        Of the training of `tokens`. The default rate is 0.01 for tokens and 0.0005 for all weights.
    seed
        Of what is left of a share, of what is kept back, and of the training.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    head: Literal["auto", "ridge", "tokens", "known"] = "auto"
    task: str | None = None
    share: float = Field(default=1.0, gt=0, le=1)
    moves: Literal["tokens", "all"] = "tokens"
    steps: PositiveInt = 200
    batch_size: PositiveInt = 16
    learning_rate: PositiveFloat | None = None
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Lesson:
        if self.task is not None and self.head != "known":
            raise ValueError(f"a task of the model answers under head: known alone, not under head: {self.head}")
        if self.share != 1 and self.head == "known":
            raise ValueError("head: known learns from no item, so from no share of them either: leave share out")
        return self


@dataclass(frozen=True, eq=False)
class Learned:
    """Classes that were learned.

    Parameters
    ----------
    classes
        (classes,), sorted: the order of probabilities.
    variables
        Of a series.
    pace
        What the lengths of series are multiplied by before the network reads them.
    head
        `ridge`, `tokens`, `known`, or `only` where there was one class.
    ridge
        The regression, for `ridge`.
    network
        The trained copy, for `tokens`.
    task
        The model's own task, for `known`.
    held_out
        Accuracy of each way on the items kept back; empty where none were.
    """

    classes: np.ndarray
    variables: int
    pace: float
    head: str
    ridge: ridge.Ridge | None = None
    network: Any = None
    task: str | None = None
    held_out: dict[str, float] | None = None


def fit(model: Any, series: Sequence[np.ndarray], labels: Sequence[Any] | np.ndarray, lesson: Lesson) -> Learned:
    """Learn classes.

    Parameters
    ----------
    model
        A `UnitsModel`; not changed.
    series
        Arrays (variables, time) of the same variables, as `arrays.as_series` makes them; lengths may differ, and values
        be missing.
    labels
        The class of each, (items,): names or numbers. A class may have a single item, and there may be a single class.

    Raises
    ------
    DataError
        Series and labels do not fit together, or a label is missing; or the task that `known` names has other classes.
    RecipeError
        The model has no such task.
    """
    names, numbers = _numbered(labels, len(series))
    variables = len(series[0])
    _check(series, variables)
    if lesson.head == "known":
        _order(model, lesson.task, names)
        return Learned(names, variables, 1.0, "known", task=lesson.task)
    if lesson.share < 1:
        places = few_of_each(numbers, lesson.share, lesson.seed)
        series, numbers = [series[place] for place in places.tolist()], numbers[places]
    series = [_ended(one) for one in series]
    pace = pace_of(series, model.config)
    if len(names) == 1:
        return Learned(names, variables, pace, "only")
    learn, judge = _kept_back(numbers, lesson.seed)
    rows = None if lesson.head == "tokens" else features(model, series, pace)
    if lesson.head == "ridge" or (lesson.head == "auto" and not len(judge)):
        assert rows is not None
        return Learned(names, variables, pace, "ridge", ridge.fit(rows, numbers, len(names)))

    network = _trained(model, [_shown(one, pace, model.config) for one in series], numbers, learn, judge, lesson)
    found = Learned(names, variables, pace, "tokens", network=network)
    if not len(judge):
        return found
    right = {"tokens": _accuracy(_tokens(found, [series[place] for place in judge.tolist()]), numbers[judge])}
    if rows is not None:
        some = ridge.fit(rows[learn], numbers[learn], len(names))
        right["ridge"] = _accuracy(some.probabilities(rows[judge]), numbers[judge])
        if right["ridge"] >= right["tokens"]:
            everything = ridge.fit(rows, numbers, len(names))
            return Learned(names, variables, pace, "ridge", everything, held_out=right)
    return Learned(names, variables, pace, "tokens", network=network, held_out=right)


def probabilities(model: Any, learned: Learned, series: Sequence[np.ndarray]) -> np.ndarray:
    """Return how likely each series is of each class, (items, classes), rows summing to 1.

    Parameters
    ----------
    model
        The one that `fit` was given.

    Raises
    ------
    DataError
        A series has other variables than those that were learned from.
    """
    _check(series, learned.variables)
    series = [_ended(one) for one in series]
    if learned.head == "only":
        return np.ones((len(series), 1))
    if learned.head == "tokens":
        return _tokens(learned, series)
    if learned.head == "known":
        assert learned.task is not None
        return of_task(model, learned.task, series)[:, _order(model, learned.task, learned.classes)]
    assert learned.ridge is not None
    return learned.ridge.probabilities(features(model, series, learned.pace))


def of_task(model: Any, task: str, series: Sequence[np.ndarray]) -> np.ndarray:
    """Return how likely each series is of each class of a task that the model was trained for, (items, classes).

    Raises
    ------
    RecipeError
        The model has no such task, or the task no classes.
    """
    classes_of(model, task)
    found: list[Any] = [None] * len(series)
    for places, said in answers(model, [standardised(one).values for one in series], task=task):
        shares = said.class_logits.double().softmax(-1).cpu().numpy()
        for number, place in enumerate(places.tolist()):
            found[place] = shares[number]
    return np.stack(found)


def classes_of(model: Any, task: str | None) -> list[str]:
    """Return the classes of a task that the model was trained for, in the order of `of_task`; raises as it does."""
    classes: list[str] | None = model.config.tasks.get(task)
    if classes is None:
        known = [name for name, classes in model.config.tasks.items() if classes is not None]
        has = f"those with classes are {', '.join(known)}" if known else "it has none with classes"
        lacks = (
            "Nothing names a task to answer by" if task is None else f"This model has no classes for the task {task!r}"
        )
        raise RecipeError(f"{lacks}: {has}; or let it learn yours.")
    return classes


class Draws(Batches):
    """Batches of labelled series, each item as often as any other, changed a little so that none is seen twice."""

    def __init__(self, items: Labelled, batch_size: int, seed: int) -> None:
        self.items, self.batch_size, self.seed = items, batch_size, seed

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return batch `index`."""
        rng = np.random.default_rng([self.seed, index])
        return labelled(self.items, rng.integers(len(self.items.series), size=self.batch_size), TASK, rng)


def _trained(
    model: Any, series: list[np.ndarray], numbers: np.ndarray, learn: np.ndarray, judge: np.ndarray, lesson: Lesson
) -> Any:
    """A copy of the network that has learned these classes.

    Its weights are those that were best on the items kept back; where none were, on those that it learned from.
    """
    network = copy.deepcopy(model)
    with own_random("category tokens", lesson.seed):
        network.add_task(TASK, [str(number) for number in range(int(numbers.max()) + 1)])
    own = ("tokens.cls", "tokens.sharpness", f"tokens.prompts.{TASK}", f"tokens.categories.{TASK}")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(lesson.moves == "all" or name in own)
    items = Labelled([series[place] for place in learn.tolist()], labels=numbers[learn])
    begin_at_means(network, TASK, items.series, items.labels)  # a strong start: the nearest mean
    chosen = judge if len(judge) else learn[:JUDGES]
    settings = TrainSettings(
        steps=lesson.steps,
        learning_rate=lesson.learning_rate or RATES[lesson.moves],
        select_by="cross_entropy",
        batch_size=lesson.batch_size,
        eval_every=max(1, lesson.steps // VALIDATIONS),
        patience=4,
        seed=lesson.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        DistillTrainer(
            network,
            partial(losses, names=("cross_entropy",)),
            settings,
            folder,
            train_data=Draws(items, lesson.batch_size, lesson.seed),
            validate=partial(_validated, [series[place] for place in chosen.tolist()], numbers[chosen]),
        ).train()
    return network.requires_grad_(False).eval().to(model.device)


def _validated(series: list[np.ndarray], numbers: np.ndarray, network: Any) -> dict[str, float]:
    own = of_task(network, TASK, series)
    likely = np.log(np.maximum(own[np.arange(len(numbers)), numbers], 1e-12))
    return {"cross_entropy": -float(likely.mean()), "accuracy": _accuracy(own, numbers)}


def _tokens(learned: Learned, series: Sequence[np.ndarray]) -> np.ndarray:
    shown = [_shown(one, learned.pace, learned.network.config) for one in series]
    return of_task(learned.network, TASK, shown)


def _shown(series: np.ndarray, pace: float, config: Any) -> np.ndarray:
    """The series as the network reads it."""
    return standardised(resampled(series, min(max(round(series.shape[1] * pace), 1), config.max_length))).values


def _kept_back(numbers: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide the items (places to learn from, places to judge by): some of each class that has five or more."""
    judge: list[int] = []
    if len(numbers) >= ENOUGH:
        rng = np.random.default_rng([seed, len(numbers)])
        share = min(HELD_OUT, JUDGES / len(numbers))
        for label in np.unique(numbers):
            members = rng.permutation(np.flatnonzero(numbers == label))
            judge += members[: int(share * len(members))].tolist()
    return np.setdiff1d(np.arange(len(numbers)), judge), np.array(sorted(judge), dtype=np.int64)


def _order(model: Any, task: str | None, names: np.ndarray) -> list[int]:
    """Where a task of the model has each of some classes; raises DataError unless they are all that it has."""
    known, asked = classes_of(model, task), [str(name) for name in names.tolist()]
    if sorted(known) != sorted(asked):
        raise DataError(
            f"The model's task {task!r} has the classes {', '.join(known)}, and these series {', '.join(asked)}: let "
            "it learn yours."
        )
    return [known.index(name) for name in asked]


def _accuracy(own: np.ndarray, numbers: np.ndarray) -> float:
    return float((own.argmax(axis=1) == numbers).mean())


def _numbered(labels: Sequence[Any] | np.ndarray, items: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes there are, sorted, and the number of each item's."""
    given = np.asarray(labels)
    if given.ndim != 1 or len(given) != items:
        raise DataError(f"{items} series need as many labels in a row, not an array of the shape {given.shape}.")
    try:
        missing = given != given  # only NaN is not itself
        names, numbers = np.unique(given, return_inverse=True)
    except TypeError:
        raise DataError("Labels must be all names or all numbers, and none may be missing.") from None
    if np.any(missing):
        raise DataError(f"{int(np.sum(missing))} labels are missing: leave those series out.")
    return names, numbers


def _check(series: Sequence[np.ndarray], variables: int) -> None:
    for number, one in enumerate(series):
        if len(one) != variables:
            raise DataError(f"Series {number} has {len(one)} variables instead of {variables}: all must have the same.")


def _ended(series: np.ndarray) -> np.ndarray:
    """Cut off the steps at the end that no variable has: so files write series of unequal lengths."""
    seen = np.flatnonzero(~np.isnan(series).all(axis=0))
    return series[:, : seen[-1] + 1] if len(seen) else series[:, :1]
