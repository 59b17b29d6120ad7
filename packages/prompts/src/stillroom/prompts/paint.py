"""A text as a picture of its compression: what stays as it is, what goes dim and struck through.

Where a terminal has no such letters, `[-…-]` stands around what goes, as wdiff has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

GONE = "dim strike"


def paint(text: str, kept: Iterable[tuple[int, int]], *, styled: bool = True) -> Text:
    """Return the text for `rich` to print.

    Parameters
    ----------
    kept
        The stretches that stay, (start, end) in characters, in order.
    styled
        Whether what goes is shown by its style; else by marks.
    """
    from rich.text import Text

    painted = Text()
    for piece, stays in pieces(text, kept):
        if stays:
            painted.append(piece)
        elif styled:
            painted.append(piece, GONE)
        else:
            painted.append(f"[-{piece}-]")
    return painted


def pieces(text: str, kept: Iterable[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """Yield the text in order in pieces, and whether each stays; white space around what goes is a piece of its own."""
    last = 0
    for start, end in [*kept, (len(text), len(text))]:
        gone = text[last:start]
        inner = gone.strip()
        before, _, after = gone.partition(inner) if inner else (gone, "", "")
        for piece, stays in ((before, True), (inner, False), (after, True), (text[start:end], True)):
            if piece:
                yield piece, stays
        last = end
