"""Which mistakes a sentence gets: none, one, two or more, of kinds drawn alike, at places drawn alike.

It works on words with their possible mistakes and knows no language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from stillroom.language.grammar.words import CLOSING, Word, sentence

SHARES = (0.12, 0.6, 0.28)
"""How often a sentence has none, one, two mistakes: about one in eight is right as it is, as in a learner's text."""

SHORTEST = 4  # letters of a word that may be misspelt: "to" for "ot" could be anything


@dataclass(frozen=True)
class Site:
    """A mistake that could be made: its kind, the words [start, end) that it touches, and what stands there then."""

    kind: str
    start: int
    end: int
    texts: tuple[str, ...]


def sites(words: Sequence[Word], random: Random) -> list[Site]:
    """List the mistakes that these words allow; of misspellings, one a word."""
    found = []
    for place, word in enumerate(words):
        for kind, forms in word.wrong.items():
            found += [Site(kind, place, place + 1, (form,)) for form in forms if form != word.text]
        if word.swaps and place + 1 < len(words):
            found.append(Site("word_order", place, place + 2, (words[place + 1].text, word.text)))
        if word.text == "," or (word.text and word.text in CLOSING and place == len(words) - 1):
            found.append(Site("punctuation", place, place + 1, ("",)))
        elif word.spellable and word.text.isalpha() and len(word.text) >= SHORTEST:
            found.append(Site("spelling", place, place + 1, (misspelt(word.text, random),)))
    return found


def misspelt(word: str, random: Random) -> str:
    """Return a word with two letters swapped, one dropped, or one doubled; the first stays."""
    for _ in range(20):
        place = random.randrange(1, len(word) - 1)
        way = random.choice(("swap", "drop", "double"))
        if way == "swap":
            wrong = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        elif way == "drop":
            wrong = word[:place] + word[place + 1 :]
        else:
            wrong = word[: place + 1] + word[place:]
        if wrong != word:
            return wrong
    return word + word[-1]


def spoil(words: Sequence[Word], random: Random, shares: Sequence[float] = SHARES) -> tuple[str, tuple[str, ...]]:
    """Return the sentence with its mistakes (fewer where it has no more places), and their kinds in their order."""
    wanted = random.choices(range(len(shares)), shares)[0]
    possible = sites(words, random)
    made: list[Site] = []
    while possible and len(made) < wanted:
        kind = random.choice(sorted({site.kind for site in possible}))
        site = random.choice([site for site in possible if site.kind == kind])
        made.append(site)
        # a mistake beside another could hide it, or give away less than the reader needs
        possible = [s for s in possible if s.end < site.start or s.start > site.end]
    texts: list[str] = []
    made.sort(key=lambda site: site.start)
    place = 0
    for site in made:
        texts += [word.text for word in words[place : site.start]] + list(site.texts)
        place = site.end
    texts += [word.text for word in words[place:]]
    return sentence(texts), tuple(site.kind for site in made)
