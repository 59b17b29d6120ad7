"""A teacher in memory: a language model that says how likely each token is after the student's answer so far.

It reads its own prompt where a batch brings one, computes in its own precision whatever the student does, and never
learns. What is kept of its answers, capture.py says; whether it can teach a student, vocabulary.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from stillroom.core.errors import ModelError
from stillroom.language import students, vocabulary
from stillroom.language.beginnings import after
from stillroom.language.losses import Answers, Batch, Kind, answers

DTYPES = {"fp32": "float32", "bf16": "bfloat16"}  # a recipe's words, and torch's


class LanguageTeacher(nn.Module):
    """A causal language model or a T5 that teaches; the `teacher` of a `DistillTrainer`.

    Parameters
    ----------
    model, tokenizer
        The network and its tokenizer.
    kind
        `causal` or `seq2seq`.
    source
        What the user calls it.
    shared
        Tokens that its student has too: logits are cut to them; None: all.
    """

    def __init__(self, model: Any, tokenizer: Any, kind: Kind, *, source: str = "", shared: int | None = None) -> None:
        super().__init__()
        self.model, self.tokenizer, self.kind, self.source, self.shared = model, tokenizer, kind, source, shared
        self.requires_grad_(False).eval()

    @classmethod
    def load(cls, source: str, student_tokenizer: Any, *, precision: str = "fp32") -> LanguageTeacher:
        """Load a folder, a hub id or a registered name, once it is known to write in the student's tokens.

        Parameters
        ----------
        student_tokenizer
            Looked at first: a teacher that cannot teach this student is not even loaded.
        precision
            `fp32` or `bf16`.

        Raises
        ------
        ModelError
            There is no such model, it writes no text, or it writes in other tokens.
        """
        shared = vocabulary.check(student_tokenizer, students.tokenizer_of(source))
        loaded = students.load(source, dtype=DTYPES[precision])
        if loaded.kind == "classifier":
            raise ModelError(f"{source} is a classifier and writes no text: give a language model as the teacher.")
        return cls(loaded.model, loaded.tokenizer, loaded.kind, source=source, shared=shared)

    def forward(self, batch: Batch, hidden: Iterable[int] = ()) -> Answers:
        """Return what it says at the answer tokens, with the states of the layers in `hidden`."""
        whose = "teacher_" if "teacher_input_ids" in batch else ""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            memory = None
            if self.kind == "causal":
                batch, memory = after(self.model, batch, whose)
            said = answers(self.model, batch, self.kind, whose=whose, hidden=hidden, memory=memory)
        return replace(said, logits=said.logits[..., : self.shared])

    def logits(self, batch: Batch) -> Tensor:
        """Return its logits (n, vocabulary) at the n answer tokens of a batch, row by row."""
        return self.forward(batch).logits

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    @property
    def positions(self) -> int | None:
        """Tokens that it reads at once; None: any number."""
        return getattr(self.model.config, "max_position_embeddings", None)

    @cached_property
    def fingerprint(self) -> str:
        """A sha256 (hex) of every weight as loaded, wherever the model lay."""
        digest = hashlib.sha256(repr((self.kind, self.shared)).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()
