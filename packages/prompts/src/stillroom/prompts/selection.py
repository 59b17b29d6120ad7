"""Which words stay: the best by score, as many as a rate, a threshold or a cap allows.

It sees scores and costs in arrays; it knows neither the model nor what is protected for which reason. Scores are
rounded before they are ranked and ties go to the earlier word, so that noise in the last bits decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stillroom.prompts.words import Words

PROTECTED = -1  # the group of words that always stay
DECIMALS = 4  # of a word's score; fp32 probabilities differ by 1e-7 from one batch to another


@dataclass(frozen=True, eq=False)
class Weights:
    """What each word is worth and what it costs.

    Attributes
    ----------
    score
        (words,) the mean probability of its tokens, rounded.
    cost
        (words,) its tokens. A token that reaches over several words, and white space, counts for the first word that
        ends after it begins.
    owner
        (words,) the word that it stays or goes with: itself, or for a word without a token of its own (the tokenizer
        drew it into the one before, or has nothing for it) the one before.
    """

    score: np.ndarray
    cost: np.ndarray
    owner: np.ndarray


def weigh(words: Words, token_start: np.ndarray, probabilities: np.ndarray) -> Weights:
    """Return the weights of words from the (tokens,) positions and probabilities of their tokens.

    Where a tokenizer has no token for a whole text (control characters, say), each word counts as one.
    """
    count = len(words)
    if not len(token_start):
        return Weights(np.zeros(count), np.ones(count, dtype=np.int64), np.arange(count))
    places = np.minimum(np.searchsorted(words.end, token_start, side="right"), count - 1)
    cost = np.bincount(places, minlength=count)
    score = np.round(np.bincount(places, probabilities, count) / np.maximum(cost, 1), DECIMALS)
    owner = np.maximum.accumulate(np.where(cost > 0, np.arange(count), -1))
    owner[owner < 0] = np.argmax(cost > 0)
    return Weights(score, cost, owner)


def select(weights: Weights, group: np.ndarray, rates: np.ndarray, threshold: float | None = None) -> np.ndarray:
    """Return which words stay: in each group the fewest, best first, whose tokens reach the group's rate.

    A group therefore keeps between rate x tokens and the tokens of one word more, and never nothing.

    Parameters
    ----------
    group
        (words,) number of its group, or `PROTECTED`.
    rates
        (groups,) share of the tokens to keep, in (0, 1].
    threshold
        Of group 0 keep the words with at least this score instead, be they all or none.
    """
    order = np.lexsort((-weights.score, group))  # stable, so ties stay in the order of the text
    cost, groups = weights.cost[order], group[order]
    free = groups != PROTECTED
    total = np.bincount(groups[free], weights=cost[free], minlength=len(rates))
    enough = np.ceil(rates * total - 1e-9)  # 0.1 x 30 is 3 tokens, though 3.0000000000000004 in floats
    before = np.cumsum(cost) - cost
    first = np.searchsorted(groups, np.arange(len(rates)))
    offset = np.append(before, 0)[np.minimum(first, len(before))]
    kept = np.ones(len(group), dtype=bool)
    kept[order[free]] = (before[free] - offset[groups[free]]) < enough[groups[free]]
    if threshold is not None:
        main = group == 0
        kept[main] = weights.score[main] >= threshold
    return _with_owners(weights, group, kept)


def fit(
    weights: Weights, group: np.ndarray, kept: np.ndarray, count: Callable[[np.ndarray], int], cap: int
) -> np.ndarray:
    """Return as many of the kept words, best first, as `cap` allows, and protected ones whatever it says.

    Parameters
    ----------
    count
        Says how many tokens the text of a selection has; called about ten times.
    """
    own = weights.owner == np.arange(len(group))
    candidates = np.flatnonzero(kept & own & (group != PROTECTED))
    candidates = candidates[np.argsort(-weights.score[candidates], kind="stable")]
    rank = np.full(len(group), len(group))
    rank[candidates] = np.arange(len(candidates))
    spent = np.concatenate(([0], np.cumsum(weights.cost[candidates])))

    def best(number: int) -> np.ndarray:
        return _with_owners(weights, group, (rank < number) | (group == PROTECTED))

    low, high = 0, len(candidates)
    count_low, count_high = count(best(low)), count(best(high))
    if count_low > cap:
        return best(low)
    if count_high <= cap:
        return best(high)
    halve = False
    while high - low > 1 and count_low < cap:  # `low` always fits, even where a counter is not monotonic
        share = (cap - count_low) / (count_high - count_low)
        guess = int(np.searchsorted(spent, spent[low] + share * (spent[high] - spent[low]), side="right")) - 1
        middle = (low + high) // 2 if halve else min(max(guess, low + 1), high - 1)
        halve = not halve
        if (counted := count(best(middle))) > cap:
            high, count_high = middle, counted
        else:
            low, count_low = middle, counted
    return best(low)


def _with_owners(weights: Weights, group: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Let words without tokens of their own follow their owners."""
    return np.asarray(kept[weights.owner] | (group == PROTECTED))
