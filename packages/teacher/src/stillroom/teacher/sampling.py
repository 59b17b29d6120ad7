"""A random sample of what streams by, the same in whatever order it comes: that with the smallest hashes.

A hash of the content is as good as a draw from a hat (Cohen and Kaplan 2007, "Summarizing data using bottom-k
sketches"). Things of equal content are one thing. A larger sample holds the smaller one, so what was paid for a small
one is not lost. It does not know what it samples.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Sample(Generic[Item]):
    """At most `size` things, in the order of their hashes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._items: dict[int, Item] = {}
        self._places: list[int] = []  # negative, so that the heap's first is the largest

    def add(self, digest: str, item: Item) -> None:
        """Add a thing by the hash (hex) of its content; it stays if it belongs to the sample."""
        place = int(digest, 16)
        if place in self._items or (len(self) == self.size and -self._places[0] < place):
            return
        self._items[place] = item
        heapq.heappush(self._places, -place)
        if len(self) > self.size:
            del self._items[-heapq.heappop(self._places)]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return (self._items[place] for place in sorted(self._items))
