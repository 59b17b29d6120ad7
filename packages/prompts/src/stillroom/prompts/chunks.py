"""Where to cut a long message so that the model can read it: at the ends of sentences, else between words.

It sees characters and where tokens lie in them; it knows neither the tokenizer nor the model. Where the cuts fall
depends on the message alone.
"""

from __future__ import annotations

import numpy as np

STOPS = np.array([ord(c) for c in ".!?…。！？｡؟۔।॥።։"], dtype=np.uint32)
UNSPACED = np.array([ord(c) for c in "。！？｡"], dtype=np.uint32)  # these end a sentence without white space after them
CLOSERS = np.array([ord(c) for c in "\"')]}»”’」』）】》"], dtype=np.uint32)
NEWLINES = np.array([0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029], dtype=np.uint32)


def cut(codes: np.ndarray, start: np.ndarray, end: np.ndarray, limit: int) -> np.ndarray:
    """Return where chunks begin, and the end of the last: token indices from 0 to the number of tokens.

    No chunk is longer than `limit` tokens. There are about as few chunks as can be, of about the same length, so that
    none is left with a handful of tokens and no context.

    Parameters
    ----------
    codes
        (characters,) uint32, the code points of the text.
    start, end
        (tokens,) character positions in the text, both ascending.
    """
    count = len(start)
    if count <= limit:
        return np.array([0, count] if count else [0], dtype=np.int64)
    sentences, words, characters = _boundaries(codes, start, end)
    cuts = [0]
    while (left := count - cuts[-1]) > limit:
        even = -(-left // -(-left // limit))  # the length of chunks if all that is left were cut evenly
        begin = cuts[-1]
        for places, shortest in ((sentences, even // 2), (words, even // 2), (characters, 1)):
            place = _nearest(places, begin + max(shortest, 1), begin + even, begin + limit)
            if place is not None:
                break
        cuts.append(begin + limit if place is None else place)
    return np.array([*cuts, count], dtype=np.int64)


def _boundaries(codes: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the tokens that begin a sentence, a word after white space, and a character."""
    last = codes[np.maximum(end - 1, 0)]
    spaced = start[1:] > end[:-1]
    stop = np.isin(last, STOPS)
    stop[1:] |= stop[:-1] & np.isin(last[1:], CLOSERS)
    lines = np.concatenate(([0], np.cumsum(np.isin(codes, NEWLINES))))
    sentence = (stop[:-1] & (spaced | np.isin(last[:-1], UNSPACED))) | (lines[start[1:]] > lines[end[:-1]])
    return tuple(np.flatnonzero(begins) + 1 for begins in (sentence, spaced, start[1:] > start[:-1]))  # type: ignore


def _nearest(places: np.ndarray, low: int, wanted: int, high: int) -> int | None:
    """Return the place in [low, high] that is nearest to the wanted one, the earlier of two."""
    right = int(np.searchsorted(places, wanted))
    around = [int(place) for place in places[max(right - 1, 0) : right + 1] if low <= place <= high]
    return min(around, key=lambda place: abs(place - wanted), default=None)
