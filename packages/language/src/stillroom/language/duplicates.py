"""Rows that ask the same: one of them is kept; and the choice of so many rows that it can be made again.

It compares texts, and does not know where they come from. Near duplicates, which must not cross a split, are
`split`'s affair.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stillroom.language.rows import Row


def deduplicated(rows: Sequence[Row], inputs: Sequence[str] = ("input",)) -> tuple[list[Row], int, int]:
    """Return one row for each input of a task, how many said the same again, and how many said something else.

    An input with several answers keeps the one that most rows give, of equals the first. Texts are compared in NFC and
    with white space collapsed, but with their case: `polish` and `Polish` may rightly have two answers.
    """
    places: dict[tuple[str, ...], list[int]] = {}
    for place, row in enumerate(rows):
        asked = [_value(row, name) for name in inputs] if row.input else ["", row.answer or ""]
        places.setdefault((row.task, *map(_same, asked)), []).append(place)
    kept, duplicates, conflicts = [], 0, 0
    for alike in places.values():
        answers = [_same(rows[place].answer or "") for place in alike]
        (answer, count), *_ = Counter(answers).most_common(1)  # of equals the first that came
        kept.append(alike[answers.index(answer)])
        duplicates += count - 1
        conflicts += len(alike) - count
    return [rows[place] for place in sorted(kept)], duplicates, conflicts


def limited(rows: Sequence[Row], limit: int | None) -> list[Row]:
    """Return so many of the rows, in their order: those whose texts have the lowest hashes.

    So a sorted file gives of each part, the same rows come every time, and a larger limit holds all of a smaller one.
    """
    if limit is None or len(rows) <= limit:
        return list(rows)
    order = sorted(range(len(rows)), key=lambda place: (_digest(rows[place]), place))
    return [rows[place] for place in sorted(order[:limit])]


def _value(row: Row, name: str) -> str:
    return str(getattr(row, name) if name in ("input", "group") else row.extra.get(name, ""))


def _same(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _digest(row: Row) -> bytes:
    return blake2b(
        _same(row.input or row.answer or "").encode("utf-8", "replace"), digest_size=16, salt=b"limit"
    ).digest()
