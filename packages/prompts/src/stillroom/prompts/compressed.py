"""What compression returns: the text that is left, where it comes from, and what it costs before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BETWEEN = "\n\n"  # the texts of several messages, where they are shown as one


@dataclass(frozen=True, repr=False)
class Compressed:
    """A compressed text, or the compressed texts of several messages.

    Parameters
    ----------
    text
        What is left; of messages, their texts with a blank line between them.
    kept
        The stretches of the original that it is made of: (start, end) in characters, in order; of messages, in their
        original texts with a blank line between them.
    original_tokens, compressed_tokens
        Counted by the counter that was asked for, without what a chat template adds.
    over_budget
        Whether protected text alone has more tokens than `target_tokens`: nothing else was kept, and it is over.
    messages
        Of messages: the same messages with their compressed texts.
    parts
        Of messages: each of their texts by itself.
    """

    text: str
    kept: tuple[tuple[int, int], ...]
    original_tokens: int
    compressed_tokens: int
    over_budget: bool = False
    messages: list[dict[str, Any]] | None = None
    parts: tuple[Compressed, ...] = ()

    @property
    def rate(self) -> float:
        """The share of tokens that is left; 1 if there were none."""
        return self.compressed_tokens / self.original_tokens if self.original_tokens else 1.0

    @property
    def saved(self) -> int:
        """How many tokens are gone."""
        return self.original_tokens - self.compressed_tokens

    def __repr__(self) -> str:
        over = ", over budget" if self.over_budget else ""
        begin = self.text if len(self.text) <= 60 else self.text[:59] + "…"
        return f"<Compressed {self.original_tokens} → {self.compressed_tokens} tokens{over}: {begin!r}>"
