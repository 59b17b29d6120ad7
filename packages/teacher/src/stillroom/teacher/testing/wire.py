"""What the endpoints share: JSON and errors as OpenAI's API writes them."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web


def as_json(value: Any) -> web.Response:
    """Return a value as a response."""
    return web.Response(body=json.dumps(value).encode(), content_type="application/json")


def error(status: int, message: str, *, code: str | None = None, retry_after: float | None = None) -> web.Response:
    """Return an error as a response, with a Retry-After of so many seconds if given (decimals are kept)."""
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    content = json.dumps({"error": describe(status, message, code)}).encode()
    return web.Response(status=status, body=content, content_type="application/json", headers=headers)


def describe(status: int, message: str, code: str | None = None) -> dict[str, Any]:
    """Return an error as the API describes it."""
    kind = {429: "rate_limit_error"}.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"message": message, "type": kind, "param": None, "code": code}
