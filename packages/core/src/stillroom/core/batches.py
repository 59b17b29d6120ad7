"""Training data as one endless, numbered stream of batches: batch k is the same batch whoever asks, and whenever.

Three kinds of data are taken: ready batches by number (`Batches`), rows by number (map-style, shuffled here), and
rows that only come in order (iterable). Of N processes, process r trains on the batches r, r + N, r + 2N, … of the
one stream, so the data are split and never repeated. It does not know what the rows mean, nor what is trained on
them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import IterableDataset, default_collate, get_worker_info

from stillroom.core.errors import DataError
from stillroom.core.seeds import own_random, seed_of


class Batches(ABC):
    """Ready-made batches by number: subclass it and return batch `index`, a dict of tensors.

    The batch must be a pure function of its index (draw from `numpy.random.default_rng([seed, index])`): then a run
    resumes at any batch without replaying the ones before it, and any number of workers makes the same stream. With a
    `__len__` the batches come round again in the same order; without one they never end.
    """

    @abstractmethod
    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return batch `index`."""


class BatchStream(IterableDataset):
    """The batches that one process trains on, from micro-step `start` on; for a DataLoader with `batch_size=None`.

    Whatever the data draw from the global random generators is seeded by the number of the batch.

    Parameters
    ----------
    data
        `Batches`, a map-style data set (`__getitem__` and `__len__`), or an iterable of rows that starts over the
        same way each time. Rows are shuffled anew for each pass over a map-style data set; a batch may reach over two
        passes.
    batch_size
        Rows a batch; of no meaning to `Batches`.
    collate
        Makes a batch from a list of rows.
    seed
        Of the shuffling.
    start
        Batches this process has already trained on. Costs nothing, but an iterable must replay its rows up to here.
    rank, world
        This process's number, and how many there are.
    """

    def __init__(
        self,
        data: Any,
        *,
        batch_size: int,
        collate: Callable[[list[Any]], Any] | None = None,
        seed: int = 0,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.data, self.batch_size, self.collate, self.seed = data, batch_size, collate or default_collate, seed
        self.start, self.rank, self.world = start, rank, world
        self._shuffled: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))

    @property
    def in_order(self) -> bool:
        """Whether the rows only come in order, so that resuming replays them and at most one worker may read them."""
        by_number = hasattr(self.data, "__getitem__") and hasattr(self.data, "__len__")
        return not isinstance(self.data, Batches) and (isinstance(self.data, IterableDataset) or not by_number)

    def __iter__(self) -> Iterator[Any]:
        if self.in_order:
            return self._replayed()
        worker = get_worker_info()
        first, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        numbers = count((self.start + first) * self.world + self.rank, stride * self.world)
        return map(self._batch, numbers)

    def _batch(self, index: int) -> Any:
        with own_random("batch", self.seed, index):
            if isinstance(self.data, Batches):
                return self.data[index % len(self.data) if hasattr(self.data, "__len__") else index]
            return self.collate([self.data[row] for row in self._rows(index)])

    def _rows(self, index: int) -> Sequence[int]:
        """Return the row numbers of one batch: a stretch of all passes laid end to end, each shuffled its own way."""
        length = len(self.data)
        if length == 0:
            raise DataError("there is nothing to train on: the training data have no rows")
        rows = []
        for position in range(index * self.batch_size, (index + 1) * self.batch_size):
            turn, place = divmod(position, length)
            if self._shuffled[0] != turn:
                order = np.random.default_rng([seed_of("shuffle", self.seed), turn]).permutation(length)
                self._shuffled = (turn, order)
            rows.append(int(self._shuffled[1][place]))
        return rows

    def _replayed(self) -> Iterator[Any]:
        rows = _endless(self.data)
        for index in count():
            with own_random("batch", self.seed, index):
                chosen = list(islice(rows, self.batch_size))
                mine = index % self.world == self.rank and index // self.world >= self.start
                batch = self.collate(chosen) if mine else None
            if mine:
                yield batch


def _endless(data: Iterable[Any]) -> Iterator[Any]:
    while True:
        empty = True
        for row in data:
            empty = False
            yield row
        if empty:
            raise DataError(
                "the training stream ended: it gave no row (a generator cannot start over, an iterable can)"
            )
