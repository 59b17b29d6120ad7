"""Several answers to one row, and what they say together: the majority's answer, and how sure the teacher seems.

Samples that agree may all be wrong: it does not know the right answer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from stillroom.core.errors import DataError
from stillroom.teacher.agreement import KEYS, MEASURES


@dataclass
class Vote:
    """The samples of one row.

    Parameters
    ----------
    input
        What was asked.
    answers, counts
        Each answer as it was first written, and how often it was given, by its key (see `agreement.KEYS`).
    """

    input: str
    answers: dict[Hashable, str] = field(default_factory=dict)
    counts: Counter[Hashable] = field(default_factory=Counter)

    @property
    def key(self) -> Hashable | None:
        """The key of the majority's answer, of several the one that came first; None if there is none."""
        return max(self.counts, key=self.counts.__getitem__, default=None)

    @property
    def answer(self) -> str | None:
        """The majority's answer."""
        return self.answers[self.key] if self.counts else None

    @property
    def samples(self) -> int:
        """How many answers there are."""
        return self.counts.total()

    @property
    def share(self) -> float:
        """The share of samples that gave the majority's answer."""
        return max(self.counts.values()) / self.samples

    @property
    def entropy(self) -> float:
        """The entropy of the answers in bits: 0 if all are one, log2(samples) if no two are."""
        return sum(count * math.log2(self.samples / count) for count in self.counts.values()) / self.samples

    def pairwise(self, measure: str) -> float:
        """Return the mean agreement of two of the samples; those of one key agree fully."""
        same = sum(math.comb(count, 2) for count in self.counts.values())
        apart = sum(
            self.counts[a] * self.counts[b] * MEASURES[measure](self.answers[a], self.answers[b])
            for a, b in combinations(self.counts, 2)
        )
        return (same + apart) / math.comb(self.samples, 2)


def votes(table: Iterable[Mapping[str, Any]], measure: str = "normalised") -> dict[str, Vote]:
    """Return the vote of each row_id of a label table; a row without an answer is there, with none.

    Raises
    ------
    DataError
        A row of the table has no `row_id` or no `answer`.
    """
    found: dict[str, Vote] = {}
    for number, row in enumerate(table, start=1):
        missing = [name for name in ("row_id", "answer") if name not in row]
        if missing:
            raise DataError(f"row {number} has no {' and no '.join(missing)}: is it a label table?")
        vote = found.setdefault(str(row["row_id"]), Vote(str(row.get("input") or "")))
        if (answer := answered(row)) is not None:
            key = KEYS[measure](answer)
            vote.answers.setdefault(key, answer)
            vote.counts[key] += 1
    return found


def answered(row: Mapping[str, Any]) -> str | None:
    """Return the answer of a row; None if it has none, or a blank one (CSV knows no other)."""
    answer = row.get("answer")
    return None if answer is None or not str(answer).strip() else str(answer)
