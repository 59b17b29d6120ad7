"""How often words are used in a language and how they are written, counted from clean sentences.

Frequent words are stop-words, rare ones say something, and what has a capital within a sentence is mostly a name. It
knows counts and no grammar.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from stillroom.prompts.words import PUNCTUATION, Words, split

STOP_WORDS = 160  # the most frequent words of a language that are taken for stop-words
ENDS = frozenset('.!?…:"“”„«»¿¡')  # after these a capital says nothing

_APOSTROPHE = re.compile(r"\w(?:['’]|$)")  # I and I'm are no names


@dataclass(frozen=True)
class Usage:
    """Counts over sentences.

    Attributes
    ----------
    sentences
        How many were counted.
    frequency
        In how many of them a lower-case word occurs.
    capital
        For a lower-case word the share of its uses within sentences that have a capital.
    stop_words
        The most frequent words, names left out.
    """

    sentences: int
    frequency: Counter[str]
    capital: dict[str, float]
    stop_words: frozenset[str] = field(repr=False)

    @classmethod
    def learn(cls, texts: Iterable[str]) -> Usage:
        """Count sentences."""
        sentences = 0
        frequency, within, capitals = Counter[str](), Counter[str](), Counter[str]()
        for text in texts:
            words = split(text)
            forms = written(words)
            lower = [form.lower() for form in forms]
            kinds = words.kind.tolist()
            frequency.update({form for form, kind in zip(lower, kinds, strict=True) if kind != PUNCTUATION})
            for form, low, first in zip(forms, lower, firsts(forms), strict=True):
                if not first and form[0].isalpha():
                    within[low] += 1
                    capitals[low] += form[0].isupper()
            sentences += 1
        capital = {form: capitals[form] / count for form, count in within.items()}
        common = (form for form, _ in frequency.most_common() if capital.get(form, 0) < 0.5 or _APOSTROPHE.match(form))
        stop_words = frozenset(form for form, _ in zip(common, range(STOP_WORDS), strict=False))
        return cls(sentences, frequency, capital, stop_words)

    def idf(self, word: str) -> float:
        """Return ln(sentences / sentences with the word), as if an unknown word had been met once."""
        return math.log(max(self.sentences, 1) / max(self.frequency[word.lower()], 1))

    def is_stop(self, word: str) -> bool:
        """Whether a word is one of the most frequent, or punctuation."""
        return word.lower() in self.stop_words or not any(map(str.isalnum, word))


def written(words: Words) -> list[str]:
    """Return the words as strings."""
    return [words.text[start:end] for start, end in zip(words.start.tolist(), words.end.tolist(), strict=True)]


def firsts(forms: list[str]) -> list[bool]:
    """Say which words begin a sentence, so that their capital says nothing."""
    return [not at or forms[at - 1][-1] in ENDS for at in range(len(forms))]
