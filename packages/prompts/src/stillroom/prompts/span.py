"""A stretch of a text and how much of it is to stay; and the whole words that a stretch touches."""

from __future__ import annotations

import re
from typing import NamedTuple

LETTERS = "0-9A-Za-z_ª²³µ¹ºÀ-\u0dff\u1e00-\u1fff\uac00-\ud7a3"  # of scripts that put spaces between words
_AFTER = re.compile(f"(?:[{LETTERS}]|[-‐'’._@/&+=](?=[{LETTERS}]))*+")
_BEFORE = re.compile(f"(?:[{LETTERS}]|[-‐'’._@/&+=]++(?=[{LETTERS}]))*+")  # read backwards


class Span(NamedTuple):
    """The characters from `start` to before `end`, and what is to happen to them.

    Parameters
    ----------
    rate
        None: they stay as they are. A number: the share of their tokens to keep. Where both apply, they stay.
    reason
        The kind of protection that asked for it, in a word.
    """

    start: int
    end: int
    rate: float | None = None
    reason: str = ""


def whole(text: str, start: int, end: int) -> tuple[int, int]:
    """Widen a stretch to the whole words at its two ends: n'est, don't, GPT-4, 3D-printed. Up to 32 characters each."""
    if start and not text[start - 1].isspace():
        start -= _BEFORE.match(text[max(0, start - 32) : start][::-1]).end()  # type: ignore[union-attr]
    if end < len(text) and not text[end].isspace():
        end = _AFTER.match(text, end, end + 32).end()  # type: ignore[union-attr]
    return start, end
