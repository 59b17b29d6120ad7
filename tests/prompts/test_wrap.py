"""The wrapped client, the real one of openai against a real server: what arrives, what comes back, what is counted."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stillroom.core.errors import RecipeError
from stillroom.prompts import wrap as room
from stillroom.prompts.wrap import wrap

openai = pytest.importorskip("openai")

LONG = (
    "In a meeting, the committee agreed after a long debate that prompts should be shorter. "
    "The quick brown fox jumps over the lazy dog while nobody is watching."
)
SYSTEM = "Please answer in one short sentence, and never guess."


class Provider(BaseHTTPRequestHandler):
    """Speaks OpenAI's protocol: answers with the length of the prompt, in one piece or as a stream of events."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        self.server.requests.append((self.path, body, raw, self.headers))
        if self.server.failures:
            self.server.failures -= 1
            self.answer(json.dumps({"error": {"message": "overloaded", "type": "server_error"}}), status=503)
        elif body.get("model") == "unknown":
            self.answer(json.dumps({"error": {"message": "no such model", "type": "invalid"}}), status=404)
        elif body.get("stream"):
            pieces = [self.chunk(word) for word in ("four", " score")]
            events = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces)
            self.answer(events + "data: [DONE]\n\n", kind="text/event-stream")
        else:
            self.answer(json.dumps(self.whole(body)))

    def chunk(self, word: str) -> dict:
        head = {"id": "1", "created": 0, "model": "m"}
        if self.path == "/v1/completions":
            choice = {"index": 0, "text": word, "finish_reason": None, "logprobs": None}
            return {**head, "object": "text_completion", "choices": [choice]}
        choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
        return {**head, "object": "chat.completion.chunk", "choices": [choice]}

    def whole(self, body: dict) -> dict:
        head = {"id": "1", "created": 0, "model": "m"}
        if self.path.partition("?")[0].endswith("/chat/completions"):
            message = {"role": "assistant", "content": "four score"}
            choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
            return {**head, "object": "chat.completion", "choices": [choice]}
        if self.path == "/v1/completions":
            choice = {"index": 0, "text": "four score", "finish_reason": "stop", "logprobs": None}
            return {**head, "object": "text_completion", "choices": [choice]}
        if self.path == "/v1/responses":
            content = [{"type": "output_text", "text": "four score", "annotations": []}]
            item = {"id": "2", "type": "message", "role": "assistant", "status": "completed", "content": content}
            rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
            return {"id": "1", "created_at": 0, "model": "m", "object": "response", "output": [item], **rest}
        vector = {"object": "embedding", "index": 0, "embedding": [0.5]}
        return {"object": "list", "model": "m", "data": [vector], "usage": {"prompt_tokens": 1, "total_tokens": 1}}

    def answer(self, text: str, status: int = 200, kind: str = "application/json") -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Request-Id", "seven")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.requests, server.failures = [], 0
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(server):
    with openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{server.server_port}/v1", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def compressor(scorers):
    from stillroom.prompts import Compressor

    return Compressor(scorers["bert"])


@pytest.fixture
def wrapped(client, compressor):
    return wrap(client, compressor, {"system": "keep", "*": 0.5})


def sent(server) -> list[dict]:
    return [body for _, body, _, _ in server.requests]


def talk(*texts: str) -> list[dict]:
    roles = ["user", "assistant"] * len(texts)
    turns = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    return [{"role": "system", "content": SYSTEM}, *turns]


def test_messages_are_compressed_by_policy_and_all_else_is_sent_as_it_was(wrapped, server, compressor):
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
    options = {"model": "m", "temperature": 0.5, "tools": tools, "extra_body": {"prompt_cache": LONG}}
    messages = talk(LONG)
    answer = wrapped.chat.completions.create(messages=messages, **options)
    assert answer.choices[0].message.content == "four score"
    assert messages == talk(LONG)  # the caller's own list is as it was
    [body] = sent(server)
    short = compressor.compress(LONG, rate=0.5).text
    assert len(short) < len(LONG)
    assert body.pop("messages") == talk(short)
    assert body == {"model": "m", "temperature": 0.5, "tools": tools, "prompt_cache": LONG}


