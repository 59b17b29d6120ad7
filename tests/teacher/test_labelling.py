"""Jobs against a real server: what is asked, what is paid, what goes wrong, and what comes out."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace

import pytest

from stillroom.core.errors import DataError, RecipeError
from stillroom.teacher.labelling import BUDGET, IN_BATCH, label
from stillroom.teacher.ledger import Intent, Ledger, entries
from stillroom.teacher.prices import PICO
from stillroom.teacher.testing import Fault, Reply, Script, ScriptedServer


def even(body: dict) -> str:
    """Answer "Is 12 even?"."""
    number = int(re.findall(r"\d+", body["messages"][-1]["content"])[-1])
    return "no" if number % 2 else "yes"


def answers(found) -> dict[str, str]:
    return {one.row_id: one.answer for one in found}


def expected(rows) -> dict[str, str]:
    return {row["row_id"]: "no" if int(row["row_id"][1:]) % 2 else "yes" for row in rows}


@pytest.fixture(scope="module")
def server():
    with ScriptedServer(Script(answer=even, latency=(0.0, 0.01))) as server:
        yield server


def test_every_row_is_labelled_in_the_order_of_the_rows(server, store, make_job, api, some_rows):
    rows = some_rows(40)
    found = label(iter(rows), make_job(), store, api(server))
    assert [one.row_id for one in found] == [row["row_id"] for row in rows]
    assert answers(found) == expected(rows)
    assert (found.rows, found.labelled, found.stored, found.stopped) == (40, 40, 0, None)
    one = next(iter(found))
    assert (one.input, one.model, one.finish_reason) == (rows[0]["text"], "scripted", "stop")
    assert one.prompt_hash == make_job().prompt_hash
    assert one.prompt_tokens > 0


def test_new_rows_other_orders_and_other_jobs_pay_for_no_answer_twice(server, store, make_job, api, some_rows):
    label(some_rows(20, 100), make_job(), store, api(server))
    before = server.bill().requests
    more = [*some_rows(5, 120), *reversed(some_rows(20, 100))]
    found = label(more, make_job(name="another"), store, api(server))
    assert server.bill().requests == before + 5
    assert (found.labelled, found.stored) == (25, 20)
    assert list(answers(found)) == [row["row_id"] for row in more]


def test_of_equal_rows_one_is_asked_and_all_are_labelled(server, store, make_job, api):
    rows = [{"id": number, "text": f"Is {200 + number % 3} even?"} for number in range(30)]
    before = server.bill().requests
    found = label(rows, make_job(), store, api(server))
    assert server.bill().requests == before + 3
    assert [one.row_id for one in found] == [str(number) for number in range(30)]


def test_several_answers_a_row_are_several_requests(server, store, make_job, api, some_rows):
    before = server.bill().requests
    found = label(some_rows(4, 300), make_job(samples=3), store, api(server))
    assert server.bill().requests == before + 12
    assert [one.row_id for one in found] == [f"r{number}" for number in range(300, 304) for _ in range(3)]
    label(some_rows(4, 300), make_job(), store, api(server))  # the first of them is an answer like any other
    assert server.bill().requests == before + 12


def test_the_books_say_what_the_server_bills(store, make_job, api, some_rows):
    with ScriptedServer(Script(answer=even, prompt_cache_minimum=128)) as server:
        job = make_job({"system": "You are careful. " * 200})
        found = label(some_rows(30), job, store, api(server))
        bill = server.bill()
    assert bill.cached_tokens > 0
    assert found.spent == bill.picodollars == found.charged
    (row,) = entries(store, ["job"])
    assert (row["prompt_tokens"], row["cached_tokens"]) == (bill.prompt_tokens, bill.cached_tokens)


def test_a_row_that_does_not_fit_is_listed_and_the_others_are_labelled(server, store, make_job, api, some_rows):
    rows = [*some_rows(2, 400), {"row_id": "odd", "txt": "?"}, *some_rows(2, 402)]
    found = label(rows, make_job(), store, api(server))
    assert len(answers(found)) == 4
    assert [(row_id, "has no 'text'" in reason) for row_id, reason in found.missing()] == [("odd", True)]
    with pytest.raises(DataError, match="row 0 has no 'text'"):
        label(rows[2:], make_job(), store, api(server))


def test_rows_that_cannot_be_read_to_their_end_lose_nothing(server, store, make_job, api, some_rows):
    def torn():
        yield from some_rows(300, 500)
        raise DataError("line 301 is no JSON")

    with pytest.raises(DataError, match="line 301"):
        label(torn(), make_job(), store, api(server))
    before = server.bill().requests
    found = label(some_rows(256, 500), make_job(), store, api(server))
    assert (found.stored, server.bill().requests) == (256, before)


def test_it_runs_where_an_event_loop_runs_already(server, store, make_job, api, some_rows):
    async def notebook():
        return label(some_rows(3, 900), make_job(), store, api(server))

    assert len(answers(asyncio.run(notebook()))) == 3


# What goes wrong, whether a row is labelled in the end, what a failed call is called, and whether it may be paid for.
FAULTS = [
    (Fault("status", first=1, status=429, retry_after=0.1), True, "refused"),
    (Fault("status", first=1, status=429), True, "refused"),
    (Fault("status", first=1, status=500), True, "failed"),
    (Fault("status", first=1, status=503, retry_after=0.1), True, "failed"),
    (Fault("status", first=1, status=408), True, "refused"),
    (Fault("reset", first=1), True, "failed"),
    (Fault("cut", first=1), True, "failed"),
    (Fault("garbage", first=1), True, "failed"),
    (Fault("hang", first=1, seconds=30), True, "failed"),
    (Fault("empty", first=1), True, "unfit"),
    (Fault("invalid", first=2), True, "unfit"),
    (Fault("invalid", first=9), False, "unfit"),
    (Fault("length", first=9), False, "unfit"),
    (Fault("refusal", first=9), False, "unfit"),
    (Fault("status", first=9, status=400), False, "refused"),
]


@pytest.mark.parametrize(("fault", "labelled", "outcome"), FAULTS, ids=lambda value: getattr(value, "kind", None))
def test_what_goes_wrong_is_tried_again_or_named_and_never_a_label(
    store, make_job, api, some_rows, fault, labelled, outcome
):
    rows = some_rows(6)
    with ScriptedServer(Script(answer=even, faults=(fault,))) as server:
        found = label(rows, make_job(), store, api(server, timeout=1.0 if fault.kind == "hang" else 10.0))
        bill = server.bill()
    assert answers(found) == (expected(rows) if labelled else {})
    assert all(one.finish_reason == "stop" for one in found)
    assert {row_id for row_id, reason in found.missing() if reason} == (set() if labelled else set(expected(rows)))
    (row,) = entries(store, ["job"])
    assert row[outcome] >= 6
    assert row["open"] == 0
    assert found.charged >= bill.picodollars


def test_an_answer_without_its_usage_is_a_label_that_stays_charged_at_its_reservation(store, make_job, api, some_rows):
    with ScriptedServer(Script(answer=even, faults=(Fault("no_usage", share=1.0),))) as server:
        found = label(some_rows(4), make_job(), store, api(server))
        assert len(answers(found)) == 4
        job = make_job()
        reserved = [job.price.reservation(question.request.size, 8) for question in job.questions(some_rows(4))]
        assert found.charged == sum(reserved) > server.bill().picodollars


def test_a_server_that_is_away_for_a_while_is_waited_for(store, make_job, api, some_rows):
    import threading

    rows = some_rows(120)
    with ScriptedServer(Script(answer=even, latency=0.02)) as server:
        killer = threading.Timer(0.3, server.kill)
        starter = threading.Timer(2.5, server.start)
        killer.start(), starter.start()
        found = label(rows, make_job(), store, api(server))
        starter.join()
        assert answers(found) == expected(rows)
        assert found.charged >= server.bill().picodollars


def test_a_server_that_is_gone_costs_nothing_and_every_row_is_named(store, make_job, api, some_rows):
    server = ScriptedServer()
    server.start()
    server.stop()
    found = label(some_rows(3), make_job(patience=1.0), store, api(server))
    assert {reason for _, reason in found.missing()} == {"the API cannot be reached"}
    assert found.charged == 0


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault("status", share=1.0, status=401), "the API refuses the key"),
        (Fault("status", share=1.0, status=404), "no such model"),
        (Fault("status", share=1.0, status=400), "the first 20 requests were all refused"),
    ],
)
def test_a_job_that_cannot_go_well_stops_and_keeps_what_it_has(store, make_job, api, some_rows, fault, sentence):
    with ScriptedServer(Script(answer=even)) as server:
        label(some_rows(10), make_job(), store, api(server))
    with ScriptedServer(Script(answer=even, faults=(fault,))) as server:
        found = label(some_rows(500), make_job(), store, api(server))
        assert server.stats()["requests"] < 40
    assert sentence in found.stopped
    assert len(answers(found)) == 10
    assert found.unlabelled == 490


def test_the_servers_bill_never_passes_the_budget(store, make_job, api, some_rows):
    rows = some_rows(800)
    budget = 0.0012
    script = Script(answer=even, latency=(0.0, 0.02), faults=(Fault("cut", share=0.05), Fault("no_usage", share=0.1)))
    with ScriptedServer(script) as server:
        job = make_job(budget_usd=budget, concurrency=64)
        found = label(rows, job, store, api(server))
        assert server.bill().picodollars <= found.charged <= budget * PICO
        assert found.stopped == BUDGET
        assert 0 < found.labelled < 800
        assert {reason for _, reason in found.missing()} == {BUDGET}
        more = make_job(budget_usd=1.0, concurrency=64)  # the same job goes on with more
        assert answers(label(rows, more, store, api(server))) == expected(rows)


def test_answers_of_unknown_length_stay_within_the_budget(store, make_job, api, some_rows):
    prompt = {"output": "text", "max_tokens": 200}
    with ScriptedServer(Script(answer="word and another", length=(1, 200), latency=(0.0, 0.02))) as server:
        found = label(some_rows(400), make_job(prompt, budget_usd=0.01, concurrency=64), store, api(server))
        assert server.bill().picodollars <= found.charged <= 0.01 * PICO
        assert server.bill().picodollars > 0.008 * PICO  # what is freed is used


def test_a_job_is_one_process_at_a_time(server, store, make_job, api, some_rows):
    def rows():
        yield from some_rows(1, 950)
        with pytest.raises(DataError, match="another process is at the job"):
            label(some_rows(1, 951), make_job(), store, api(server))

    assert label(rows(), make_job(), store, api(server)).labelled == 1


def test_what_is_under_way_in_a_batch_is_not_asked_again(server, store, make_job, api, some_rows):
    job = make_job()
    (one, other) = job.questions(some_rows(2, 960))
    Ledger(store, "a batch").write([Intent(one.request.key, "scripted", 1, batch="b1")])
    found = label(some_rows(2, 960), job, store, api(server))
    assert list(answers(found)) == [other.row_id]
    assert list(found.missing()) == [(one.row_id, IN_BATCH)]


def test_a_row_whose_price_is_not_known_is_named(server, store, make_job, api, some_rows):
    job = make_job()
    short = replace(job, price=job.price.model_copy(update={"longest_prompt": 400}))
    rows = [{"row_id": "long", "text": "Is 2 even? " * 30}, *some_rows(2, 970)]
    found = label(rows, short, store, api(server))
    assert [(row_id, "shorten it" in reason) for row_id, reason in found.missing()] == [("long", True)]
    assert len(answers(found)) == 2


def test_soft_targets_come_from_the_alternatives(store, make_job, api, some_rows):
    said = Reply("yes", logprobs=(("yes", (("yes", -0.105), ("no", -2.303))),))
    with ScriptedServer(Script(answer=said)) as server:
        (one,) = label(some_rows(1), make_job({"top_logprobs": 5}), store, api(server))
    assert one.soft_targets == pytest.approx({"yes": 0.9, "no": 0.1}, abs=1e-3)


def test_the_reasoning_is_asked_for_and_kept(store, make_job, api, some_rows):
    said = Reply("Reasoning: two goes into it.\nAnswer: yes")
    with ScriptedServer(Script(answer=said)) as server:
        job = make_job({"output": {"one_of": ["yes", "no"], "rationale": "together"}, "max_tokens": 50})
        (one,) = label(some_rows(1), job, store, api(server))
        assert "Reasoning:" in server.requests()[0]["body"]["messages"][0]["content"]
    assert (one.answer, one.rationale) == ("yes", "two goes into it.")


def test_the_key_is_in_no_store_no_error_and_no_request_but_its_header(store, make_job, api, some_rows, tmp_path):
    with ScriptedServer(Script(answer=even, api_key="sk-very-secret", faults=(Fault("cut", share=0.5),))) as server:
        label(some_rows(10), make_job(), store, api(server))
        assert all(request["authorized"] for request in server.requests())
        assert "sk-very-secret" not in json.dumps(server.requests())
        found = label(some_rows(3, 50), make_job(name="wrong"), store, api(server, api_key="sk-other-secret"))
        assert "the API refuses the key" in found.stopped
    assert "secret" not in repr(api(server)) + str(found.stopped)
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or b"-secret" not in file.read_bytes(), file


def test_jobs_that_cannot_be_meant_are_refused(make_job):
    for change in ({"samples": 0}, {"concurrency": 0}, {"budget_usd": 0}, {"attempts": 0}):
        with pytest.raises(RecipeError):
            make_job(**change)
    with pytest.raises(RecipeError, match="name a compressor"):
        make_job({"system": "Be careful."}, rate=0.5)
