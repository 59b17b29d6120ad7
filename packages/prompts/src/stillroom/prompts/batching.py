"""Chunks of any length as padded batches: those of one width together, a budget of tokens a batch.

How wide a chunk is padded depends on the chunk alone, not on what else is in its batch: a network that treats each
row by itself then gives it the same numbers in any company. It knows no model: only ids, where chunks lie in them, and
the special tokens around each chunk.
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


@dataclass(frozen=True, eq=False)
class Batch:
    """Chunks side by side.

    Attributes
    ----------
    ids
        (chunks, width) int64 token ids with the special tokens around them, padded on the right.
    mask
        (chunks, width) bool: which are no padding.
    inside
        (chunks, width) bool: which are tokens of the text.
    places
        (tokens,) where those tokens lie in the array that was cut into chunks, in the order of `inside`.
    """

    ids: np.ndarray
    mask: np.ndarray
    inside: np.ndarray
    places: np.ndarray


def batches(
    ids: np.ndarray, begins: np.ndarray, ends: np.ndarray, frame: Frame, *, widest: int, step: int, budget: int
) -> Iterator[Batch]:
    """Yield all chunks `ids[begin:end]`, the widest first: a batch too large for the memory fails at once.

    Parameters
    ----------
    widest
        The most tokens in a row, special ones included.
    step
        Rows are padded to a multiple of it, or to `widest`.
    budget
        Bounds chunks x width of a batch.
    """
    widths = np.minimum(-(-(ends - begins + len(frame)) // step) * step, widest)
    order = np.argsort(-widths, kind="stable")
    for alike in np.split(order, np.flatnonzero(np.diff(widths[order])) + 1):
        width = int(widths[alike[0]])
        rows = max(budget // width, 1)
        for place in range(0, len(alike), rows):
            chosen = alike[place : place + rows]
            yield _batch(ids, begins[chosen], (ends - begins)[chosen, None], frame, width)


def _batch(ids: np.ndarray, begins: np.ndarray, lengths: np.ndarray, frame: Frame, width: int) -> Batch:
    columns = np.arange(width) - len(frame.before)  # 0 is the first token of the text
    inside = (columns >= 0) & (columns < lengths)
    places = (begins[:, None] + columns)[inside]
    padded = np.full(inside.shape, frame.padding, dtype=np.int64)
    padded[:, : len(frame.before)] = frame.before
    padded[inside] = ids[places]
    suffix = np.array(frame.after, dtype=np.int64)
    np.put_along_axis(padded, len(frame.before) + lengths + np.arange(len(suffix)), suffix, axis=1)
    return Batch(padded, columns < lengths + len(suffix), inside, places)
