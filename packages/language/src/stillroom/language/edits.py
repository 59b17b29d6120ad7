"""Edits that turn a sentence into its correction, and F0.5 over them: the measure of grammar correction.

ERRANT (Bryant, Felice and Briscoe 2017, Automatic Annotation and Evaluation of Error Types for Grammatical Error
Correction) without its language models, so one measure for all languages: words are found by a pattern and aligned by
their spelling. Figures are therefore not those of ERRANT or M2, only comparable among themselves. It knows no types of
mistakes. The time grows with the square of the length: it is for sentences and paragraphs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from stillroom.core.errors import DataError
from stillroom.language.scored import Predictions, References, Scored, several
from stillroom.language.words import words

if TYPE_CHECKING:
    from numpy.typing import NDArray

GAP = 100  # what it costs to insert or delete a word
CASE = 10  # to change its case
UNLIKE = 150  # to change it into one that shares no letter with it: less than to delete and insert
MOVED = 50  # for each of up to LONGEST words in another order
LONGEST = 4
ALIKE, MORE_ALIKE = (
    0.5,
    0.65,
)  # from this likeness on, two words are forms of one; the second if their first letters differ
_NEVER = 2 * GAP + 1


@dataclass(frozen=True, order=True)
class Edit:
    """Words start … end (exclusive) of a source are replaced."""

    start: int
    end: int
    replacement: tuple[str, ...]


def f05(predictions: Predictions, references: References, sources: Sequence[str]) -> Scored:
    """Return F0.5 over the edits of all rows: precision counts twice as much as recall.

    An edit is right if the reference has the same: same place, same words. True positives, false positives and false
    negatives are summed over rows. Of several references, each row takes the one with its best own F0.5 (then with most
    true positives, then fewest false positives and negatives): M2 and ERRANT take the best for the sums so far, which
    depends on the order of rows. Without edits, precision is 1, without any to make, recall is 1, as in ERRANT: so
    copies of sources with mistakes have 0. A missing prediction (None) counts as the deletion of everything.

    Characters count as they are (NFC), as corrections of a hyphen into a dash are corrections; white space does not.

    Raises
    ------
    DataError
        There are not as many sources as predictions, or what `several` raises.
    """
    right = several(predictions, references)
    if len(sources) != len(predictions):
        raise DataError(
            f"edits are those of a source: give one a row, not {len(sources)} for {len(predictions)} predictions"
        )
    rows = zip(predictions, right, sources, strict=True)
    counts = [_counts(said or "", those, source) for said, those, source in rows]
    return Scored(np.array(counts, dtype=np.float64), _f05)


def edits(source: Sequence[str], target: Sequence[str]) -> tuple[Edit, ...]:
    """Return the edits that turn the words of a source into those of a target, from left to right.

    The alignment is the cheapest of matches, changes (cheaper the more alike two words are), insertions, deletions and
    words in another order (Damerau 1964, for up to four words). Neighbouring changes are one edit, except that two
    kinds stand for themselves, for they are mistakes of their own: a word that becomes a form of itself (spelling,
    inflexion, case), and punctuation. Where an insertion or deletion has several places that do the same, it takes the
    first.
    """
    first: list[tuple[Edit, bool]] = []
    for edit, apart in _joined(_steps(source, target)):
        first.append((_leftmost(edit, source, first[-1][0].end if first else 0), apart))
    return tuple(edit for edit, _ in _joined(first))


def applied(source: Sequence[str], changes: Iterable[Edit]) -> list[str]:
    """Return a source with its edits made; they are in order and do not overlap."""
    made: list[str] = []
    place = 0
    for edit in changes:
        made += [*source[place : edit.start], *edit.replacement]
        place = edit.end
    return [*made, *source[place:]]


def _counts(said: str, right: Sequence[str], source: str) -> tuple[int, int, int]:
    """Return the true and false positives and the false negatives of a row, with its best reference."""
    made = Counter(_of_texts(source, said))
    found = []
    for reference in right:
        wanted = Counter(_of_texts(source, reference))
        hits = (made & wanted).total()
        found.append((hits, made.total() - hits, wanted.total() - hits))
    return max(found, key=lambda one: (float(_f05(np.array(one))), one[0], -one[1], -one[2]))


@lru_cache(maxsize=100_000)  # references meet several systems, and systems often say the same
def _of_texts(source: str, target: str) -> tuple[Edit, ...]:
    return () if source == target else edits(words(source), words(target))


def _f05(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    hits, false, missed = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
    weighted = 1.25 * hits + false + 0.25 * missed
    return np.where(weighted > 0, 1.25 * hits / np.maximum(weighted, 1e-300), 1.0)


def _joined(changes: Iterable[tuple[Edit, bool]]) -> list[tuple[Edit, bool]]:
    """Make neighbours one, unless either stands for itself."""
    found: list[tuple[Edit, bool]] = []
    for edit, apart in changes:
        if not apart and found and not found[-1][1] and found[-1][0].end == edit.start:
            before = found.pop()[0]
            edit = Edit(before.start, edit.end, before.replacement + edit.replacement)
        found.append((edit, apart))
    return found


def _leftmost(edit: Edit, source: Sequence[str], least: int) -> Edit:
    """Return an edit that does the same as far left as it goes: `x x` loses its first x, not its second."""
    start, end, new = edit.start, edit.end, list(edit.replacement)
    if start < end and not new:
        while start > least and source[start - 1] == source[end - 1]:
            start, end = start - 1, end - 1
    elif start == end:
        while start > least and source[start - 1] == new[-1]:
            start, end, new = start - 1, end - 1, [new[-1], *new[:-1]]
    return Edit(start, end, tuple(new))


def _steps(source: Sequence[str], target: Sequence[str]) -> list[tuple[Edit, bool]]:
    """Return the changes of the cheapest alignment, and for each whether it stands for itself."""
    rows, columns = len(source), len(target)
    while rows and columns and source[rows - 1] == target[columns - 1]:
        rows, columns = rows - 1, columns - 1
    band = abs(rows - columns) + 1
    while True:
        cost, moves = _table(source[:rows], target[:columns], band)
        if cost < GAP * (2 * band + 2 - abs(rows - columns)) or band >= max(rows, columns):
            break  # what leaves the band inserts or deletes more than that
        band *= 2
    steps = []
    i, j = rows, columns
    while i or j:
        down, right = moves[i][j]
        old, new = source[i - down : i], tuple(target[j - right : j])
        if old != list(new):
            apart = max(down, right) > 1 or _apart(*old, *new)
            steps.append((Edit(i - down, i, new), apart))
        i, j = i - down, j - right
    return steps[::-1]


def _apart(*pair: str) -> bool:
    """Whether a change stands for itself: of punctuation, or of a word into a form of it."""
    if not all(word[0].isalnum() for word in pair):
        return True
    alike = ALIKE if len({word[0].lower() for word in pair}) == 1 else MORE_ALIKE
    return len(pair) == 2 and _likeness(*pair) >= alike


def _table(source: Sequence[str], target: Sequence[str], band: int) -> tuple[int, list[list[tuple[int, int]]]]:
    """Return the least cost, and for each place how many words of source and target its last step takes."""
    rows, columns = len(source), len(target)
    far = 10**9
    sums = [list(accumulate((hash(word.lower()) for word in text), initial=0)) for text in (source, target)]
    costs = [[far] * (columns + 1) for _ in range(rows + 1)]
    moves = [[(0, 0)] * (columns + 1) for _ in range(rows + 1)]
    costs[0][: band + 1] = [GAP * j for j in range(min(band, columns) + 1)]
    moves[0] = [(0, 1)] * (columns + 1)
    moves[0][0] = (0, 0)
    for i in range(1, rows + 1):
        word, above, here, steps = source[i - 1], costs[i - 1], costs[i], moves[i]
        if i <= band:
            here[0], steps[0] = GAP * i, (1, 0)
        for j in range(max(1, i - band), min(columns, i + band) + 1):
            other = target[j - 1]
            if word == other:
                here[j], steps[j] = above[j - 1], (1, 1)
                continue
            least, step = above[j - 1] + _change(word, other), (1, 1)
            for length in range(2, min(LONGEST, i, j) + 1):
                if sums[0][i] - sums[0][i - length] == sums[1][j] - sums[1][j - length] and _reordered(
                    source[i - length : i], target[j - length : j]
                ):
                    cost = costs[i - length][j - length] + MOVED * length
                    if cost < least:
                        least, step = cost, (length, length)
            if above[j] + GAP < least:
                least, step = above[j] + GAP, (1, 0)
            if here[j - 1] + GAP < least:
                least, step = here[j - 1] + GAP, (0, 1)
            here[j], steps[j] = least, step
    return costs[rows][columns], moves


def _reordered(one: Sequence[str], other: Sequence[str]) -> bool:
    return sorted(map(str.lower, one)) == sorted(map(str.lower, other))


@lru_cache(maxsize=100_000)
def _change(word: str, other: str) -> int:
    marks = (not word[0].isalnum()) + (not other[0].isalnum())
    if marks:
        return GAP if marks == 2 else _NEVER
    likeness = _likeness(word, other)
    return CASE if likeness == 1 else UNLIKE - round(100 * likeness)


def _likeness(word: str, other: str) -> float:
    """Return 1 − Levenshtein's distance / the longer word's letters; 1: they differ in case alone."""
    word, other = word.lower(), other.lower()
    if set(word).isdisjoint(other):
        return 0.0
    above = list(range(len(other) + 1))
    for row, letter in enumerate(word, start=1):
        here = [row]
        for place, beside in enumerate(other):
            here.append(min(above[place] + (letter != beside), above[place + 1] + 1, here[place] + 1))
        above = here
    return 1 - above[-1] / max(len(word), len(other))
