"""How good a compressor is: agreement with what people kept, answers that survive, and how exactly rates are met.

Models and baselines are compared alike: each gives every word a score, and the best words stay, so many as the rate
says of the words, ties to the earlier. A word's score is the mean over its tokens, rounded as `selection` does. Nothing
is protected here: what is measured is the ranking. It does not know where scores come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np

from stillroom.prompts.examples import Example
from stillroom.prompts.questions import Context
from stillroom.prompts.scorer import Scorer, Tokens
from stillroom.prompts.selection import DECIMALS, select, weigh
from stillroom.prompts.words import Words, split

Rate = Literal["natural", "set"] | float
"""A share of each text's words; `natural`: what people kept of it; `set`: what they kept of all texts together."""
Ranking = Callable[[list[Words]], list[np.ndarray]]
"""Scores the words of each text: (words,) each, the higher the better."""


def by_model(scorer: Scorer) -> Ranking:
    """Rank words by a token classifier."""

    def ranking(texts: list[Words]) -> list[np.ndarray]:
        tokens = scorer.tokenize([words.text for words in texts])
        return word_scores(scorer, texts, tokens)

    return ranking


def word_scores(scorer: Scorer, texts: Sequence[Words], tokens: Sequence[Tokens]) -> list[np.ndarray]:
    """Return the score of each word; a word without a token of its own has that of the word it stays with."""
    chances = scorer.probabilities(tokens)
    weights = [weigh(words, own.start, chance) for words, own, chance in zip(texts, tokens, chances, strict=True)]
    return [one.score[one.owner] if one.cost.any() else one.score for one in weights]


def labelled(example: Example) -> Words:
    """Return the labelled words of an example as words."""
    return Words(example.text, example.start, example.end, np.zeros(len(example.keep), dtype=np.uint8))


def best(score: np.ndarray, count: int) -> np.ndarray:
    """Return which words stay if the `count` best do, ties to the earlier: (words,) bool."""
    kept = np.zeros(len(score), dtype=bool)
    kept[np.argsort(-np.round(score, DECIMALS), kind="stable")[:count]] = True
    return kept


def agreement(scores: Iterable[np.ndarray], examples: Sequence[Example], rates: Iterable[Rate]) -> dict[str, float]:
    """Return the F1 of the kept words against those that people kept (labels of at least a half), at each rate.

    Precision and recall are over all words of the set; each text keeps one word at least.
    """
    scores = list(scores)
    gold = [example.keep >= 0.5 for example in examples]
    people, words = sum(int(one.sum()) for one in gold), sum(map(len, gold))
    found = {}
    for rate in rates:
        shares = [float(one.mean()) if rate == "natural" else people / words if rate == "set" else rate for one in gold]
        counts = [_count(len(one), share) for one, share in zip(gold, shares, strict=True)]
        kept = [best(score, count) for score, count in zip(scores, counts, strict=True)]
        hits = sum(int((ours & theirs).sum()) for ours, theirs in zip(kept, gold, strict=True))
        found[str(rate)] = 2 * hits / max(sum(int(one.sum()) for one in kept) + people, 1)
    return found


def survival(
    scores: Iterable[np.ndarray], texts: Sequence[Words], contexts: Sequence[Context], rates: Iterable[float]
) -> dict[str, float]:
    """Return the share of questions with a gold answer all of whose words are kept, at each rate (a share of words).

    Questions whose answers the context does not have do not count.
    """
    scores = list(scores)
    found = {}
    for rate in rates:
        survived = asked = 0
        for score, words, context in zip(scores, texts, contexts, strict=True):
            kept = best(score, _count(len(words), rate))
            for question in context.questions:
                if question.spans:
                    asked += 1
                    survived += any(
                        kept[(words.end > start) & (words.start < end)].all() for start, end in question.spans
                    )
        found[str(rate)] = survived / max(asked, 1)
    return found


def adherence(scorer: Scorer, texts: Sequence[str], rates: Iterable[float]) -> dict[str, dict[str, float]]:
    """Return how exactly rates are met: of all tokens the share that stays, and the worst text's distance in tokens.

    The promise is that a text keeps at most the tokens of one word more than its rate.
    """
    words = [split(text) for text in texts]
    tokens = scorer.tokenize(list(texts))
    chances = scorer.probabilities(tokens)
    weights = [weigh(cut, own.start, chance) for cut, own, chance in zip(words, tokens, chances, strict=True)]
    total = np.array([one.cost.sum() for one in weights])
    found = {}
    for rate in rates:
        kept = [select(one, np.zeros(len(one.cost), dtype=np.int8), np.array([rate])) for one in weights]
        spent = np.array([one.cost[stay].sum() for one, stay in zip(weights, kept, strict=True)])
        found[str(rate)] = {
            "rate": float(spent.sum() / max(total.sum(), 1)),
            "worst_tokens": float(abs(spent - rate * total).max(initial=0)),
        }
    return found


def _count(words: int, rate: float) -> int:
    return min(max(round(rate * words), 1), words)
