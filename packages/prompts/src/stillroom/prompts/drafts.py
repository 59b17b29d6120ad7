"""One text on its way through: its words, which of them are protected, and the text that is left.

It knows nothing of models: scores come from outside, and so do the spans that say what is protected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from stillroom.prompts.question import steer
from stillroom.prompts.selection import DECIMALS, PROTECTED, fit, select, weigh
from stillroom.prompts.span import Span
from stillroom.prompts.words import Words, join, split

WHOLE = ("number", "negation", "pattern")  # what is found inside words: these keep the whole word


@dataclass(frozen=True, eq=False)
class Draft:
    """A text that has been cut into words and groups.

    Attributes
    ----------
    group
        (words,) number of the rate that a word falls under, or `PROTECTED`.
    rates
        (groups,) share of the tokens to keep; group 0 is all that no span speaks of.
    solid
        (n, 2) protected stretches, apart from each other.
    spans
        What was asked to be kept, and why.
    """

    words: Words
    group: np.ndarray
    rates: np.ndarray
    solid: np.ndarray
    spans: list[Span]

    @property
    def loose(self) -> bool:
        """Whether any word may go."""
        return bool((self.group != PROTECTED).any())

    @property
    def rated(self) -> bool:
        """Whether any word falls under a rate that lets words go."""
        return bool((self.rates[self.group[self.group != PROTECTED]] < 1).any())

    @property
    def bare(self) -> str:
        """What is left when all goes that may go."""
        return join(self.words, self.group == PROTECTED, self.solid)[0]

    def finish(
        self,
        token_start: np.ndarray,
        probabilities: np.ndarray,
        *,
        threshold: float | None = None,
        cap: int | None = None,
        count: Callable[[str], int],
        question: str | None = None,
    ) -> tuple[str, np.ndarray]:
        """Return the text that is left, and the (runs, 2) stretches that it comes from.

        Parameters
        ----------
        token_start, probabilities
            (tokens,) where each token begins in the text, and its probability of being kept.
        """
        weights = weigh(self.words, token_start, probabilities)
        if question:
            weights = replace(weights, score=np.round(steer(self.words, weights.score, question), DECIMALS))
        kept = select(weights, self.group, self.rates, threshold)
        if cap is not None:
            kept = fit(weights, self.group, kept, lambda mask: count(join(self.words, mask, self.solid)[0]), cap)
        return join(self.words, kept, self.solid)


def draft(text: str, spans: Iterable[Span], rate: float) -> Draft:
    """Cut a text into words, and say which rate each falls under; spans without a rate beat those with one."""
    spans = list(spans)
    words = split(text, {edge for span in spans if span.reason not in WHOLE for edge in span[:2]})
    edges = np.array([span[:2] for span in spans], dtype=np.int64).reshape(-1, 2)
    first = np.searchsorted(words.end, edges[:, 0], side="right")
    last = np.searchsorted(words.start, edges[:, 1], side="left")
    group, rates = np.zeros(len(words), dtype=np.int64), [rate]
    kept = [index for index, span in enumerate(spans) if span.rate is None]
    for index, span in enumerate(spans):
        if span.rate is not None:
            group[first[index] : last[index]] = len(rates)
            rates.append(span.rate)
    solid = _merged(edges[kept])
    depth = np.zeros(len(words) + 1, dtype=np.int64)
    np.add.at(depth, first[kept], 1)
    np.add.at(depth, np.maximum(first, last)[kept], -1)
    group[np.cumsum(depth[:-1]) > 0] = PROTECTED
    return Draft(words, group, np.array(rates), solid, [spans[index] for index in kept])


def _merged(edges: np.ndarray) -> np.ndarray:
    """Return the union of stretches as stretches that neither overlap nor touch."""
    if not len(edges):
        return edges
    edges = edges[np.argsort(edges[:, 0], kind="stable")]
    reach = np.maximum.accumulate(edges[:, 1])
    fresh = np.append(True, edges[1:, 0] > reach[:-1])
    return np.stack((edges[fresh, 0], reach[np.append(fresh[1:], True)]), axis=1)
