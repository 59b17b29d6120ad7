"""Running text out of the tokens of a treebank: where a person would put the spaces.

Models read prompts, not treebanks. It knows the habits of the Penn Treebank and of the corpora that follow it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_QUOTES = {"``": '"', "''": '"', "`": "'"}
_CLOSE = re.compile(r"[.,;:!?%)\]}…]+|\.\.\.|'(?:s|re|ll|ve|m|d|t)?|n't", re.IGNORECASE)  # lean on what precedes
_OPEN = re.compile(r"[(\[{$£€#]+")  # lean on what follows


def detokenise(tokens: Sequence[str]) -> tuple[str, np.ndarray, np.ndarray]:
    """Return the text, and where each token starts and ends in it: (tokens,) int64.

    Tokens keep their characters; treebank quotes become straight ones.

    >>> detokenise(["``", "We", "did", "n't", ",", "''", "she", "said", "."])[0]
    '"We didn\\'t," she said.'
    """
    pieces: list[str] = []
    start = np.zeros(len(tokens), dtype=np.int64)
    length, leans = 0, True  # nothing stands before the first
    for place, token in enumerate(tokens):
        written = _QUOTES.get(token, token)
        if not (leans or token == "''" or _CLOSE.fullmatch(token)):
            pieces.append(" ")
            length += 1
        start[place] = length
        pieces.append(written)
        length += len(written)
        leans = token in ("``", "`") or _OPEN.fullmatch(token) is not None
    return "".join(pieces), start, start + [len(_QUOTES.get(token, token)) for token in tokens]


def locate(tokens: Sequence[str], text: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return where each token starts and ends in the text that they were cut from, or None if one is not there."""
    spans, end = [], 0
    for token in tokens:
        start = text.find(token, end)
        if start < 0:
            return None
        end = start + len(token)
        spans.append((start, end))
    found = np.array(spans, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]
