from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.prompts.selection import PROTECTED, Weights, fit, select, weigh
from stillroom.prompts.words import split


def weights(score, cost=None):
    cost = np.ones(len(score), dtype=int) if cost is None else np.array(cost)
    owner = np.maximum.accumulate(np.where(cost > 0, np.arange(len(cost)), 0))
    return Weights(np.array(score, dtype=float), cost, owner)


def test_a_word_scores_the_mean_of_its_tokens_and_costs_their_number():
    words = split("keep going, friend")
    found = weigh(words, np.array([0, 5, 8, 10, 12]), np.array([0.9, 0.2, 0.4, 0.5, 0.77777], dtype=np.float32))
    np.testing.assert_allclose(found.score, [0.9, 0.3, 0.5, 0.7778])
    assert found.cost.tolist() == [1, 2, 1, 1]


def test_a_word_without_tokens_stays_with_the_word_before_it():
    words = split("我们走 吧")
    found = weigh(words, np.array([0, 2]), np.array([0.1, 0.9]))  # one token for two characters, none for the last
    assert found.owner.tolist() == [0, 0, 2, 2]
    assert select(found, np.zeros(4, dtype=int), np.array([0.5])).tolist() == [False, False, True, True]
    first = weigh(words, np.array([2]), np.array([0.5]))
    assert first.owner.tolist() == [2, 2, 2, 2]


def test_white_space_with_a_token_counts_for_the_word_after_it():
    words = split("a\n\nb ")
    assert weigh(words, np.array([0, 1, 3, 4]), np.full(4, 0.5)).cost.tolist() == [1, 3]


def test_where_the_tokenizer_has_nothing_for_a_text_each_word_counts_as_one_token():
    found = weigh(split("\x01 \x02"), np.empty(0), np.empty(0))
    assert select(found, np.zeros(2, dtype=int), np.array([0.1])).tolist() == [True, False]
    assert select(weigh(split(""), np.empty(0), np.empty(0)), np.zeros(0, dtype=int), np.array([0.1])).tolist() == []


def test_ties_go_to_the_earlier_word():
    kept = select(weights([0.5, 0.5, 0.5, 0.5]), np.zeros(4, dtype=int), np.array([0.5]))
    assert kept.tolist() == [True, True, False, False]


def test_float_noise_in_rate_times_tokens_keeps_no_word_more():
    kept = select(weights(np.linspace(0, 1, 30)), np.zeros(30, dtype=int), np.array([0.1]))
    assert kept.sum() == 3


def test_a_threshold_keeps_the_words_that_reach_it():
    assert select(weights([0.2, 0.5, 0.7]), np.zeros(3, dtype=int), np.array([1.0]), 0.5).tolist() == [
        False,
        True,
        True,
    ]


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_each_group_keeps_its_rate_to_the_tokens_of_one_word_and_its_best_words(data):
    count = data.draw(st.integers(1, 60))
    score = np.round(data.draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)), 1)
    cost = np.array(data.draw(st.lists(st.integers(1, 5), min_size=count, max_size=count)))
    group = np.array(data.draw(st.lists(st.sampled_from([PROTECTED, 0, 1, 2]), min_size=count, max_size=count)))
    rates = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=3, max_size=3)))
    kept = select(weights(score, cost), group, rates)
    assert kept[group == PROTECTED].all()
    for number, rate in enumerate(rates):
        inside = np.flatnonzero(group == number)
        if not len(inside):
            continue
        total, spent = cost[inside].sum(), cost[inside][kept[inside]].sum()
        chosen = sorted(inside, key=lambda i: (-score[i], i))[: kept[inside].sum()]
        assert sorted(chosen) == inside[kept[inside]].tolist()
        assert spent >= rate * total - 1e-6
        assert kept[inside].any()
        assert spent - cost[chosen[-1]] < rate * total


@pytest.mark.parametrize("cap", range(0, 26))
def test_a_cap_keeps_the_most_words_in_order_of_rank_that_fit(cap):
    rng = np.random.default_rng(cap)
    cost = rng.integers(1, 4, 12)
    group = np.where(np.arange(12) == 5, PROTECTED, 0)
    all_kept = np.ones(12, dtype=bool)
    found = weights(rng.random(12), cost)
    kept = fit(found, group, all_kept, lambda mask: int(cost[mask].sum()), cap)
    assert kept[5]
    ranked = [i for i in np.argsort(-found.score, kind="stable") if i != 5]
    fitting = [n for n in range(12) if cost[5] + cost[ranked[:n]].sum() <= cap]
    assert kept.sum() == 1 + (max(fitting) if fitting else 0)


def test_a_cap_holds_where_a_counter_is_not_monotonic():
    group = np.zeros(40, dtype=int)

    def count(mask):
        return int(mask.sum()) + 5 * (int(mask.sum()) % 3 == 0)

    for cap in range(5, 45):
        kept = fit(weights(np.linspace(1, 0, 40)), group, np.ones(40, dtype=bool), count, cap)
        assert count(kept) <= cap


def test_a_cap_of_a_long_text_is_found_in_few_counts():
    rng, calls = np.random.default_rng(0), []
    cost = rng.integers(1, 5, 40_000)

    def count(mask):
        calls.append(1)
        return int(cost[mask].sum() * 0.8 + 7)

    fit(weights(rng.random(40_000), cost), np.zeros(40_000, dtype=int), np.ones(40_000, dtype=bool), count, 12_345)
    assert len(calls) < 16
