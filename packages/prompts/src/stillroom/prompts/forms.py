"""When two words are the same word: whatever their case and the shape of their quotes, or inflected differently.

It knows spelling and no language: no dictionary, no lemmas, so went is not go.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable

_PLAIN = str.maketrans(dict.fromkeys("‘’‚‛`´ʼ", "'") | dict.fromkeys("“”„‟«»〝〞", '"') | dict.fromkeys("‐‑‒–—―−", "-"))
BEGINNING = 3  # letters that inflected forms share, or
ENDING = 4  # letters of a word that ends another, as macht ends gemacht
ALIKE = 0.6  # run and running: 2 · 3 of 10 letters


def fold(word: str) -> str:
    """Return the form that spellings of one word share: compatible characters, plain quotes and dashes, lower case."""
    return unicodedata.normalize("NFKC", word).translate(_PLAIN).casefold()


def is_mark(form: str) -> bool:
    """Whether a form is punctuation and nothing else."""
    return all(unicodedata.category(char)[0] == "P" for char in form)


def resemblance(one: str, other: str) -> float:
    """Return how alike two forms are: the share of their letters that their common beginning and end make up, or 0.

    It is an edit similarity for words that differ in one stretch, as inflected ones do: studies and study,
    colour and color, macht and gemacht, Häuser and Haus. 0 below what could be one word; words with digits resemble
    none, for 2018 is not 2019.
    """
    one, other = _bare(one), _bare(other)
    if not one or not other:
        return 0.0
    short, long = sorted((one, other), key=len)
    begins = _common(one, other)
    if begins >= BEGINNING:
        ends = _common(one[begins:][::-1], other[begins:][::-1])
    elif len(short) >= ENDING and long.endswith(short):
        begins, ends = 0, len(short)
    else:
        return 0.0
    share = 2 * (begins + ends) / (len(one) + len(other))
    return share if share >= ALIKE else 0.0


class Resembling:
    """Finds, among many forms, those that resemble one, looking only at those that share its beginning or end."""

    def __init__(self, forms: Iterable[str]) -> None:
        self._near: dict[str, list[str]] = defaultdict(list)
        for form in forms:
            if bare := _bare(form):
                self._near[bare[:BEGINNING] + "-"].append(form)
                self._near["-" + bare[-ENDING:]].append(form)

    def find(self, form: str) -> list[str]:
        """Return the forms that resemble this one."""
        bare = _bare(form)
        near = dict.fromkeys(self._near.get(bare[:BEGINNING] + "-", []) + self._near.get("-" + bare[-ENDING:], []))
        return [other for other in near if resemblance(form, other)]


def _common(one: str, other: str) -> int:
    """How many characters they both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _bare(form: str) -> str:
    """The letters without accents (of Hangul, its parts); nothing if there is a digit, or letters are too few."""
    letters = "".join(char for char in unicodedata.normalize("NFD", form) if unicodedata.category(char)[0] == "L")
    return letters if len(letters) >= BEGINNING and not any(map(str.isdigit, form)) else ""
