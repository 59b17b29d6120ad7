"""Texts with slips of the keyboard: how well does a model bear input that is not as clean as what it learned from?

Slips are made of letters alone, so a text of any language that writes words can have them. Digits, marks and white
space stay: with them changed another answer might be right. It makes texts, and knows no model and no row.

References
----------
Belinkov and Bisk (2018), Synthetic and Natural Noise Both Break Neural Machine Translation, arXiv:1711.02173: the
synthetic kinds of noise, here as one mixture of slips that leave a word readable.
"""

from __future__ import annotations

import re
from random import Random

SHORTEST = 4
"""Letters of a word that may be hit: with a letter less, a shorter one is often another word."""

_WORD = re.compile(rf"[^\W\d_]{{{SHORTEST},}}")


def disturbed(text: str, share: float, seed: int = 0) -> str:
    """Return the text with a slip in so large a share of its words.

    Parameters
    ----------
    share
        In 0 … 1, of the words of four letters and more; the number is rounded, and where it says anything above 0, at
        least one word is hit if there is one.
    seed
        The same text and seed have the same slips, wherever the text stands; a larger share has those of a smaller.

    Notes
    -----
    A slip is one of four: two neighbouring letters swapped, one left out, one doubled, or one that became another
    letter of the text. The first letter of a word stays, as it does in most that people write.

    >>> disturbed("The letters are written.", 0.5)
    'The lettrs are written.'
    """
    words = list(_WORD.finditer(text))
    if not words or share <= 0:
        return text
    random = Random(f"{seed} {text}")
    letters = sorted({letter for word in words for letter in word[0].lower()})
    slips = [(word, _slip(word[0], letters, random)) for word in random.sample(words, len(words))]
    hit = slips[: max(1, round(share * len(words)))]
    for word, wrong in sorted(hit, key=lambda slip: -slip[0].start()):
        text = text[: word.start()] + wrong + text[word.end() :]
    return text


def _slip(word: str, letters: list[str], random: Random) -> str:
    """Return another word that is one slip away."""
    ways = [_swap, _drop, _double, _replace]
    for way in random.sample(ways, len(ways)):
        for place in random.sample(range(1, len(word)), len(word) - 1):
            wrong = way(word, place, random.choice(letters))
            if wrong != word:
                return wrong
    raise AssertionError("a letter that is left out makes another word")


def _swap(word: str, place: int, letter: str) -> str:
    return word[:place] + word[place : place + 2][::-1] + word[place + 2 :]


def _drop(word: str, place: int, letter: str) -> str:
    return word[:place] + word[place + 1 :]


def _double(word: str, place: int, letter: str) -> str:
    return word[: place + 1] + word[place:]


def _replace(word: str, place: int, letter: str) -> str:
    return word[:place] + letter + word[place + 1 :]
