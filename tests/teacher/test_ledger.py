from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import RecipeError
from stillroom.core.labels import Label
from stillroom.core.targets import TargetStore
from stillroom.teacher.ledger import FAILED, LABELLED, Ending, Intent, Ledger, entries


def intents(*reservations):
    return [Intent(f"key {number}", "m", amount) for number, amount in enumerate(reservations)]


def test_a_call_that_the_budget_does_not_cover_is_not_numbered(store):
    ledger = Ledger(store, "job", budget=100)
    first, second, third = ledger.write(intents(60, 50, 40))
    assert first is not None
    assert second is None
    assert third is not None
    assert ledger.charged() == 100


def test_what_a_call_did_not_use_is_free_again_in_the_same_commit(store):
    ledger = Ledger(store, "job", budget=100)
    (call,) = ledger.write(intents(90))
    *_, number = ledger.write([*intents(80), Ending(call, LABELLED, cost=10)][::-1])
    assert number is not None
    assert ledger.charged() == 90


def test_a_call_that_ends_without_a_word_stays_charged(store):
    ledger = Ledger(store, "job", budget=100)
    (call,) = ledger.write(intents(90))
    ledger.write([Ending(call, FAILED, "timed out")])
    assert ledger.charged() == 90


def test_a_label_is_stored_with_what_it_cost_or_not_at_all(store):
    ledger = Ledger(store, "job")
    (call,) = ledger.write(intents(5))
    label = Label("key 0", "r", "input", "answer", "m")
    with pytest.raises(ValueError, match="unpack"):
        ledger.write([Ending(call, LABELLED, cost=1, label=label), Ending(10**6, LABELLED, cost=1)])
    assert store.get_label("key 0") is None
    assert ledger.charged() == 5
    ledger.write([Ending(call, LABELLED, cost=1, label=label)])
    assert store.get_label("key 0").answer == "answer"
    assert ledger.charged() == 1


def test_a_job_goes_on_under_its_name_and_other_jobs_have_their_own_budget(store):
    Ledger(store, "job", budget=100).write(intents(70))
    again = Ledger(store, "job", budget=100)
    assert again.abandon() == 1
    assert again.write(intents(40)) == [None]
    assert Ledger(store, "other", budget=100).write(intents(40)) != [None]


def test_a_budget_that_cannot_be_counted_is_refused(store):
    for budget in (0, -1, 2**63):
        with pytest.raises(RecipeError, match="more than nothing"):
            Ledger(store, "job", budget=budget)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60) | st.none()), max_size=30), st.integers(1, 150))
def test_the_books_add_up_and_reservations_never_pass_the_budget(tmp_path_factory, calls, budget):
    with TargetStore(tmp_path_factory.mktemp("ledger") / "s.sqlite") as store:
        ledger = Ledger(store, "job", budget)
        for number, (reservation, cost) in enumerate(calls):
            (call,) = ledger.write([Intent(f"key {number}", "m", reservation)])
            assert ledger.charged() <= budget
            if call is not None and number % 3:
                cost = None if cost is None else min(cost, reservation)
                ledger.write([Ending(call, LABELLED, cost=cost)])
        assert ledger.charged() == sum(int(row["charged"]) for row in entries(store)) <= budget


def test_the_books_are_summed_by_what_is_asked(store):
    ledger = Ledger(store, "job")
    calls = ledger.write([Intent("a", "m", 5, 3, True), Intent("a", "m", 5), Intent("b", "n", 5)])
    ledger.write(
        [
            Ending(calls[0], LABELLED, cost=2, prompt_tokens=10, cached_tokens=4, completion_tokens=1, seconds=0.5),
            Ending(calls[1], FAILED, "reset"),
            Ending(calls[2], LABELLED, cost=1, prompt_tokens=7, cached_tokens=0, completion_tokens=2, seconds=0.25),
        ]
    )
    by_model = {row["model"]: row for row in entries(store, ["model"])}
    m = by_model["m"]
    assert (m["calls"], m["labelled"], m["failed"], m["retries"], m["charged"]) == (2, 1, 1, 1, 7)
    assert (m["saved_tokens"], m["cached_tokens"], m["seconds_compressed"], m["seconds_full"]) == (3, 4, 0.5, None)
    (all_of_it,) = entries(store, ["job"])
    assert (all_of_it["prompt_tokens"], all_of_it["completion_tokens"], all_of_it["charged"]) == (17, 3, 8)
