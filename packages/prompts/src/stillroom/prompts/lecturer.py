"""A bigger compressor as a teacher: how likely it keeps each word of a document, asked anew or kept in a store.

Teacher and student may cut words into different tokens: each token of the student is told what the teacher says of its
word. The teacher does not know who learns from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from stillroom.core.keys import key
from stillroom.core.targets import TargetStore
from stillroom.prompts.scorer import Scorer, Tokens
from stillroom.prompts.selection import weigh
from stillroom.prompts.words import Words, split

KIND = "keep"


class Lecturer:
    """Says P(keep) of the student's tokens; see `Documents`.

    Parameters
    ----------
    scorer
        The teacher.
    store
        Where what it said is kept, by its weights and the text; None asks anew each time.
    """

    def __init__(self, scorer: Scorer, store: TargetStore | None = None) -> None:
        self.scorer, self.store = scorer, store

    def __call__(self, texts: list[str], tokens: list[Tokens]) -> list[np.ndarray]:
        """Return (tokens,) float32 for each text."""
        words = [split(text) for text in texts]
        said = self._asked(texts, words) if self.store is None else self._stored(texts, words, self.store)
        return [
            score[np.minimum(np.searchsorted(cut.end, own.start, side="right"), len(cut) - 1)].astype(np.float32)
            for score, cut, own in zip(said, words, tokens, strict=True)
        ]

    def _asked(self, texts: list[str], words: list[Words]) -> list[np.ndarray]:
        tokens = self.scorer.tokenize(texts)
        chances = self.scorer.probabilities(tokens)
        weights = [weigh(cut, own.start, chance) for cut, own, chance in zip(words, tokens, chances, strict=True)]
        return [one.score[one.owner] for one in weights]

    def _stored(self, texts: list[str], words: list[Words], store: TargetStore) -> list[np.ndarray]:
        addresses = [key(kind=KIND, teacher=self.scorer.fingerprint, text=text) for text in texts]
        known = [store.get(address) for address in addresses]
        new = [at for at, target in enumerate(known) if target is None]
        answers: Iterator[Any] = iter(self._asked([texts[at] for at in new], [words[at] for at in new]))
        said = []
        for address, target in zip(addresses, known, strict=True):
            score = next(answers) if target is None else target.tensors[KIND]
            if target is None:
                store.put(address, KIND, tensors={KIND: score})
            said.append(score)
        return said
