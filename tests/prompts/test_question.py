from __future__ import annotations

import numpy as np

from stillroom.prompts.question import SENTENCE, steer
from stillroom.prompts.words import split

TEXT = (
    "The committee met on Monday. Compressed prompts were discussed at length. Lunch was good.\nNobody ate the fish. "
    "我们讨论了提示压缩。午饭很好。"
)


def gains(question, text=TEXT):
    words = split(text)
    score = steer(words, np.zeros(len(words)), question)
    return {text[a:b]: round(float(x), 3) for a, b, x in zip(words.start, words.end, score, strict=True)}


def test_words_of_the_question_gain_most_whatever_their_ending_and_case():
    found = gains("who talked about COMPRESSING a prompt?")
    assert found["Compressed"] == found["prompts"] == 1
    assert found["discussed"] == SENTENCE


def test_other_sentences_and_lines_gain_nothing():
    found = gains("who talked about compressing a prompt?")
    assert found["committee"] == found["Lunch"] == found["Nobody"] == 0


def test_a_word_that_is_rarer_in_the_text_gains_more():
    found = gains("the fish")
    assert found["fish"] == 1
    assert 0 < found["the"] < 1


def test_in_scripts_without_spaces_pairs_of_characters_are_compared():
    found = gains("提示压缩是什么?")
    assert found["提"] == found["示"] == found["压"] == found["缩"] == 1
    assert found["我"] == SENTENCE
    assert found["饭"] == 0


def test_a_question_without_a_shared_word_changes_nothing():
    assert set(gains("zebra?").values()) == set(gains("").values()) == {0}
    assert steer(split(""), np.zeros(0), "any").tolist() == []


def test_scores_stay_probabilities_and_never_fall():
    words = split(TEXT)
    score = np.linspace(0, 1, len(words))
    steered = steer(words, score, "Did the committee eat fish on Monday?")
    assert (steered >= score).all()
    assert (steered <= 1).all()
