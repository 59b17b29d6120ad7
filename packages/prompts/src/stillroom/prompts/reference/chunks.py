"""A text cut into chunks as llmlingua cuts it. It does not know the model.

A chunk ends after the last end token among the 511 that fit, else after the 511th. It is turned back into text before
it is read again, so white space is already lost here and a word may be torn.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from stillroom.prompts.reference.scores import LENGTH

_REACH = LENGTH - 2  # the frame takes two


def cut(text: str, tokenizer: Any, ends: Collection[str]) -> list[str]:
    """Return the chunks of one context; none for a text without tokens."""
    tokens = tokenizer.tokenize(text)
    chunks = []
    start = 0
    while start < len(tokens):
        stop = _stop(tokens, start, ends)
        chunks.append(tokenizer.convert_tokens_to_string(tokens[start:stop]))
        start = stop
    return chunks


def _stop(tokens: list[str], start: int, ends: Collection[str]) -> int:
    last = start + _REACH
    if last >= len(tokens):
        return len(tokens)
    # The chunk's first token is never asked, so a chunk has two tokens at least.
    return next((i for i in range(last, start, -1) if tokens[i] in ends), last) + 1
