"""Batches that bring along what a teacher says of them: asked once, kept in a store, found there by the next run.

It knows neither teachers nor students: a teacher is whatever answers a batch and can say what its answer depends on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from stillroom.core.batches import Batches
from stillroom.core.keys import key
from stillroom.core.progress import progress
from stillroom.core.targets import TargetStore


class Asked(Protocol):
    """A teacher whose answers are worth keeping."""

    @property
    def kind(self) -> str:
        """What its answers are, as the store calls it: `"quantiles"`, `"top_k"`, …"""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that an answer depends on besides the batch, in text and numbers."""

    def __call__(self, batch: Any) -> dict[str, Tensor]:
        """Return what the teacher says of a batch, by name; nothing where it has nothing to say."""


class StoredTargets(Batches):
    """Batches that bring the teacher's answers with them, from a store.

    Parameters
    ----------
    batches
        A pure function of their index, with a length.
    teacher
        See `Asked`.
    store
        Where the answers are, or will be once `capture` has run. Addresses are made from contents, so another run
        with the same teacher and the same batches finds them there.
    """

    def __init__(self, batches: Batches, teacher: Asked, store: TargetStore) -> None:
        self.batches, self.teacher, self.store = batches, teacher, store

    def capture(self, count: int) -> int:
        """Ask for the first `count` batches what is not in the store yet; return how many were asked for."""
        asked = 0
        with progress("asking the teacher", total=count) as advance:
            for index in range(count):
                batch = self.batches[index]
                address = self._address(batch)
                if not self.store.has(address):
                    self.store.put(address, self.teacher.kind, tensors=self.teacher(batch))
                    asked += 1
                advance()
        return asked

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return batch `index` with what the teacher said of it."""
        batch = self.batches[index]
        target = self.store.get(self._address(batch))
        if target is None:  # `capture` was cut short, or asked for fewer
            said = self.teacher(batch)
            self.store.put(self._address(batch), self.teacher.kind, tensors=said)
            return {**batch, **said}
        return {**batch, **{name: torch.from_numpy(values) for name, values in target.tensors.items()}}

    def _address(self, batch: Any) -> str:
        return key(kind=self.teacher.kind, **self.teacher.identity, batch=batch)
