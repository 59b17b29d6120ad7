"""Encoded rows as batches by number: padded on the right, or packed end to end; batch k is the same whenever asked for.

A batch is a dict of tensors. `labels` are −100 except at the tokens of answers; what else belongs to answer tokens (a
teacher's stored targets) is laid one after another in the order of those labels, row by row. It knows no text and no
network; packing.py finds out whether a network keeps packed rows apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stillroom.core.batches import Batches
from stillroom.core.errors import DataError, RecipeError
from stillroom.core.objectives import IGNORED_LABEL
from stillroom.core.seeds import seed_of
from stillroom.language.encoding import Encoded, Kind
from stillroom.language.mixing import Mixture

POOL = 32  # batches that are cut by length together: little is padded, and what a batch holds stays a matter of chance
OPEN = 16  # sequences that are filled at once


class Batched(Batches):
    """Batches of encoded rows, endless; a pass over the rows is followed by another in another order.

    Parameters
    ----------
    rows
        As `encode` returns them.
    size
        Rows a batch; packed, sequences. The last batch of a pass may have fewer.
    pad
        The id that fills up; nothing is ever learned there.
    kind
        What is trained: it decides how a batch looks (see `causal`, `seq2seq`, `classified`).
    packing
        Tokens of a sequence that rows are laid into end to end (see `packed`); None: a row a sequence.
    order
        order(turn) returns the numbers of the rows of a pass; by default each row once, shuffled (see `mixing`).
    teachers
        The same rows as the teacher reads them, where its prompt is another (see `encoding.matched`); their tensors
        have names that begin with `teacher_`, and are never packed.
    teacher_kind
        What reads them; None: the same kind as the student.
    targets
        What is known of each row's answer tokens: item i maps names to arrays whose first axis is the answer tokens of
        row i (see `capture`).
    seed
        Of the order.

    Raises
    ------
    DataError
        There are no rows, a row is longer than a sequence, or teachers and rows are not the same.
    RecipeError
        Packing for what is no causal language model.
    """

    def __init__(
        self,
        rows: Sequence[Encoded],
        *,
        size: int,
        pad: int,
        kind: Kind = "causal",
        packing: int | None = None,
        order: Callable[[int], np.ndarray] | None = None,
        teachers: Sequence[Encoded] | None = None,
        teacher_kind: Kind | None = None,
        targets: Sequence[Mapping[str, Any]] | None = None,
        seed: int = 0,
    ) -> None:
        if not rows:
            raise DataError("there is nothing to train on: the training data have no rows")
        if packing is not None and kind != "causal":
            raise RecipeError(f"rows of a {kind} cannot be packed: leave packing out")
        if packing is not None and (longest := max(map(len, rows))) > packing:
            raise DataError(f"a row has {longest:,} tokens and a packed sequence only {packing:,}: allow more")
        for name, others in (("teachers", teachers), ("targets", targets)):
            if others is not None and len(others) != len(rows):
                raise DataError(f"there are {len(others):,} {name} for {len(rows):,} rows")
        for one, other in zip(rows, teachers or rows, strict=True):
            if list(one.answer) != list(other.answer):
                raise DataError(f"the teacher reads another answer to row {one.row} than the student")
        self.rows, self.size, self.pad, self.kind, self.packing = rows, size, pad, kind, packing
        self.order = order or Mixture([""] * len(rows), seed=seed)
        self.teachers, self.teacher_kind, self.targets, self.seed = teachers, teacher_kind or kind, targets, seed
        self.lengths = np.array([len(one) for one in rows])
        self.with_tasks = any(one.task for one in rows)
        self.soft = max((len(one.target) for one in rows if isinstance(one.target, tuple)), default=None)
        self._ends: list[int] = []  # how many batches the passes up to each one have
        self._plan: tuple[int, list[list[list[int]]]] = (-1, [])

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return batch `index`, and in `number` (1,) its index."""
        while not self._ends or self._ends[-1] <= index:
            self._ends.append(len(self._batches(len(self._ends))) + (self._ends[-1] if self._ends else 0))
        turn = int(np.searchsorted(self._ends, index, side="right"))
        chosen = self._batches(turn)[index - (self._ends[turn - 1] if turn else 0)]
        return self._collated(chosen) | {"number": torch.tensor([index])}

    def batches_of(self, turn: int = 0) -> int:
        """Return how many batches a pass has: micro-steps an epoch."""
        return len(self._batches(turn))

    def _batches(self, turn: int) -> list[list[list[int]]]:
        """Return the batches of a pass, as lists of sequences of numbers of rows."""
        if self._plan[0] != turn:
            order = self.order(turn)
            sequences = _packs(order, self.lengths, self.packing) if self.packing else order[:, None].tolist()
            sizes = np.array([sum(self.lengths[row] for row in sequence) for sequence in sequences])
            groups = by_length(sizes, self.size, np.random.default_rng([seed_of("batches", self.seed), turn]))
            self._plan = turn, [[sequences[at] for at in group] for group in groups]
        return self._plan[1]

    def _collated(self, sequences: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        numbers = list(chain.from_iterable(sequences))
        rows = [self.rows[number] for number in numbers]
        batch = self._inputs([[self.rows[number] for number in sequence] for sequence in sequences], rows)
        if self.with_tasks:
            batch["tasks"] = self._tasks(sequences)
        if self.teachers is not None:
            collate = seq2seq if self.teacher_kind == "seq2seq" else causal
            read = collate([self.teachers[number] for number in numbers], self.pad)
            batch |= {f"teacher_{name}": values for name, values in read.items()}
        if self.targets is not None:
            batch |= _joined([self.targets[number] for number in numbers], rows)
        return batch

    def _inputs(self, sequences: Sequence[Sequence[Encoded]], rows: Sequence[Encoded]) -> dict[str, Tensor]:
        if self.packing is not None:
            return packed(sequences, self.pad)
        if self.kind == "classifier":
            return classified(rows, self.pad, soft=self.soft)
        return (seq2seq if self.kind == "seq2seq" else causal)(rows, self.pad)

    def _tasks(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """(rows,) the task of each; of packed rows (sequences, tokens), the task of each token."""
        rows = [[self.rows[number] for number in sequence] for sequence in sequences]
        if self.packing is None:
            return torch.tensor([one.task for (one,) in rows])
        return _padded([[one.task for one in sequence for _ in range(len(one))] for sequence in rows], 0)


def causal(rows: Sequence[Encoded], pad: int) -> dict[str, Tensor]:
    """Return what a causal language model reads, a row each, padded on the right.

    `input_ids`, `attention_mask`, `position_ids` and `labels`, each (rows, tokens); labels stand at the tokens
    themselves, and whoever computes a loss moves them to the token before.
    """
    ids = _padded([one.input_ids for one in rows], pad)
    return {
        "input_ids": ids,
        "attention_mask": _padded([[1] * len(one) for one in rows], 0),
        "position_ids": torch.arange(ids.shape[1]).repeat(len(rows), 1),
        "labels": _padded([_labels(one) for one in rows], IGNORED_LABEL),
    }


def packed(sequences: Sequence[Sequence[Encoded]], pad: int) -> dict[str, Tensor]:
    """Return sequences of rows end to end: `input_ids`, `position_ids` and `labels`, each (sequences, tokens).

    Positions begin again with each row, and once more where a sequence is filled up. There is no `attention_mask`: from
    positions alone transformers makes masks in which no row sees another, as long as nothing is cached
    (`use_cache=False`); see `packing.check`.
    """
    ids = _padded([[token for one in sequence for token in one.input_ids] for sequence in sequences], pad)
    places = torch.zeros_like(ids)
    for number, sequence in enumerate(sequences):
        edges = [*accumulate(map(len, sequence), initial=0), ids.shape[1]]
        for begin, end in pairwise(edges):
            places[number, begin:end] = torch.arange(end - begin)
    labels = [[label for one in sequence for label in _labels(one)] for sequence in sequences]
    return {"input_ids": ids, "position_ids": places, "labels": _padded(labels, IGNORED_LABEL)}


def seq2seq(rows: Sequence[Encoded], pad: int) -> dict[str, Tensor]:
    """Return what an encoder-decoder reads: `input_ids`, `attention_mask` (rows, tokens), `labels` (rows, answers)."""
    return {
        "input_ids": _padded([one.prompt for one in rows], pad),
        "attention_mask": _padded([[1] * len(one.prompt) for one in rows], 0),
        "labels": _padded([one.answer for one in rows], IGNORED_LABEL),
    }


def classified(rows: Sequence[Encoded], pad: int, *, soft: int | None = None) -> dict[str, Tensor]:
    """Return what a classifier reads: `input_ids`, `attention_mask` (rows, tokens), and its `labels`.

    Labels are (rows,) int64, or for `soft` classes (rows, soft) float32: then a row that knows its class is sure of it.
    """
    found = {
        "input_ids": _padded([one.prompt for one in rows], pad),
        "attention_mask": _padded([[1] * len(one.prompt) for one in rows], 0),
    }
    targets: list[Any] = [one.target for one in rows]
    if soft is None:
        return {**found, "labels": torch.tensor(targets)}
    shares = [one if isinstance(one, tuple) else tuple(float(at == one) for at in range(soft)) for one in targets]
    return {**found, "labels": torch.tensor(shares, dtype=torch.float32)}


def by_length(lengths: np.ndarray, size: int, random: np.random.Generator) -> list[list[int]]:
    """Cut places 0, 1, 2, … into groups of `size` of like lengths, in random order.

    Lengths are sorted within pools of `POOL` groups, so a group has its rows from one stretch of the order. Only the
    last group of a pass has fewer.
    """
    groups = []
    for begin in range(0, len(lengths), POOL * size):
        pool = begin + np.argsort(lengths[begin : begin + POOL * size], kind="stable")
        groups += [pool[at : at + size].tolist() for at in range(0, len(pool), size)]
    return [groups[at] for at in random.permutation(len(groups))]


def _packs(order: np.ndarray, lengths: np.ndarray, room: int) -> list[list[int]]:
    """Lay each row into the first open sequence with room for it; where none has, the fullest makes room for a new."""
    done: list[list[int]] = []
    open_: list[tuple[int, list[int]]] = []
    for row in order.tolist():
        length = int(lengths[row])
        place = next((at for at, (used, _) in enumerate(open_) if used + length <= room), None)
        if place is None:
            if len(open_) == OPEN:
                done.append(open_.pop(max(range(OPEN), key=lambda at: open_[at][0]))[1])
            open_.append((length, [row]))
        else:
            used, sequence = open_[place]
            sequence.append(row)
            open_[place] = used + length, sequence
    return done + [sequence for _, sequence in open_]


def _labels(row: Encoded) -> list[int]:
    return [IGNORED_LABEL] * len(row.prompt) + list(row.answer)


def _joined(known: Sequence[Mapping[str, Any]], rows: Sequence[Encoded]) -> dict[str, Tensor]:
    for one, row in zip(known, rows, strict=True):
        for name, values in one.items():
            if len(values) != len(row.answer):
                raise DataError(
                    f"{name} of row {row.row} is for {len(values)} answer tokens, and there are {len(row.answer)}: "
                    "capture the targets again"
                )
    return {name: torch.from_numpy(np.concatenate([np.asarray(one[name]) for one in known])) for name in known[0]}


def _padded(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    """(rows, longest) int64, filled up on the right."""
    found = np.full((len(rows), max(map(len, rows))), filler, dtype=np.int64)
    for number, row in enumerate(rows):
        found[number, : len(row)] = row
    return torch.from_numpy(found)
