from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from stillroom.language import intervals
from stillroom.language.overlap import bleu, chrf, rouge_l

TEXT = "the cat sat on the mat , and a dog barked at the cats while it rained on Été's naïve café ."


def rows(seed: int, n: int = 40) -> tuple[list[str], list[list[str]]]:
    """Predictions, and one to three references each, that share some of their words."""
    rng = random.Random(seed)
    references = [[" ".join(rng.choices(TEXT.split(), k=rng.randint(1, 14))) for _ in range(rng.randint(1, 3))]
                  for _ in range(n)]  # fmt: skip
    said = [" ".join(word for word in rng.choice(those).split() if rng.random() < 0.8) for those in references]
    return said, references


def streams(references: list[list[str]]) -> list[list[str | None]]:
    return [[those[k] if k < len(those) else None for those in references] for k in range(3)]


@pytest.mark.parametrize("seed", range(5))
def test_corpus_values_are_those_of_the_reference_sacrebleu(seed):
    said, references = rows(seed)
    assert bleu(said, references).value == pytest.approx(BLEU().corpus_score(said, streams(references)).score / 100)
    assert chrf(said, references).value == pytest.approx(CHRF().corpus_score(said, streams(references)).score / 100)


@pytest.mark.parametrize("said", [["a b", "c"], ["", ""], ["the cat", "zzz"], ["the cat sat on", "x"], ["q", "the"]])
def test_texts_that_are_short_or_have_nothing_in_common_are_as_in_the_reference_sacrebleu(said):
    right = ["the cat sat on the mat", "the x y"]
    assert bleu(said, right).value == pytest.approx(BLEU().corpus_score(said, [right]).score / 100, abs=1e-12)
    assert chrf(said, right).value == pytest.approx(CHRF().corpus_score(said, [right]).score / 100, abs=1e-12)


@given(st.lists(st.tuples(st.text("ab .,é"), st.text("ab .,é")), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_texts_are_as_in_the_reference_sacrebleu(pairs):
    said, right = map(list, zip(*pairs, strict=True))
    assert bleu(said, right).value == pytest.approx(BLEU().corpus_score(said, [right]).score / 100, abs=1e-12)
    assert chrf(said, right).value == pytest.approx(CHRF().corpus_score(said, [right]).score / 100, abs=1e-12)


def test_a_resample_has_the_value_that_the_reference_sacrebleu_gives_to_its_rows():
    said, references = rows(7, n=25)
    drawn = np.random.default_rng(3).integers(0, 25, (2, 25))
    values = intervals.resampled([bleu(said, references), chrf(said, references)], resamples=2, seed=3)
    for sample, (by_bleu, by_chrf) in zip(drawn, values, strict=True):
        mine, those = [said[i] for i in sample], streams([references[i] for i in sample])
        assert by_bleu == pytest.approx(BLEU().corpus_score(mine, those).score / 100)
        assert by_chrf == pytest.approx(CHRF().corpus_score(mine, those).score / 100)


@given(st.lists(st.tuples(st.text("ab C2.,-_'"), st.text("ab C2.,-_'")), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_rouge_l_in_ascii_is_that_of_the_reference_rouge_score(pairs):
    said, right = map(list, zip(*pairs, strict=True))
    scorer = RougeScorer(["rougeL"])
    expected = np.mean([scorer.score(r, s)["rougeL"].fmeasure for s, r in pairs])
    assert rouge_l(said, right).value == pytest.approx(expected)


def test_rouge_l_takes_the_best_of_several_references_like_the_reference_rouge_score():
    said, references = rows(1)
    said, references = [ascii_(one) for one in said], [[ascii_(one) for one in those] for those in references]
    scorer = RougeScorer(["rougeL"])
    rows_ = zip(said, references, strict=True)
    expected = np.mean([scorer.score_multi(those, one)["rougeL"].fmeasure for one, those in rows_])
    assert rouge_l(said, references).value == pytest.approx(expected)


def ascii_(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def test_rouge_l_reads_other_scripts_than_latin():
    assert rouge_l(["Кіт сидить удома"], ["кіт сидить вдома"]).value == pytest.approx(2 / 3)


@pytest.mark.parametrize("metric", [bleu, chrf, rouge_l])
def test_a_missing_prediction_is_an_empty_one(metric):
    right = ["the cat sat on the mat", "a dog barked at the cat"]
    assert metric([None, right[1]], right).value == metric(["", right[1]], right).value
    assert metric([None, None], right).value == 0
    assert metric(right, right).value == pytest.approx(1)
