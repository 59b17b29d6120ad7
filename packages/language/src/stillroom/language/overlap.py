"""How much of the reference a prediction has: chrF and BLEU as sacrebleu counts them, ROUGE-L as rouge-score does.

They reward near misses, so they hardly tell a correction from a copy of its source: for correction see `edits`. They
know no meaning. All are in 0 … 1, where sacrebleu has 0 … 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stillroom.language.scored import Predictions, References, Scored, mean, several
from stillroom.language.words import forms

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ORDERS = 4  # of BLEU's n-grams
_BETA = 2  # of chrF: recall counts twice


def chrf(predictions: Predictions, references: References, sources: Sequence[str] = ()) -> Scored:
    """Return the corpus chrF (Popović 2015): character n-grams up to 6, recall twice as important as precision.

    Of several references, each row takes the one with its best own score. A missing prediction is an empty one.
    """
    from sacrebleu.metrics.chrf import CHRF

    return Scored(_statistics(CHRF(), predictions, references), _chrf)


def bleu(predictions: Predictions, references: References, sources: Sequence[str] = ()) -> Scored:
    """Return the corpus BLEU (Papineni et al. 2002) with sacrebleu's defaults: tokenizer 13a, exponential smoothing.

    Of few short rows it says little: without any sequence of four words it is 0. 13a is for languages that put spaces
    between words. A missing prediction is an empty one.
    """
    from sacrebleu.metrics.bleu import BLEU

    return Scored(_statistics(BLEU(force=True), predictions, references), _bleu)  # it only silences a warning


def rouge_l(predictions: Predictions, references: References, sources: Sequence[str] = ()) -> Scored:
    """Return the mean over rows of ROUGE-L's F (Lin 2004): the longest words in common, in order, without stemming.

    rouge-score knows no letters beyond ASCII, so words are found by `words.forms`, which finds the same in English. Of
    several references, each row takes the one with its best score. A missing prediction has 0.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], tokenizer=_Forms())
    rows = zip(predictions, several(predictions, references), strict=True)
    return mean([scorer.score_multi(right, said or "")["rougeL"].fmeasure for said, right in rows])


class _Forms:
    def tokenize(self, text: str) -> list[str]:
        return forms(text)


def _statistics(metric: Any, predictions: Predictions, references: References) -> NDArray[np.float64]:
    """Return what sacrebleu sums over rows; it has no public name for that."""
    right = several(predictions, references)
    most = max(map(len, right))
    streams = [[row[number] if number < len(row) else None for row in right] for number in range(most)]
    found = metric._extract_corpus_statistics([said or "" for said in predictions], streams)
    return np.array(found, dtype=np.float64)


def _chrf(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    said, right, common = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)  # each (..., orders)
    counted = (said > 0) & (right > 0)
    orders = np.maximum(counted.sum(-1), 1)
    precision = (counted * common / np.maximum(said, 1)).sum(-1) / orders
    recall = (counted * common / np.maximum(right, 1)).sum(-1) / orders
    weighted = _BETA**2 * precision + recall
    return np.where(weighted > 0, (1 + _BETA**2) * precision * recall / np.maximum(weighted, 1e-300), 0.0)


def _bleu(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    said, right = sums[..., 0], sums[..., 1]
    common, there = sums[..., 2 : 2 + _ORDERS], sums[..., 2 + _ORDERS :]
    missed = np.cumsum(common == 0, axis=-1)  # each order without a match halves the one match it is given
    precision = np.where(common > 0, common, 0.5**missed) / np.maximum(there, 1)
    brevity = np.minimum(1 - right / np.maximum(said, 1), 0)
    value = np.exp(brevity + np.log(precision).mean(-1))
    return np.where((common.sum(-1) > 0) & (there > 0).all(-1), value, 0.0)
