"""Answers and the reasons for them as two tasks of one student: Distilling step-by-step.

Each row with a rationale becomes two, told apart by what stands before the text; the student learns both, and at work
only answers: reasons cost nothing then. It makes rows and nothing else, so it serves decoders and encoder-decoders
alike; how much the reasons count, the objective says.

References
----------
Hsieh et al. (2023), Distilling Step-by-Step!, arXiv:2305.02301, section 3.2: the loss is that of the label plus λ times
that of the rationale.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from stillroom.language.rows import Row

LABEL, RATIONALE = "[label] ", "[rationale] "
"""What stands before the text, as in the paper."""


def two_tasks(rows: Iterable[Row]) -> list[Row]:
    """Return each row as the task to answer it, and where it has a rationale, as the task to give that as well.

    Split them into parts before: then both tasks of a row are of one part, as they also would be after.
    """
    found = []
    for row in rows:
        found.append(replace(row, prefix=LABEL))
        if row.rationale is not None and row.rationale.strip():
            why = replace(row, answer=row.rationale, prefix=RATIONALE, reasons=True, soft_targets=None)
            found.append(why)
    return found


def to_answer(rows: Iterable[Row]) -> list[Row]:
    """Return rows as a student that was trained on two tasks is asked at work: for the answer alone."""
    return [replace(row, prefix=LABEL) for row in rows]
