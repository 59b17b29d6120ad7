"""What to ask a teacher: chunks of documents as request rows, and the published instruction as a Prompt file.

A teacher compresses long texts far more than short ones, and loses what they say; so documents are cut at the ends of
sentences first (Pan et al. 2024, arXiv:2403.12968, section 3.1). It asks nobody anything: whoever pays reads the rows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Any

import numpy as np

from stillroom.core.errors import DataError
from stillroom.prompts.chunks import CLOSERS, NEWLINES, STOPS, UNSPACED
from stillroom.prompts.words import SINGLE, split

CHUNK_TOKENS = 512  # as published


def _set(codes: np.ndarray) -> str:
    return "[" + re.escape("".join(map(chr, codes.tolist()))) + "]"


# the white space after it belongs to the sentence; looking behind keeps long runs of dots from being tried at each dot
_SENTENCE_END = re.compile(
    rf"(?<!{_set(STOPS)}){_set(STOPS)}+{_set(CLOSERS)}*\s+|{_set(UNSPACED)}+{_set(CLOSERS)}*\s*|{_set(NEWLINES)}\s*"
)


def prompt_file() -> str:
    """Return the Prompt file (YAML: `system`, and `user` with the slot `{{ input }}`), with its source and licence."""
    return files("stillroom.prompts").joinpath("prompt.yaml").read_text(encoding="utf-8")


def requests(
    documents: Iterable[Mapping[str, Any]],
    field: str,
    count: Callable[[str], int],
    limit: int = CHUNK_TOKENS,
) -> Iterator[dict[str, Any]]:
    """Yield request rows: `row_id` (a hash of what is asked), `input` (a chunk), `source` and `chunk` (which of it).

    The source is the document's own `id` if it has one, else its number, from 0. A chunk that was there before is not
    asked about again, and blank ones are left out.

    Parameters
    ----------
    field
        The column with the text.
    count
        Returns the number of tokens of a text.
    limit
        Tokens a chunk at most.

    Raises
    ------
    DataError
        A document without that field, or one that is no text.
    """
    seen = set()
    for number, document in enumerate(documents):
        text = document.get(field)
        if not isinstance(text, str):
            have = ", ".join(sorted(map(str, document))) or "none"
            raise DataError(f"row {number} has no text in the field {field!r}; its fields are: {have}")
        source = document.get("id")
        for place, chunk in enumerate(chunks(text, count, limit)):
            asked = chunk.strip()
            row_id = hashlib.sha256(asked.encode()).hexdigest()[:16]
            if asked and row_id not in seen:
                seen.add(row_id)
                name = str(number if source is None else source)
                yield {"row_id": row_id, "input": asked, "source": name, "chunk": place}


def chunks(text: str, count: Callable[[str], int], limit: int = CHUNK_TOKENS) -> list[str]:
    """Cut a text at the ends of sentences into as few chunks as can be of at most `limit` tokens; joined, they are it.

    A sentence that is longer by itself is cut between words, a word that is longer between characters. An abbreviation
    is taken for the end of a sentence.

    Raises
    ------
    DataError
        The text holds half a character, or `limit` is less than one.
    """
    if limit < 1:
        raise DataError(f"a chunk of at most {limit} tokens holds nothing: allow 1 or more")
    words = split(text)
    spaced = np.append(True, words.start[1:] > words.end[:-1])[: len(words)]
    places = words.start[spaced | (words.kind == SINGLE)]  # punctuation stays with the word before it
    sentences = [match.end() for match in _SENTENCE_END.finditer(text)]
    found: list[str] = []
    begin = 0
    for stretch in _pack(text, sentences, count, limit):
        low, high = np.searchsorted(places, (begin + 1, begin + len(stretch)))
        inside = [] if count(stretch) <= limit else (places[low:high] - begin).tolist()
        for piece in _pack(stretch, inside, count, limit):
            found += [piece] if count(piece) <= limit else _pack(piece, range(1, len(piece)), count, limit)
        begin += len(stretch)
    return found


def _pack(text: str, places: Iterable[int], count: Callable[[str], int], limit: int) -> list[str]:
    """Cut a text at some of the places into pieces as long as the limit allows; what has no place in it stays whole.

    Doubles the stretch until it is too long, then halves the doubt: each token is counted a few times, not once a
    sentence.
    """
    ends = [*(place for place in places if place < len(text)), len(text)] if text else []
    pieces, begin, first = [], 0, 0
    while first < len(ends):
        fits, step = first, 1  # a piece has one part at least, however long it is
        while fits + step < len(ends) and count(text[begin : ends[fits + step]]) <= limit:
            fits += step
            step *= 2
        while step := step // 2:
            if fits + step < len(ends) and count(text[begin : ends[fits + step]]) <= limit:
                fits += step
        pieces.append(text[begin : ends[fits]])
        begin, first = ends[fits], fits + 1
    return pieces
