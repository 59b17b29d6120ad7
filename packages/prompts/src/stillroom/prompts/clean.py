"""Clean text with soft labels that teach what answers are made of.

People who delete words are few and write English; but names, numbers with their units and rare words are what answers
are made of in any language (Rajpurkar et al. 2016, table 2: of SQuAD's answers a fifth are numbers and dates, a third
names, a third common noun phrases). So clean text is labelled by rule: next to nothing for punctuation and
stop-words, more for a word the rarer it is, most for names, what links their parts, and numbers with their units. A
model learns from them what a counter cannot know: the same of words it never met, in places it knows.

It reads the folder STILLROOM_DATA; it knows capitals and counts, and no grammar.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from stillroom.core.errors import DataError
from stillroom.prompts.corpora import lines
from stillroom.prompts.detokenise import detokenise
from stillroom.prompts.examples import Example
from stillroom.prompts.usage import Usage, firsts, written
from stillroom.prompts.words import PUNCTUATION, split

WIKI = "wiki"
LANGUAGES = ("en", "de", "fr", "es", "it", "pt")
HELD_OUT = 20  # one text in so many is val, by its hash
PUNCTUATED, NAME, NUMBER, UNIT, LINK = 0.05, 0.92, 0.95, 0.85, 0.85
COMMON, RARE = 0.06, 0.85  # of other words: those in one of 20 sentences, and those in one of all
FREQUENT = 3.0  # ln(20), the idf of the former
NOUN = 0.15  # what a capital adds in German, where it is every noun's
WORTH = 0.25  # a phrase is a run of words above it
LINKS = frozenset("of the de la le les du des van der den del los las el & di da do".split())  # fmt: skip  # noqa: SIM905


def load(name: str, split: str) -> Iterator[Example]:
    """Yield clean text with soft labels.

    Parameters
    ----------
    name
        A language: sentences of Common Voice, for English also of EWT. Or `wiki`: paragraphs of WikiText-2 (en).
    split
        "train" or "val".

    Raises
    ------
    DataError
        No such language or split.
    MissingError
        STILLROOM_DATA is not set, or the data is not there.
    """
    if name not in (*LANGUAGES, WIKI):
        raise DataError(f"there is no clean text {name!r}, only {', '.join(LANGUAGES)} and {WIKI}")
    if split not in ("train", "val"):
        raise DataError(f"clean text has no split {split!r}; it has train and val")
    language = "en" if name == WIKI else name
    known = usage(language)
    return (
        Example(text, *labels(text, known, language), f"clean_{name}", language)
        for text in (paragraphs(known) if name == WIKI else sentences(language))
        if (hashlib.sha256(text.encode()).digest()[0] % HELD_OUT == 0) == (split == "val")
    )


@lru_cache(maxsize=len(LANGUAGES))
def usage(language: str) -> Usage:
    """Return how clean sentences of a language use words."""
    return Usage.learn(sentences(language))


def sentences(language: str) -> Iterator[str]:
    """Yield clean sentences of a language that are longer than three words."""
    for name in (f"common_voice.{language}", *(["ud_en_ewt"] if language == "en" else [])):
        yield from (text for text in _plain(f"clean/{name}.txt.gz") if text.count(" ") > 2)


def paragraphs(known: Usage) -> Iterator[str]:
    """Yield the paragraphs of WikiText-2 as running text; where it has `<unk>`, some rare word stands in."""
    seldom = [word for word, count in known.frequency.items() if count <= 2 and len(word) > 3 and word.isalpha()]
    rare = [word.title() if known.capital.get(word, 0.0) > 0.5 else word for word in seldom]
    for line in (*_plain("clean/wikitext2.valid.txt.gz"), *_plain("clean/wikitext2.test.txt.gz")):
        if not line.startswith("=") and line.count(" ") > 2:
            chance = random.Random(line)
            tokens = re.sub(r" @(.)@ ", r"\1", line).split()
            yield detokenise([chance.choice(rare) if token == "<unk>" else token for token in tokens])[0]


def labels(text: str, known: Usage, language: str | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return start, end and soft label of the words of a text: (words,) each.

    A word below the mean of its phrase is then raised half-way to it: an answer is of use only if all of it is kept.
    """
    words = split(text)
    forms = written(words)
    capital = _capitals(forms, known)
    rarest = math.log(max(known.sentences, 2))
    label = np.empty(len(forms))
    for at, (form, kind) in enumerate(zip(forms, words.kind.tolist(), strict=True)):
        counted = at > 0 and forms[at - 1][-1].isdigit()
        if any(map(str.isdigit, form)):
            label[at] = NUMBER
        elif kind == PUNCTUATION:
            label[at] = UNIT if counted and form in "%°" else PUNCTUATED
        elif capital[at] and language != "de":
            label[at] = NAME
        elif language != "de" and _links(forms, capital, at):
            label[at] = LINK
        else:
            rarity = min(max((known.idf(form) - FREQUENT) / (rarest - FREQUENT), 0.0), 1.0)
            value = min(COMMON + (RARE - COMMON) * rarity + NOUN * capital[at], NAME)
            label[at] = max(value, UNIT) if counted and value > WORTH else value
    worth = label > WORTH
    phrase = np.cumsum(np.diff(worth, prepend=False))
    mean = np.bincount(phrase, label) / np.maximum(np.bincount(phrase), 1) if len(label) else label
    return words.start, words.end, np.where(worth, np.maximum(label, (label + mean[phrase]) / 2), label).astype("f4")


def _capitals(forms: list[str], known: Usage) -> list[bool]:
    """Which words are written with a capital for their own sake; the first of a sentence if it mostly is elsewhere."""
    return [
        form[0].isupper()
        and form.lower() not in known.stop_words
        and (not first or known.capital.get(form.lower(), 0.0) > 0.5)
        for form, first in zip(forms, firsts(forms), strict=True)
    ]


def _links(forms: list[str], capital: list[bool], at: int) -> bool:
    """Whether a stop-word joins two words of a name: University of the Arts."""
    before, after = at, at
    while before > 0 and forms[before].lower() in LINKS and not capital[before]:
        before -= 1
    while after < len(forms) - 1 and forms[after].lower() in LINKS and not capital[after]:
        after += 1
    return before < at < after and capital[before] and capital[after]


def _plain(name: str) -> Iterator[str]:
    return filter(None, map(str.strip, lines(name)))