def test_what_is_sent_equals_what_the_plain_client_sends_of_compressed_messages(wrapped, client, server, compressor):
    wrapped.chat.completions.create(model="m", messages=talk(LONG), seed=7)
    client.chat.completions.create(model="m", messages=talk(compressor.compress(LONG, rate=0.5).text), seed=7)
    (_, _, first, one), (_, _, second, other) = server.requests
    assert first == second
    assert one.items() == other.items()


def test_saved_counts_the_tokens_of_answered_calls(wrapped, server, compressor):
    wrapped.chat.completions.create(model="m", messages=talk(LONG))
    wrapped.chat.completions.create(model="m", messages=talk(LONG, "Indeed.", LONG))
    before = [compressor.compress(text, rate=1.0).original_tokens for text in (SYSTEM, LONG, "Indeed.")]
    after = [compressor.compress(text, rate=0.5).compressed_tokens for text in (SYSTEM, LONG, "Indeed.")]
    assert wrapped.saved.calls == 2
    assert wrapped.saved.original_tokens == 2 * before[0] + 3 * before[1] + before[2]
    assert wrapped.saved.compressed_tokens == 2 * before[0] + 3 * after[1] + after[2]
    assert wrapped.saved.tokens == wrapped.saved.original_tokens - wrapped.saved.compressed_tokens > 0


def test_a_conversation_keeps_its_prefix_to_the_byte_as_it_grows(wrapped, server):
    turns = [f"{LONG} This is turn {number}, with some words of its own." for number in range(6)]
    for end in range(1, 7, 2):
        wrapped.chat.completions.create(model="m", messages=talk(*turns[:end]))
    prompts = [raw[raw.index(b'"messages"') : raw.rindex(b"]")] for _, _, raw, _ in server.requests]
    assert prompts[1].startswith(prompts[0])
    assert prompts[2].startswith(prompts[1])


def test_each_text_is_compressed_once_and_the_same_again_when_it_is_forgotten(client, compressor, server, monkeypatch):
    monkeypatch.setattr(room, "REMEMBERED", 2 * len(LONG))
    calls = []

    class Counting:
        def compress(self, messages, **options):
            calls.append(messages[0]["content"])
            return compressor.compress(messages, **options)

    wrapped = wrap(client, Counting(), rate=0.5)
    others = [f"{LONG} {number}" for number in range(8)]
    for text in [LONG, LONG, *others, LONG]:
        wrapped.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
    assert calls == [LONG, *others, LONG]
    first, again, *_, last = sent(server)
    assert first == again == last


def test_a_message_s_own_key_beats_the_policy_and_is_not_sent(wrapped, server):
    messages = [
        {"role": "system", "content": LONG, "compress": 0.3},
        {"role": "user", "content": LONG, "compress": False},
    ]
    wrapped.chat.completions.create(model="m", messages=messages)
    [body] = sent(server)
    assert len(body["messages"][0]["content"]) < len(LONG)
    assert body["messages"][1] == {"role": "user", "content": LONG}


