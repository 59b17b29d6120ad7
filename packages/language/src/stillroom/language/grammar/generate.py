"""Pairs of a sentence with mistakes and its correction: numbered, seeded, each part from its own lemmas and patterns.

Pair k of a seed, part and language is the same pair whoever asks. It trains nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from random import Random
from typing import cast, get_args

from stillroom.core.errors import RecipeError
from stillroom.language.grammar.disguise import disguised
from stillroom.language.grammar.lexicon import Language, Part, Phrase
from stillroom.language.grammar.mistakes import SHARES, spoil
from stillroom.language.grammar.pattern import Slot
from stillroom.language.grammar.words import Word, sentence

LANGUAGES = {"en": "english", "fr": "french", "de": "german", "es": "spanish"}
"""The module of each language by its code."""


@dataclass(frozen=True)
class Pair:
    """A sentence with mistakes and its correction.

    Attributes
    ----------
    source, target
        With mistakes (the same as the target where `kinds` is empty), and without.
    language
        Its code.
    kinds
        The kinds of the mistakes, in the order of their places.
    pattern
        The number of its pattern.
    lemmas
        The lemmas in its slots.
    """

    source: str
    target: str
    language: str
    kinds: tuple[str, ...]
    pattern: int
    lemmas: tuple[str, ...]


@cache
def language(code: str) -> Language:
    """Load a language by its code."""
    loaded: Language = import_module(f"{__package__}.{LANGUAGES[code]}").LANGUAGE
    return loaded


def pairs(languages: Sequence[str] = tuple(LANGUAGES), part: Part = "train", seed: int = 0) -> Iterator[Pair]:
    """Yield pairs without end, the languages taking turns.

    Parameters
    ----------
    part
        `train`, `choose` or `test`: each has lemmas and patterns that no other part has (see `lexicon`); or `all`: of
        its lemmas and patterns a third are of the part `test`, and no sentence to learn from has them.
    seed
        Of everything drawn; a pair depends on it, the part, the language and its number alone.
    """
    number = 0
    while True:
        for code in languages:
            yield pair(code, part, seed, number)
        number += 1


def pair(
    code: str, part: Part, seed: int, number: int, shares: Sequence[float] = SHARES, disguise: float = 0.0
) -> Pair:
    """Return pair `number` of a language, part and seed.

    Parameters
    ----------
    shares
        How often it has no mistake, one, two, …
    disguise
        The share of the sentences whose lemmas get another beginning (see `disguise`): words that no lexicon has.
    """
    speech = language(code)
    random = Random(f"{code} {part} {seed} {number}")  # a text is hashed with SHA-512, the same everywhere
    _, patterns, numbers = speech.part(part)
    place = random.randrange(len(patterns))
    hidden = disguise > 0 and random.random() < disguise
    words, lemmas = realised(speech, part, patterns[place], random, hidden)
    source, kinds = spoil(words, random, shares)
    target = sentence([word.text for word in words])
    return Pair(source, target, code, kinds, numbers[place], lemmas)


def realised(
    speech: Language, part: Part, pattern: Sequence[Word | Slot], random: Random, hidden: bool = False
) -> tuple[list[Word], tuple[str, ...]]:
    """Fill a pattern's slots with lemmas of a part, disguised if `hidden`; return its words and the lemmas."""
    entries = speech.part(part)[0]
    phrases: dict[str, Phrase] = {}
    words: list[Word] = []
    lemmas: list[str] = []
    for item in pattern:
        if isinstance(item, Word):
            words.append(item)
            continue
        free = [entry for entry in entries.get(item.cls, ()) if entry.lemma not in lemmas]
        entry = random.choice(free) if free else None
        if entry is not None:
            lemmas.append(entry.lemma)
        phrase = speech.realise(item, entry, phrases, random)
        phrases[item.name] = phrase
        made = phrase.words
        if entry is not None and hidden:
            made = disguised(made, entry.lemma, [one.lemma for one in entries[item.cls]], random)
        *front, last = made
        swapping = Word(last.text, last.wrong, item.swaps or last.swaps, last.spellable)
        words += [*front, swapping]
    return words, tuple(lemmas)


def distinct(count: int, languages: Sequence[str] | None = None, part: str = "train", seed: int = 0) -> list[Pair]:
    """Return so many pairs with sources of their own.

    Raises
    ------
    RecipeError
        There is no such language or part, or a count below 1.
    """
    if count < 1:
        raise RecipeError(f"{count} pairs are none: give a number from 1")
    codes = tuple(languages or LANGUAGES)
    if unknown := [code for code in codes if code not in LANGUAGES]:
        raise RecipeError(f"there is no grammar of {unknown[0]!r}: there are {', '.join(LANGUAGES)}")
    if part not in get_args(Part):
        raise RecipeError(f"there is no part {part!r}: there are {', '.join(get_args(Part))}")
    found: dict[str, Pair] = {}
    for one in pairs(codes, cast(Part, part), seed):
        found.setdefault(one.source, one)
        if len(found) == count:
            break
    return list(found.values())
