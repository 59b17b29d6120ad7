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

from stillroom.language.grammar.mistakes import SHORTEST, misspelt

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
    A slip is one of three: two neighbouring letters swapped, one left out, or one doubled. The first letter of a word
    stays, as it does in most that people write.

    >>> disturbed("The letters are written.", 0.5)
    'The lettesr are written.'
    """
    words = list(_WORD.finditer(text))
    if not words or share <= 0:
        return text
    random = Random(f"{seed} {text}")
    slips = [(word, misspelt(word[0], random)) for word in random.sample(words, len(words))]
    hit = slips[: max(1, round(share * len(words)))]
    for word, wrong in sorted(hit, key=lambda slip: -slip[0].start()):
        text = text[: word.start()] + wrong + text[word.end() :]
    return text
