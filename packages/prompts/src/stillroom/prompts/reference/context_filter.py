"""Which contexts of a list stay before their words are looked at, and how many should. It does not know the model."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from stillroom.core.errors import DataError
from stillroom.prompts.reference.keep import percentile
from stillroom.prompts.reference.words import Probability


def level_rate(
    contexts: int,
    tokens: int,
    *,
    rate: float,
    target_token: float,
    use_token_level_filter: bool,
    target_context: int,
    context_level_rate: float,
    context_level_target_token: float,
) -> float:
    """Return the share of contexts to keep: what the caller asks for, else half way between all and the words' rate."""
    if target_context <= 0 and context_level_rate >= 1.0 and context_level_target_token <= 0:
        if target_token < 0 and rate < 1.0:
            context_level_rate = (rate + 1.0) / 2 if use_token_level_filter else rate
        if target_token >= 0:
            context_level_target_token = target_token * 2 if use_token_level_filter else target_token
    if target_context >= 0:
        context_level_rate = share(target_context, contexts)
    if context_level_target_token >= 0:
        context_level_rate = share(context_level_target_token, tokens)
    return context_level_rate


def share(target: float, there: int) -> float:
    """Return target / there, 1 at the most; raises DataError where llmlingua divides by zero."""
    if there == 0:
        raise DataError("llmlingua fails on a target for contexts without a single token: give a rate instead.")
    return min(target / there, 1.0)


def stay(scores: Sequence[Sequence[Probability]], rate: float, forced: Collection[int]) -> list[bool]:
    """Whether each context stays. Its score is the mean over its words; contexts at the threshold stay.

    Raises DataError for a context without words, which has no mean.
    """
    if not all(scores):
        raise DataError("llmlingua's context filter fails on a context without a word that its vocabulary knows.")
    means = [sum(words) / len(words) for words in scores]
    threshold = percentile(means, int(100 * (1 - rate)))
    return [bool(mean >= threshold) or i in forced for i, mean in enumerate(means)]
