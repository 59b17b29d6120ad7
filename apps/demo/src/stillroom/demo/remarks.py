"""Remarks that a café's guests might leave, made from lists of words, with the class of each.

A third of the words and of the patterns is kept for later: nobody who learned from the early remarks has met them. Real
guests write longer, vaguer and worse; what is learned here is good for these remarks alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CLASSES = ("food", "service", "room")
MONEY = "money"  # a topic of its own, whose class is a matter of the house
THINGS = {
    "food": "soup bread coffee omelette salad cake sandwich stew tea porridge risotto lemonade cheesecake lasagne pie",
    "service": "waiter waitress barista host staff manager team bartender porter helper usher trainee crew server maid",
    "room": "table chair music heating terrace lighting bathroom corner carpet window sofa balcony garden ceiling rug",
    "money": "bill price total charge discount surcharge tip fee deposit receipt voucher refund invoice cost change",
}
QUALITIES = {
    "food": "burnt stale salty delicious undercooked fresh bland tasty soggy watery crisp spicy",
    "service": "rude friendly forgetful attentive impolite patient distracted helpful grumpy charming clumsy curt",
    "room": "noisy draughty cramped cosy dirty dark wobbly spotless stuffy sticky airy chilly",
    "money": "high wrong doubled unfair overpriced reasonable excessive low steep inflated miscalculated exorbitant",
}
PATTERNS = (  # {other} is a thing of another topic, named on the way
    "The {thing} was {quality}.",
    "We found the {thing} {quality}.",
    "I must say the {thing} was {quality}.",
    "Sadly the {thing} was {quality} again.",
    "My friends came for the {other}, but the {thing} was {quality}.",
    "Last Sunday the {thing} was {quality}, and my aunt said so too.",
    "The {thing} was {quality} and the next {thing2} just as {quality2}.",
    "Nothing to say of the {other}, only the {thing} was {quality}.",
    "Why is the {thing} always so {quality}?",
    "For my taste the {thing} was a little {quality}.",
    "Honestly, {quality} is the word for the {thing}.",
    "Never mind the {other}: the {thing} was {quality}.",
    "Has anybody told you that the {thing} is {quality}?",
    "After the {other} came the {thing}, which we thought {quality}.",
    "So {quality}, this {thing}!",
)


@dataclass(frozen=True)
class Remark:
    """What a guest wrote, and whether it is about food, service, room or money."""

    text: str
    topic: str

    def answer(self, money: str) -> str:
        """Return its class, where remarks about money belong to the class `money`."""
        return money if self.topic == MONEY else self.topic


def remarks(seed: int, *, later: bool = False, slips: float = 0.0) -> Iterator[Remark]:
    """Yield remarks without end, no two alike.

    Parameters
    ----------
    later
        Draw from all words and patterns, not from the first two thirds.
    slips
        Share of words whose letters are mixed up: who learns from them learns to do without a word it cannot read.
    """
    draw = np.random.default_rng(seed)
    seen: set[str] = set()

    def pick(words: Sequence[str]) -> str:
        return str(draw.choice(np.array(words if later else words[: len(words) * 2 // 3])))

    while True:
        topic, other = draw.permutation(list(THINGS))[:2]
        things, qualities = THINGS[topic].split(), QUALITIES[topic].split()
        text = pick(PATTERNS).format(
            thing=pick(things), quality=pick(qualities), thing2=pick(things), quality2=pick(qualities),
            other=pick(THINGS[other].split()),
        )  # fmt: skip
        if slips:
            text = " ".join("".join(draw.permutation([*w])) if draw.random() < slips else w for w in text.split())
        if text not in seen:
            seen.add(text)
            yield Remark(text, str(topic))
