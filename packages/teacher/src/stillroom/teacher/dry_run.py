"""Count what a job would ask, and what that costs at most, without asking anybody.

Prompt tokens are not known before they are billed; what is certain is their bound, one a byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from stillroom.core.targets import TargetStore
from stillroom.teacher.asking import Question
from stillroom.teacher.labelling import GROUP, Job
from stillroom.teacher.prices import dollars


@dataclass
class Counted:
    """What a job would do.

    Parameters
    ----------
    rows, misfits
        Rows (times samples), and those that do not fit the prompt.
    stored, repeated
        Of the rows, those whose answer is in the store, and those that ask the same as one before.
    calls
        What is left to ask.
    bytes
        Of the texts in these requests; their tokens are fewer, in English by three quarters.
    at_most
        Picodollars that these calls can cost, if every answer is as long as it may be.
    """

    rows: int = 0
    misfits: int = 0
    stored: int = 0
    repeated: int = 0
    calls: int = 0
    bytes: int = 0
    at_most: int = 0

    def sentence(self) -> str:
        """Say it."""
        left_out = [
            f"{count:,} {what}"
            for count, what in (
                (self.stored, "are answered already"),
                (self.repeated, "ask what another row asks"),
                (self.misfits, "do not fit the prompt"),
            )
            if count
        ]
        less = f" ({', '.join(left_out)})" if left_out else ""
        return (
            f"{self.rows:,} rows{less}: {self.calls:,} calls of {self.bytes:,} bytes in all, "
            f"which cost {dollars(self.at_most)} at most."
        )


def dry_run(
    rows: Iterable[Mapping[str, Any]],
    job: Job,
    store: TargetStore,
    advance: Callable[[int], object] = lambda steps: None,
) -> Counted:
    """Render all rows and count; raises as `Job.questions` does."""
    counted = Counted()
    seen: set[bytes] = set()
    pending = job.questions(rows)
    while group := list(islice(pending, GROUP)):
        asked = [one for one in group if isinstance(one, Question)]
        stored = store.get_labels([one.request.key for one in asked]).keys()
        counted.rows += len(group)
        counted.misfits += len(group) - len(asked)
        for one in asked:
            key = bytes.fromhex(one.request.key)[:16]
            if one.request.key in stored:
                counted.stored += 1
            elif key in seen:
                counted.repeated += 1
            else:
                seen.add(key)
                counted.calls += 1
                counted.bytes += one.request.size
                counted.at_most += job.price.reservation(one.request.size, job.prompt.bounded())
        advance(len(group))
    return counted
