"""The scripted server, seen by the real openai client: its answers, its faults, its limits and its bill."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI, OpenAI

from stillroom.core.errors import MissingError, RecipeError
from stillroom.teacher.testing import Fault, Reply, Script, ScriptedServer, bill, content_hash, echo, reverse
from stillroom.teacher.testing.answers import count, cut

KEY = "sk-never-to-be-seen"
LONG = "a word and another one, " * 300


def said(body: dict) -> str | Reply:
    """What the shared server answers: it depends on the question, so that one server serves many tests."""
    asked = echo(body)
    if asked == "logprobs":
        return Reply("yes", logprobs=(("yes", (("yes", -0.1), ("no", -2.5))), ("!", (("?", -1.0),))))
    if asked == "think":
        return Reply("forty two", completion_tokens=50)
    if asked == "fail":
        raise ValueError("of no use")
    return asked


@pytest.fixture(scope="module")
def server():
    with ScriptedServer(Script(answer=said, api_key=KEY, prompt_cache_minimum=1024)) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with connect(server, api_key=KEY) as client:
        yield client


def connect(server: ScriptedServer, api_key: str = KEY, **options) -> OpenAI:
    return OpenAI(base_url=server.base_url, api_key=api_key, **{"max_retries": 0, "timeout": 10} | options)


def ask(client: OpenAI, text: str = "Is it?", **options):
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}], **options)


def body_of(text: str) -> dict:
    return {"messages": [{"role": "user", "content": text}], "model": "m"}


def test_chat_answers_as_the_api_does(client):
    answer = ask(client, "one two three")
    assert (answer.object, answer.model, answer.choices[0].finish_reason) == ("chat.completion", "m", "stop")
    assert answer.choices[0].message.content == "one two three"
    assert answer.choices[0].logprobs is None
    assert answer.usage.model_dump(exclude_none=True) == {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    assert ask(client, "one", n=3).usage.completion_tokens == 3
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": " two"}]
    assert ask(client, parts).choices[0].message.content == "one two"


def test_a_stream_says_the_same_and_ends_with_its_usage(client):
    text = "one two, three…  "
    plain = ask(client, text)
    with ask(client, text, stream=True, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage) == ([], plain.usage)
    assert all(chunk.usage is None for chunk in ask(client, text, stream=True))
    with client.chat.completions.stream(model="m", messages=body_of(text)["messages"]) as events:
        assert events.get_final_completion().choices[0].message.content == text


def test_legacy_completions_answer_each_prompt(client):
    assert client.completions.create(model="m", prompt="one two").choices[0].text == "one two"
    several = client.completions.create(model="m", prompt=["one", "two three"], n=2)
    assert [choice.text for choice in several.choices] == ["one", "one", "two three", "two three"]
    assert (several.usage.prompt_tokens, several.usage.completion_tokens) == (3, 6)
    assert client.completions.create(model="m", prompt=[1, 2, 3]).usage.prompt_tokens == 3
    stream = client.completions.create(model="m", prompt="one two", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "one two"


def test_models_are_listed(client):
    assert [model.id for model in client.models.list()] == ["scripted"]
    assert client.models.retrieve("other").id == "other"


def test_the_asynchronous_client_is_served_too(server):
    async def run() -> list[str]:
        async with AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
            calls = (client.chat.completions.create(**body_of(f"number {number}")) for number in range(16))
            answers = [answer.choices[0].message.content for answer in await asyncio.gather(*calls)]
            stream = await client.chat.completions.create(**body_of("last"), stream=True)
            return [*answers, "".join([chunk.choices[0].delta.content or "" async for chunk in stream])]

    assert asyncio.run(run()) == [*(f"number {number}" for number in range(16)), "last"]


def test_logprobs_come_when_asked_for(client):
    assert ask(client, "logprobs").choices[0].logprobs is None
    yes, mark = ask(client, "logprobs", logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert (yes.token, yes.logprob, yes.bytes) == ("yes", -0.1, list(b"yes"))
    assert [(one.token, one.logprob) for one in yes.top_logprobs] == [("yes", -0.1), ("no", -2.5)]
    assert mark.logprob == -9999.0
    assert ask(client, "logprobs", logprobs=True).choices[0].logprobs.content[0].top_logprobs == []
    with ask(client, "logprobs", logprobs=True, stream=True) as stream:
        assert [len(c.choices[0].logprobs.content) for c in stream if c.choices[0].logprobs] == [2]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_answer_longer_than_allowed_is_cut(client, name):
    answer = ask(client, "one two three four", **{name: 2})
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("one two", "length")
    assert answer.usage.completion_tokens == 2
    assert ask(client, "one two", **{name: 2}).choices[0].finish_reason == "stop"
    assert ask(client, "think").usage.completion_tokens == 50
    assert ask(client, "think", **{name: 20}).usage.completion_tokens == 20


def test_prompts_seen_before_are_cached_in_steps(client, server):
    def cached(*texts: str) -> int:
        messages = [{"role": "user", "content": text} for text in texts]
        return client.chat.completions.create(model="m", messages=messages).usage.prompt_tokens_details.cached_tokens

    length = count(LONG) + 4
    assert length == 300 * 6 + 4
    assert cached(LONG, "one") == 0
    assert cached(LONG, "two") == 1024 + (length - 1024) // 128 * 128 == 1792
    assert cached("one", LONG) == 0
    assert [cached("short", "one"), cached("short", "two")] == [0, 0]
    charges = server.bill().charges
    assert charges[-5].picodollars - charges[-4].picodollars == 1792 * 75_000


@given(st.text(), st.integers(1, 9))
def test_tokens_never_exceed_bytes_and_a_cut_text_never_exceeds_its_limit(text, limit):
    assert count(text) <= len(text.encode(errors="surrogatepass"))
    assert count(cut(text, limit)) == min(count(text), limit)
    assert text.startswith(cut(text, limit))


def test_requests_that_cannot_be_meant_are_refused_and_cost_nothing(client, server):
    before = server.bill().requests
    for body in ({"messages": []}, {"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="m", **body)
    with pytest.raises(openai.BadRequestError, match="no JSON object"):
        client.completions.create(model="m", prompt="x", extra_body={"messages": []})
    with pytest.raises(openai.InternalServerError, match="ValueError: of no use"):
        ask(client, "fail")
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_none")
    assert server.bill().requests == before


def test_a_wrong_api_key_is_refused_and_no_key_is_kept_anywhere(client, server):
    with connect(server, api_key="sk-wrong") as stranger, pytest.raises(openai.AuthenticationError) as refused:
        ask(stranger)
    assert refused.value.code == "invalid_api_key"
    ask(client, "a look at me", extra_headers={"X-Team": "blue", "api-key": KEY})
    seen = server.requests()[-1]
    assert seen["body"] == body_of("a look at me")
    assert (seen["path"], seen["authorized"], seen["headers"]["x-team"]) == ("/v1/chat/completions", True, "blue")
    assert KEY not in json.dumps(server.requests()) + repr(server.script)
    arguments = subprocess.run(["ps", "-o", "args=", "-p", str(server.stats()["pid"])], capture_output=True, text=True)
    assert "stillroom.teacher.testing" in arguments.stdout
    assert KEY not in arguments.stdout


FAULTS = [
    Fault("status", at=(0,), status=429, retry_after=0.25),
    Fault("status", at=(1,), status=429),
    Fault("status", at=(2,), status=500),
    Fault("status", at=(3,), status=503, billed=True),
    Fault("hang", at=(4,)),
    Fault("reset", at=(5,)),
    Fault("cut", at=(6, 7)),
    Fault("garbage", at=(8, 9)),
    Fault("empty", at=(10,)),
    Fault("invalid", at=(11,)),
    Fault("length", at=(12,)),
    Fault("refusal", at=(13,)),
    Fault("no_usage", at=(14,)),
]


def test_each_fault_is_the_client_s_own_exception_and_is_billed_if_it_was_computed():
    with ScriptedServer(Script("one two three four", faults=tuple(FAULTS))) as server, connect(server) as client:
        billed = []

        def fails(kind: type[Exception], run=ask, **options) -> Exception:
            before = server.bill().requests
            with pytest.raises(kind) as caught:
                run(client, **options)
            billed.append(server.bill().requests - before)
            return caught.value

        def read(client: OpenAI) -> None:
            list(ask(client, stream=True))

        assert fails(openai.RateLimitError).response.headers["Retry-After"] == "0.25"
        assert "Retry-After" not in fails(openai.RateLimitError).response.headers
        assert fails(openai.InternalServerError).status_code == 500
        assert fails(openai.InternalServerError).body["message"] == "the script says so"
        fails(openai.APITimeoutError, timeout=0.5)
        assert not isinstance(fails(openai.APIConnectionError), openai.APITimeoutError)
        fails(openai.APIConnectionError)
        fails(Exception, read)
        fails(json.JSONDecodeError)
        fails(json.JSONDecodeError, read)
        assert billed == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]
        empty, invalid, length, refusal, no_usage, fine = (ask(client) for _ in range(6))
        assert empty.choices[0].message.content == ""
        assert invalid.choices[0].message.content == "???"
        assert (length.choices[0].message.content, length.choices[0].finish_reason) == ("one two", "length")
        assert refusal.choices[0].message.content is None
        assert refusal.choices[0].message.refusal
        assert no_usage.usage is None
        assert fine.choices[0].message.content == "one two three four"
        assert server.bill().charges[-2].completion_tokens == 4
        assert server.bill().requests == 7 + 6


def test_the_first_attempts_at_each_body_fail_and_the_client_s_retries_succeed():
    fault = Fault("status", first=2, status=503, retry_after=0.01)
    with ScriptedServer(Script(faults=(fault,))) as server, connect(server) as client:
        assert [outcome(client, text) for text in ("a", "a", "b", "a", "b", "b")] == [503, 503, 503, 200, 503, 200]
        with connect(server, max_retries=2) as patient:
            assert outcome(patient, "c") == 200
        assert server.bill().by_content == {content_hash(body_of(text)): 1 for text in "abc"}


def test_shares_are_drawn_by_number_and_a_script_plays_the_same_each_time():
    script = Script(faults=(Fault("status", share=0.3, status=429),), seed=7)
    expected = [429 if script.fault(number, 0) else 200 for number in range(30)]
    assert set(expected) == {200, 429}
    with ScriptedServer(script) as server, connect(server) as client:
        assert [outcome(client, "same") for _ in range(30)] == expected
        server.kill()
        server.start()  # numbers start from 0 again
        assert [outcome(client, "same") for _ in range(30)] == expected


def outcome(client: OpenAI, text: str) -> int:
    try:
        ask(client, text)
    except openai.APIStatusError as error:
        return error.status_code
    return 200


def test_draws_are_even():
    script = Script(latency=(1.0, 3.0), length=(10, 20), faults=(Fault("empty", share=0.25),))
    assert sum(script.seconds(number) for number in range(4000)) / 4000 == pytest.approx(2.0, abs=0.05)
    assert {script.tokens(str(number)) for number in range(500)} == set(range(10, 21))
    assert sum(bool(script.fault(number, 0)) for number in range(4000)) / 4000 == pytest.approx(0.25, abs=0.03)


def test_answers_of_unknown_length_are_the_same_for_the_same_body_and_latency_is_waited_for():
    with ScriptedServer(Script("yes", length=(5, 40), latency=0.1)) as server, connect(server) as client:
        began = time.monotonic()
        lengths = [ask(client, str(number % 4)).usage.completion_tokens for number in range(8)]
        assert time.monotonic() - began > 0.8
        assert lengths[:4] == lengths[4:]
        assert len(set(lengths)) > 1
        assert all(5 <= length <= 40 for length in lengths)


def test_more_at_once_than_allowed_are_rejected_and_the_peak_is_known():
    with ScriptedServer(Script(latency=1.0, max_concurrency=3)) as server, connect(server) as client:
        outcomes: list[int] = []
        threads = [threading.Thread(target=lambda: outcomes.append(outcome(client, "x"))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(outcomes) == {200: 3, 429: 5}
        stats = server.stats()
        assert (stats["peak"], stats["requests"], stats["rejected"], stats["active"]) == (3, 8, 5, 0)
        assert server.bill().requests == 3


def test_a_client_that_gives_up_no_longer_counts_as_one_at_once():
    with ScriptedServer(Script(latency=30, max_concurrency=1)) as server, connect(server, timeout=0.5) as client:
        for _ in range(2):
            with pytest.raises(openai.APITimeoutError):
                ask(client)
            end = time.monotonic() + 5
            while server.stats()["active"] and time.monotonic() < end:
                time.sleep(0.01)
        assert server.bill().requests == 2


def test_more_a_minute_than_allowed_are_told_when_to_come_again():
    with ScriptedServer(Script(rpm=300, window=1.0)) as server, connect(server) as client:
        client.models.list()  # the first call of a client is a slow one, and this one does not count
        assert [outcome(client, "x") for _ in range(5)] == [200] * 5
        with pytest.raises(openai.RateLimitError, match="300 requests a minute") as refused:
            ask(client)
        wait = float(refused.value.response.headers["Retry-After"])
        assert 0 < wait <= 1
        time.sleep(wait + 0.01)
        assert outcome(client, "x") == 200
    with ScriptedServer(Script(rpm=2)) as server, connect(server) as client:
        assert [outcome(client, "x") for _ in range(4)] == [200, 200, 429, 429]


def test_the_bill_equals_the_usage_the_client_was_told():
    with ScriptedServer(Script(answer=reverse), price=(2.0, 1.0, 8.0)) as server, connect(server) as client:
        usages = [ask(client, f"words and {number} more", n=2).usage for number in range(5)]
        ask(client, "words and 0 more", n=2)
    prompt = sum(usage.prompt_tokens for usage in usages) + usages[0].prompt_tokens
    completion = sum(usage.completion_tokens for usage in usages) + usages[0].completion_tokens
    total = server.bill()  # the server has stopped
    assert (total.requests, total.completions) == (6, 12)
    assert (total.prompt_tokens, total.completion_tokens, total.cached_tokens) == (prompt, completion, 0)
    assert total.picodollars == prompt * 2_000_000 + completion * 8_000_000
    assert total.usd == pytest.approx((prompt * 2 + completion * 8) / 1e6)
    times = {content_hash(body_of(f"words and {number} more") | {"n": 2}): 1 + (number == 0) for number in range(5)}
    assert total.by_content == times


def test_a_kill_loses_no_charge_and_the_server_comes_back_on_the_same_port():
    with ScriptedServer(Script("yes", latency=(0.0, 0.01))) as server:
        url, answered, sent = server.base_url, Counter(), Counter()
        over = threading.Event()

        def label(worker: int) -> None:
            with connect(server) as client:
                for number in range(10_000):
                    text = f"{worker} {number}"
                    if over.is_set():
                        return
                    sent[content_hash(body_of(text))] += 1
                    try:
                        ask(client, text)
                    except openai.APIConnectionError:
                        time.sleep(0.01)
                    else:
                        answered[content_hash(body_of(text))] += 1

        threads = [threading.Thread(target=label, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            time.sleep(0.3)
            server.kill()
            time.sleep(0.05)
            with connect(server) as client, pytest.raises(openai.APIConnectionError):
                ask(client, "too late")
            server.start()
        time.sleep(0.3)
        over.set()
        for thread in threads:
            thread.join()
        assert server.base_url == url
        total = server.bill()
    assert sum(answered.values()) > 10
    assert not answered - total.by_content  # what was answered was billed before
    assert not total.by_content - sent  # and nothing that was not asked
    assert len(total.by_content) - len(answered) <= 2 * 4  # but not answered: those in flight


def test_a_line_that_a_kill_has_torn_is_not_counted_and_is_cut_off(tmp_path):
    path = tmp_path / "bill.jsonl"
    assert bill.read(path) == bill.Bill()
    charge = bill.Charge(0, "a", 1, 10, 0, 5, 100)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    bill.append(descriptor, [charge, charge])
    torn = path.read_bytes()
    path.write_bytes(torn[:-9])
    assert bill.read(path).charges == (charge,)
    bill.mend(path)
    bill.append(descriptor, [charge])
    assert path.read_bytes() == torn
    os.close(descriptor)


def test_a_server_ends_with_whoever_started_it_by_kill_too(tmp_path):
    program = (
        "import os, signal\n"
        "from stillroom.teacher.testing import ScriptedServer\n"
        "server = ScriptedServer()\n"
        "server.start()\n"
        "print(server.stats()['pid'], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    died = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert died.returncode == -signal.SIGKILL
    end = time.monotonic() + 5
    while alive(int(died.stdout)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not alive(int(died.stdout))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # a zombie that nobody has collected yet is dead
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state) and not state.startswith("Z")


def submit(client: OpenAI, texts, tmp_path, endpoint: str = "/v1/chat/completions", **metadata):
    path = tmp_path / "requests.jsonl"
    lines = [
        {"custom_id": str(number), "method": "POST", "url": endpoint, "body": body_of(text)}
        for number, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with path.open("rb") as file:
        uploaded = client.files.create(file=file, purpose="batch")
    assert client.files.retrieve(uploaded.id).bytes == path.stat().st_size
    assert client.files.content(uploaded.id).read() == path.read_bytes()
    return client.batches.create(
        input_file_id=uploaded.id, endpoint=endpoint, completion_window="24h", metadata=metadata or None
    )


def finish(client: OpenAI, batch):
    statuses = [batch.status]
    end = time.monotonic() + 20
    while batch.status not in ("completed", "failed", "expired", "cancelled"):
        assert time.monotonic() < end
        time.sleep(0.01)
        batch = client.batches.retrieve(batch.id)
        statuses += [batch.status] if batch.status != statuses[-1] else []
    return batch, statuses


def results(client: OpenAI, file: str | None) -> dict:
    lines = [json.loads(line) for line in client.files.content(file).text.splitlines()] if file else []
    return {line["custom_id"]: line for line in lines}


def test_a_batch_goes_round_at_half_the_price(tmp_path):
    texts = ["one", "two words", "three words here", "oh", "four"]
    faults = (Fault("status", at=(3,), status=400), Fault("refusal", at=(4,)))
    with ScriptedServer(Script(answer=reverse, faults=faults, batch_seconds=0.9)) as server, connect(server) as client:
        batch, statuses = finish(client, submit(client, texts, tmp_path, run="seven"))
        assert statuses == ["validating", "in_progress", "completed"]
        assert batch.metadata == {"run": "seven"}
        assert batch.request_counts.model_dump() == {"total": 5, "completed": 4, "failed": 1}
        answers, errors = results(client, batch.output_file_id), results(client, batch.error_file_id)
        said = {id: line["response"]["body"]["choices"][0]["message"] for id, line in answers.items()}
        assert {id: message["content"] for id, message in said.items()} == {
            **{str(number): texts[number][::-1] for number in range(3)},
            "4": None,
        }
        assert said["4"]["refusal"]
        assert errors["3"]["response"]["status_code"] == 400
        through_batch = server.bill()
        assert {charge.batch for charge in through_batch.charges} == {batch.id}
        assert through_batch.by_content == Counter(content_hash(body_of(text)) for text in texts if text != "oh")
        ask(client, "two words")
        assert server.bill().charges[-1].picodollars == 2 * through_batch.charges[1].picodollars > 0
        with pytest.raises(openai.ConflictError):
            client.batches.cancel(batch.id)


def test_batches_are_listed_in_pages_and_cancelled_ones_cost_nothing(tmp_path):
    with ScriptedServer(Script(batch_seconds=30)) as server, connect(server) as client:
        made = [submit(client, ["x"], tmp_path).id for _ in range(5)]
        assert [batch.id for batch in client.batches.list(limit=2)] == made[::-1]
        assert client.batches.cancel(made[0]).status == "cancelling"
        assert client.batches.retrieve(made[0]).status == "cancelled"
        assert server.bill().requests == 0


def test_a_batch_that_cannot_be_meant_fails_and_says_in_which_line(client, tmp_path):
    path = tmp_path / "requests.jsonl"
    good = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body_of("x")}
    path.write_text("\n".join(map(json.dumps, [good, good, good | {"custom_id": "b", "url": "/v1/other"}])) + "\n{")
    file = client.files.create(file=path, purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    batch, _ = finish(client, batch)
    assert batch.status == "failed"
    assert [(error.line, error.code) for error in batch.errors.data] == [
        (2, "duplicate_custom_id"),
        (3, "mismatched_endpoint"),
        (4, "invalid_json_line"),
    ]
    with pytest.raises(openai.BadRequestError):
        client.batches.create(input_file_id="file-none", endpoint="/v1/chat/completions", completion_window="24h")


@pytest.mark.parametrize("end", ["failed", "expired"])
def test_batches_end_as_the_script_says(end, tmp_path):
    with ScriptedServer(Script(batch_end=end)) as server, connect(server) as client:
        batch, _ = finish(client, submit(client, ["a", "b", "c", "d"], tmp_path))
        assert batch.status == end
        assert len(results(client, batch.output_file_id)) == server.bill().requests == (2 if end == "expired" else 0)
        codes = [line["error"]["code"] for line in results(client, batch.error_file_id).values()]
        assert codes == (["batch_expired"] * 2 if end == "expired" else [])


def test_a_batch_outlives_a_kill_and_is_billed_once(tmp_path):
    with ScriptedServer(Script(batch_seconds=0.6)) as server, connect(server) as client:
        batches = [submit(client, ["a", "b"], tmp_path)]
        batches.append(finish(client, batches[0])[0])
        batches.append(submit(client, ["c", "d"], tmp_path))
        server.kill()
        server.start()
        again, _ = finish(client, client.batches.retrieve(batches[-1].id))
        assert again.status == "completed"
        assert results(client, again.output_file_id).keys() == {"0", "1"}
        assert client.batches.retrieve(batches[0].id) == batches[1]
        assert sorted(server.bill().by_content.values()) == [1, 1, 1, 1]


def test_a_script_crosses_to_another_process_as_it_is():
    script = Script(
        Reply("x", logprobs=(("x", (("x", -0.5),)),)), (0.1, 0.2), (1, 2), tuple(FAULTS), rpm=5, api_key=KEY, seed=3
    )
    again = Script.from_json(script.to_json())
    assert again.to_json() == script.to_json()
    assert again.faults == script.faults
    assert [again.seconds(number) for number in range(9)] == [script.seconds(number) for number in range(9)]
    assert Script("stillroom.teacher.testing:echo").answer is echo
    assert Script.from_json(Script(echo).to_json()).answer is echo
    assert Script("label:yes").reply({}) == Reply("label:yes")  # no such module: a text
    assert Script(Reply("json:yes")).reply({}) == Reply("json:yes")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Fault("statsu", share=1), "there is no fault 'statsu'"),
        (lambda: Fault("hang"), "never hits"),
        (lambda: Fault("hang", share=2), "between 0 and 1"),
        (lambda: Fault("status", share=1, status=200), "between 400 and 599"),
        (lambda: Script(lambda body: "yes"), "stands in a module"),
        (lambda: Script(partial(reverse)), "stands in a module"),
        (lambda: Script("json:yes"), r"json has no function yes; .* give Reply\('json:yes'\)"),
        (lambda: Script(7), "not a int"),
        (lambda: Script(batch_end="never"), "not 'never'"),
        (lambda: Script(max_concurrency=0), "max_concurrency=0 lets nothing through"),
    ],
)
def test_scripts_that_cannot_be_meant_are_refused_at_once(make, sentence):
    with pytest.raises(RecipeError, match=sentence):
        make()


def test_a_port_that_is_taken_is_refused_in_one_sentence(server):
    with pytest.raises(MissingError, match=f"port {server.port} cannot be had"):
        ScriptedServer(port=server.port).start()
