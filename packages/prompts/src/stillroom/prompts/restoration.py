"""Capitals, numbers and rare words for a corpus that was published without them.

The Google sentence-compression tokens are lower-case, every number is `##` and every rare word `<unk>`; but names and
numbers are what answers are made of, and a compressor that never met one drops them. So they are put back at random,
as often as clean texts have them. What comes out reads like news and is not true.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from stillroom.prompts.words import split

NUMBER, UNKNOWN = "##", "<unk>"
NEW_CAPITALS = 0.65  # how often a word that the clean texts do not have has a capital: in news it is mostly a name
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_ENDS = re.compile(r"[.!?…:\"“”]+")


@dataclass(frozen=True)
class Restoration:
    """How words are written; made with `learn`.

    Attributes
    ----------
    spellings
        For a lower-case word its spellings within sentences, and how often each was met, added up.
    numbers
        Each number as often as it was met.
    names, rare
        Words met once or twice: with a capital, and without.
    """

    spellings: dict[str, tuple[list[str], list[float]]]
    numbers: list[str]
    names: list[str]
    rare: list[str]

    @classmethod
    def learn(cls, texts: Iterable[str]) -> Restoration:
        """Count the words of clean texts; the first of a sentence says nothing about its case."""
        met: dict[str, Counter[str]] = defaultdict(Counter)
        numbers: list[str] = []
        for text in texts:
            words = split(text)
            first = True
            for start, end in zip(words.start.tolist(), words.end.tolist(), strict=True):
                word = text[start:end]
                if _NUMBER.fullmatch(word):
                    numbers.append(word)
                elif word[0].isalpha() and not first:
                    met[word.lower()][word] += 1
                first = bool(_ENDS.fullmatch(word))
        seldom = [word for word, counts in met.items() if counts.total() <= 2 and len(word) > 3 and word.isalpha()]
        rare = [word for word in seldom if word in met[word]]
        names = [spelling for word in seldom for spelling in met[word] if spelling[0].isupper()]
        return cls({word: _choices(word, counts) for word, counts in met.items()}, numbers, names, rare)

    def restore(self, tokens: Sequence[str], seed: int = 0) -> list[str]:
        """Return the tokens as they may have been: the same for the same tokens and seed, one case a word and row."""
        chance = random.Random(f"{seed} {' '.join(tokens)}")
        written: dict[str, str] = {}
        restored = []
        for token in tokens:
            if token == UNKNOWN:
                word = chance.choice(self.names if chance.random() < NEW_CAPITALS else self.rare)
            elif token == NUMBER:
                word = chance.choice(self.numbers)
            elif token in written:
                word = written[token]
            else:
                spellings, counts = self.spellings.get(token) or _choices(token, {})
                word = written[token] = chance.choices(spellings, cum_weights=counts)[0]
            restored.append(word)
        if restored:
            restored[0] = restored[0][:1].upper() + restored[0][1:]
        return restored


def _choices(word: str, met: Mapping[str, int]) -> tuple[list[str], list[float]]:
    """Spellings and their counts, as if the word had been met once more, with a capital as often as new words have."""
    capital = NEW_CAPITALS if word.isalpha() else 0.0
    counts = [*met.values(), capital, 1 - capital]
    return [*met, word[:1].upper() + word[1:], word], list(accumulate(counts))
