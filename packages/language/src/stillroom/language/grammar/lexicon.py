"""A language's lemmas and patterns: read from its file, and divided once and for all into three parts.

A third of the lemmas and a third of the patterns are for testing alone; a tenth, for choosing; the rest, for training.
Which is which depends on a hash of the lemma or pattern, so adding one moves few others. It knows no grammar.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, Literal

from stillroom.language.grammar.pattern import Pattern, Slot, parse
from stillroom.language.grammar.words import Word

Part = Literal["train", "choose", "test", "all"]
"""`all`: every lemma and pattern, those of the other three."""


@dataclass(frozen=True)
class Entry:
    """A lemma of a class, and the fields that its language's rules need (`lemma|field|field` in the file)."""

    cls: str
    lemma: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Phrase:
    """What a slot became: its words, and the features that other slots may agree with."""

    words: tuple[Word, ...]
    features: Mapping[str, Any] = field(default_factory=dict)


Realise = Callable[[Slot, Entry | None, Mapping[str, Phrase], Random], Phrase]
"""realise(slot, its entry or None for a class without lemmas, the phrases so far by name, random) -> its phrase."""


@dataclass(frozen=True, eq=False)
class Language:
    """A language.

    Parameters
    ----------
    code
        `en`, `fr`, …
    lexicon
        Entries by class.
    patterns
        The sentence patterns.
    confusions
        By kind of mistake, groups of words that learners confuse (the articles, the prepositions): for noise.
    realise
        How a slot becomes words.
    forms
        All forms of an entry, the lemma's own included: for noise.
    """

    code: str
    lexicon: Mapping[str, tuple[Entry, ...]]
    patterns: tuple[Pattern, ...]
    confusions: Mapping[str, tuple[tuple[str, ...], ...]]
    realise: Realise
    forms: Callable[[Entry], tuple[str, ...]]

    @property
    def lemmas(self) -> list[str]:
        """Every lemma, once."""
        return list(dict.fromkeys(entry.lemma for entries in self.lexicon.values() for entry in entries))

    @cache  # noqa: B019 - there are four languages, and they live as long as the process
    def part(self, part: Part) -> tuple[dict[str, tuple[Entry, ...]], tuple[Pattern, ...], tuple[int, ...]]:
        """Return the entries by class, the patterns and the patterns' numbers of one part."""
        if part == "all":
            return dict(self.lexicon), self.patterns, tuple(range(len(self.patterns)))
        lemmas: dict[str, Part] = {}
        for entries in self.lexicon.values():
            fresh = list(dict.fromkeys(entry.lemma for entry in entries if entry.lemma not in lemmas))
            lemmas |= divided(fresh)
        patterns = divided([repr(pattern) for pattern in self.patterns])
        numbers = tuple(n for n, pattern in enumerate(self.patterns) if patterns[repr(pattern)] == part)
        return (
            {c: tuple(e for e in entries if lemmas[e.lemma] == part) for c, entries in self.lexicon.items()},
            tuple(self.patterns[number] for number in numbers),
            numbers,
        )


def divided(names: Sequence[str]) -> dict[str, Part]:
    """Assign each name to a part: a third to test, a tenth to choose, rounded up, by rank of its hash."""
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    bounds = -(-len(ranked) // 3), -(-len(ranked) // 3) + -(-len(ranked) // 10)
    return {n: "test" if i < bounds[0] else "choose" if i < bounds[1] else "train" for i, n in enumerate(ranked)}


def read(code: str, realise: Realise, forms: Callable[[Entry], tuple[str, ...]]) -> Language:
    """Read `data/CODE.yaml`: `lexicon` (class -> entries), `patterns`, `confusions`."""
    import yaml

    content = yaml.safe_load(files(__package__).joinpath(f"data/{code}.yaml").read_text(encoding="utf-8"))
    lexicon = {
        cls: tuple(Entry(cls, lemma, tuple(fields)) for lemma, *fields in (entry.split("|") for entry in entries))
        for cls, entries in content["lexicon"].items()
    }
    confusions = {kind: tuple(tuple(group) for group in groups) for kind, groups in content["confusions"].items()}
    return Language(code, lexicon, tuple(map(parse, content["patterns"])), confusions, realise, forms)
