"""The tokens of many texts as arrays, from a Hugging Face tokenizer that is asked about each distinct piece once.

A text repeats most of its words; looking them up costs a third of tokenizing them again. It does not know the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np

from stillroom.prompts.pieces import cuts

SHORT = 8192  # characters: in less, few words repeat
GROUP = 4096  # characters of pieces that are tokenized as one text
AT_ONCE = 256  # such texts, so that few tokens are Python objects at the same time


@dataclass(frozen=True, eq=False)
class Encoded:
    """The tokens of several texts, one after the other.

    Attributes
    ----------
    counts
        (texts,) how many tokens each has.
    ids, start, end
        (tokens,) ids and character positions, counted from the beginning of the first text.
    """

    counts: np.ndarray
    ids: np.ndarray
    start: np.ndarray
    end: np.ndarray


def encode(backend: Any, texts: Sequence[str], codes: np.ndarray, blanks: str) -> Encoded:
    """Return the tokens of each text by itself, without special tokens.

    Parameters
    ----------
    backend
        A `tokenizers.Tokenizer`.
    codes
        (characters,) the code points of all texts, one after the other.
    blanks
        The white space at which texts may be cut (see `pieces.cuts_at`).
    """
    edges = _ends([len(text) for text in texts])
    begins = edges[:-1]
    if blanks and len(codes) > SHORT:
        begins = np.sort(np.concatenate((begins, cuts(codes, blanks, edges))), kind="stable")
    whole = "".join(texts)
    numbers: dict[str, int] = {}
    ends = np.append(begins[1:], len(whole))[: len(begins)]
    pieces = (whole[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True))
    number = np.fromiter((numbers.setdefault(piece, len(numbers)) for piece in pieces), dtype=np.int64)
    at_edge = np.isin(begins, edges) | np.isin(ends, edges)
    alone = np.zeros(len(numbers), dtype=bool)
    alone[number[at_edge]] = True
    distinct = _tokens_of_distinct(backend, list(numbers), alone)
    counts = distinct.counts[number]
    offsets = _ends(counts)
    token = np.arange(offsets[-1]) + np.repeat(_ends(distinct.counts)[number] - offsets[:-1], counts)
    shift = np.repeat(begins, counts)
    return Encoded(
        counts=np.diff(offsets[np.searchsorted(begins, edges)]),
        ids=distinct.ids[token],
        start=distinct.start[token] + shift,
        end=distinct.end[token] + shift,
    )


def _tokens_of_distinct(backend: Any, pieces: list[str], alone: np.ndarray) -> Encoded:
    """Return the tokens of distinct pieces, positions counted from the beginning of each.

    Those with a cut at both ends are read side by side, as parts of one text; those that began or ended a text, which
    may do so in any way, are read `alone` (pieces,).
    """
    order = np.argsort(~alone, kind="stable")
    ordered = [pieces[number] for number in order.tolist()]
    begins = _ends(list(map(len, ordered)))
    singles = int(alone.sum())
    groups = np.searchsorted(begins, np.arange(begins[singles], begins[-1], GROUP))
    bounds = np.array([*range(singles), *np.unique(groups), len(ordered)])
    batch = ["".join(ordered[low:high]) for low, high in pairwise(bounds)]
    counts, ids, spans = _encode(backend, batch)
    spans += np.repeat(begins[bounds[:-1]], counts)[:, None]
    piece = np.searchsorted(begins, spans[:, 0], side="right") - 1
    piece = np.clip(piece, np.repeat(bounds[:-1], counts), np.repeat(bounds[1:], counts) - 1)
    spans -= begins[piece][:, None]
    back = np.argsort(order[piece], kind="stable")
    counts = np.zeros(len(pieces), dtype=np.int64)
    counts[order] = np.bincount(piece, minlength=len(pieces))
    return Encoded(counts, ids[back], spans[back, 0], spans[back, 1])


def _encode(backend: Any, texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how many tokens each text has, their ids (tokens,) and their positions in their text (tokens, 2)."""
    counts, ids, spans = [], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for place in range(0, len(texts), AT_ONCE):
        encodings = backend.encode_batch(texts[place : place + AT_ONCE], add_special_tokens=False)
        counts += [len(encoding) for encoding in encodings]
        ids.append(_flat(encoding.ids for encoding in encodings))
        spans.append(_flat(chain.from_iterable(encoding.offsets) for encoding in encodings))
    return np.array(counts, dtype=np.int64), np.concatenate(ids), np.concatenate(spans).reshape(-1, 2)


def _flat(numbers: Iterable[Iterable[int]]) -> np.ndarray:
    return np.fromiter(chain.from_iterable(numbers), dtype=np.int64)


def _ends(lengths: Any) -> np.ndarray:
    """Return [0, …]: where things of these lengths end that lie one after the other."""
    return np.append(0, np.cumsum(np.asarray(lengths, dtype=np.int64)))
