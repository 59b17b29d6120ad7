"""Words that nobody has met: a lemma with another beginning and its own ending, in all of its forms alike.

A language has more words than a lexicon. Whoever learns to correct from a few hundred lemmas takes any other word for a
misspelling of one of them; among disguised ones it learns to keep what it does not know, and to mind its ending.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from random import Random

from stillroom.language.grammar.words import Word

ENDING = 3  # letters that stay: they tell gender and conjugation
CHANGED = 0.5  # of the new beginnings have a letter that no lemma has there
_TOKEN = re.compile(r"[^\W\d_]+")
_VOWELS, _CONSONANTS = "aeiouáéíóúàâèêîôûäöü", "bcdfglmnprstv"


def disguised(words: Sequence[Word], lemma: str, others: Sequence[str], random: Random) -> tuple[Word, ...]:
    """Return a slot's words with another beginning of the lemma, in their right and wrong forms alike.

    The first letter stays ("an apple", "l'homme"), and what follows is the middle of one of `others`, now and then
    with a letter changed. A lemma whose forms do not begin alike (go, went) stays as it is.
    """
    forms = [[word.text, *filter(None, (form for wrong in word.wrong.values() for form in wrong))] for word in words]
    found = [[[token for token in _TOKEN.findall(form) if _of(lemma, token)] for form in one] for one in forms]
    if any(any(one) and not all(one) for one in found):
        return tuple(words)
    alike = [lemma, *(token for one in found for tokens in one for token in tokens)]
    stem = takewhile(lambda letters: len(set(letters)) == 1, zip(*alike, strict=False))
    cut = min(sum(1 for _ in stem), max(2, len(lemma) - ENDING))
    new = beginning(lemma, cut, others, random)

    def other(text: str) -> str:
        return _TOKEN.sub(lambda token: new + token[0][cut:] if _of(lemma, token[0]) else token[0], text)

    return tuple(
        replace(word, text=other(word.text), wrong={kind: tuple(map(other, bad)) for kind, bad in word.wrong.items()})
        for word in words
    )


def beginning(word: str, cut: int, others: Sequence[str], random: Random) -> str:
    """Return another beginning for a word, in place of its first `cut` letters: its own first letter, and the middle of
    one of `others` that begins as it does, with a vowel or a consonant.
    """
    like = [one for one in others if one.isalpha() and (one[0].lower() in _VOWELS) == (word[0].lower() in _VOWELS)]
    middle = random.choice(like or [word])[1 : max(2, cut + random.randint(-1, 1))].lower()
    if random.random() < CHANGED:
        place = random.randrange(len(middle))
        letters = _VOWELS[:5] if middle[place] in _VOWELS else _CONSONANTS  # plain ones
        middle = middle[:place] + random.choice(letters) + middle[place + 1 :]
    return word[0] + middle


def _of(lemma: str, token: str) -> bool:
    """Whether a token is a form of the lemma, and no article that happens to begin like it."""
    return token.startswith(lemma[:3]) and len(token) >= max(3, len(lemma) - ENDING)
