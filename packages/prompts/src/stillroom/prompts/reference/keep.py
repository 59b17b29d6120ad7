"""Which words of a chunk stay: llmlingua's percentiles, ties and all. It does not know where the scores come from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from stillroom.core.errors import DataError, RecipeError
from stillroom.prompts.reference.words import Probability


def labels(
    words: Sequence[str],
    scores: Sequence[Probability],
    drop: float,
    count: Callable[[str], int],
    repeatable: Collection[str] | None = None,
) -> list[int]:
    """Return 1 for each word that stays and 0 for each that goes.

    The threshold is a percentile of the words' scores, each repeated as often as `count` says the word has tokens;
    words at the threshold go, unless it is 1. `drop` is the share to go, in (0, 1]. Of `repeatable` words a second one
    in a row goes (None: repeats stay).
    """
    if repeatable is not None:
        scores = _second_in_a_row_at_zero(words, scores, drop, repeatable)
    weighed = [score for word, score in zip(words, scores, strict=True) for _ in range(count(word))]
    threshold = percentile(weighed, int(100 * drop + 1))
    last = None
    out = []
    for word, score in zip(words, scores, strict=True):
        stays = score > threshold or score == threshold == 1.0
        if repeatable is not None and word in repeatable and word == last:
            stays = False
        last = word if stays else last
        out.append(int(stays))
    return out


def percentile(scores: Sequence[Probability], percent: int) -> Any:
    """Return numpy's percentile; where numpy fails, DataError (no scores) or RecipeError (not in 0 to 100)."""
    if not scores:
        raise DataError("llmlingua fails on a text, or a chunk of one, without a word that its vocabulary knows.")
    if not 0 <= percent <= 100:
        raise RecipeError(f"llmlingua fails at percentile {percent}, which these rates come to: give rates in (0, 1].")
    return np.percentile(np.array(scores), percent)


def _second_in_a_row_at_zero(
    words: Sequence[str], scores: Sequence[Probability], drop: float, repeatable: Collection[str]
) -> list[Probability]:
    """Return the scores with 0 for a forced token if the same one came before and no word between them would stay."""
    threshold = percentile(scores, int(100 * drop))
    out = list(scores)
    between = False
    last = None
    for i, (word, score) in enumerate(zip(words, scores, strict=True)):
        if word not in repeatable:
            between |= bool(score > threshold)
            continue
        if not between and word == last:
            out[i] = 0.0
        between = False
        last = word
    return out
