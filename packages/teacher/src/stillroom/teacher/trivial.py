"""The baseline `trivial`: what labelling costs nobody anything. It reads no row but to copy it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any


class Trivial:
    """Answers every row with the class that most of the examples have; where any text is an answer, with its input.

    The one is what a classifier must beat, the other what a corrector must: most of its inputs are right already.
    """

    def label(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        examples: Sequence[Mapping[str, Any]],
        classes: Sequence[str] | None,
    ) -> list[str | None]:
        """Return the answers; of classes that are equally frequent, the one that comes first."""
        if classes is None:
            return [row["input"] for row in rows]
        ((majority, _),) = Counter(one["answer"] for one in examples).most_common(1)
        return [majority] * len(rows)
