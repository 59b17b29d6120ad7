"""Files and batches of the scripted server: requests in a file, answers in a file some time later, at half the price.

    POST /v1/files    GET /v1/files/ID    GET /v1/files/ID/content
    POST /v1/batches  GET /v1/batches     GET /v1/batches/ID    POST /v1/batches/ID/cancel

Both are kept in the server's folder, and go on when it is started again. A batch is computed at its end, in one go, and
billed in one write once its output is on disk; one that is cancelled before has cost nothing. Each line of a batch
takes a number as other requests do; limits of requests a minute and at once do not count for it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from stillroom.core.runs import write_atomic
from stillroom.teacher.testing import bill
from stillroom.teacher.testing.answers import Answerer, BadRequest, whole
from stillroom.teacher.testing.script import Script
from stillroom.teacher.testing.wire import as_json, describe, error

ENDPOINTS = ("/v1/chat/completions", "/v1/completions")
DAY = 24 * 3600  # seconds a batch may take, with OpenAI
AT_A_TIME = 100  # lines between two looks at other requests
ENDED = {"completed", "failed", "expired", "cancelled"}
LISTED = 20  # batches on a page of the list, as with OpenAI


class Batches:
    """The endpoints of files and batches."""

    def __init__(self, script: Script, answerer: Answerer, descriptor: int, folder: Path) -> None:
        self.script, self.answerer, self.descriptor = script, answerer, descriptor
        self.bill = folder / "bill.jsonl"
        self.files, self.folder = folder / "files", folder / "batches"
        self.batches: dict[str, dict[str, Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        for directory in (self.files, self.folder):
            directory.mkdir(exist_ok=True)

    def routes(self) -> list[web.RouteDef]:
        """Return what is served."""
        return [
            web.post("/v1/files", self.upload),
            web.get("/v1/files/{id}", self.file),
            web.get("/v1/files/{id}/content", self.content),
            web.post("/v1/batches", self.create),
            web.get("/v1/batches", self.list),
            web.get("/v1/batches/{id}", self.batch),
            web.post("/v1/batches/{id}/cancel", self.cancel),
        ]

    async def resume(self, _: Any) -> None:
        """Go on with the batches of the server before."""
        kept = [json.loads(path.read_bytes()) for path in self.folder.glob("*.json")]
        for batch in sorted(kept, key=lambda batch: batch["created"]):
            self.batches[batch["id"]] = batch
            if batch["status"] not in ENDED:
                self._start(batch)

    async def upload(self, request: web.Request) -> web.Response:
        """Answer POST /v1/files."""
        form = await request.post()
        file, purpose = form.get("file"), form.get("purpose")
        if not isinstance(file, web.FileField) or not isinstance(purpose, str):
            return error(400, "a file and a purpose are needed")
        return as_json(self._keep(file.file.read(), file.filename, purpose))

    async def file(self, request: web.Request) -> web.Response:
        """Answer GET /v1/files/ID."""
        path = self.files / f"{Path(request.match_info['id']).name}.json"
        return as_json(json.loads(path.read_bytes())) if path.is_file() else error(404, "No such file")

    async def content(self, request: web.Request) -> web.Response:
        """Answer GET /v1/files/ID/content."""
        path = self.files / Path(request.match_info["id"]).name
        return web.Response(body=path.read_bytes()) if path.is_file() else error(404, "No such file")

    async def create(self, request: web.Request) -> web.Response:
        """Answer POST /v1/batches."""
        asked = await request.json()
        if asked.get("endpoint") not in ENDPOINTS:
            return error(400, f"the endpoint of a batch is one of {', '.join(ENDPOINTS)}")
        if not (self.files / Path(str(asked.get("input_file_id"))).name).is_file():
            return error(400, "No such file")
        now = time.time()
        batch = {
            "id": f"batch_{secrets.token_hex(12)}",
            "object": "batch",
            "endpoint": asked["endpoint"],
            "input_file_id": asked["input_file_id"],
            "completion_window": asked.get("completion_window", "24h"),
            "status": "validating",
            "created_at": int(now),
            "expires_at": int(now) + DAY,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": asked.get("metadata"),
            "errors": None,
            "output_file_id": None,
            "error_file_id": None,
            "created": now,
        }
        self.batches[batch["id"]] = batch
        self._save(batch)
        self._start(batch)
        return as_json(_shown(batch))

    async def list(self, request: web.Request) -> web.Response:
        """Answer GET /v1/batches: the latest first, in pages."""
        latest = list(reversed(self.batches.values()))
        limit = int(request.query.get("limit", LISTED))
        after = request.query.get("after")
        begin = [batch["id"] for batch in latest].index(after) + 1 if after in self.batches else 0
        page = [_shown(batch) for batch in latest[begin : begin + limit]]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
        return as_json({"object": "list", "data": page, "has_more": begin + limit < len(latest)} | ends)

    async def batch(self, request: web.Request) -> web.Response:
        """Answer GET /v1/batches/ID."""
        batch = self.batches.get(request.match_info["id"])
        return as_json(_shown(batch)) if batch else error(404, "No such batch")

    async def cancel(self, request: web.Request) -> web.Response:
        """Answer POST /v1/batches/ID/cancel."""
        batch = self.batches.get(request.match_info["id"])
        if not batch:
            return error(404, "No such batch")
        if batch["status"] in ENDED:
            return error(409, f"Cannot cancel a batch that is {batch['status']}")
        self._set(batch, "cancelling")
        shown = _shown(batch)
        self._set(batch, "cancelled")
        return as_json(shown)

    def _start(self, batch: dict[str, Any]) -> None:
        task = asyncio.create_task(self._run(batch))
        self._tasks.add(task)  # the loop itself holds tasks but weakly
        task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: dict[str, Any]) -> None:
        await asyncio.sleep(batch["created"] + self.script.batch_seconds / 3 - time.time())
        if batch["status"] in ENDED:
            return
        lines, problems = _requests((self.files / batch["input_file_id"]).read_bytes(), batch["endpoint"])
        if self.script.batch_end == "failed":
            problems = [_problem("script", "the script says so", None)]
        if problems:
            batch["errors"] = {"object": "list", "data": problems}
            self._set(batch, "failed")
            return
        batch["request_counts"]["total"] = len(lines)
        self._set(batch, "in_progress")
        await asyncio.sleep(batch["created"] + self.script.batch_seconds - time.time())
        computed = len(lines) // 2 if self.script.batch_end == "expired" else len(lines)
        answered: list[Any] = []
        failed: list[Any] = []
        charges: list[bill.Charge] = []
        for place, line in enumerate(lines):
            if place % AT_A_TIME == 0:
                await asyncio.sleep(0)
            if batch["status"] in ENDED:
                return
            if place >= computed:
                gone = {"code": "batch_expired", "message": "This request could not be executed in time."}
                failed.append(_result(line, None, gone))
                continue
            status, body, charge = self._line(line["body"], batch["id"])
            result = _result(line, {"status_code": status, "request_id": f"req-{batch['id']}-{place}", "body": body})
            (answered if status == 200 else failed).append(result)
            charges += [charge] if charge else []
        batch["request_counts"] |= {"completed": len(answered), "failed": len(failed)}
        for name, results in (("output_file_id", answered), ("error_file_id", failed)):
            if results:
                content = "".join(json.dumps(result) + "\n" for result in results).encode()
                batch[name] = self._keep(content, f"{batch['id']}_{name}.jsonl", "batch_output")["id"]
        # A server that was killed right here has billed the batch but not ended it: it is computed again, not billed.
        if not any(charge.batch == batch["id"] for charge in bill.read(self.bill).charges):
            bill.append(self.descriptor, charges)
        self._set(batch, self.script.batch_end)

    def _line(self, body: dict[str, Any], batch: str) -> tuple[int, dict[str, Any], bill.Charge | None]:
        """Return the status, the answer and the charge of one request."""
        number, content = self.answerer.take(), bill.content_hash(body)
        fault = self.answerer.fault(number, content)
        failed = fault is not None and fault.kind == "status"
        charge = None
        if not failed or (fault and fault.billed):
            try:
                completion = self.answerer.compute(number, body, content, fault, batch)
            except BadRequest as problem:
                return 400, {"error": describe(400, str(problem))}, None
            except Exception as problem:  # the script's own function
                return 500, {"error": describe(500, f"the script's function failed: {problem}")}, None
            charge = completion.charge
        if failed:
            assert fault
            return fault.status, {"error": describe(fault.status, "the script says so")}, charge
        return 200, whole(completion, f"chatcmpl-{batch}-{number}", int(time.time())), charge

    def _keep(self, content: bytes, name: str, purpose: str) -> dict[str, Any]:
        """Keep a file, and return it as the API's object."""
        id = f"file-{secrets.token_hex(12)}"
        described = {
            "id": id,
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
        }
        write_atomic(self.files / id, content)
        write_atomic(self.files / f"{id}.json", json.dumps(described))
        return described

    def _set(self, batch: dict[str, Any], status: str) -> None:
        batch["status"] = status
        batch[f"{status}_at"] = int(time.time())
        self._save(batch)

    def _save(self, batch: dict[str, Any]) -> None:
        write_atomic(self.folder / f"{batch['id']}.json", json.dumps(batch))


