"""The baseline `first-k`: the beginning of a text, and the rest is gone.

It needs no weights and knows nothing of words but their lengths.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from stillroom.prompts.compressed import Compressed
from stillroom.prompts.counters import estimate
from stillroom.prompts.selection import Weights, select
from stillroom.prompts.words import join, split


class FirstK:
    """Keeps the first words of a text, as few as reach the rate; a word costs its letters."""

    def compress_many(self, texts: Iterable[str], *, rate: float) -> Iterator[Compressed]:
        """Yield the beginnings of the texts."""
        for text in texts:
            words = split(text)
            count = len(words)
            weights = Weights(np.zeros(count), words.end - words.start, np.arange(count))
            left, runs = join(words, select(weights, np.zeros(count, dtype=np.int64), np.array([rate])))
            yield Compressed(left, tuple(map(tuple, runs.tolist())), estimate(text), estimate(left))
