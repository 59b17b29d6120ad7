"""Batches against the scripted server: real HTTP, a real store, a bill that says what was paid, and real kills."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from openai import OpenAI
from typer.testing import CliRunner

from stillroom.core.errors import RecipeError
from stillroom.core.targets import TargetStore
from stillroom.teacher import batch_files, batches, labelling
from stillroom.teacher.batches import UNDER_WAY, batch
from stillroom.teacher.calls import Api
from stillroom.teacher.cli import app
from stillroom.teacher.cli.batch import LINES
from stillroom.teacher.labelling import BUDGET, Job, Labelled
from stillroom.teacher.prices import PICO, Price
from stillroom.teacher.prompt import Prompt

pytest.importorskip("aiohttp")

from stillroom.teacher.testing import Fault, Script, ScriptedServer, reverse

PRICE = Price(input=0.15, cached_input=0.075, output=0.60, batch=0.5)  # the scripted server's own
PROMPT = Prompt.read({"system": "Say it backwards.", "user": "{{ input }}", "max_tokens": 32})
JOB = Job(PROMPT, "scripted", PRICE, patience=5.0)
ROWS = [{"id": f"row-{n}", "input": f"the number {n}"} for n in range(600)]


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(batches, "POLL", (0.02, 0.1))
    monkeypatch.setattr(batches, "GRACE", 0.3)


def served(**script) -> ScriptedServer:
    return ScriptedServer(Script(**{"answer": reverse} | script))


def api(server: ScriptedServer | Narrow) -> Api:
    return Api(server.base_url, "sk-secret")


def table(found: Labelled) -> list[tuple]:
    """What was found, without the times."""
    return [(row_id, label and replace(label, created=""), reason) for row_id, label, reason in found.outcomes()]


def made(server: ScriptedServer) -> int:
    """How many batches the provider has; asked page by page, by nobody but the client itself."""
    with OpenAI(base_url=server.base_url, api_key="sk-secret") as client:
        return sum(1 for _ in client.batches.list())


def test_a_batch_gives_the_labels_that_single_calls_give_at_half_the_price(tmp_path):
    rows = [*ROWS, ROWS[0], {"id": "last", "input": 'a "quote"\u2028and a line'}]
    with (
        served(prompt_cache_minimum=8) as server,
        TargetStore(tmp_path / "a") as one,
        TargetStore(tmp_path / "b") as two,
    ):
        singly = labelling.label(rows, JOB, one, api(server))
        paid = server.bill().picodollars
        together = batch(rows, JOB, two, api(server), lines=250)
        assert [label.key for label in together] == [label.key for label in singly]
        assert [label.answer for label in together] == [label.answer for label in singly]
        assert [label.row_id for label in together] == [row["id"] for row in rows]
        assert made(server) == 3
        halved = server.bill().picodollars - paid
        assert halved <= together.spent < paid
        assert together.labelled == together.rows == 602
        assert Counter(server.bill().by_content.values()) == {2: 601}


def test_a_second_run_costs_nothing_and_rows_that_were_labelled_singly_are_not_submitted(tmp_path):
    with served() as server, TargetStore(tmp_path / "store") as store:
        labelling.label(ROWS[:50], JOB, store, api(server))
        first = batch(ROWS[:80], JOB, store, api(server))
        assert (first.stored, first.labelled) == (50, 80)
        second = batch(ROWS[:80], JOB, store, api(server))
        assert (second.stored, second.labelled, second.spent) == (80, 80, 0)
        assert made(server) == 1
        assert Counter(server.bill().by_content.values()) == {1: 80}


def test_without_waiting_a_run_submits_once_and_another_fetches(tmp_path):
    told = []
    with served(batch_seconds=0.5) as server, TargetStore(tmp_path / "store") as store:
        submitted = batch(ROWS[:10], JOB, store, api(server), wait=False)
        assert [reason for _, reason in submitted.missing()] == [UNDER_WAY] * 10
        assert submitted.charged > submitted.spent == 0  # it is reserved
        assert batch(ROWS[:12], JOB, store, api(server), wait=False).labelled == 0  # two more rows, in their own batch
        fetched = batch(ROWS[:12], JOB, store, api(server), advance=told.append)
        assert (fetched.labelled, fetched.stored) == (12, 0)
        assert made(server) == 2
        assert sum(told) == 12
        assert fetched.spent == fetched.charged < submitted.charged  # what was not used comes back
        assert server.bill().picodollars <= fetched.charged <= server.bill().picodollars + 12


def test_the_bill_never_exceeds_the_budget_and_what_reservations_leave_of_it_is_used(tmp_path):
    budget = 100 * PRICE.reservation(40, 32, batch=True)
    job = replace(JOB, budget_usd=budget / PICO)
    with served() as server, TargetStore(tmp_path / "store") as store:
        found = batch(ROWS, job, store, api(server))
        assert found.labelled == 600  # the first batch has a hundred
        assert server.bill().picodollars <= found.charged <= budget
        assert set(server.bill().by_content.values()) == {1}


def test_rows_that_the_budget_does_not_cover_are_left_out_until_there_is_more(tmp_path):
    budget = 20 * PRICE.reservation(40, 32, batch=True)
    job = replace(JOB, budget_usd=budget / PICO)
    with served() as server, TargetStore(tmp_path / "store") as store:
        found = batch(ROWS, job, store, api(server))
        assert found.labelled in (20, 21)
        assert server.bill().picodollars <= found.charged <= budget
        assert {reason for _, reason in found.missing()} == {BUDGET} == {found.stopped}
        assert made(server) == 1  # no trickle of batches of a few rows each, for a day each
        more = batch(ROWS, replace(JOB, name=job.title), store, api(server))
        assert more.labelled == 600
        assert set(server.bill().by_content.values()) == {1}


def test_half_of_an_expired_batch_is_kept_and_the_rest_goes_again(tmp_path):
    with served(batch_end="expired") as server, TargetStore(tmp_path / "store") as store:
        found = batch(ROWS[:64], replace(JOB, attempts=3), store, api(server))
        assert made(server) == 3
        assert found.labelled == 32 + 16 + 8
        assert {reason.partition("(")[2][:13] for _, reason in found.missing()} == {"batch_expired"}
        assert set(server.bill().by_content.values()) == {1}
        assert server.bill().picodollars <= found.charged <= server.bill().picodollars + 56


def test_a_batch_that_the_provider_finds_wrong_costs_nothing(tmp_path):
    with served(batch_end="failed") as server, TargetStore(tmp_path / "store") as store:
        found = batch(ROWS[:5], replace(JOB, attempts=2), store, api(server))
        assert (found.labelled, found.charged, made(server)) == (0, 0, 2)
        assert {reason for _, reason in found.missing()} == {"the batch failed: the script says so"}


@pytest.mark.parametrize(
    ("fault", "labelled", "files", "reason"),
    [
        (Fault("status", at=(1, 3), status=400), 6, 1, "the API refuses the request (400: the script says so)"),
        (Fault("status", first=1, status=429), 8, 2, ""),
        (Fault("status", first=1, status=500), 8, 2, ""),
        (Fault("status", first=1, status=500, billed=True), 8, 2, ""),
        (Fault("empty", first=1), 8, 2, ""),
        (Fault("empty", first=9), 0, 3, "is empty"),
        (Fault("refusal", at=(0,)), 7, 1, "was refused: I'm sorry, I can't help with that."),
        (Fault("length", at=(0,)), 7, 1, "was cut off at max_tokens (32)"),
        (Fault("no_usage", first=1), 8, 1, ""),
    ],
    ids=str,
)
def test_lines_that_failed_go_again_where_that_may_help(tmp_path, fault, labelled, files, reason):
    with served(faults=(fault,)) as server, TargetStore(tmp_path / "store") as store:
        found = batch(ROWS[:8], JOB, store, api(server))
        assert (found.labelled, made(server)) == (labelled, files)
        assert {reason for _, reason in found.missing()} == ({reason} if reason else set())
        assert server.bill().picodollars <= found.charged


class Narrow(ThreadingHTTPServer):
    """A provider with room for one batch at a time: as OpenAI does, it takes on others and fails them at once."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), NarrowHandler)
        self.files: dict[str, bytes] = {}
        self.batches: list[dict] = []
        self.base_url = f"http://127.0.0.1:{self.server_port}/v1"


class NarrowHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/files":
            name = f"file-{len(self.server.files)}"
            self.server.files[name] = b"\n".join(line for line in sent.splitlines() if line[:1] == b"{")
            self.answer({"id": name, "object": "file"})
            return
        made = json.loads(sent) | {"id": str(len(self.server.batches)), "object": "batch", "status": "in_progress"}
        if any(batch["status"] == "in_progress" for batch in self.server.batches):
            problem = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}
            made |= {"status": "failed", "errors": {"object": "list", "data": [problem]}}
        self.server.batches.append(made)
        self.answer(made)

    def do_GET(self) -> None:
        kind, name = self.path.split("/")[2:4]
        if kind == "files":
            lines = [json.loads(line)["custom_id"] for line in self.server.files[name].splitlines()]
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}
            response = {"status_code": 200, "body": {"id": "1", "choices": [choice]}}
            said = "\n".join(json.dumps({"custom_id": line, "response": response}) for line in lines)
            self.answer(said)
            return
        batch = self.server.batches[int(name)]
        self.answer(batch)
        if batch["status"] == "in_progress":  # it is done at the second look
            batch |= {"status": "completed", "output_file_id": batch["input_file_id"]}

    def answer(self, what: object) -> None:
        content = what.encode() if isinstance(what, str) else json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def test_batches_that_the_provider_has_no_room_for_wait_for_the_others_and_lose_no_attempt(tmp_path):
    with Narrow() as server, TargetStore(tmp_path / "store") as store:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = batch(ROWS[:40], replace(JOB, attempts=1), store, api(server), lines=10)
        server.shutdown()
    assert found.labelled == 40
    assert Counter(one["status"] for one in server.batches) == {"completed": 4, "failed": 3 + 2 + 1}