def _shown(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name != "created"}


def _requests(content: bytes, endpoint: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the requests of a batch's input, and what is wrong with them."""
    lines, problems, seen = [], [], set()
    for number, text in enumerate(content.splitlines(), start=1):
        try:
            line = json.loads(text)
            id, url, body = line["custom_id"], line["url"], line["body"]
        except (ValueError, KeyError, TypeError):
            problems.append(_problem("invalid_json_line", "This line is no request with custom_id, url, body.", number))
            continue
        if url != endpoint or not isinstance(body, dict) or ("messages" in body) != ("chat" in endpoint):
            problems.append(_problem("mismatched_endpoint", f"This line is no request to {endpoint}.", number))
        elif id in seen:
            problems.append(_problem("duplicate_custom_id", f"The custom_id {id!r} was there before.", number))
        seen.add(id)
        lines.append(line)
    if not lines and not problems:
        problems.append(_problem("empty_file", "The input file is empty.", None))
    return lines, problems


def _problem(code: str, message: str, line: int | None) -> dict[str, Any]:
    return {"code": code, "message": message, "line": line, "param": None}


def _result(line: dict[str, Any], response: Any, error: Any = None) -> dict[str, Any]:
    id = f"batch_req_{secrets.token_hex(8)}"
    return {"id": id, "custom_id": line["custom_id"], "response": response, "error": error}
