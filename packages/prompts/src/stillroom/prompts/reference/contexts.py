"""Whole contexts: their chunks read, shortened and put together again. It does not know of other contexts' fate."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from stillroom.prompts.reference.keep import labels
from stillroom.prompts.reference.scores import probabilities
from stillroom.prompts.reference.words import Rules, Spread, restored

_UNREAD_WORD = re.compile(r"""\w+|[!"#$%&()*+\-/:;<=>?@\\^`{|}~]""")


class Kept(NamedTuple):
    """A context: its compressed text, the words it had, and 1 for each that stayed."""

    text: str
    words: list[str]
    labels: list[int]


def read(
    model: Any, tokenizer: Any, chunked: Sequence[Sequence[str]], rules: Rules
) -> Iterator[list[tuple[list[str], Spread, Spread]]]:
    """Yield a context's chunks, each as `Rules.merge` returns it. The batches run over the contexts' ends."""
    scored = probabilities(model, tokenizer, [chunk for chunks in chunked for chunk in chunks])
    for chunks in chunked:
        yield [rules.merge(*next(scored)) for _ in chunks]


def shortened(
    model: Any,
    tokenizer: Any,
    chunked: Sequence[Sequence[str]],
    rules: Rules,
    drop: float,
    drop_consecutive: bool,
    count: Callable[[str], int],
) -> list[Kept]:
    """Return each context with the share `drop` of each of its chunks taken out."""
    repeatable = rules.forced if drop_consecutive else None
    out = []
    for chunks in read(model, tokenizer, chunked, rules):
        kept = Kept("", [], [])
        for words, spread, _ in chunks:
            stay = labels(words, rules.of_words(spread), drop, count, repeatable)
            text = tokenizer.convert_tokens_to_string([word for word, s in zip(words, stay, strict=True) if s])
            kept = Kept(kept.text + text, kept.words + rules.shown(words), kept.labels + stay)
        out.append(kept)
    return out


def untouched(chunks: Sequence[str], rules: Rules) -> Kept:
    """Return a context of which every word stays; its words are those of a pattern, as the model has not read it."""
    texts = [restored(chunk, rules.placeholders) for chunk in chunks]
    words = [word for text in texts for word in _UNREAD_WORD.findall(text)]
    return Kept("".join(texts), words, [1] * len(words))
