"""A word of a sentence, what a learner might write in its place, and how words become a sentence.

It knows no language but the marks that stick to a neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

KINDS = ("agreement", "tense", "article", "preposition", "spelling", "punctuation", "word_order")
"""The kinds of mistakes."""

CLOSING, OPENING = ",.?!;:", "¿¡"


@dataclass(frozen=True)
class Word:
    """A word or a mark as it should be written.

    Parameters
    ----------
    text
        The right form; one that ends in an apostrophe is written together with the next word.
    wrong
        By kind of mistake, the forms that would be one here and that the rest of the sentence gives away; an empty
        form leaves the word out.
    swaps
        Whether it and its right neighbour in the other order would be a mistake of word order.
    spellable
        Whether it may be misspelt: not the lemmas, which a reader of the training part has never seen.
    """

    text: str
    wrong: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    swaps: bool = False
    spellable: bool = False


def sentence(texts: Sequence[str]) -> str:
    """Join words into a sentence with a capital at its beginning; empty words are left out.

    >>> sentence(["we", "saw", "l'", "homme", ",", "twice", "."])
    "We saw l'homme, twice."
    """
    joined = ""
    for text in filter(None, texts):
        tight = not joined or text[0] in CLOSING or joined[-1] in OPENING or joined[-1] in "'’"
        joined += text if tight else " " + text
    first = next((place for place, letter in enumerate(joined) if letter.isalpha()), 0)
    return joined[:first] + joined[first : first + 1].upper() + joined[first + 1 :]
