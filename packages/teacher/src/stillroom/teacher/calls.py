"""One call to the API through the `openai` client, and what its end means: an answer, or a failure of a known kind.

It does not retry, count money or store anything: it says whether another try makes sense, and whether the call may have
been paid for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import openai

from stillroom.core.errors import ModelError, StillroomError
from stillroom.teacher.rendering import Request

OUT_OF_MONEY = {"insufficient_quota", "billing_hard_limit_reached"}
LATER = {408, 409, 425}  # of the 4xx, those that ask to be tried again


@dataclass(frozen=True)
class Reply:
    """What the API answered.

    Parameters
    ----------
    text
        The answer; "" if there is none.
    finish_reason
        Why the teacher stopped, as the API says it.
    refusal
        Why it would not answer, where the API says so.
    prompt_tokens, cached_tokens, written_tokens, completion_tokens
        As billed; None where the API says nothing. `prompt_tokens` includes what the provider's prompt cache served
        and what was written to it.
    alternatives
        At each token the log-probability of those the API names.
    seconds
        From sending to reading.
    """

    text: str
    finish_reason: str | None
    refusal: str | None = None
    prompt_tokens: int | None = None
    cached_tokens: int = 0
    written_tokens: int = 0
    completion_tokens: int | None = None
    alternatives: tuple[Mapping[str, float], ...] = ()
    seconds: float = 0.0


@dataclass
class Failure(Exception):
    """A call without an answer.

    Parameters
    ----------
    reason
        What happened, in a few words.
    again
        Whether another try may succeed.
    paid
        Whether it may have been paid for. A request that never left, or that the API turned down with a 4xx, was not.
    too_fast
        Whether the server asks for fewer calls; after so many seconds, if it says so.
    """

    reason: str
    again: bool
    paid: bool
    too_fast: bool = False
    retry_after: float | None = None

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Api:
    """Where and how calls are made.

    Parameters
    ----------
    base_url
        Of an OpenAI-compatible API; None: OpenAI's, or the environment's OPENAI_BASE_URL.
    api_key
        None: the environment's OPENAI_API_KEY. Servers of one's own take any.
    timeout
        Seconds for a whole call.
    """

    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 120.0

    def client(self) -> openai.AsyncOpenAI:
        """Return a client for the running event loop, to be closed after use; over aiohttp where it is installed.

        Raises
        ------
        ModelError
            There is no API key.
        """
        return openai.AsyncOpenAI(**self.options(), http_client=_transport())

    def options(self) -> dict[str, Any]:
        """Return what a client is made with; raises as `client` does."""
        import os

        key = self.api_key or os.environ.get("OPENAI_API_KEY")
        if not key:
            if not self.base_url:
                raise ModelError("there is no API key: set OPENAI_API_KEY, or name a server with --base-url")
            key = "none"  # the client wants one, servers of one's own do not
        return {"base_url": self.base_url, "api_key": key, "timeout": self.timeout, "max_retries": 0}


def _transport() -> Any:
    """aiohttp's, at two thirds of the CPU time a call (`benchmarks/speed/labelling.py`); None: the client's own."""
    try:
        return openai.DefaultAioHttpClient()
    except RuntimeError:  # what it raises without httpx-aiohttp
        return None


class Hopeless(StillroomError):
    """Every call will fail like this one: the job stops, and what it has is kept."""


async def call(client: openai.AsyncOpenAI, request: Request) -> Reply:
    """Make a call.

    Raises
    ------
    Failure
        It brought no answer.
    Hopeless
        No call will: the key is refused, there is no such model, or the account is out of money.
    """
    began = time.perf_counter()
    with explained():
        if request.endpoint == "chat":
            completion: Any = await client.post(
                "/chat/completions", cast_to=openai.types.chat.ChatCompletion, body=request.body
            )
        else:
            completion = await client.post("/completions", cast_to=openai.types.Completion, body=request.body)
    return read(completion, request.endpoint, time.perf_counter() - began)


@contextmanager
def explained() -> Iterator[None]:
    """Raise what the client raises in the body of the `with` as a Failure, or as Hopeless."""
    try:
        yield
    except openai.APIStatusError as error:
        raise _of_status(error) from None  # its chain holds the request, and with it the key
    except openai.APIConnectionError as error:  # time-outs are among them
        if _never_left(error):
            raise Failure("the API cannot be reached", again=True, paid=False, too_fast=True) from None
        late = isinstance(error, openai.APITimeoutError) and not _broke(error)
        what = "the API did not answer in time" if late else "the connection broke"
        raise Failure(what, again=True, paid=True, too_fast=late) from None
    except (openai.APIError, ValueError):  # ValueError: a body that is no JSON
        raise Failure("the API's answer is no answer", again=True, paid=True) from None


def read(completion: Any, endpoint: str, seconds: float = 0.0) -> Reply:
    """Return what a completion says.

    Raises
    ------
    Failure
        It is none: servers send all kinds of things under status 200.
    """
    try:
        choice = completion.choices[0]
        message = choice.message if endpoint == "chat" else None
        text = choice.text if message is None else message.content
        refusal = None if message is None else getattr(message, "refusal", None)
        usage = completion.usage
        details = getattr(usage, "prompt_tokens_details", None)
        return Reply(
            text=text or "",
            finish_reason=choice.finish_reason,
            refusal=refusal,
            prompt_tokens=None if usage is None else int(usage.prompt_tokens),
            cached_tokens=int(getattr(details, "cached_tokens", 0) or 0),
            written_tokens=int(getattr(details, "cache_write_tokens", 0) or 0),
            completion_tokens=None if usage is None else int(usage.completion_tokens or 0),
            alternatives=_alternatives(choice.logprobs) if getattr(choice, "logprobs", None) else (),
            seconds=seconds,
        )
    except (AttributeError, IndexError, TypeError, ValueError):
        raise Failure("the API's answer is no answer", again=True, paid=True) from None


def _alternatives(logprobs: Any) -> tuple[Mapping[str, float], ...]:
    """The alternatives at each token, of the chat form or the older one."""
    if getattr(logprobs, "content", None):
        return tuple({one.token: one.logprob for one in token.top_logprobs} for token in logprobs.content)
    return tuple(one for one in getattr(logprobs, "top_logprobs", None) or () if one)


def _never_left(error: BaseException) -> bool:
    """Whether no connection was made at all. Over aiohttp the client calls every broken connection a `ConnectTimeout`;
    what truly happened is further down the chain."""
    kinds = [kind for link in _chain(error) for kind in type(link).__mro__]
    names = {kind.__name__ for kind in kinds}
    if any(kind.__module__.startswith("aiohttp") for kind in kinds):
        return "ClientConnectorError" in names
    return not names.isdisjoint({"ConnectError", "ConnectTimeout", "PoolTimeout"})


def _broke(error: BaseException) -> bool:
    """Whether a connection ended before its answer, and was not too slow."""
    names = {kind.__name__ for link in _chain(error) for kind in type(link).__mro__}
    return not names.isdisjoint({"ClientOSError", "ServerDisconnectedError", "ConnectionResetError"})


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_status(error: openai.APIStatusError) -> Exception:
    status, code = error.status_code, getattr(error, "code", None)
    said = in_short(error.body)
    if status in (401, 403):
        return Hopeless(f"the API refuses the key ({status}{said}): check OPENAI_API_KEY and what it may use")
    if status == 404:
        return Hopeless(f"the API knows no such model or address (404{said}): check --model and --base-url")
    if status == 429 and code in OUT_OF_MONEY:
        return Hopeless(f"the API's account is out of money ({code}): nothing was lost, run again once it is not")
    if status == 429:
        return Failure("the API asks for fewer calls (429)", True, False, True, _retry_after(error.response.headers))
    if 400 <= status < 500:
        return Failure(f"the API refuses the request ({status}{said})", again=status in LATER, paid=False)
    retry_after = _retry_after(error.response.headers)
    return Failure(
        f"the API failed ({status})",
        again=True,
        paid=True,
        too_fast=status in (502, 503, 504, 529),
        retry_after=retry_after,
    )


def in_short(error: Any) -> str:
    """Return what an API says about an error, to follow a status; nothing that looks as if it quoted a key."""
    message = error.get("message") if isinstance(error, Mapping) else None
    if not isinstance(message, str) or "key" in message.lower():
        return ""
    return ": " + " ".join(message.split())[:200]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from `retry-after-ms` or `retry-after` (seconds, or a date); None if it does not say so."""
    try:
        if "retry-after-ms" in headers:
            return max(float(headers["retry-after-ms"]) / 1000, 0.0)
        value = headers.get("retry-after")
        if value is None:
            return None
        if value.replace(".", "", 1).isdigit():
            return float(value)
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None
