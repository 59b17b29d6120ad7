"""What a compressor must beat: rankings of words that know no context, and hardly a language.

Each returns a score a word, the higher the better; equal scores go to the earlier word (see `evaluate.best`), so the
rest of a budget is filled by position.
"""

from __future__ import annotations

import numpy as np

from stillroom.prompts.evaluate import Ranking
from stillroom.prompts.usage import Usage, written
from stillroom.prompts.words import Words


def random(texts: list[Words], seed: int = 0) -> list[np.ndarray]:
    """Any word is as good as any other."""
    chance = np.random.default_rng(seed)
    return [chance.random(len(words)) for words in texts]


def first(texts: list[Words]) -> list[np.ndarray]:
    """The earlier, the better: all scores are equal."""
    return [np.zeros(len(words)) for words in texts]


def without_stop_words(usage: Usage) -> Ranking:
    """What is neither stop-word nor punctuation first, in order; then the rest, in order."""
    return lambda texts: [np.array([0.0 if usage.is_stop(form) else 1.0 for form in written(words)]) for words in texts]


def idf(usage: Usage) -> Ranking:
    """The rarer in clean sentences, the better; punctuation is last."""
    return lambda texts: [
        np.array([usage.idf(form) if any(map(str.isalnum, form)) else 0.0 for form in written(words)])
        for words in texts
    ]