def test_progress_is_told_by_the_provider_and_takes_back_what_goes_again(tmp_path):
    told = []
    with served(faults=(Fault("empty", at=(0, 1)),)) as server, TargetStore(tmp_path / "store") as store:
        batch(ROWS[:8], JOB, store, api(server), advance=told.append)
    assert sum(told) == 8
    assert min(told) == -2


def test_a_refused_key_gives_all_reservations_back_and_stands_nowhere(tmp_path):
    with served(api_key="sk-another") as server, TargetStore(tmp_path / "store") as store:
        found = batch(ROWS[:8], JOB, store, api(server))
        assert (found.labelled, found.charged) == (0, 0)
        assert "refuses the key" in found.stopped
    assert all(b"sk-secret" not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_server_that_is_away_is_waited_for_and_one_that_stays_away_loses_nothing(tmp_path):
    with served(batch_seconds=0.4) as server, TargetStore(tmp_path / "store") as store:
        batch(ROWS[:8], JOB, store, api(server), wait=False)
        server.kill()
        gone = batch(ROWS[:8], replace(JOB, patience=0.0), store, api(server))
        assert gone.stopped == "the API cannot be reached"
        server.start()
        assert batch(ROWS[:8], JOB, store, api(server)).labelled == 8
        assert made(server) == 1
        assert set(server.bill().by_content.values()) == {1}


def test_a_job_with_a_batch_under_way_is_not_asked_otherwise_and_a_price_must_be_known(tmp_path):
    with served(batch_seconds=60) as server, TargetStore(tmp_path / "store") as store:
        job = replace(JOB, name="job")
        batch(ROWS[:2], job, store, api(server), wait=False)
        other = replace(job, prompt=Prompt.read(PROMPT, max_tokens=8))
        with pytest.raises(RecipeError, match="under way with another prompt: run that to its end first"):
            batch(ROWS[:2], other, store, api(server))
        with pytest.raises(RecipeError, match="under way with another model, scripted"):
            batch(ROWS[:2], replace(job, model="larger"), store, api(server))
        with pytest.raises(RecipeError, match="no batch endpoint is known for this model"):
            batch(ROWS[:2], replace(job, price=Price(input=1, output=1)), store, api(server))


def test_the_command_goes_through_with_prices_of_ones_own_and_says_what_is_under_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[:6]))
    Path("prompt.yaml").write_text(json.dumps(PROMPT.model_dump(mode="json", exclude_defaults=True)))
    Path("prices.yaml").write_text("models: {scripted: {input: 0.15, output: 0.6, batch: 0.5}}")
    with served(batch_seconds=0.4) as server:
        options = ["--prompt", "prompt.yaml", "--model", "scripted", "--out", "labels.jsonl", "--prices", "prices.yaml"]
        command = ["batch", "rows.jsonl", *options, "--base-url", server.base_url, "--budget-usd", "1", "--json"]
        submitted = CliRunner().invoke(app, [*command, "--no-wait"])
        assert submitted.exit_code == 0, submitted.output
        assert json.loads(submitted.stdout)["under_way"] == 6
        fetched = CliRunner().invoke(app, command)
        assert fetched.exit_code == 0, fetched.output
        assert json.loads(fetched.stdout)["labelled"] == 6
    answers = [json.loads(line)["answer"] for line in Path("labels.jsonl").read_text().splitlines()]
    assert answers == [row["input"][::-1] for row in ROWS[:6]]
    assert not Path("labels.unlabelled.jsonl").exists()
    assert LINES == batch_files.LINES


