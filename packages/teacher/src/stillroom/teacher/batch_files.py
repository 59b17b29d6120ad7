"""The batch endpoints of a provider, in OpenAI's form: requests go up as lines of a file, answers come down as such.

A batch carries a token of ours in its metadata, by which it is found again where its id was never received. A file is
held in memory, up to the provider's bound of 200 MB. It retries and stores nothing, and counts no money; what the
client raises it raises as `calls` does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import openai
from openai.types import Batch, Completion
from openai.types.chat import ChatCompletion

from stillroom.teacher.calls import LATER, Failure, Reply, explained, in_short, read
from stillroom.teacher.rendering import Request

LINES = 50_000  # of a file, and
BYTES = 200 * 10**6  # its size at most: https://platform.openai.com/docs/api-reference/batch/create
ENDED = {"completed", "failed", "expired", "cancelled"}
TOO_MUCH = "token_limit_exceeded"  # of a failed batch: too many tokens are in the queue, later there may be room
UNPAID = {"batch_expired", "batch_cancelled"}  # of a line without a response: it was never begun
TOKEN = "stillroom"  # what the metadata call it
GROUP = 256  # lines read at a time
URLS = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}


def line(request: Request) -> str:
    """Return a request as a line, without its end; in ASCII, since some readers take U+2028 for an end of line."""
    return json.dumps(
        {"custom_id": request.key, "method": "POST", "url": URLS[request.endpoint], "body": request.body},
        separators=(",", ":"),
    )


async def upload(client: openai.AsyncOpenAI, token: str, content: bytes) -> str:
    """Upload a file of lines and return its id."""
    with explained():
        file = await client.files.create(
            file=(f"stillroom-{token}.jsonl", content, "application/jsonl"), purpose="batch"
        )
    return _known(file.id)


async def create(client: openai.AsyncOpenAI, token: str, endpoint: str, file: str) -> str:
    """Have a batch made of a file and return its id."""
    with explained():
        batch = await client.batches.create(
            input_file_id=file,
            endpoint=URLS[endpoint],  # type: ignore[arg-type]
            completion_window="24h",  # there is no other
            metadata={TOKEN: token},
        )
    return _known(batch.id)


async def find(client: openai.AsyncOpenAI, token: str) -> str | None:
    """Return the id of the batch that carries a token, or None if there is none; looks through all that are listed."""
    with explained():
        async for batch in client.batches.list(limit=100):
            if (batch.metadata or {}).get(TOKEN) == token:
                return _known(batch.id)
    return None


async def look(client: openai.AsyncOpenAI, batch: str) -> Batch:
    """Return how a batch stands."""
    with explained():
        found = await client.batches.retrieve(batch)
    _known(found.id)
    return found


async def download(client: openai.AsyncOpenAI, file: str) -> bytes:
    """Return what is in a file."""
    with explained():
        return (await client.files.content(file)).content


def answers(content: bytes, endpoint: str) -> Iterator[dict[str, Reply | Failure]]:
    """Yield what the lines of an output or error file say, by the key of the request, a group at a time."""
    lines = (_read(text, endpoint) for text in content.split(b"\n"))
    known = (one for one in lines if one is not None)
    while group := dict(islice(known, GROUP)):
        yield group


def unanswered(batch: Batch) -> Failure:
    """Return what became of the lines that an ended batch says nothing of.

    Only of a batch that was completed might they have been paid for.
    """
    if batch.status != "failed":
        return Failure(f"the batch was {batch.status} without it", again=True, paid=batch.status == "completed")
    problem = next(iter(batch.errors.data or ()), None) if batch.errors else None
    said = "" if problem is None else in_short({"message": problem.message})
    return Failure(
        f"the batch failed{said}", again=True, paid=False, too_fast=bool(problem and problem.code == TOO_MUCH)
    )


def _read(text: bytes, endpoint: str) -> tuple[str, Reply | Failure] | None:
    """Return what a line says, by its key; None if it says nothing that can be read."""
    try:
        said = json.loads(text)
        key, response, error = str(said["custom_id"]), said.get("response"), said.get("error")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not isinstance(response, Mapping):
        code = error.get("code") if isinstance(error, Mapping) else None
        return key, Failure(f"the batch did not do it ({code}{in_short(error)})", again=True, paid=code not in UNPAID)
    status, body = response.get("status_code"), response.get("body") or {}
    if status != 200:
        return key, _failure(status, body)
    try:
        kind: Any = ChatCompletion if endpoint == "chat" else Completion
        return key, read(kind.model_construct(**body), endpoint)
    except TypeError:
        return key, Failure("the API's answer is no answer", again=True, paid=True)
    except Failure as failure:
        return key, failure


def _failure(status: Any, body: Any) -> Failure:
    """What a status other than 200 means in a line: as in an answer of its own, but that there is no hurry."""
    said = in_short(body.get("error")) if isinstance(body, Mapping) else ""
    if isinstance(status, int) and 400 <= status < 500:
        return Failure(f"the API refuses the request ({status}{said})", status in LATER or status == 429, paid=False)
    return Failure(f"the API failed ({status}{said})", again=True, paid=True)


def _known(id: str | None) -> str:
    if not id:
        raise Failure("the API's answer is no answer", again=True, paid=True)
    return id
