from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.teacher.plan import WAYS, Counts, break_even_rate, cheapest, plans
from stillroom.teacher.prices import PICO, Price

PRICE = Price(input=1, cached_input=0.1, output=4, batch=0.5, cache_minimum=1024)
JOB = Counts(rows=1000, prefix=2100, rest=400_000, completion=100_000, compressed_prefix=1200, compressed_rest=200_000)


@st.composite
def jobs(draw):
    prefix, rest = draw(st.integers(0, 10_000)), draw(st.integers(0, 10**7))
    shorter = (draw(st.none() | st.integers(0, whole)) for whole in (prefix, rest))
    return Counts(draw(st.integers(0, 10_000)), prefix, rest, draw(st.integers(0, 10**6)), *shorter)


def by_name(counts, price):
    return {plan.name: plan for plan in plans(counts, price)}


def test_the_six_ways_cost_what_a_pocket_calculator_says():
    costs = {plan.name: plan.cost for plan in plans(JOB, PRICE)}
    assert {name: cost / PICO for name, cost in costs.items()} == {
        "as is": 2.9,  # 2,500,000 tokens in, 100,000 out at 4
        "compressed": 1.8,  # 1,400,000 in
        "cached prefix": 1.0586432,  # 999 times 2,048 tokens (16 steps of 128) at 0.1, 454,048 at 1
        "compressed + cached prefix": 0.7642368,  # 999 times 1,152 at 0.1, 249,152 at 1
        "batch": 1.45,
        "compressed + batch": 0.9,
    }
    assert list(costs) == list(WAYS)
    assert cheapest(plans(JOB, PRICE)).name == "compressed + cached prefix"


def test_plans_say_how_many_tokens_they_count():
    cached = by_name(JOB, PRICE)["compressed + cached prefix"]
    assert (cached.prompt_tokens, cached.cached_tokens, cached.completion_tokens) == (1_400_000, 999 * 1152, 100_000)
    assert "1,400,000 of 2,500,000 prompt tokens stay" in cached.note
    assert "compressing a cached prefix saves $0.0944 of this" in cached.note


def test_writing_to_the_cache_is_paid_once():
    once, dear = (by_name(JOB, replace_price(cache_write=factor))["cached prefix"].cost for factor in (1, 1.25))
    assert dear - once == 2100 * 10**6 // 4


def test_a_prefix_compressed_below_the_minimum_costs_more_and_says_so():
    job = replace(JOB, compressed_prefix=1000)
    ways = by_name(job, PRICE)
    assert ways["compressed"].cost > ways["cached prefix"].cost
    assert "but $0.741 more than with the prefix left whole and cached" in ways["compressed"].note
    assert "1,000 tokens, under the 1,024" in ways["compressed"].note
    assert ways["compressed + cached prefix"].cost is None
    assert (
        ways["compressed + cached prefix"].note == "the prefix has 1,000 tokens, and prefixes are cached from 1,024 on"
    )
    whole = by_name(replace(job, compressed_prefix=None), PRICE)["compressed + cached prefix"]
    assert ways["compressed"].cost - whole.cost == pytest.approx(0.741 * PICO, abs=0.0005 * PICO)


def test_a_step_of_the_cache_lost_to_compression_is_called_a_cost():
    job = Counts(rows=100, prefix=1152, rest=0, completion=0, compressed_prefix=1150)
    assert "compressing a cached prefix costs" in by_name(job, PRICE)["compressed + cached prefix"].note


def test_ways_that_are_not_open_say_why():
    bare = by_name(Counts(rows=10, prefix=500, rest=100, completion=10), Price(input=1, output=1))
    assert [name for name, plan in bare.items() if plan.cost is not None] == ["as is"]
    assert bare["compressed"].note == bare["compressed + batch"].note == "nothing is compressed"
    assert bare["batch"].note == "no batch endpoint is known for this model"
    assert bare["cached prefix"].note == "no prompt cache is known for this model"
    assert all(plan.cached_tokens == 0 for plan in bare.values())


def test_of_ways_that_cost_the_same_the_simplest_is_the_cheapest():
    free = Price(input=0, output=0, batch=0.5, cache_minimum=0)
    assert cheapest(plans(JOB, free)).name == "as is"


@given(jobs(), st.floats(0, 1), st.integers(0, 5000))
def test_a_cached_prefix_is_never_dearer_when_writing_costs_nothing_extra(job, cached_input, minimum):
    ways = by_name(job, replace_price(cached_input=cached_input, cache_minimum=minimum))
    for plain, cached in (("as is", "cached prefix"), ("compressed", "compressed + cached prefix")):
        assert ways[cached].cost is None or ways[cached].cost <= ways[plain].cost


@given(jobs(), st.integers(1024, 10_000), st.integers(0, 1023))
def test_a_loss_is_told_exactly_when_the_whole_prefix_would_have_been_cheaper(job, prefix, below):
    job = replace(job, prefix=prefix, compressed_prefix=below, compressed_rest=job.compressed_rest or 0)
    compressed = by_name(job, PRICE)["compressed"]
    whole = by_name(replace(job, compressed_prefix=None), PRICE)["compressed + cached prefix"]
    assert ("more than with the prefix left whole" in compressed.note) == (compressed.cost > whole.cost)


@given(st.integers(1, 10_000), st.integers(1024, 10_000), st.integers(0, 9999))
def test_compression_beats_the_cache_below_the_break_even_rate_and_nowhere_else(rows, prefix, below):
    job = Counts(rows, prefix, rest=0, completion=0, compressed_prefix=min(below, prefix))
    ways = by_name(job, PRICE)
    beaten = ways["compressed"].cost < ways["cached prefix"].cost
    assert beaten == (job.compressed_prefix / prefix < break_even_rate(job, PRICE))


def test_without_a_cache_or_a_price_nothing_breaks_even():
    assert break_even_rate(replace(JOB, prefix=1023), PRICE) is None
    assert break_even_rate(JOB, replace_price(input=0)) is None
    assert break_even_rate(replace(JOB, rows=10**6), PRICE) == pytest.approx(0.1 + 0.9 * 52 / 2100, abs=1e-5)


def replace_price(**changes):
    return Price(**PRICE.model_dump() | changes)
