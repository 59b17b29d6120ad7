"""How far two answers agree, and two tables of answers: what a pilot, a gold set or a second teacher is judged by.

The yes-or-no measures return bool, the graded ones a share. It does not know which of two answers is right.
"""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from stillroom.core.errors import DataError, RecipeError
from stillroom.teacher.intervals import mean_interval, rows_needed

__all__ = ["KEYS", "MEASURES", "Agreement", "compare", "exact", "f1", "fields", "kappa", "normalised", "number",
           "numeric", "plain", "rows_needed"]  # fmt: skip

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(
    r"(?:(?<![\w)])[-−])?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,9}(?!\d))?"
)


@dataclass(frozen=True)
class Agreement:
    """The mean agreement over rows, and its 95 % interval (see `intervals`)."""

    rows: int
    mean: float
    low: float
    high: float


def plain(answer: str) -> str:
    """Return an answer without case, punctuation and spare white space, as SQuAD's evaluation does, or else as it is.

    Articles stay, as "A" may be an answer; so do answers of nothing but punctuation. "-5" and "5" become one: numbers
    are for `numeric`.
    """
    return " ".join(answer.casefold().translate(_PUNCTUATION).split()) or answer.strip()


def number(answer: str) -> Decimal | str:
    """Return the last number in an answer, or the answer if there is none.

    1,000 is a thousand; a fraction is read as its denominator, a percentage without its sign.
    """
    found = _NUMBER.findall(answer)
    return Decimal(found[-1].replace(",", "").replace("−", "-")) if found else answer.strip()


def exact(a: str, b: str) -> bool:
    """Whether they are the same text, white space around it aside."""
    return a.strip() == b.strip()


def normalised(a: str, b: str) -> bool:
    """Whether they are the same but for case, punctuation and white space (see `plain`)."""
    return plain(a) == plain(b)


def numeric(a: str, b: str) -> bool:
    """Whether the last numbers in them have the same value, as for GSM8K (see `number`)."""
    return number(a) == number(b)


def fields(a: str, b: str) -> float:
    """Return the share of leaf fields of two JSON texts that agree, of all that either has.

    A missing field disagrees; lists agree place by place; numbers by value, and `true` is none. Two texts that are not
    JSON agree when they are equal.
    """
    try:
        first, second = _leaves(a), _leaves(b)
    except (ValueError, RecursionError):
        return float(exact(a, b))
    paths = first.keys() | second.keys()
    agreed: int = sum(path in first and path in second and first[path] == second[path] for path in paths)
    return agreed / len(paths)


def f1(a: str, b: str) -> float:
    """Return the harmonic mean of the shares of words that each has in common with the other, as in SQuAD.

    Words are what white space parts, so scripts without spaces have sentences for words.
    """
    first, second = Counter(plain(a).split()), Counter(plain(b).split())
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 1.0


MEASURES: dict[str, Callable[[str, str], float]] = {
    "exact": exact,
    "normalised": normalised,
    "numeric": numeric,
    "fields": fields,
    "f1": f1,
}


KEYS: dict[str, Callable[[str], Decimal | str]] = {
    "exact": str.strip,
    "normalised": plain,
    "numeric": number,
    "fields": str.strip,
    "f1": plain,
}
"""What two answers have in common if a measure takes them for one answer, for those that count answers."""


def compare(answers_a: Mapping[str, str | None], answers_b: Mapping[str, str | None], measure: str) -> Agreement:
    """Return how far two sets of answers agree on the rows that both have.

    A row that one side answers and the other does not (None) is a disagreement: else a prompt that makes the teacher
    fail would look better. A row that neither answers says nothing.

    Parameters
    ----------
    answers_a, answers_b
        Answers by row_id.
    measure
        A name in `MEASURES`.

    Raises
    ------
    RecipeError
        There is no such measure.
    DataError
        They have no answered row in common.
    """
    if measure not in MEASURES:
        raise RecipeError(f"there is no measure {measure!r}: choose one of {', '.join(MEASURES)}")
    values: list[float] = []
    for row_id in answers_a.keys() & answers_b.keys():
        a, b = answers_a[row_id], answers_b[row_id]
        if a is not None and b is not None:
            values.append(MEASURES[measure](a, b))
        elif a is not None or b is not None:
            values.append(False)
    if not values:
        raise DataError("the two tables have no answered row in common: is row_id the same in both?")
    return Agreement(len(values), *mean_interval(np.sort(values)))  # sorted, as a sum depends on the order


def kappa(pairs: Iterable[tuple[Hashable, Hashable]]) -> float:
    """Return Cohen's kappa (1960) of pairs of one-of-a-set answers: agreement beyond chance, 1 at most, 0 by chance.

    NaN where nothing could have disagreed: no pairs, or one and the same answer everywhere.
    """
    both = Counter(pairs)
    total = both.total()
    first, second = Counter[Hashable](), Counter[Hashable]()
    for (a, b), count in both.items():
        first[a] += count
        second[b] += count
    chance = sum(count * second[answer] for answer, count in first.items())  # in total² ths, to stay exact
    agreed = sum(count for (a, b), count in both.items() if a == b) * total
    return (agreed - chance) / (total**2 - chance) if total**2 > chance else float("nan")


def _leaves(text: str) -> dict[tuple[Any, ...], Any]:
    found: dict[tuple[Any, ...], Any] = {}

    def visit(value: Any, path: tuple[Any, ...]) -> None:
        if isinstance(value, dict | list) and value:
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for name, item in items:
                visit(item, (*path, name))
        else:
            found[path] = (isinstance(value, bool), value)  # Python holds True and 1 for equal

    visit(json.loads(text, parse_constant=str), ())  # NaN as text, which equals itself
    return found
