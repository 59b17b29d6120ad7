"""Chunks of any length as padded batches: sorted by length, so that little is padded, a budget of tokens a batch.

It knows no model: only ids, where chunks lie in them, and the special tokens around each chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Frame:
    """The special tokens before and after each chunk, and the one that fills a row."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    padding: int

    def __len__(self) -> int:
        return len(self.before) + len(self.after)


@dataclass(frozen=True)
class Batch:
    """Chunks side by side.

    Attributes
    ----------
    ids
        (chunks, length) int64 token ids with the special tokens around them, padded on the right.
    lengths
        (chunks,) how many of them are no padding, ascending.
    inside
        (chunks, length) bool: which are tokens of the text.
    places
        (tokens,) where those tokens lie in the array that was cut into chunks, in the order of `inside`.
    """

    ids: np.ndarray
    lengths: np.ndarray
    inside: np.ndarray
    places: np.ndarray


def batches(ids: np.ndarray, begins: np.ndarray, ends: np.ndarray, frame: Frame, budget: int) -> Iterator[Batch]:
    """Yield all chunks `ids[begin:end]`, the longest first; `budget` bounds chunks x length of a batch."""
    lengths = ends - begins
    order = np.argsort(-lengths, kind="stable")
    place = 0
    while place < len(order):
        longest = int(lengths[order[place]]) + len(frame)
        chosen = order[place : place + max(budget // longest, 1)][::-1]
        place += len(chosen)
        yield _batch(ids, begins[chosen], lengths[chosen], frame, longest)


def _batch(ids: np.ndarray, begins: np.ndarray, lengths: np.ndarray, frame: Frame, width: int) -> Batch:
    columns = np.arange(width) - len(frame.before)
    inside = (columns >= 0) & (columns < lengths[:, None])
    places = (begins[:, None] + columns)[inside]
    padded = np.full((len(begins), width), frame.padding, dtype=np.int64)
    padded[:, : len(frame.before)] = frame.before
    padded[inside] = ids[places]
    after = len(frame.before) + lengths[:, None] + np.arange(len(frame.after))
    padded[np.arange(len(begins))[:, None], after] = frame.after
    return Batch(padded, lengths + len(frame), inside, places)
