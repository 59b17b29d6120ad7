"""Ask a teacher once a row and keep what it said: the likeliest tokens at each answer token, and a bucket for the rest.

An answer's address is made of the teacher's weights, of what it read and of how much is kept, so runs with the same
teacher and rows share one store, and a capture that was killed goes on with what is missing. How the kept tokens are
learned from, losses.py says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from stillroom.core.errors import CorruptError, DataError
from stillroom.core.keys import key
from stillroom.core.objectives import IGNORED_LABEL, top_k
from stillroom.core.progress import progress
from stillroom.core.targets import TargetStore
from stillroom.language.encoding import Encoded
from stillroom.language.teachers import LanguageTeacher

KIND = "top_k"
TOKENS = 4096  # of a batch, padding included: a kill loses no more, and logits over 100,000 tokens still fit


@dataclass(frozen=True, eq=False)
class Captured(Sequence[Mapping[str, np.ndarray]]):
    """What a teacher said of rows, read from the store as it is needed; processes may share it.

    Item i is what the losses read of row i: `teacher_indices` and `teacher_log_probs` (answer tokens, k), and
    `teacher_tail` (answer tokens,).
    """

    store: TargetStore
    addresses: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.addresses)

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:  # type: ignore[override]
        target = self.store.get(self.addresses[row])
        if target is None:
            raise CorruptError(f"{self.store.path} no longer holds what the teacher said of row {row}: capture again")
        return {name: _widened(values) for name, values in target.tensors.items()}


def capture(
    teacher: LanguageTeacher,
    rows: Sequence[Encoded],
    store: TargetStore,
    k: int,
    *,
    exact: bool = False,
    tokens: int = TOKENS,
) -> Captured:
    """Ask the teacher about every row that the store does not know, and return what it said of all of them.

    Parameters
    ----------
    rows
        As the teacher reads them; the prompt may be another than the student's, the answer is the same.
    k
        Tokens kept of each distribution; all of a vocabulary that has no more.
    exact
        Keep log-probabilities in single precision. Half of it, the default, moves a loss by less than 0.001.
    tokens
        Of a batch; what a batch asked is stored before the next one asks.

    Raises
    ------
    DataError
        A row without a prompt or without an answer.
    """
    for row in rows:
        if not len(row.answer) or not len(row.prompt):
            what = "answer" if len(row.prompt) else "prompt"
            raise DataError(f"row {row.row} has no {what}, so there is nothing to ask the teacher: leave it out")
    known = {"kind": KIND, "teacher": teacher.fingerprint, "k": k, "exact": exact}
    addresses = tuple(key(**known, prompt=list(row.prompt), answer=list(row.answer)) for row in rows)
    missing = {address: row for address, row in zip(addresses, rows, strict=True) if not store.has(address)}
    with progress("asking the teacher", total=len(missing)) as advance:
        for batch in _batches(missing, tokens):
            said = _said(teacher, list(batch.values()), k, exact)
            with store.transaction():
                for address, tensors in zip(batch, said, strict=True):
                    store.put(address, KIND, tensors=tensors)
            advance(len(batch))
    return Captured(store, addresses)


def _batches(rows: dict[str, Encoded], tokens: int) -> list[dict[str, Encoded]]:
    """Rows of like lengths together, the longest first: if they do not fit into memory, that shows at once."""
    order = sorted(rows, key=lambda address: -len(rows[address]))
    batches, rest = [], iter(order)
    while (first := next(rest, None)) is not None:
        others = islice(rest, max(0, tokens // len(rows[first]) - 1))
        batches.append({address: rows[address] for address in (first, *others)})
    return batches


def _said(teacher: LanguageTeacher, rows: Sequence[Encoded], k: int, exact: bool) -> list[dict[str, Any]]:
    logits = teacher.logits(_batch(teacher, rows))
    top = top_k(logits, min(k, logits.shape[-1]))
    lengths = [len(row.answer) for row in rows]
    number = np.uint16 if logits.shape[-1] <= 2**16 else np.int32
    dtype = torch.float32 if exact else torch.float16
    parts = zip(*(torch.split(values.cpu(), lengths) for values in top), strict=True)
    return [
        {
            "teacher_indices": indices.numpy().astype(number),
            "teacher_log_probs": log_probs.to(dtype).numpy(),
            "teacher_tail": tail.to(dtype).numpy(),
        }
        for indices, log_probs, tail in parts
    ]


def _batch(teacher: LanguageTeacher, rows: Sequence[Encoded]) -> dict[str, torch.Tensor]:
    if teacher.kind == "causal":
        read = [row.input_ids for row in rows]
        labels = [[*[IGNORED_LABEL] * row.answer_start, *row.answer] for row in rows]
    else:
        read, labels = [list(row.prompt) for row in rows], [list(row.answer) for row in rows]
    masks = [[1] * len(ids) for ids in read]
    found = {"input_ids": _padded(read, 0), "attention_mask": _padded(masks, 0)}
    found["labels"] = _padded(labels, IGNORED_LABEL)
    return {name: values.to(teacher.device) for name, values in found.items()}


def _padded(rows: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])


def _widened(values: np.ndarray) -> np.ndarray:
    """As torch takes it: it has no unsigned 16 bits, and a half as small as the tail of nothing became −inf."""
    return values.astype(np.int64 if values.dtype.kind in "ui" else np.float32)
