"""Which texts say nearly the same: MinHash and locality-sensitive hashing (Broder 1997), by the library datasketch.

Two texts are near-duplicates when the Jaccard similarity of their shingles reaches a threshold. A shingle is two words
in a row, lower-cased and without punctuation; in scripts written without spaces, two characters. Two, because inputs
are short: in a text of 20 words one other word leaves 0.81 of its pairs, but 0.71 of its triples, and in one of 8 words
0.56 and 0.33.

Hashing only finds candidates: each is judged by its shingles themselves, so nothing is ever called a near-duplicate
that is none. Of those that are, at most one in a thousand is overlooked just at the threshold, and fewer above it.

It does not know what a text means: a paraphrase is no near-duplicate, and another number in the same sentence is
another word.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from stillroom.core.errors import MissingError, RecipeError

WORDS = 2  # a shingle
PERMUTATIONS = 128  # hashes a text
RECALL = 0.999  # of pairs whose similarity is just the threshold
THRESHOLDS = (0.1, 1.0)  # below, 128 hashes cannot keep that promise

# Thai to Khmer, kana, Han: each character counts as a word
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u31ff\u3400-\u9fff\U00020000-\U0003ffff]")


class NearDuplicates:
    """Texts by key, and the question which of them a new one nearly repeats.

    >>> seen = NearDuplicates()
    >>> seen.add("a", "Where is the parcel that I ordered last week?")
    >>> seen.nearest("where is the parcel that I ordered last week")
    'a'

    The answers are the same in every process.

    Parameters
    ----------
    threshold
        Jaccard similarity from which a text is a near-duplicate, 0.1 … 1; 1 is the same shingles, each maybe said more
        than once.
    seed
        Of the hashes; another seed overlooks other pairs.

    Raises
    ------
    MissingError
        datasketch is not installed.
    RecipeError
        The threshold lies outside its range.
    """

    def __init__(self, threshold: float = 0.7, seed: int = 0) -> None:
        try:
            from datasketch import MinHash, MinHashLSH
        except ImportError as error:
            raise MissingError(
                "near-duplicates need datasketch, which is not installed: pip install 'stillroom-teacher[minhash]'"
            ) from error
        if not THRESHOLDS[0] <= threshold <= THRESHOLDS[1]:
            raise RecipeError(f"a threshold of near-duplicates lies between 0.1 and 1, not at {threshold:g}")
        self.threshold = threshold
        self._index = MinHashLSH(num_perm=PERMUTATIONS, params=_bands(threshold))
        self._blank = MinHash(num_perm=PERMUTATIONS, seed=seed)
        self._texts: list[tuple[str, frozenset[str]]] = []

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, key: str, text: str) -> None:
        """Remember a text; its key need not be new."""
        found = shingles(text)
        self._index.insert(len(self._texts), self._hashed(found))
        self._texts.append((key, found))

    def nearest(self, text: str) -> str | None:
        """Return the key of the text that is most like this one, the first of equals; None if no one is near."""
        found = shingles(text)
        best, key = 0.0, None
        for number in sorted(self._index.query(self._hashed(found))):
            name, other = self._texts[number]
            similarity = jaccard(found, other)
            if similarity >= self.threshold and similarity > best:
                best, key = similarity, name
        return key

    def _hashed(self, found: frozenset[str]) -> Any:
        hashed = self._blank.copy()
        hashed.update_batch(shingle.encode() for shingle in found)
        return hashed


def shingles(text: str) -> frozenset[str]:
    """Return the pairs of neighbouring words of a text; all of it is one where it has fewer than two words."""
    plain = unicodedata.normalize("NFKC", text).casefold().encode("utf-8", "replace").decode()
    letters = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in plain)  # letters, their marks, digits
    words = _UNSPACED.sub(r" \g<0> ", letters).split()
    if len(words) < WORDS:
        return frozenset(words or [plain.strip()])
    return frozenset(" ".join(words[place : place + WORDS]) for place in range(len(words) - WORDS + 1))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Return how much of what is in either set is in both: 0 … 1."""
    return len(one & other) / len(one | other)


def _bands(threshold: float) -> tuple[int, int]:
    """The number of bands and the hashes in each: as many as find fewest candidates and still keep `RECALL`."""
    for rows in range(PERMUTATIONS // 2, 1, -1):
        bands = PERMUTATIONS // rows
        if 1 - (1 - threshold**rows) ** bands >= RECALL:
            return bands, rows
    return PERMUTATIONS, 1
