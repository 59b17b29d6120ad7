from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.prompts.detokenise import detokenise
from stillroom.prompts.evaluate import adherence, agreement, best, by_model, labelled, survival
from stillroom.prompts.examples import Example
from stillroom.prompts.questions import Context, Question
from stillroom.prompts.words import split

WORDS = ["fox", "dog", "file", "Friday", "agreed", "names"]
chances = st.sampled_from([0.1, 0.3, 0.5, 0.50001, 0.9])
rows = st.lists(st.tuples(st.sampled_from(WORDS), st.booleans(), chances), min_size=1, max_size=12)


def example(words, keep):
    return Example(*detokenise(words), np.array(keep, dtype=np.float32), "here", "en")


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(rows, min_size=1, max_size=5), rate=st.sampled_from(["natural", "set", 0.5, 0.33, 1.0]))
def test_f1_is_that_of_the_best_words_counted_by_hand(texts, rate):
    examples = [example([word for word, _, _ in text], [keep for _, keep, _ in text]) for text in texts]
    scores = [np.array([chance for _, _, chance in text]) for text in texts]
    overall = sum(keep for text in texts for _, keep, _ in text) / sum(map(len, texts))
    hits = ours = theirs = 0
    for text in texts:
        people = sum(keep for _, keep, _ in text)
        share = {"natural": people / len(text), "set": overall}.get(rate, rate)
        count = min(max(round(share * len(text)), 1), len(text))
        ranked = sorted(range(len(text)), key=lambda at: (-round(text[at][2], 4), at))[:count]
        hits += sum(text[at][1] for at in ranked)
        ours += count
        theirs += people
    assert agreement(scores, examples, [rate]) == {str(rate): pytest.approx(2 * hits / (ours + theirs))}


def test_scores_equal_to_the_labels_agree_with_them_at_the_natural_rate():
    one = example(WORDS, [1, 0, 0, 1, 1, 0])
    assert agreement([one.keep], [one], ["natural", "set"]) == {"natural": 1.0, "set": 1.0}


def test_ties_go_to_the_earlier_word_after_rounding():
    assert best(np.array([0.5, 0.500001, 0.2, 0.5]), 2).tolist() == [True, True, False, False]
    assert best(np.array([0.5, 0.5002]), 1).tolist() == [False, True]


def test_an_answer_survives_if_all_words_that_it_touches_are_kept():
    words = split("In February 2016, the Denver Broncos won.")
    text = words.text
    place = text.index("Denver")
    questions = (
        Question("1", "", ("Denver Broncos",), ((place, place + 14),)),
        Question("2", "", ("2016",), ((12, 16),)),
        Question("3", "", ("ebruar",), ((4, 10),)),
        Question("4", "", ("nowhere",), ()),
    )
    score = (
        np.array([text[a:b] in ("Denver", "Broncos", "2016") for a, b in zip(words.start, words.end, strict=True)])
        * 1.0
    )
    found = survival([score], [words], [Context(text, questions)], [1 / 3, 1.0])
    assert found == {str(1 / 3): pytest.approx(2 / 3), "1.0": 1.0}  # the last question has no place and does not count
    score[6] = 0.0  # Broncos
    assert survival([score], [words], [Context(text, questions[:1])], [1 / 3])[str(1 / 3)] == 0


def test_any_place_of_an_answer_will_do():
    words = split("yes or no or yes")
    context = Context(words.text, (Question("1", "", ("yes",), ((0, 3), (13, 16))),))
    assert survival([np.array([0, 0, 0, 0, 1.0])], [words], [context], [0.2]) == {"0.2": 1.0}


def test_rates_are_met_to_the_tokens_of_a_word(scorers, sentences):
    for scorer in scorers.values():
        found = adherence(scorer, sentences, (0.5, 0.33, 1.0))
        longest = max(
            np.bincount(np.searchsorted(split(text).end, tokens.start, side="right")).max()
            for text, tokens in zip(sentences, scorer.tokenize(sentences), strict=True)
        )
        assert found["1.0"] == {"rate": 1.0, "worst_tokens": 0.0}
        for rate in (0.5, 0.33):
            assert rate <= found[str(rate)]["rate"] < rate + 0.2
            assert 0 <= found[str(rate)]["worst_tokens"] <= longest


def test_a_models_words_have_the_mean_of_their_tokens(scorers, sentences):
    scorer = scorers["bert"]
    words = labelled(example(["Compression", "keeps", "numbers"], [1, 0, 1]))
    [score] = by_model(scorer)([words])
    [tokens] = scorer.tokenize([words.text])
    [chance] = scorer.probabilities([tokens])
    for start, end, value in zip(words.start, words.end, score, strict=True):
        own = chance[(tokens.start >= start) & (tokens.start < end)]
        assert value == pytest.approx(own.mean(), abs=1e-4)