def test_images_tool_calls_and_answers_that_are_given_back_stay_whole(wrapped, server):
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": json.dumps({"at": LONG})}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    answer = wrapped.chat.completions.create(model="m", messages=talk("Hello.")).choices[0].message
    messages = [
        answer,
        {"role": "user", "content": [{"type": "text", "text": LONG}, image]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": LONG},
    ]
    wrapped.chat.completions.create(model="m", messages=messages)
    given, shown, called, told = sent(server)[-1]["messages"]
    assert given["role"] == "assistant"
    assert shown["content"][1] == image
    assert len(shown["content"][0]["text"]) < len(LONG)
    assert called == {"role": "assistant", "content": None, "tool_calls": [call]}
    assert told["content"] == shown["content"][0]["text"]


def test_streams_arrive_as_they_are_sent(wrapped, server):
    with wrapped.chat.completions.create(model="m", messages=talk(LONG), stream=True) as stream:
        assert isinstance(stream, openai.Stream)
        assert [chunk.choices[0].delta.content for chunk in stream] == ["four", " score"]
    with wrapped.chat.completions.stream(model="m", messages=talk(LONG)) as events:
        assert [event.delta for event in events if event.type == "content.delta"] == ["four", " score"]
    stream = wrapped.completions.create(model="m", prompt=LONG, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "four score"
    assert len(sent(server)[0]["messages"][1]["content"]) < len(LONG)
    assert sent(server)[0]["messages"] == sent(server)[1]["messages"]
    assert wrapped.saved.calls == 3


def test_prompts_and_responses_are_compressed_too(wrapped, server, compressor):
    short = compressor.compress(LONG, rate=0.5).text
    assert wrapped.completions.create(model="m", prompt=LONG).choices[0].text == "four score"
    wrapped.completions.create(model="m", prompt=[LONG, "Hi"])
    wrapped.completions.create(model="m", prompt=[1, 2, 3])
    assert wrapped.responses.create(model="m", input=LONG, instructions=SYSTEM).output_text == "four score"
    parts = [{"type": "input_text", "text": LONG}, {"type": "input_image", "image_url": "data:,", "detail": "low"}]
    output = {"type": "function_call_output", "call_id": "c", "output": "42"}
    wrapped.responses.create(model="m", input=[{"role": "user", "content": parts}, output])
    plain, several, tokens, text, items = sent(server)
    assert plain["prompt"] == short
    assert several["prompt"][0] == short
    assert tokens["prompt"] == [1, 2, 3]
    assert text == {"model": "m", "input": short, "instructions": SYSTEM}
    assert items["input"] == [{"role": "user", "content": [{"type": "input_text", "text": short}, parts[1]]}, output]


def test_what_is_no_prompt_passes_untouched(wrapped, client, server):
    assert wrapped.embeddings.create(model="m", input=LONG, encoding_format="float").data[0].embedding == [0.5]
    assert sent(server)[0]["input"] == LONG
    assert wrapped.saved.calls == 0
    assert isinstance(wrapped, openai.OpenAI)
    assert repr(type(wrapped).__name__) == "'OpenAI'"
    assert (wrapped.base_url, wrapped.api_key) == (client.base_url, client.api_key)


def test_the_client_that_was_given_stays_as_it_is(wrapped, client, server):
    client.chat.completions.create(model="m", messages=talk(LONG))
    assert sent(server)[0]["messages"] == talk(LONG)
    assert not hasattr(client, "saved")


def test_copies_with_other_options_compress_and_count_together(wrapped, server):
    wrapped.with_options(timeout=5).chat.completions.create(model="m", messages=talk(LONG))
    wrapped.copy(default_headers={"X-Team": "blue"}).chat.completions.create(model="m", messages=talk(LONG))
    assert len(sent(server)[0]["messages"][1]["content"]) < len(LONG)
    assert server.requests[1][3]["X-Team"] == "blue"
    assert wrapped.saved.calls == 2


def test_raw_and_streamed_responses_are_the_client_s_own(wrapped, server):
    raw = wrapped.chat.completions.with_raw_response.create(model="m", messages=talk(LONG))
    assert raw.headers["x-request-id"] == "seven"
    assert raw.parse().choices[0].message.content == "four score"
    with wrapped.with_streaming_response.chat.completions.create(model="m", messages=talk(LONG)) as response:
        assert json.loads(response.read())["object"] == "chat.completion"
    assert len(sent(server)[1]["messages"][1]["content"]) < len(LONG)


def test_errors_are_the_client_s_own_and_are_not_counted(wrapped):
    with pytest.raises(openai.NotFoundError, match="no such model"):
        wrapped.chat.completions.create(model="unknown", messages=talk(LONG))
    assert wrapped.saved.calls == 0


def test_a_call_that_is_tried_again_counts_once_and_sends_the_same(wrapped, server):
    server.failures = 1
    wrapped.with_options(max_retries=2).chat.completions.create(model="m", messages=talk(LONG))
    first, second = (raw for _, _, raw, _ in server.requests)
    assert first == second
    assert wrapped.saved.calls == 1


def test_threads_share_a_client(wrapped, server):
    texts = [f"{LONG} {number % 4}" for number in range(16)]

    def ask(text: str) -> None:
        wrapped.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])

    threads = [threading.Thread(target=ask, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrapped.saved.calls == 16
    assert len({body["messages"][0]["content"] for body in sent(server)}) == 4


def test_the_asynchronous_client_does_the_same(client, compressor, server):
    async def ask() -> tuple[str, list[str], object]:
        async with openai.AsyncOpenAI(api_key="none", base_url=client.base_url, max_retries=0) as plain:
            wrapped = wrap(plain, compressor, {"system": "keep"}, rate=0.5)
            assert isinstance(wrapped, openai.AsyncOpenAI)
            answers = await asyncio.gather(
                *(wrapped.chat.completions.create(model="m", messages=talk(LONG)) for _ in range(4))
            )
            stream = await wrapped.chat.completions.create(model="m", messages=talk(LONG), stream=True)
            words = [chunk.choices[0].delta.content async for chunk in stream]
            raw = await wrapped.with_options(timeout=5).chat.completions.with_raw_response.create(
                model="m", messages=talk(LONG)
            )
            assert raw.headers["x-request-id"] == "seven"
            with pytest.raises(openai.NotFoundError):
                await wrapped.chat.completions.create(model="unknown", messages=talk(LONG))
            return answers[0].choices[0].message.content, words, wrapped.saved

    content, words, saved = asyncio.run(ask())
    assert (content, words, saved.calls) == ("four score", ["four", " score"], 6)
    short = compressor.compress(LONG, rate=0.5).text
    assert all(body["messages"] == talk(short) for body in sent(server))


def test_subclasses_of_the_client_keep_their_ways(client, compressor, server):
    endpoint = str(client.base_url).removesuffix("/v1/")
    with openai.AzureOpenAI(api_key="none", azure_endpoint=endpoint, api_version="2026-01-01") as azure:
        wrapped = wrap(azure, compressor, 0.5)
        wrapped.with_options(timeout=5).chat.completions.create(model="m", messages=talk(LONG))
    [(path, body, _, _)] = server.requests
    assert path == "/openai/deployments/m/chat/completions?api-version=2026-01-01"
    assert len(body["messages"][1]["content"]) < len(LONG)
    assert (type(wrapped).__name__, wrapped.saved.calls) == ("AzureOpenAI", 1)


@pytest.mark.parametrize(
    ("policy", "options", "sentence"),
    [
        (None, {}, "how much to keep"),
        ({"user": 0.5}, {}, "how much to keep"),
        ({"user": "keep", "tool": 7}, {"rate": 0.5}, r"policy of message 1 \(tool\) is 7"),
        (0.5, {"target_tokens": 9}, "target_tokens would make one message depend on others"),
        (0.5, {"question": "Why?"}, "question would make"),
        (None, {"rate": 2}, "rate=2"),
        (0.5, {"ratio": 0.5}, "did you mean 'rate'"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_at_once(policy, options, sentence, client, compressor):
    with pytest.raises(RecipeError, match=sentence):
        wrap(client, compressor, policy, **options)


def test_only_a_client_can_be_wrapped(compressor):
    with pytest.raises(RecipeError, match="a dict is no openai client"):
        wrap({}, compressor, 0.5)
