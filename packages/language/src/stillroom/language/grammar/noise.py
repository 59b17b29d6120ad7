"""The generator's kinds of mistakes put into other people's sentences, which are of far more patterns than its own.

What learners confuse, the language tells; how words inflect, the text itself: words that share a stem and differ in a
short ending. A text of a language that the generator does not speak has the latter alone. What comes out is often, not
always, recoverable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from stillroom.language.grammar.generate import language
from stillroom.language.grammar.mistakes import SHARES, SHORTEST, misspelt

_WORD = re.compile(r"[^\W\d_]+(?:['’](?=\s|$))?")
STEM, ENDING = 3, 3  # fewest letters that two forms share, and most that either has beyond them
TWICE = 2  # times that a word must be met: names and slips are met once
FREQUENT = 80  # words of a text that get lost and slip in: articles, prepositions, pronouns, …


@dataclass(frozen=True, eq=False)
class Noise:
    """What may go wrong in a text.

    Parameters
    ----------
    confused
        For a word in lower case, what learners write in its place; "" leaves it out.
    forms
        For a word in lower case, other forms of it.
    frequent
        Words that get lost and slip in.
    nouns
        Whether nouns have capitals, which learners forget.
    """

    confused: Mapping[str, tuple[str, ...]]
    forms: Mapping[str, tuple[str, ...]]
    frequent: Sequence[str]
    nouns: bool = False

    def spoil(self, text: str, random: Random, shares: Sequence[float] = SHARES) -> str:
        """Return the text with mistakes: `shares` says how often none, one, two, …"""
        for _ in range(random.choices(range(len(shares)), shares)[0]):
            for way in random.sample(_WAYS, len(_WAYS)):  # the first that the text has a place for
                spoilt = way(self, text, random)
                if spoilt not in ("", text):
                    text = _capital(spoilt, text)
                    break
        return text


def _confuse(noise: Noise, text: str, random: Random) -> str:
    return _replaced(text, noise.confused, random)


def _inflect(noise: Noise, text: str, random: Random) -> str:
    return _replaced(text, noise.forms, random)


def _replaced(text: str, others: Mapping[str, tuple[str, ...]], random: Random) -> str:
    words = [word for word in _WORD.finditer(text) if word[0].lower() in others]
    if not words:
        return text
    word = random.choice(words)
    other = random.choice(others[word[0].lower()])
    if not other and not any(word.span() == one.span() for one in _losable(text)):
        return text
    other = other[:1].upper() + other[1:] if word[0][0].isupper() else other
    return _put(text, word, other)


def _misspell(noise: Noise, text: str, random: Random) -> str:
    words = [word for word in _WORD.finditer(text) if len(word[0]) >= SHORTEST and word[0].isalpha()]
    if not words:
        return text
    word = random.choice(words)
    return _put(text, word, misspelt(word[0], random))


def _swap(noise: Noise, text: str, random: Random) -> str:
    words = list(_WORD.finditer(text))
    if len(words) < 4:
        return text
    first = random.randrange(1, len(words) - 1)
    one, two = words[first], words[first + 1]
    if text[one.end() : two.start()] != " ":
        return text
    return f"{text[: one.start()]}{two[0]} {one[0]}{text[two.end() :]}"


def _lose_mark(noise: Noise, text: str, random: Random) -> str:
    marks = [
        place for place, letter in enumerate(text) if letter == "," or (letter in ".?!" and place == len(text) - 1)
    ]
    if not marks:
        return text
    place = random.choice(marks)
    return (text[:place] + text[place + 1 :]).rstrip()


def _lose_word(noise: Noise, text: str, random: Random) -> str:
    words = [word for word in _losable(text) if word[0].lower() in noise.frequent]
    return _put(text, random.choice(words), "") if words else text


def _add_word(noise: Noise, text: str, random: Random) -> str:
    gaps = [place for place, letter in enumerate(text) if letter == " "]
    if not gaps or not noise.frequent:
        return text
    place = random.choice(gaps)
    return f"{text[:place]} {random.choice(noise.frequent)}{text[place:]}"


def _lower(noise: Noise, text: str, random: Random) -> str:
    words = [word for word in _WORD.finditer(text) if word.start() and word[0][0].isupper()]
    if not (noise.nouns and words):
        return text
    word = random.choice(words)
    return _put(text, word, word[0].lower())


_WAYS: tuple[Callable[[Noise, str, Random], str], ...] = (
    _confuse, _inflect, _inflect, _misspell, _swap, _lose_mark, _lose_word, _add_word, _lower
)  # fmt: skip


def _losable(text: str) -> list[re.Match[str]]:
    """Words that leave no trace: a blank follows them, and before a mark none would be left over."""
    return [word for word in _WORD.finditer(text) if text[word.end() : word.end() + 1] == " "]


def _put(text: str, word: re.Match[str], other: str) -> str:
    end = word.end() + (not other and text[word.end() : word.end() + 1] == " ")
    return text[: word.start()] + other + text[end:]


def _capital(text: str, like: str) -> str:
    """A sentence that lost its first word still begins as it did."""
    return text[:1].upper() + text[1:] if like[:1].isupper() else text


def noise(lines: Iterable[str], code: str | None = None) -> Noise:
    """Return the noise of a text.

    Parameters
    ----------
    lines
        The text.
    code
        Its language, if the generator speaks it: adds what its learners confuse, and the forms of its lemmas of the
        training part.
    """
    counts = Counter(word.lower() for line in lines for word in _WORD.findall(line))
    forms = inflected([word for word, count in counts.items() if count >= TWICE and word.isalpha()])
    confused: dict[str, set[str]] = {}
    if code is not None:
        speech = language(code)
        for kind, groups in speech.confusions.items():
            left_out = {""} if kind in ("article", "preposition") else set()
            for group in groups:
                for word in group:
                    confused.setdefault(word.lower(), set()).update({*group, *left_out} - {word})
        for entry in (entry for entries in speech.part("train")[0].values() for entry in entries):
            own = {form.lower() for form in speech.forms(entry)}
            for form in own:
                forms.setdefault(form, set()).update(own - {form})
    return Noise(_sorted(confused), _sorted(forms), [word for word, _ in counts.most_common(FREQUENT)], code == "de")


def inflected(words: Iterable[str]) -> dict[str, set[str]]:
    """Return for each word those that look like other forms of it: one stem, two short endings.

    >>> sorted(inflected(["walk", "walks", "walked", "wall"])["walk"])
    ['walked', 'walks']
    """
    by_stem: dict[str, set[str]] = {}
    for word in words:
        for cut in range(max(STEM, len(word) - ENDING), len(word) + 1):
            by_stem.setdefault(word[:cut], set()).add(word)
    found: dict[str, set[str]] = {}
    for word in {word for group in by_stem.values() for word in group}:
        # the longest stem that it shares with another: "walk" with "walks", and not "wal" with "wall"
        stems = [word[:cut] for cut in range(len(word), max(STEM, len(word) - ENDING) - 1, -1)]
        shared = next((by_stem[stem] for stem in stems if len(by_stem[stem]) > 1), set())
        if len(shared) > 1:
            found[word] = shared - {word}
    return found


def _sorted(words: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    return {word: tuple(sorted(others)) for word, others in words.items() if others}
