"""Exact match: is the prediction one of the references?

`strict` compares texts as they are; `normalised` overlooks how characters were typed: their Unicode form, white space,
and which quotes, apostrophes and dashes. Case and punctuation count in both. Neither knows what a text says.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

from stillroom.language.scored import Predictions, References, Scored, mean, several

_PLAIN = {
    **dict.fromkeys("“”„‟«»″〃＂", '"'),
    **dict.fromkeys("‘’‚‛‹›′ʹʼ`´", "'"),
    **dict.fromkeys("‐‑‒–—―−", "-"),
}
_TYPED = re.compile(f"[{''.join(_PLAIN)}]")


def normalise(text: str) -> str:
    """Return a text in NFKC, with single spaces, none outside, and plain quotes, apostrophes and dashes.

    Compatibility forms become plain ones: `ﬁ` is fi, `…` is three dots, `²` is 2.
    """
    text = unicodedata.normalize("NFKC", _plain(text))  # before it, as NFKC parts ´ into a space and a mark
    return " ".join(_plain(text).split())  # and after, as it makes some of them, such as the minus of ⁻


def _plain(text: str) -> str:
    return _TYPED.sub(lambda found: _PLAIN[found[0]], text)


def strict(predictions: Predictions, references: References, sources: Sequence[str] = ()) -> Scored:
    """Return the share of predictions that are, character by character, one of their references."""
    return _share(predictions, references, lambda text: text)


def normalised(predictions: Predictions, references: References, sources: Sequence[str] = ()) -> Scored:
    """Return the share of predictions that are one of their references once both are normalised (see `normalise`)."""
    return _share(predictions, references, normalise)


def _share(predictions: Predictions, references: References, form: Callable[[str], str]) -> Scored:
    pairs = zip(predictions, several(predictions, references), strict=True)
    return mean([said is not None and form(said) in map(form, right) for said, right in pairs])
