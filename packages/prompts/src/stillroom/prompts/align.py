"""Which words of a text a teacher kept, found by aligning its shorter answer to the text word by word.

Teachers are told to delete words only, and still repeat, move and inflect them (Pan et al. 2024, arXiv:2403.12968,
section 3.2 and appendix). So as many words as can be are matched in order, each with an equal word or, if the text has
none, with one that it could be a form of; then those left over are sought on both sides of their neighbours, nearest
first, as published. Each word is matched once at most. Both searches see a window of words, so time and memory grow
with the length of the answer and not with its square.

It knows words and no meaning: a synonym is a word that the text does not have.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stillroom.prompts.forms import Resembling, fold, is_mark
from stillroom.prompts.words import Words, split

WINDOW = 400  # words to either side, as published; a text of at most 801 words is seen whole
_BETTER, _HERE, _ADJOINS = 1, 2, 4


@dataclass(frozen=True, eq=False)
class Alignment:
    """An answer laid beside its text.

    Attributes
    ----------
    words
        The words of the text.
    pairs
        (answer words,) for each word of the answer the index of its word in the text, or -1.
    keep
        (words,) bool: the words of the text that some word of the answer was matched with.
    variation_rate
        Share of the answer's words that the text has in no form (section 3.3): how much the teacher made up. 1 for an
        empty answer. Punctuation does not count, neither here nor below.
    alignment_gap
        Hitting rate less matching rate (section 3.3): the words of the answer that the text has in some form, less
        those that were matched, as a share of the text's words; 0 if each found its own.
    """

    words: Words
    pairs: np.ndarray
    keep: np.ndarray
    variation_rate: float
    alignment_gap: float


def align(text: str, answer: str, window: int = WINDOW) -> Alignment:
    """Align an answer to the text that it shortens.

    Raises
    ------
    DataError
        One of them holds half a character (a lone surrogate).
    """
    words, others = split(text), split(answer)
    table = _Table(_strings(words), _strings(others))
    pairs = table.pairs(window)
    keep = np.zeros(len(words), dtype=bool)
    keep[pairs[pairs >= 0]] = True
    content, asked = ~table.marks(table.text), ~table.marks(table.answer)
    found = sum(len(table.meant(form)) > 0 for form, counts in zip(table.answer, asked, strict=True) if counts)
    variation = 1 - found / asked.sum() if asked.any() else 1.0
    gap = (found - (keep & content).sum()) / content.sum() if content.any() else 0.0
    return Alignment(words, pairs, keep, float(variation), float(gap))


def pair(text: Sequence[str], answer: Sequence[str], window: int = WINDOW) -> np.ndarray:
    """Return for each word of the answer the index of its word in the text, or -1: (answer words,) int64.

    In order first: as many words as can be; among such alignments, as many punctuation marks as can be; then as many
    neighbours as stay neighbours and words that keep their case. What is still open is settled by the shortest way:
    the last word as early as can be, each other as late as can be.
    """
    return _Table(text, answer).pairs(window)


class _Table:
    """The words of both sides as numbers, equal for words of one form."""

    def __init__(self, text: Sequence[str], answer: Sequence[str]) -> None:
        folded = {word: fold(word) for word in {*text, *answer}}
        self.text, self.answer = [folded[word] for word in text], [folded[word] for word in answer]
        self.number = {form: number for number, form in enumerate(dict.fromkeys(self.text))}
        self.ids = np.array([self.number[form] for form in self.text], dtype=np.int64)
        verbatim = {word: number for number, word in enumerate(folded)}
        self.cased = np.array([verbatim[word] for word in text], dtype=np.int64)
        self.answer_cased = [verbatim[word] for word in answer]
        self._mark = {form: is_mark(form) for form in folded.values()}
        self._meant: dict[str, list[int]] = {}
        self._resembling: Resembling | None = None

    def marks(self, forms: list[str]) -> np.ndarray:
        """Which of the forms are punctuation: (forms,) bool."""
        return np.array([self._mark[form] for form in forms], dtype=bool)

    def meant(self, form: str) -> list[int]:
        """The words of the text that a word of the answer can stand for: its equal, else those that resemble it."""
        if form not in self._meant:
            if form in self.number:
                near = [form]
            else:
                self._resembling = self._resembling or Resembling(self.number)
                near = self._resembling.find(form)
            self._meant[form] = [self.number[other] for other in near]
        return self._meant[form]

    def pairs(self, window: int) -> np.ndarray:
        """Match in order, then what was moved."""
        pairs = np.full(len(self.answer), -1, dtype=np.int64)
        if len(self.text) and len(self.answer):
            self._in_order(pairs, window)
            self._moved(pairs, window)
        return pairs

    def _in_order(self, pairs: np.ndarray, window: int) -> None:
        """Fill in the best alignment that keeps the order, by dynamic programming over a band of the text.

        After answer word j, `best` holds the score of the best alignment that ends at or before each place of the band
        (one place before its first included), `here` of the best that matches j with that very place, or -1.
        """
        width = min(len(self.text), 2 * window + 1)
        low = self._bands(width)
        one = 2 * len(self.answer) + 1  # more than neighbours and case can add up to, so that they only break ties
        marks = self.marks(self.answer)
        flags = np.zeros((len(self.answer), width), dtype=np.uint8)
        best, here = np.zeros(width + 1, dtype=np.int64), np.full(width + 1, -1, dtype=np.int64)
        at = 0
        for j, form in enumerate(self.answer):
            if step := int(low[j]) - at:
                at += step
                best = np.concatenate((best[step:], np.full(min(step, width + 1), best[-1])))
                here = np.concatenate((here[step:], np.full(min(step, width + 1), -1)))
            fits = _among(self.ids[at : at + width], self.meant(form))
            if fits is None:
                here = np.full(width + 1, -1)
                continue
            same_case = self.cased[at : at + width] == self.answer_cased[j]
            adjoins = (here[:-1] >= 0) & (here[:-1] + 1 >= best[:-1])
            score = (one if marks[j] else one * one) + same_case + np.where(adjoins, here[:-1] + 1, best[:-1])
            here = np.concatenate(([-1], np.where(fits, score, -1)))
            before = best[1:]
            best = np.concatenate((best[:1], np.maximum.accumulate(np.maximum(before, here[1:]))))
            better = best[1:] > before
            flags[j] = better * _BETTER + (better & (here == best)[1:]) * _HERE + adjoins * _ADJOINS
        place = at - 1 + int(np.argmax(best))
        tied = False  # the match after this one was scored as a neighbour of this one's
        for j in range(len(pairs) - 1, -1, -1):
            column = min(place - int(low[j]), width - 1)
            if column < 0 or not (tied or flags[j, column] & _BETTER):
                continue
            if not tied:
                column = int(np.flatnonzero(flags[j, : column + 1] & _HERE)[-1])
            pairs[j] = low[j] + column
            place = int(pairs[j]) - 1
            tied = bool(flags[j, column] & _ADJOINS)

    def _bands(self, width: int) -> np.ndarray:
        """Where each answer word's band begins, ascending: around the line through words that both sides have once."""
        count = len(self.answer)
        if width == len(self.text):
            return np.zeros(count, dtype=np.int64)
        once = [{form for form, times in Counter(side).items() if times == 1} for side in (self.text, self.answer)]
        where = {form: place for place, form in enumerate(self.text) if form in once[0] & once[1]}
        anchors = _ascending([(j, where[form]) for j, form in enumerate(self.answer) if form in where])
        j, place = zip((-1, -1), *anchors, (count, len(self.text)), strict=True)
        middle = np.rint(np.interp(np.arange(count), j, place)).astype(np.int64)
        return np.asarray(np.clip(middle - width // 2, 0, len(self.text) - width))

    def _moved(self, pairs: np.ndarray, window: int) -> None:
        """Match what is left, but no punctuation, with the nearest free word on either side, forward first."""
        free = np.ones(len(self.text), dtype=bool)
        free[pairs[pairs >= 0]] = False
        marks = self.marks(self.answer)
        near = 0
        for j, form in enumerate(self.answer):
            if pairs[j] < 0 and not marks[j]:
                low = max(near - window, 0)
                fits = _among(self.ids[low : near + window + 1], self.meant(form))
                if fits is not None and (fits & free[low : near + window + 1]).any():
                    places = np.flatnonzero(fits & free[low : near + window + 1]) + low
                    pairs[j] = places[np.lexsort((-places, abs(places - near)))[0]]
                    free[pairs[j]] = False
            near = int(pairs[j]) if pairs[j] >= 0 else near


def _among(ids: np.ndarray, wanted: list[int]) -> np.ndarray | None:
    """Which ids are wanted: (ids,) bool; None if none is."""
    fits = ids == wanted[0] if len(wanted) == 1 else np.isin(ids, wanted)
    return fits if fits.any() else None


def _ascending(points: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Return a longest run of points whose second numbers ascend, in order (patience sorting)."""
    tops: list[int] = []
    last: list[int] = []  # of each pile: the point on top
    previous: list[int] = []  # of each point: the point on top of the pile before
    for number, (_, place) in enumerate(points):
        pile = bisect_left(tops, place)
        tops[pile : pile + 1] = [place]
        last[pile : pile + 1] = [number]
        previous.append(last[pile - 1] if pile else -1)
    chain, number = [], last[-1] if last else -1
    while number >= 0:
        chain.append(points[number])
        number = previous[number]
    return reversed(chain)


def _strings(words: Words) -> list[str]:
    return [words.text[start:end] for start, end in zip(words.start.tolist(), words.end.tolist(), strict=True)]
