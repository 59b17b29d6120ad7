"""llmlingua's tags: `<llmlingua, rate=0.3>…</llmlingua>`, `<llmlingua, compress=False>…</llmlingua>`.

The grammar is that of llmlingua 0.2.2's `structured_compress_prompt`: a stretch between tags has a rate of its own, or
stays as it is; `compress=False` beats a rate; an opening tag missing at the beginning and a closing tag missing at the
end are understood. Commas are optional here. Where llmlingua drops text without a word (outside of tags, with a "<" in
it, under a tag it cannot read), text outside of tags stays compressible, and a bad tag is an error.
"""

from __future__ import annotations

import re

import numpy as np

from stillroom.core.errors import RecipeError
from stillroom.prompts.span import Span

_TAG = re.compile(r"<(/?)llmlingua(?![\w-])([^<>]*+)>")
_OPTION = re.compile(
    r"\s*+,?\s*+(?:rate\s*+=\s*+(\d++\.?\d*+|\.\d++)(?![\d.])|compress\s*+=\s*+(True|False)\b)", re.IGNORECASE
)


def parse(text: str) -> tuple[str, list[Span]]:
    """Return the text without its tags, and the stretches that they name, in positions of the text without tags.

    A stretch with a rate has that rate; one with `compress=False` has None; one with neither is text like any other.

    Raises
    ------
    RecipeError
        A tag within a tag, one that closes nothing, an option that is none, a rate outside (0, 1].
    """
    pieces: list[str] = []
    spans: list[Span] = []
    length = last = 0  # of the text without tags; the end of the last tag
    opened: tuple[int, object] | None = None  # where in the text without tags, and its rate
    first = True
    for tag in _TAG.finditer(text):
        pieces.append(text[last : tag.start()])
        length += len(pieces[-1])
        last = tag.end()
        if not tag[1]:
            if opened is not None:
                raise RecipeError(f"the tag {tag[0]} at position {tag.start()} stands within another: close that first")
            opened = length, _rate(tag)
        elif opened is not None:
            _close(spans, opened, length)
            opened = None
        elif not first:
            raise RecipeError(f"the tag {tag[0]} at position {tag.start()} closes nothing: open it with <llmlingua>")
        first = False
    pieces.append(text[last:])
    if opened is not None:
        _close(spans, opened, length + len(pieces[-1]))
    return "".join(pieces), spans


def original(text: str, stretches: np.ndarray) -> np.ndarray:
    """Return where stretches of the text without tags are in the text with them, cut where a tag stands within.

    Parameters
    ----------
    text
        As it was given to `parse`.
    stretches
        (n, 2) start and end, ascending.

    Returns
    -------
    numpy.ndarray
        (m, 2) start and end in `text`, m >= n.
    """
    tags = np.array([tag.span() for tag in _TAG.finditer(text)], dtype=np.int64).reshape(-1, 2)
    lengths = np.concatenate(([0], np.cumsum(tags[:, 1] - tags[:, 0])))
    places = tags[:, 0] - lengths[:-1]  # of the tags in the text without tags
    start, end = np.asarray(stretches, dtype=np.int64).reshape(-1, 2).T
    inner = np.unique(places)
    holder = np.searchsorted(start, inner, side="right") - 1
    inner = inner[(holder >= 0) & (start[holder] < inner) & (inner < end[holder])] if len(start) else inner[:0]
    start, end = np.sort(np.append(start, inner)), np.sort(np.append(end, inner))
    before = np.searchsorted(places, start, side="right"), np.searchsorted(places, end, side="left")
    return np.stack((start + lengths[before[0]], end + lengths[before[1]]), axis=1)


def _close(spans: list[Span], opened: tuple[int, object], end: int) -> None:
    start, rate = opened
    if start < end and rate is not ...:
        spans.append(Span(start, end, rate, "tag"))  # type: ignore[arg-type]


def _rate(tag: re.Match[str]) -> object:
    """Return what an opening tag asks for: a rate, None to keep all, or `...` for nothing in particular."""
    rate, compress, place = None, True, tag.start(2)
    while option := _OPTION.match(tag.string, place, tag.end(2)):
        place = option.end()
        if option[2]:
            compress = option[2].lower() == "true"
        else:
            rate = float(option[1])
            if not 0 < rate <= 1:
                raise RecipeError(
                    f"the tag {tag[0]} at position {tag.start()} asks for rate {option[1]}: "
                    "a rate is the share to keep, above 0 and up to 1"
                )
    if tag.string[place : tag.end(2)].strip():
        raise RecipeError(
            f"the tag {tag[0]} at position {tag.start()} cannot be read: write <llmlingua, rate=0.3> or "
            "<llmlingua, compress=False>"
        )
    return None if not compress else ... if rate is None else rate
