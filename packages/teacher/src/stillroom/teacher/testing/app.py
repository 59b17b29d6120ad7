"""The scripted server on the wire: OpenAI's endpoints, its limits, and what goes wrong with a connection.

    python -m stillroom.teacher.testing.app     reads one line of settings from standard input, and serves until it ends

`ScriptedServer` starts it so. The line is JSON: script, price, folder, port. That the settings come by standard input
keeps the API key off the command line, and lets no server outlive whoever started it.

    POST /v1/chat/completions  /v1/completions     GET /v1/models  /v1/models/ID      files and batches: see `batches`
    GET /_script/stats  /_script/requests          for tests: without a key, and not part of OpenAI's API

A request has a number (from 0, in the order of arrival) once its key is right. It is computed and billed as soon as it
is let in, before its latency: whoever gives up waiting has paid.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import struct
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from stillroom.teacher.testing import bill
from stillroom.teacher.testing.answers import Answerer, BadRequest, Completion, chunks, whole
from stillroom.teacher.testing.batches import Batches
from stillroom.teacher.testing.script import Fault, Script
from stillroom.teacher.testing.server import HOST
from stillroom.teacher.testing.wire import as_json, error

RECORDED = 1000  # requests that tests may look at
BODY_BYTES = 256 * 2**20  # OpenAI takes batch files of up to 200 MB
SECRET_HEADERS = {"authorization", "api-key", "x-api-key", "proxy-authorization", "cookie"}
_RESET = struct.pack("ii", 1, 0)  # lingering for 0 seconds is how a socket is closed with a reset


class Completions:
    """The two endpoints that answer, and what tests want to know of them."""

    def __init__(self, script: Script, answerer: Answerer, descriptor: int) -> None:
        self.script, self.answerer, self.descriptor = script, answerer, descriptor
        self.run = secrets.token_hex(4)  # so that ids differ when numbers start again
        self.recorded: deque[dict[str, Any]] = deque(maxlen=RECORDED)
        self.requests = self.active = self.peak = self.rejected = 0
        self._accepted: deque[float] = deque()  # when, in the last window

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Answer POST /v1/chat/completions and /v1/completions."""
        number = self.answerer.take()
        self.requests += 1
        try:
            body = json.loads(await request.read())
            if not isinstance(body, dict) or ("messages" in body) != ("chat" in request.path):
                raise ValueError
        except ValueError:
            return error(400, "the body is no JSON object with what this endpoint asks for")
        self._record(number, request, body)
        if self.script.max_concurrency is not None and self.active >= self.script.max_concurrency:
            self.rejected += 1
            return error(429, f"at most {self.script.max_concurrency} requests at once")
        wait = self._wait()
        if wait is not None:
            self.rejected += 1
            return error(429, f"at most {self.script.rpm:g} requests a minute", retry_after=wait)
        self.active += 1
        self.peak = max(self.peak, self.active)
        try:
            return await self._answer(number, request, body)
        except BadRequest as problem:
            return error(400, str(problem))
        finally:
            self.active -= 1

    def stats(self) -> dict[str, int]:
        """Return the counts since the start."""
        names = ("requests", "rejected", "active", "peak")
        return {name: getattr(self, name) for name in names} | {"pid": os.getpid()}

    async def _answer(self, number: int, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        content = bill.content_hash(body)
        fault = self.answerer.fault(number, content)
        if fault and fault.kind == "status" and not fault.billed:
            return _failed(fault)
        try:
            completion = self.answerer.compute(number, body, content, fault)
        except BadRequest:
            raise
        except Exception as problem:  # the script's own function: whoever wrote it reads the client's error
            return error(500, f"the script's function failed: {type(problem).__name__}: {problem}")
        bill.append(self.descriptor, [completion.charge])
        if fault and fault.kind == "status":
            return _failed(fault)
        latency = completion.replies[0].latency
        seconds = self.script.seconds(number) if latency is None else latency
        if seconds:
            await asyncio.sleep(seconds)
        if fault and fault.kind == "hang":
            await asyncio.sleep(fault.seconds)
        if fault and fault.kind == "reset":
            return _reset(request)
        headers = {"x-request-id": f"req-{self.run}-{number}"}
        events = self._events(number, body, completion)
        if fault and fault.kind == "garbage":
            events = [event[: len(event) // 2] for event in events]
        if not body.get("stream"):
            headers["Content-Type"] = "application/json"
            if fault and fault.kind == "cut":
                return await _cut(request, events, headers | {"Content-Length": str(len(events[0]))})
            return web.Response(body=events[0], headers=headers)
        headers["Content-Type"] = "text/event-stream"
        events = [b"data: %s\n\n" % event for event in [*events, b"[DONE]"]]
        if fault and fault.kind == "cut":
            return await _cut(request, events, headers)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for event in events:
            await response.write(event)
        return response

    def _events(self, number: int, body: dict[str, Any], completion: Completion) -> list[bytes]:
        """Return the JSON objects of an answer: one, or those of a stream."""
        id = f"{'chatcmpl' if completion.chat else 'cmpl'}-{self.run}-{number}"
        created = int(time.time())
        if not body.get("stream"):
            return [json.dumps(whole(completion, id, created)).encode()]
        usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return [json.dumps(chunk).encode() for chunk in chunks(completion, id, created, usage=usage)]

    def _wait(self) -> float | None:
        """Accept a request under the limit of requests a minute, or return the seconds until there is room."""
        if self.script.rpm is None:
            return None
        now, window = time.monotonic(), self.script.window
        while self._accepted and self._accepted[0] <= now - window:
            self._accepted.popleft()
        if len(self._accepted) + 1 > max(1, self.script.rpm * window / 60):
            return self._accepted[0] + window - now
        self._accepted.append(now)
        return None

    def _record(self, number: int, request: web.Request, body: dict[str, Any]) -> None:
        named = ((name.lower(), value) for name, value in request.headers.items())
        headers = {name: value for name, value in named if name not in SECRET_HEADERS}
        self.recorded.append(
            {
                "number": number,
                "path": request.path,
                "headers": headers,
                "authorized": "Authorization" in request.headers,
                "body": body,
            }
        )


def _failed(fault: Fault) -> web.Response:
    return error(fault.status, "the script says so", retry_after=fault.retry_after)


def _reset(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        request.transport.abort()
    return web.Response()  # goes nowhere


async def _cut(request: web.Request, events: list[bytes], headers: dict[str, str]) -> web.StreamResponse:
    """Send half of an answer and hang up; what was sent arrives."""
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    content = b"".join(events)
    await response.write(content[: len(content) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def application(script: Script, price: tuple[float, float, float], folder: Path) -> web.Application:
    """Return the server as an aiohttp application; its bill, files and batches are in the folder."""
    bill.mend(folder / "bill.jsonl")
    descriptor = os.open(folder / "bill.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    answerer = Answerer(script, price)
    completions = Completions(script, answerer, descriptor)
    batches = Batches(script, answerer, descriptor, folder)

    @web.middleware
    async def authorize(request: web.Request, handler: Handler) -> web.StreamResponse:
        ours = request.path.startswith("/_script/")
        if not ours and request.headers.get("Authorization") != f"Bearer {script.api_key}":
            return error(401, "Incorrect API key provided.", code="invalid_api_key")
        return await handler(request)

    async def models(_: web.Request) -> web.Response:
        return as_json({"object": "list", "data": [_model("scripted")]})

    async def model(request: web.Request) -> web.Response:
        return as_json(_model(request.match_info["id"]))

    async def stats(_: web.Request) -> web.Response:
        return as_json(completions.stats())

    async def requests(_: web.Request) -> web.Response:
        return as_json(list(completions.recorded))

    app = web.Application(client_max_size=BODY_BYTES, middlewares=[] if script.api_key is None else [authorize])
    app.add_routes(
        [
            web.post("/v1/chat/completions", completions.post),
            web.post("/v1/completions", completions.post),
            web.get("/v1/models", models),
            web.get("/v1/models/{id}", model),
            web.get("/_script/stats", stats),
            web.get("/_script/requests", requests),
            *batches.routes(),
        ]
    )
    app.on_startup.append(batches.resume)
    return app


def _model(id: str) -> dict[str, Any]:
    return {"id": id, "object": "model", "created": 0, "owned_by": "stillroom"}


async def serve(settings: dict[str, Any]) -> None:
    """Serve until the process ends."""
    price, folder = settings["price"], Path(settings["folder"])
    app = application(Script.from_json(settings["script"]), price, folder)
    # a client that gives up ends its request: it no longer counts as one at a time
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    # whoever started us holds the port, so that nobody else gets it while we are dead (see `server`)
    shared = hasattr(socket, "SO_REUSEPORT") or None
    await web.TCPSite(runner, HOST, settings["port"], backlog=4096, reuse_address=True, reuse_port=shared).start()
    await asyncio.Event().wait()


def _end_with(stream: Any) -> None:
    stream.read()
    os._exit(0)


if __name__ == "__main__":
    line = sys.stdin.readline()
    threading.Thread(target=_end_with, args=(sys.stdin,), daemon=True).start()
    asyncio.run(serve(json.loads(line)))
