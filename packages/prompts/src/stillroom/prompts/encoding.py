"""The tokens of many texts as arrays, from a Hugging Face tokenizer that is asked about each distinct piece once.

Texts repeat most of their words, and looking them up costs a quarter of tokenizing them again. It does not know the
model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, compress, count, pairwise
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from stillroom.prompts.pieces import cuts, cuts_at

SHORT = 8192  # characters: in less, few words repeat
MOST = 2**20  # characters of pieces that are remembered: some 30 MB of Python objects
GROUP = 4096  # characters of pieces that are tokenized as one text
AT_ONCE = 256  # of these texts, so that few tokens are Python objects at the same time


def literal(tokenizer: Any) -> Any:
    """Return a `tokenizers.Tokenizer` that reads a whole text and nothing but text: "[SEP]" in it is five characters.

    A copy of the one given, or of a fast tokenizer's own, whose settings change with each call of transformers.
    """
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    return _as_text(type(backend).from_str(backend.to_str()))


def _as_text(backend: Any) -> Any:
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True
    return backend


class Encoded(NamedTuple):
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


class Lexicon:
    """The pieces that a tokenizer was asked about, and its answers; threads may share one.

    What it remembers changes no answer, and is forgotten when it has grown too large.

    Parameters
    ----------
    backend
        A `tokenizers.Tokenizer` of its own: see `literal`.
    """

    def __init__(self, backend: Any):
        self.backend = _as_text(backend)  # a copy in another process has lost its settings
        self.blanks = cuts_at(self.backend)
        self._lock = Lock()
        self._forget()

    def _forget(self) -> None:
        none = np.empty(0, dtype=np.int64)
        self._numbers: dict[str, int] = {}
        self._known = Encoded(none, none, none, none)
        self._size = 0

    def encode(self, texts: Sequence[str], codes: np.ndarray) -> Encoded:
        """Return the tokens of each text by itself, without special tokens.

        Parameters
        ----------
        codes
            (characters,) the code points of all texts, one after the other.
        """
        edges = _ends(list(map(len, texts)))
        begins, known, number = self._pieces(texts, codes, edges)
        counts = known.counts[number]
        offsets = _ends(counts)
        token = np.arange(offsets[-1]) + np.repeat(_ends(known.counts)[number] - offsets[:-1], counts)
        shift = np.repeat(begins, counts)
        return Encoded(
            counts=np.diff(offsets[np.searchsorted(begins, edges)]),
            ids=known.ids[token],
            start=known.start[token] + shift,
            end=known.end[token] + shift,
        )

    def count(self, texts: Sequence[str], codes: np.ndarray) -> np.ndarray:
        """Return how many tokens each text has, (texts,); cheaper than to ask for them."""
        edges = _ends(list(map(len, texts)))
        begins, known, number = self._pieces(texts, codes, edges)
        return np.diff(_ends(known.counts[number])[np.searchsorted(begins, edges)])

    def _pieces(
        self, texts: Sequence[str], codes: np.ndarray, edges: np.ndarray
    ) -> tuple[np.ndarray, Encoded, np.ndarray]:
        """Return where pieces begin, the tokens of distinct pieces, and which of these each piece is."""
        if len(codes) <= SHORT:
            return edges[:-1], _tokens_of(self.backend, texts, np.ones(len(texts), dtype=bool)), np.arange(len(texts))
        begins = np.sort(np.concatenate((edges[:-1], cuts(codes, self.blanks, edges))), kind="stable")
        ends = np.append(begins[1:], len(codes))
        whole = "".join(texts)
        pieces = [whole[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        at_edge = np.flatnonzero(np.isin(begins, edges) | np.isin(ends, edges))
        return begins, *self._look_up(pieces, {pieces[place] for place in at_edge})

    def _look_up(self, pieces: list[str], alone: set[str]) -> tuple[Encoded, np.ndarray]:
        """Return the tokens of all pieces that are known, and which of these each piece is."""
        with self._lock:
            found = list(map(self._numbers.get, pieces))
            if None in found:
                self._learn(list(dict.fromkeys(compress(pieces, [number is None for number in found]))), alone)
                found = list(map(self._numbers.get, pieces))
            known = self._known
            if self._size > MOST:
                self._forget()
        return known, np.array(found, dtype=np.int64)

    def _learn(self, new: list[str], alone: set[str]) -> None:
        learnt = _tokens_of(self.backend, new, np.array([piece in alone for piece in new]))
        self._numbers.update(zip(new, count(len(self._numbers))))
        self._known = Encoded(*map(np.concatenate, zip(self._known, learnt, strict=True)))
        self._size += sum(map(len, new))

    def __reduce__(self) -> tuple[Any, ...]:
        """Be sent to another process without what is remembered."""
        return Lexicon, (self.backend,)


def _tokens_of(backend: Any, pieces: Sequence[str], alone: np.ndarray) -> Encoded:
    """Return the tokens of each piece by itself, positions counted from the beginning of each.

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
