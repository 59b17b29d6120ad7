from __future__ import annotations

import numpy as np
import pytest

from stillroom.prompts import baselines
from stillroom.prompts.evaluate import best
from stillroom.prompts.usage import Usage, written
from stillroom.prompts.words import split

USAGE = Usage.learn(
    ["The dog saw the cat.", "The cat saw the old dog.", "I saw the Danube.", "He likes the Danube, the cat and I."]
)
TEXT = split("The cat saw the Danube, the zebra and the dog.")


def kept(ranking, count):
    [score] = ranking([TEXT])
    return [word for word, stays in zip(written(TEXT), best(score, count), strict=True) if stays]


def test_first_keeps_the_beginning():
    assert kept(baselines.first, 3) == ["The", "cat", "saw"]


def test_random_is_the_same_for_the_same_seed_and_spreads_over_the_text():
    one, same, other = (baselines.random([TEXT] * 200, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    share = np.mean([best(score, 4) for score in one], axis=0)
    assert share == pytest.approx(np.full(len(TEXT), 4 / len(TEXT)), abs=0.15)


def test_stop_words_go_first_and_the_rest_is_filled_in_order():
    usage = Usage(4, USAGE.frequency, USAGE.capital, frozenset({"the", "and", "saw"}))
    assert kept(baselines.without_stop_words(usage), 2) == ["cat", "Danube"]
    assert kept(baselines.without_stop_words(usage), 4) == ["cat", "Danube", "zebra", "dog"]
    assert kept(baselines.without_stop_words(usage), 6) == ["The", "cat", "saw", "Danube", "zebra", "dog"]


def test_idf_keeps_the_rarest_and_drops_punctuation_last_of_all():
    assert kept(baselines.idf(USAGE), 2) == ["zebra", "and"]  # both in one sentence at most; ties go to position
    assert kept(baselines.idf(USAGE), 4) == ["Danube", "zebra", "and", "dog"]
    [score] = baselines.idf(USAGE)([TEXT])
    assert score[-1] == score[5] == 0


def test_usage_counts_sentences_and_tells_names_from_stop_words():
    assert USAGE.sentences == 4
    assert USAGE.frequency["the"] == 4
    assert USAGE.capital["danube"] == 1
    assert {"the", "saw", "cat", "i"} <= USAGE.stop_words
    assert "danube" not in USAGE.stop_words
    assert USAGE.idf("Danube") == pytest.approx(np.log(4 / 2))
    assert USAGE.idf("zebra") == pytest.approx(np.log(4))
    assert USAGE.is_stop("The")
    assert USAGE.is_stop(",")
    assert not USAGE.is_stop("Danube")
