"""The cross-entropy of right answers on held-out rows: how likely a student finds them, without a word being generated.

Beside the metric, which its answers are judged by, it says whether the cheaper measure would have chosen the same. It
chooses nothing itself.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from stillroom.core.evaluating import evaluating
from stillroom.language import classifier
from stillroom.language.batching import causal, classified, seq2seq
from stillroom.language.encoding import Encoded, encode
from stillroom.language.generation import batches, tokens_at_once
from stillroom.language.losses import label_losses
from stillroom.language.recipe import DistillRecipe
from stillroom.language.rows import Row
from stillroom.language.students import Student


def cross_entropy(recipe: DistillRecipe, student: Student, rows: Sequence[Row]) -> float:
    """Return the mean cross-entropy in nats: of an answer's token, the end mark included; of a classifier, of a row.

    Rows are asked as the recipe has it. Those with more than its `max_tokens` are left out, as they are in training;
    NaN where all are.

    Parameters
    ----------
    student
        In training or not; its mode and its gradients stay as they are.

    Raises
    ------
    DataError
        A row without an answer, or with one that is none of the classes.
    """
    prompts = {source.task: source.prompt for source in recipe.data if source.prompt is not None}
    encoded, _ = encode(
        rows, student.tokenizer, recipe.prompt, sys.maxsize,
        kind=student.kind, classes=student.classes, prompts=prompts,
    )  # fmt: skip
    encoded = [one for one in encoded if _size(one, student) <= recipe.max_tokens]
    if not encoded:
        return math.nan
    total, count = 0.0, 0
    before, after = [one.prompt for one in encoded], [len(one.answer) for one in encoded]
    with evaluating(student.model):
        for places in batches(before, after, tokens_at_once(student.model)):
            few = [encoded[place] for place in places]
            weight = len(few) if student.kind == "classifier" else sum(len(one.answer) for one in few)
            total += weight * _mean(student, few)
            count += weight
    return total / count


def _size(row: Encoded, student: Student) -> int:
    return max(len(row.prompt), len(row.answer)) if student.kind == "seq2seq" else len(row)


def _mean(student: Student, rows: Sequence[Encoded]) -> float:
    pad, model = student.tokenizer.pad_token_id, student.model
    if student.kind == "classifier":
        soft = len(student.classes or ()) if any(isinstance(one.target, tuple) for one in rows) else None
        batch = classified(rows, pad, soft=soft)
    else:
        batch = (seq2seq if student.kind == "seq2seq" else causal)(rows, pad)
    batch = {name: values.to(model.device) for name, values in batch.items()}
    losses = (
        classifier.losses(model, batch) if student.kind == "classifier" else label_losses(student.kind, model, batch)
    )
    return float(losses["labels"])
