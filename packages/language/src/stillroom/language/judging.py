"""How good is a student, beside its teacher, its base and the copy of the input? Real answers, the recipe's metrics.

It trains nothing and chooses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillroom.language.metrics import score
from stillroom.language.report import Table, compare
from stillroom.language.rows import REFERENCES, Row

TEACHER = "teacher"  # the column of an exam that has what a teacher said


def references(rows: Sequence[Row]) -> list[str | Sequence[str]]:
    """Return the right answers of rows: the column `references` where there is one, the answer otherwise."""
    return [row.extra.get(REFERENCES) or row.answer or "" for row in rows]


def losses(metric: str, rows: Sequence[Row], said: Sequence[str | None]) -> NDArray[np.float64]:
    """Return 1 less each row's own value of a metric, (rows,): what the gate compares.

    A row on which a metric has no value (no edit was wanted and none was made) has nothing to lose.
    """
    scored = score(metric, said, references(rows), [row.input for row in rows])
    with np.errstate(divide="ignore", invalid="ignore"):
        values = scored.of_sums(scored.parts)
    return 1 - np.where(np.isfinite(values), values, 1.0)


def table(rows: Sequence[Row], said: Mapping[str, Sequence[str | None]], metrics: Sequence[str]) -> Table:
    """Set what several said beside the copy of the input and, where rows hold it, what the teacher said.

    Parameters
    ----------
    said
        By name, one answer a row.
    """
    systems: dict[str, Sequence[str | None]] = dict(said)
    if any(TEACHER in row.extra for row in rows):  # a row without one has no answer of it
        systems = {TEACHER: [_text(row.extra.get(TEACHER)) for row in rows], **systems}
    systems["copy"] = [row.input for row in rows]
    return compare(
        systems, references(rows), [row.input for row in rows], groups=[row.group for row in rows], metrics=metrics
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
