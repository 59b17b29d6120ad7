"""Classes that have few labels: ask for more inputs of them, and keep those that the teacher itself puts there.

1. `thin` writes request rows, which show inputs of the class, for `synthesis.prompt`.
2. `harvest.harvest`, with the label table as its seeds, keeps what is new; its rows carry that class as `wanted`.
3. The label job, with the user's own Prompt, answers them without being told what was wanted; `agreeing` compares.

What it does not know: classes that no label has, for want of an example to show. And inputs on which the teacher
disagrees with itself go, so what is left is easier than life: measure on inputs that people wrote.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from stillroom.core.errors import DataError
from stillroom.teacher.harvest import Harvest
from stillroom.teacher.synthesis import PER_REQUEST, SHOWN, batches, drawn, plain, request


def thin(
    labels: Iterable[Mapping[str, Any]],
    *,
    target: int | None = None,
    per_request: int = PER_REQUEST,
    shown: int = SHOWN,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return request rows for what the classes with fewer than `target` labels lack, those that lack most first.

    A row has the columns of `synthesis.request`; it shows inputs of its class alone, and `wanted` is the class. Labels
    without an answer, or with one that was cut short, do not count.

    Parameters
    ----------
    labels
        A label table, whose answers are one of a set.
    target
        Labels that each class should have; by default the median of what they have, rounded up, so that one huge class
        does not set the price.
    per_request, shown, seed
        As in `synthesis.requests`.

    Raises
    ------
    DataError
        No label counts, or most classes have a single input: the answers are then no classes.
    RecipeError
        A number below 1.
    """
    by_class: dict[str, dict[str, None]] = {}
    for label in labels:
        answer, text = plain(label.get("answer")), plain(label.get("input"))
        if answer and text and label.get("finish_reason") != "length":
            by_class.setdefault(answer, {})[text] = None
    if not by_class:
        raise DataError("no row has an input and an answer: give a label table")
    sizes = [len(inputs) for inputs in by_class.values()]
    if target is None and len(sizes) > 2 and median(sizes) == 1:
        raise DataError(f"most of the {len(sizes)} answers were given once: are they classes? If so, give a target")
    aim = math.ceil(median(sizes)) if target is None else target
    rows = []
    for wanted in sorted(by_class, key=lambda one: (len(by_class[one]), one)):
        inputs = list(by_class[wanted])
        if len(inputs) < aim:
            for batch, number in batches(aim - len(inputs), per_request):
                rows.append(request(drawn(inputs, shown, seed, wanted, batch), batch, number, wanted=wanted))
    return rows


def agreeing(harvested: Iterable[Mapping[str, Any]], labels: Iterable[Mapping[str, Any]]) -> Harvest:
    """Return the rows whose every answer is the one that was `wanted`, with it as `answer`, and the others.

    These were dropped for "no answer" or as "answered otherwise", with what was said. A row that nothing was wanted of
    is kept with its answer, if its answers are the same.

    Parameters
    ----------
    harvested
        Rows that `harvest.harvest` kept.
    labels
        What the label job said of them.
    """
    answers: dict[str, set[str]] = {}
    for label in labels:
        answers.setdefault(str(label.get("row_id")), set()).add(plain(label.get("answer")))
    found = Harvest([], [])
    for row in harvested:
        said = answers.get(row["row_id"], set()) - {""}
        if not said:
            found.dropped.append((dict(row), "no answer"))
        elif said == {row.get("wanted") or min(said)}:
            found.kept.append({**row, "answer": min(said)})
        else:
            found.dropped.append((dict(row), f"answered otherwise: {', '.join(sorted(said))}"))
    return found
