"""The notation in which sentence patterns are written.

    every morning , {n:person.the} [goes|agreement:go] ~ often [to|preposition:at,-] {place.the} .

Items stand apart by blanks:

- a fixed word, written small unless it is a name (`_` for a blank within it); the sentence gets its capital later;
- `[right|kind:wrong,wrong|kind:wrong]`, a fixed word and what would be a mistake in its place; `-` leaves it out;
- `{name:class.feature.feature>controller}`, a slot: a lemma of a class of the lexicon in a form that the features ask
  for and that agrees with an earlier slot, the controller. Name, features and controller may be missing;
- `~`, which says that its two neighbours in the other order would be a mistake;
- a mark of punctuation.

What classes and features there are, each language decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stillroom.language.grammar.words import KINDS, Word

_SLOT = re.compile(r"\{(?:(?P<name>\w+):)?(?P<cls>\w+)(?P<features>(?:\.\w+)*)(?:>(?P<controller>\w+))?\}")


@dataclass(frozen=True)
class Slot:
    """A place for a lemma: its name, the class of the lexicon, what form is asked for, and with whom it agrees."""

    name: str
    cls: str
    features: tuple[str, ...] = ()
    controller: str | None = None
    swaps: bool = False


Pattern = tuple[Word | Slot, ...]


def parse(text: str) -> Pattern:
    """Read a pattern.

    Raises
    ------
    ValueError
        An item that is none, or a controller that does not come before its slot.
    """
    items: list[Word | Slot] = []
    names: set[str] = set()
    texts = text.split()
    for place, item in enumerate(texts):
        if item == "~":
            continue
        swaps = texts[place + 1 : place + 2] == ["~"]
        if item.startswith("{"):
            found = _SLOT.fullmatch(item)
            if found is None:
                raise ValueError(f"{item} is no slot, in {text!r}")
            name, features = found["name"] or f"_{place}", tuple(filter(None, found["features"].split(".")))
            if found["controller"] and found["controller"] not in names:
                raise ValueError(f"{item} agrees with a slot that does not come before it, in {text!r}")
            names.add(name)
            items.append(Slot(name, found["cls"], features, found["controller"], swaps))
        elif item.startswith("["):
            items.append(_fixed(item, swaps, text))
        else:
            items.append(Word(item.replace("_", " "), swaps=swaps, spellable=True))
    return tuple(items)


def _fixed(item: str, swaps: bool, text: str) -> Word:
    right, *mistakes = item[1:-1].replace("_", " ").split("|")
    wrong = {}
    for mistake in mistakes:
        kind, _, forms = mistake.partition(":")
        if kind.replace(" ", "_") not in KINDS or not forms or not item.endswith("]"):
            raise ValueError(f"{item} is no word with its mistakes, in {text!r}")
        wrong[kind.replace(" ", "_")] = tuple("" if form == "-" else form for form in forms.split(","))
    return Word(right, wrong, swaps, spellable=True)
