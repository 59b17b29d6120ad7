"""Sequence classifiers: what they learn from and what they predict, in batches. It knows no adapter and no metric."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from stillroom.core.errors import DataError, ModelError
from stillroom.core.evaluating import evaluating
from stillroom.core.objectives import cross_entropy
from stillroom.core.progress import progress
from stillroom.language.generation import batches, context_of, padded, token_ids, tokens_at_once
from stillroom.language.students import Student


@dataclass(frozen=True)
class Predicted:
    """Classes of texts, in the order of the texts.

    Parameters
    ----------
    classes
        The likeliest of each.
    probabilities
        (texts, classes) float32, classes in the order of `Student.classes`.
    seconds
        What it took.
    """

    classes: list[str]
    probabilities: np.ndarray
    seconds: float


def losses(model: nn.Module, batch: Mapping[str, Tensor], teacher: None = None) -> dict[str, Tensor]:
    """Return `labels`, the cross-entropy with hard or soft labels, as `DistillTrainer` asks for it.

    Parameters
    ----------
    batch
        `input_ids`, `attention_mask` (rows, tokens) and `labels`: (rows,) numbers of classes, or (rows, classes)
        probabilities, a teacher's for example.
    """
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return {"labels": cross_entropy(logits, batch["labels"])}


def predict(
    student: Student, prompts: Sequence[str] | Sequence[Sequence[int]], *, batch_tokens: int | None = None
) -> Predicted:
    """Choose a class for every text, and say how sure the classifier is of each.

    Parameters
    ----------
    prompts
        Texts, or token ids: the very ones that it was trained on.
    batch_tokens
        Tokens that run together, padding included; None: what is fast on the model's device. What comes out does not
        depend on it (to 1e-6 in float32).

    Raises
    ------
    ModelError
        The student is no classifier.
    DataError
        A text without tokens, or one longer than the model reads.
    """
    if student.classes is None:
        raise ModelError(f"{student.source} is no classifier: load it with classes, and train it.")
    started = time.monotonic()
    model: Any = student.model
    asked = token_ids(student.tokenizer, prompts, open_end=False)
    context = context_of(model)
    for number, text in enumerate(asked):
        if context is not None and len(text) > context:
            raise DataError(f"text {number} has {len(text):,} tokens and the model reads {context:,}: shorten it")
    found = np.empty((len(asked), len(student.classes)), dtype=np.float32)
    budget = batch_tokens or tokens_at_once(model)
    with evaluating(model), progress("classifying", total=len(asked)) as advance:
        for rows in batches(asked, [0] * len(asked), budget):
            ids, mask = padded([asked[row] for row in rows], student.tokenizer.pad_token_id)
            logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits
            found[rows] = logits.float().softmax(-1).cpu().numpy()
            advance(len(rows))
    likeliest = [student.classes[number] for number in found.argmax(-1)]
    return Predicted(likeliest, found, time.monotonic() - started)