CHILD = """
import json, os, signal, sys
sys.path.insert(0, sys.argv[3])
import test_batches as test
from stillroom.core.targets import TargetStore
from stillroom.teacher import batch_files, batch_queue, batches
from stillroom.teacher.calls import Api

batches.POLL, batches.GRACE = (0.02, 0.1), 0.3
where, when, which = json.loads(sys.argv[4])
place = batch_files if hasattr(batch_files, where) else batch_queue.Queue
real, seen = getattr(place, where, None), 0

def die():
    global seen
    seen += 1
    if seen > which:
        os.kill(os.getpid(), signal.SIGKILL)

def before(*given):
    die()
    return real(*given)

def after(*given):
    result = real(*given)
    die()
    return result

async def when_done(*given):
    result = await real(*given)
    die()
    return result

if where:
    setattr(place, where, before if when == "before" else when_done if place is batch_files else after)
with TargetStore(sys.argv[2]) as store:
    batches.batch(test.ROWS, test.JOB, store, Api(sys.argv[1], "sk-secret"), lines=400)
"""


def child(server: ScriptedServer, store: Path, where: str = "", when: str = "", which: int = 0) -> subprocess.Popen:
    arguments = [server.base_url, str(store), str(Path(__file__).parent), json.dumps([where, when, which])]
    return subprocess.Popen([sys.executable, "-c", CHILD, *arguments], env=os.environ | {"OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> tuple[list[tuple], int]:
    with served() as server, TargetStore(tmp_path_factory.mktemp("whole") / "store") as store:
        found = batch(ROWS, JOB, store, api(server), lines=400)
        return table(found), found.charged


@pytest.mark.parametrize(
    ("where", "when", "which"),
    [
        pytest.param("take", "before", 0, marks=pytest.mark.slow),
        ("take", "after", 0),
        ("upload", "before", 0),
        ("upload", "after", 0),
        pytest.param("create", "before", 0, marks=pytest.mark.slow),
        ("create", "after", 0),
        ("create", "after", 1),
        ("look", "after", 1),
        ("download", "after", 0),
        pytest.param("settle", "before", 1, marks=pytest.mark.slow),
        ("settle", "after", 0),
        pytest.param("settle", "after", 2, marks=pytest.mark.slow),
        ("end", "before", 0),
    ],
)
def test_a_kill_at_any_step_costs_nothing_and_changes_nothing(tmp_path, uninterrupted, where, when, which):
    with served() as server:
        killed = child(server, tmp_path / "store", where, when, which)
        assert killed.wait(60) == -signal.SIGKILL
        with TargetStore(tmp_path / "store") as store:
            found = batch(ROWS, JOB, store, api(server), lines=400)
            assert (table(found), found.charged) == uninterrupted
        assert made(server) == 2
        assert Counter(server.bill().by_content.values()) == {1: 600}


@pytest.mark.slow
def test_kills_at_any_time_of_process_and_server_bill_each_request_once(tmp_path, uninterrupted):
    chance = random.Random(4)
    with served(batch_seconds=0.5) as server:
        for kill in range(5):
            running = child(server, tmp_path / "store")
            time.sleep(chance.uniform(0.8, 2.2))
            if kill % 2:
                server.kill()
                server.start()
            running.kill()
            running.wait()
        assert child(server, tmp_path / "store").wait(60) == 0
        with TargetStore(tmp_path / "store") as store:
            found = batch(ROWS, JOB, store, api(server), lines=400)
            assert (table(found), found.charged) == uninterrupted
        assert Counter(server.bill().by_content.values()) == {1: 600}
