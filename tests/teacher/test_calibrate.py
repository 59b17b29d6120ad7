"""Pilots against a real server, whose answers depend on words of the prompt that compression takes out."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from dataclasses import replace

import pytest

from stillroom.core.cli import main
from stillroom.core.errors import DataError, RecipeError
from stillroom.core.plain import to_plain
from stillroom.teacher import policies
from stillroom.teacher.calibrate import calibrate
from stillroom.teacher.labelling import BUDGET, label
from stillroom.teacher.ledger import entries
from stillroom.teacher.testing import Fault, Reply, Script, ScriptedServer

from . import small_compressor

INSTRUCTIONS = "Say whether the number is even, which means divisible by two, and please be so kind as to think"
PROMPT = {"instructions": INSTRUCTIONS}
asked = Counter()  # in the server's process


def even(body: dict) -> str:
    """Answer rightly while "divisible" stands in the prompt; without it, be wrong about the numbers that end in 1."""
    number = _number(body)
    right = ("yes", "no")[number % 2]
    if "divisible" in body["messages"][0]["content"] or number % 10 != 1:
        return right
    return "yes"


def wordy(body: dict) -> str | Reply:
    """Answer rightly while "divisible" stands in the prompt; without it, break the form on numbers that end in 1."""
    if "divisible" not in body["messages"][0]["content"] and _number(body) % 10 == 1:
        return "It depends on what you mean."
    return even(body)


def moody(body: dict) -> str:
    """Answer the second time otherwise than the first, on numbers that end in 1."""
    request = json.dumps(body)
    asked[request] += 1
    return "yes" if asked[request] > 1 and _number(body) % 10 == 1 else ("yes", "no")[_number(body) % 2]


def _number(body: dict) -> int:
    return int(re.findall(r"\d+", body["messages"][-1]["content"])[-1])


def begin(text: str, rate: float) -> tuple[str, int]:
    """Keep the first words: "divisible" is the eighth of 18."""
    words = text.split()
    kept = words[: round(rate * len(words))]
    return " ".join(kept), len(words) - len(kept)


@pytest.fixture(scope="module")
def server():
    with ScriptedServer(Script(answer=even)) as server:
        yield server


@pytest.fixture
def made(make_job):
    return make_job(PROMPT, shorten=begin)


def by_rate(found):
    return {one.rate: one for one in found.table}


def test_the_lowest_harmless_rate_is_chosen_and_a_harmful_one_never(server, store, made, api, some_rows):
    found = calibrate(some_rows(200), made, store, api(server), rates=(1, 0.5, 0.8, 0.3), tolerance=0.04, pilot=120)
    rates = by_rate(found)
    assert [one.rate for one in found.table] == [1, 0.8, 0.5, 0.3]
    assert [one.verdict for one in found.table] == ["full", "safe", "safe", "harmful"]
    assert found.chosen == 0.5
    assert rates[0.5].agreement["exact"].mean == 1
    assert rates[0.3].agreement["exact"].mean < 0.96
    assert rates[0.5].usd_per_1000 < rates[0.8].usd_per_1000 < rates[1].usd_per_1000
    assert found.sentence.startswith("Rate 0.5 is safe: 100 % of 120 rows agree")
    assert (found.misfits, found.self_agreement, found.stopped) == (0, None, None)


def test_costs_are_those_of_the_server_s_own_bill(store, made, api, some_rows):
    with ScriptedServer(Script(answer=even)) as server:
        found = calibrate(some_rows(80), made, store, api(server), rates=(0.8,), tolerance=0.05, pilot=80)
        bill = server.bill()
    assert found.spent_usd == pytest.approx(bill.usd)
    assert sum(80 * one.usd_per_1000 / 1000 for one in found.table) == pytest.approx(bill.usd)
    assert sum(80 * one.prompt_tokens for one in found.table) == bill.prompt_tokens
    [books] = entries(store, ["job"])
    assert (books["job"], books["calls"]) == (f"{made.title}-pilot", bill.requests)


def test_the_pilot_is_the_same_whatever_the_order_and_a_larger_one_holds_it(server, store, made, api, some_rows):
    rows = some_rows(300, 1000)
    calibrate(rows, made, store, api(server), rates=(0.8,), pilot=40)
    paid = server.bill().requests
    shuffled = random.Random(0).sample([*rows, *rows[:50]], 350)
    assert calibrate(shuffled, made, store, api(server), rates=(0.8,), pilot=40).pilot == 40
    assert server.bill().requests == paid
    calibrate(reversed(rows), made, store, api(server), rates=(0.8,), pilot=60)
    assert server.bill().requests == paid + 2 * 20


def test_a_job_does_not_pay_again_for_what_the_pilot_has_asked(server, store, made, api, some_rows):
    rows = some_rows(50, 2000)
    calibrate(rows, made, store, api(server), rates=(0.8,), pilot=30)
    paid = server.bill().requests
    label(rows, made, store, api(server))
    assert server.bill().requests == paid + 20
    label(rows, replace(made, rate=0.8), store, api(server))
    assert server.bill().requests == paid + 40


def test_an_undecided_rate_says_how_many_rows_would_decide(server, store, made, api, some_rows):
    found = calibrate(some_rows(60, 3000), made, store, api(server), rates=(0.8,), tolerance=0.01, pilot=60)
    one = by_rate(found)[0.8]
    assert (found.chosen, one.verdict, one.rows_needed) == (1, "undecided", 368)
    assert "No rate is shown to be safe" in found.sentence
    assert "so few rows cannot show it even when all agree; about 368 rows could" in found.sentence


def test_a_mild_rate_that_is_not_safe_stops_the_harsher_ones(server, store, made, api, some_rows):
    """A compressor that takes out the word that matters at 0.8, and not at 0.6."""

    def backwards(text, rate):
        return begin(text, 0.3 if rate == 0.8 else rate)

    found = calibrate(
        some_rows(80, 4000), replace(made, shorten=backwards), store, api(server), rates=(0.8, 0.6), tolerance=0.05,
        pilot=80,
    )  # fmt: skip
    assert by_rate(found)[0.6].agreement["exact"].mean == 1
    assert (found.chosen, by_rate(found)[0.6].verdict) == (1, "not reached")
    assert "as a milder rate is not safe: 0.6" in found.sentence


def test_a_prompt_that_makes_the_teacher_break_the_form_is_not_safe(store, made, api, some_rows):
    with ScriptedServer(Script(answer=wordy)) as server:
        found = calibrate(some_rows(100), made, store, api(server), rates=(0.3,), tolerance=0.03, pilot=100)
    one = by_rate(found)[0.3]
    assert (one.unanswered, one.excluded, one.agreement["exact"].rows) == (10, 0, 100)
    assert one.agreement["exact"].mean == pytest.approx(0.9)
    assert (found.chosen, one.verdict) == (1, "harmful")


def test_rows_whose_calls_failed_are_left_out_of_the_pair_and_counted(store, made, api, some_rows):
    job = replace(made, patience=0.0, concurrency=1)
    faults = (Fault("status", at=(3, 4), status=400), Fault("status", at=(25,), status=400))
    with ScriptedServer(Script(answer=even, faults=faults)) as server:
        found = calibrate(some_rows(20), job, store, api(server), rates=(0.8,), pilot=20)
    full, one = found.table
    assert (full.excluded, one.excluded, one.unanswered) == (2, 3, 0)
    assert (one.agreement["exact"].rows, one.agreement["exact"].mean) == (17, 1)


def test_a_noisy_teacher_s_agreement_with_itself_is_told(store, make_job, api, some_rows):
    job = make_job({**PROMPT, "temperature": 1.0}, shorten=begin)
    with ScriptedServer(Script(answer=moody)) as server:
        found = calibrate(some_rows(100), job, store, api(server), rates=(0.8,), tolerance=0.05, pilot=100)
        assert server.bill().requests == 300
    assert (found.self_agreement.rows, found.self_agreement.mean) == (100, 0.9)
    assert "The full prompt agrees with itself on 90 % of the rows" in found.sentence
    assert "this tolerance cannot be met" in found.sentence
    assert found.chosen == 0.8  # each first answer was the same


def test_correctness_is_compared_row_by_row_with_gold_answers(server, store, made, api, some_rows):
    rows = some_rows(60, 5000)
    gold = [{"row_id": row["row_id"], "answer": ("yes", "no")[int(row["row_id"][1:]) % 2]} for row in rows[:50]]
    found = calibrate(rows, made, store, api(server), rates=(0.8, 0.3), pilot=60, gold=gold)
    same, worse = found.table[1].correctness, found.table[2].correctness
    assert (same.rows, same.mean, same.lost, same.won) == (50, 0, 0, 0)
    assert same.low < 0 < same.high
    assert (worse.rows, worse.lost, worse.won) == (50, 5, 0)
    assert worse.mean == pytest.approx(-0.1)
    assert worse.low < -0.1 < worse.high


def test_fields_of_json_are_measured_beside_the_exact_text(store, make_job, api, some_rows):
    schema = {"type": "object", "properties": {"even": {"type": "boolean"}}, "required": ["even"]}
    job = make_job({**PROMPT, "output": {"json_schema": schema}, "max_tokens": 30}, shorten=begin)
    with ScriptedServer(Script(answer='{"even": true}')) as server:
        found = calibrate(some_rows(10), job, store, api(server), rates=(0.8,), pilot=10, measure="f1")
    assert list(found.table[1].agreement) == ["exact", "f1", "fields"]


def test_the_budget_holds_and_what_it_did_not_reach_is_not_chosen(server, store, made, api, some_rows):
    rows, before = some_rows(80, 9000), server.bill().usd
    calibrate(rows, made, store, api(server), rates=(0.8,), tolerance=0.05, pilot=80)
    enough = server.bill().usd - before
    job = replace(made, name="tight", model="another", budget_usd=1.25 * enough, concurrency=1)
    found = calibrate(rows, job, store, api(server), rates=(0.8, 0.6, 0.5), tolerance=0.05, pilot=80)
    assert server.bill().usd - before <= (1 + 1.25) * enough
    assert (found.stopped, found.chosen) == (BUDGET, 0.8)
    assert 40 < by_rate(found)[0.6].excluded < 80
    assert "Not measured (the budget is used up): 0.5." in found.sentence


def test_a_calibration_becomes_a_policy_that_its_prompt_alone_can_use(tmp_path, server, store, made, api, some_rows):
    found = calibrate(some_rows(80, 6000), made, store, api(server), rates=(0.8,), tolerance=0.05, pilot=80)
    json.dumps(to_plain(found))
    policies.write(found.policy("some-compressor"), tmp_path / "policy.yaml")
    assert policies.read(tmp_path / "policy.yaml", made.prompt) == (0.8, "some-compressor")
    with pytest.raises(RecipeError, match="another prompt"):
        policies.read(tmp_path / "policy.yaml", made.prompt.model_copy(update={"max_tokens": 9}))


def test_what_cannot_be_calibrated_is_refused_before_anything_is_paid(server, store, made, make_job, api, some_rows):
    paid, rows, reach = server.bill().requests, some_rows(5), api(server)
    with pytest.raises(RecipeError, match="no part of the prompt leaves its rate to the job"):
        calibrate(rows, make_job(shorten=begin), store, reach)
    with pytest.raises(RecipeError, match="at least one below 1"):
        calibrate(rows, made, store, reach, rates=(1,))
    with pytest.raises(RecipeError, match="choose a tolerance"):
        calibrate(rows, made, store, reach, tolerance=1)
    with pytest.raises(RecipeError, match="no measure 'same'"):
        calibrate(rows, made, store, reach, measure="same")
    with pytest.raises(RecipeError, match="name a compressor"):
        calibrate(rows, replace(made, shorten=None), store, reach)
    with pytest.raises(DataError, match="no row can be put to the teacher: there are none"):
        calibrate([], made, store, reach)
    with pytest.raises(DataError, match="no row can be put to the teacher: the row has no 'text'"):
        calibrate([{"row_id": 1, "question": "?"}], made, store, reach)
    with pytest.raises(DataError, match="no row of the pilot has a gold answer"):
        calibrate(rows, made, store, reach, gold=[{"row_id": "elsewhere", "answer": "yes"}])
    assert server.bill().requests == paid


def test_rows_that_do_not_fit_the_prompt_are_left_out_and_counted(server, store, made, api, some_rows):
    found = calibrate([*some_rows(9, 7000), {"row_id": "odd"}], made, store, api(server), rates=(0.8,), pilot=20)
    assert (found.pilot, found.misfits) == (9, 1)


def test_the_command_writes_policy_and_plot(tmp_path, monkeypatch, capsys, some_rows):
    pytest.importorskip("stillroom.prompts")
    compressor = small_compressor.save(tmp_path / "small")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, some_rows(80, 8000))))
    prompt = {**PROMPT, "user": "{{ text }}", "output": {"one_of": ["yes", "no"]}, "max_tokens": 8}
    (tmp_path / "prompt.yaml").write_text(json.dumps(prompt))
    with ScriptedServer(Script(answer="yes")) as server:
        arguments = [
            "teacher", "calibrate", "rows.jsonl", "--prompt", "prompt.yaml", "--model", "m", "--compressor", compressor,
            "--base-url", server.base_url, "--input-usd", "1", "--output-usd", "2", "--rates", "1,0.8,0.4",
            "--tolerance", "0.05", "--plot", "plot.png",
        ]  # fmt: skip
        with pytest.raises(SystemExit) as leaving:
            main([*arguments, "--pilot", "70"])
        first = capsys.readouterr()
        with pytest.raises(SystemExit):
            main([*arguments, "--pilot", "80", "--json"])
        second = capsys.readouterr()
        assert server.bill().requests == 3 * 80
    assert leaving.value.code == 0
    assert "70 rows cannot show a tolerance of 0.05, even if all agree: 72 can." in first.err
    assert "No rate is shown to be safe" in first.out
    assert json.loads(second.out)["chosen"] == 0.4
    policy = policies.checked(policies.PolicyFile, tmp_path / "policy.yaml")
    assert (policy.rate, policy.compressor) == (0.4, compressor)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert "sk-very-secret" not in "".join([first.out, first.err, second.out, second.err, policy.model_dump_json()])
