"""Training batches: documents of several corpora, mixed by weight, of like length side by side.

A document is a handful of sentences of one corpus, or pieces of its longer texts of that size, so that a model which is
taught by sentences reads paragraphs. Batch k is a pure function of the seed and k: a run resumes exactly. It knows
labels of words and where tokens lie, and not how anybody learns from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stillroom.core.batches import Batches
from stillroom.prompts.examples import Example
from stillroom.prompts.scorer import Scorer, Tokens

POOL = 32  # batches drawn together and cut by length, so that little is padded
SENTENCE = 30  # words: a text of more than twice as many counts as several sentences, and may be cut
NEWLINE = 0.2  # how often a line ends between two sentences
NONE = -1.0  # the label of special tokens, padding, and characters between labelled words


@dataclass(frozen=True, eq=False)
class Corpus:
    """Examples to draw documents from.

    Parameters
    ----------
    weight
        Its share of the words, once all weights are divided by their sum.
    sentences
        A document has one of these numbers of sentences, each as likely; the longest are cut to what the model reads.
    """

    examples: Sequence[Example]
    weight: float
    sentences: Sequence[int]

    def words(self) -> float:
        """Return how many words a document has, about."""
        sizes = sum(sentences_of(example) for example in self.examples)
        return float(np.mean(self.sentences)) * sum(len(example.keep) for example in self.examples) / max(sizes, 1)

    def document(self, random: np.random.Generator) -> Example:
        """Draw a document."""
        left = self.sentences[int(random.integers(len(self.sentences)))]
        parts: list[Example] = []
        while left > 0:
            one = self.examples[int(random.integers(len(self.examples)))]
            size = sentences_of(one)
            parts.append(one if size <= left else piece(one, left * SENTENCE, random))
            left -= size
        return joined(parts, random)


class Documents(Batches):
    """Batches {"input_ids", "attention_mask", "labels"}, each (documents, length); with a teacher also "teacher".

    Parameters
    ----------
    corpora
        What documents are drawn from.
    scorer
        Whose tokenizer is used, and whose model reads no more tokens than a document has.
    tokens
        Padded tokens a batch, about.
    lowercase
        Share of the documents that lose their capitals.
    teacher
        Called with the texts of documents and their tokens; returns P(keep) of each token, or NONE.
    count
        Distinct batches, after which they come round again.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        scorer: Scorer,
        *,
        tokens: int,
        lowercase: float = 0.0,
        teacher: Callable[[list[str], list[Tokens]], list[np.ndarray]] | None = None,
        count: int | None = None,
        seed: int = 0,
    ) -> None:
        self.corpora, self.scorer, self.tokens, self.lowercase = list(corpora), scorer, tokens, lowercase
        self.teacher, self.count, self.seed = teacher, count, seed
        documents = np.array([corpus.weight / max(corpus.words(), 1) for corpus in self.corpora])
        self.chances = documents / documents.sum()
        self._pool: tuple[int, list[dict[str, Tensor]]] = (-1, [])

    def __len__(self) -> int:
        return 2**31 if self.count is None else self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return batch `index`."""
        number, place = divmod(index, POOL)
        if self._pool[0] != number:
            self._pool = number, self._draw(np.random.default_rng([self.seed, number]))
        return self._pool[1][place]

    def _draw(self, random: np.random.Generator) -> list[dict[str, Tensor]]:
        documents: list[tuple[Example, Tokens]] = []
        held = 0
        while held < POOL * self.tokens:
            drawn = [self.document(random) for _ in range(POOL)]
            encoded = self.scorer.tokenize([one.text for one in drawn])
            documents += zip(drawn, encoded, strict=True)
            held += sum(min(len(tokens), self.scorer.limit) + len(self.scorer.frame) for tokens in encoded)
        lengths = np.array([min(len(tokens), self.scorer.limit) for _, tokens in documents])
        order = np.argsort(lengths, kind="stable")
        total = np.cumsum(lengths[order] + len(self.scorer.frame))
        part = np.minimum((total - 1) * POOL // total[-1], POOL - 1)
        groups = [[documents[at] for at in order[part == number]] for number in range(POOL)]
        return [self._batch(groups[number] or documents[:1]) for number in random.permutation(POOL)]

    def document(self, random: np.random.Generator) -> Example:
        """Draw a document of some corpus."""
        drawn = self.corpora[random.choice(len(self.corpora), p=self.chances)].document(random)
        lower = drawn.text.lower() if random.random() < self.lowercase else drawn.text
        if len(lower) != len(drawn.text):  # İ has two characters below
            return drawn
        return Example(lower, drawn.start, drawn.end, drawn.keep, drawn.source, drawn.language)

    def _batch(self, documents: list[tuple[Example, Tokens]]) -> dict[str, Tensor]:
        frame, limit = self.scorer.frame, self.scorer.limit
        length = max(min(len(tokens), limit) for _, tokens in documents) + len(frame)
        ids = np.full((len(documents), length), frame.padding, dtype=np.int64)
        mask = np.zeros((len(documents), length), dtype=np.int64)
        rows = {"labels": [token_labels(one, tokens) for one, tokens in documents]}
        if self.teacher is not None:
            rows["teacher"] = self.teacher([one.text for one, _ in documents], [tokens for _, tokens in documents])
        values = {name: np.full((len(documents), length), NONE, dtype=np.float32) for name in rows}
        first = len(frame.before)
        for row, (_, tokens) in enumerate(documents):
            end = first + min(len(tokens), limit)
            ids[row, : end + len(frame.after)] = (*frame.before, *tokens.ids[:limit], *frame.after)
            mask[row, : end + len(frame.after)] = 1
            for name, said in rows.items():
                values[name][row, first:end] = said[row][:limit]
        arrays: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, **values}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def token_labels(example: Example, tokens: Tokens) -> np.ndarray:
    """Return the label of the word that each token begins in: (tokens,) float32, NONE outside of labelled words."""
    if not len(example.keep):
        return np.full(len(tokens), NONE, dtype=np.float32)
    word = np.minimum(np.searchsorted(example.end, tokens.start, side="right"), len(example.keep) - 1)
    inside = (example.start[word] <= tokens.start) & (tokens.start < example.end[word])
    return np.where(inside, example.keep[word], NONE).astype(np.float32)


def sentences_of(example: Example) -> int:
    """Return how many sentences a text counts for."""
    words = len(example.keep)
    return 1 if words <= 2 * SENTENCE else round(words / SENTENCE)


def piece(example: Example, words: int, random: np.random.Generator) -> Example:
    """Return so many labelled words of a longer text, in a row, from anywhere."""
    first = int(random.integers(max(len(example.keep) - words, 0) + 1))
    part = slice(first, min(first + words, len(example.keep)))
    begin, end = int(example.start[part][0]), int(example.end[part][-1])
    text = example.text[begin:end]
    return Example(text, example.start[part] - begin, example.end[part] - begin, example.keep[part], example.source)


def joined(parts: Sequence[Example], random: np.random.Generator) -> Example:
    """Return the sentences as one text, a space or a newline between them."""
    if len(parts) == 1:
        return parts[0]
    gaps = np.where(random.random(len(parts) - 1) < NEWLINE, "\n", " ")
    pieces = [parts[0].text, *(gap + part.text for gap, part in zip(gaps, parts[1:], strict=True))]
    offsets = np.cumsum([0, *(len(one) for one in pieces[:-1])]) + np.minimum(np.arange(len(parts)), 1)
    start = np.concatenate([part.start + offset for part, offset in zip(parts, offsets, strict=True)])
    end = np.concatenate([part.end + offset for part, offset in zip(parts, offsets, strict=True)])
    return Example("".join(pieces), start, end, np.concatenate([part.keep for part in parts]), parts[0].source)
