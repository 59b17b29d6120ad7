"""What a scripted server answers, as data: the answer, how long it takes, what goes wrong and when, what is allowed.

Everything that looks like chance is a function of the seed and the number or the content of a request, so a script
plays the same each time. A script crosses to the server's process as JSON; a function in it crosses by its name, and
is imported there from where it stands.

It does not know HTTP, and counts no tokens.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Literal, get_args

from stillroom.core.errors import RecipeError

Kind = Literal["status", "hang", "reset", "cut", "garbage", "empty", "invalid", "length", "refusal", "no_usage"]
BatchEnd = Literal["completed", "failed", "expired"]
_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True)
class Reply:
    """One answer, as far as it is not the plain text with everything as usual.

    Parameters
    ----------
    text
        The answer's content.
    finish_reason
        Becomes "length" when `max_tokens` cuts the answer.
    refusal
        The message's `refusal`; its content is then null.
    logprobs
        For each token `(token, [(token, logprob), …])`, the alternatives with the most likely first; sent when the
        request asks for `logprobs`.
    completion_tokens
        What is charged for, when that is more than the text shows (a model that thinks first).
    latency
        Seconds, instead of the script's.
    """

    text: str = ""
    finish_reason: str = "stop"
    refusal: str | None = None
    logprobs: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] | None = None
    completion_tokens: int | None = None
    latency: float | None = None


Function = Callable[[dict[str, Any]], str | Reply]  # from a request's body to the answer


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, and with which requests.

    Parameters
    ----------
    kind
        - "status": an error of the API, with OpenAI's JSON body; nothing is computed
        - "hang": silence for `seconds`, then the answer
        - "reset": the connection is reset before the first byte
        - "cut": the connection ends halfway through the answer
        - "garbage": status 200, and JSON that ends halfway
        - "empty": an answer without content
        - "invalid": the answer "???", which fits no schema
        - "length": half of the answer, with finish_reason "length"
        - "refusal": a `refusal` instead of content
        - "no_usage": an answer without its usage

        All but "status" compute the answer, and charge for it. Of a request in a batch, the kinds that are about a
        connection ("hang" to "garbage") make nothing of it.
    share
        Of the requests, drawn by their number: when tried again, a request may succeed.
    at
        Numbers of requests, from 0.
    status, retry_after
        Of the kind "status": the HTTP status, and the seconds in its Retry-After header (None: no header).
    first
        Spare a body after that many attempts at it. Without `share` and `at`, every body is hit that often.
    seconds
        Of the kind "hang"; the default is longer than any client waits.
    billed
        Of the kind "status": the answer is computed and charged for all the same.

    Raises
    ------
    RecipeError
        An unknown kind, a share that is none, or a fault that never hits.
    """

    kind: Kind
    share: float = 0.0
    at: tuple[int, ...] = ()
    status: int = 500
    retry_after: float | None = None
    first: int | None = None
    seconds: float = 3600.0
    billed: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise RecipeError(f"there is no fault {self.kind!r}; there are {', '.join(get_args(Kind))}")
        if not 0 <= self.share <= 1:
            raise RecipeError(f"the share of a fault lies between 0 and 1, not at {self.share:g}")
        if not self.share and not self.at and self.first is None:
            raise RecipeError(f"the fault {self.kind!r} never hits: give share, at or first")
        if not 400 <= self.status <= 599:
            raise RecipeError(f"a fault's status lies between 400 and 599, not at {self.status}")

    def hits(self, number: int, attempt: int, chance: float) -> bool:
        """Whether a request is hit, by its number, the attempts at its body before, and its draw from 0 … 1."""
        if self.first is not None:
            if attempt >= self.first:
                return False
            if not self.share and not self.at:
                return True
        return number in self.at or chance < self.share


@dataclass(frozen=True)
class Script:
    """What a scripted server answers, and how.

    Parameters
    ----------
    answer
        - a text, or a `Reply`: that
        - a function in a module, or its name "module:function": what it returns (text or Reply) for the request's body

        A text that looks like a name is a name if there is such a module; `Reply(text)` is always a text.
    latency
        Seconds until the answer, or (low, high), drawn by the request's number.
    length
        (low, high): the answer's words again and again, up to a number of tokens between the two that is drawn by the
        body's content: answers of unknown length.
    faults
        The first that hits counts.
    rpm, window
        Requests a minute; what is more is answered with 429 and a Retry-After. What counts are the accepted requests of
        the last `window` seconds (rpm x window / 60 of them may be): a minute, as with providers; less for quick tests.
    max_concurrency
        Requests at once; what is more is answered with 429.
    prompt_cache_minimum
        Tokens from which prompts are cached, 1024 with OpenAI; None: they are not. The longest run of whole messages
        from the start that an earlier request of this model had too is cached, as far as it goes by 128 tokens beyond
        the minimum.
    batch_seconds
        Until a batch is computed. For the first third it is "validating", then "in_progress".
    batch_end
        How batches end: "failed" computes nothing; "expired" computes the first half of the requests only.
    api_key
        If set, another key is answered with 401.
    seed
        Of all draws.

    Raises
    ------
    RecipeError
        The answer is a function that cannot be found by its name (a lambda, an inner function), or a name that leads
        to none; or a number that cannot be meant.
    """

    answer: str | Reply | Function = "yes"
    latency: float | tuple[float, float] = 0.0
    length: tuple[int, int] | None = None
    faults: tuple[Fault, ...] = ()
    rpm: float | None = None
    window: float = 60.0
    max_concurrency: int | None = None
    prompt_cache_minimum: int | None = None
    batch_seconds: float = 0.0
    batch_end: BatchEnd = "completed"
    api_key: str | None = field(default=None, repr=False)
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.answer, str) and _NAME.fullmatch(self.answer):
            object.__setattr__(self, "answer", _find(self.answer) or self.answer)
        if callable(self.answer):
            _reference(self.answer)
        elif not isinstance(self.answer, str | Reply):
            raise RecipeError(f"an answer is a text, a Reply or a function, not a {type(self.answer).__name__}")
        if self.batch_end not in get_args(BatchEnd):
            raise RecipeError(f"a batch ends {', '.join(get_args(BatchEnd))}, not {self.batch_end!r}")
        for name in ("rpm", "window", "max_concurrency"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise RecipeError(f"{name}={value} lets nothing through: give more than 0, or leave it out")

    def reply(self, body: dict[str, Any]) -> Reply:
        """Return the answer to a request."""
        said = self.answer(body) if callable(self.answer) else self.answer
        if isinstance(said, str):
            return Reply(said)
        if not isinstance(said, Reply):
            raise TypeError(f"the script's function returned a {type(said).__name__}, not a text or a Reply")
        return said

    def fault(self, number: int, attempt: int) -> Fault | None:
        """Return what goes wrong with a request, by its number and the attempts at its body before."""
        for place, fault in enumerate(self.faults):
            if fault.hits(number, attempt, draw(self.seed, "fault", place, number) if fault.share else 1.0):
                return fault
        return None

    def seconds(self, number: int) -> float:
        """Return the latency of a request, by its number."""
        if isinstance(self.latency, int | float):
            return self.latency
        low, high = self.latency
        return low + (high - low) * draw(self.seed, "latency", number)

    def tokens(self, content: str) -> int | None:
        """Return the length of the answer to a body, by its hash; None if answers are as long as they are."""
        if self.length is None:
            return None
        low, high = self.length
        return low + int((high - low + 1) * draw(self.seed, "length", content))

    def to_json(self) -> str:
        """Return the script as JSON."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["faults"] = [asdict(fault) for fault in self.faults]
        if callable(self.answer):
            values["answer"] = {"function": _reference(self.answer)}
        else:
            values["answer"] = asdict(self.reply({}))
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Script:
        """Read a script; its function is imported here."""
        values = json.loads(text)
        answer = values.pop("answer")
        faults = tuple(Fault(**fault | {"at": tuple(fault["at"])}) for fault in values.pop("faults"))
        return cls(_load(answer["function"]) if "function" in answer else Reply(**answer), faults=faults, **values)


def draw(*what: Any) -> float:
    """Return a number in [0, 1) that is the same for the same things, as if drawn evenly."""
    return int.from_bytes(blake2b(repr(what).encode(), digest_size=6).digest(), "big") / 2**48


def echo(body: Mapping[str, Any]) -> str:
    """Answer with what was asked: the text of the last message of the user, or the prompt."""
    if "messages" not in body:
        return text_of(body.get("prompt"))
    asked = [text_of(message.get("content")) for message in body["messages"] if message.get("role") == "user"]
    return asked[-1] if asked else ""


def reverse(body: Mapping[str, Any]) -> str:
    """Answer with what was asked, backwards."""
    return echo(body)[::-1]


def text_of(content: Any) -> str:
    """Return the text in a message's content: itself, or that of its parts; what is no text has none."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, Mapping))
    return ""


def _find(name: str) -> Function | None:
    """Return the function of that name, or None if there is no such module."""
    module, _, attribute = name.partition(":")
    try:
        found = importlib.import_module(module)
    except ImportError:
        return None
    function: Function | None = getattr(found, attribute, None)
    if not callable(function):
        raise RecipeError(f"{module} has no function {attribute}; to answer with this text, give Reply({name!r})")
    return function


def _reference(function: Function) -> dict[str, str | None]:
    """Return where a function stands; by file too, as not every module of a test can be imported by its name."""
    name = getattr(function, "__qualname__", "<")
    if "<" in name:
        raise RecipeError(
            "an answer crosses to another process by its name: give a function that stands in a module, no lambda, "
            "inner or partial one"
        )
    return {"module": function.__module__, "name": name, "file": inspect.getsourcefile(function)}


def _load(reference: dict[str, str]) -> Function:
    try:
        if reference["module"] == "__main__":
            raise ImportError("another process's main module is not this one's")
        found: Any = importlib.import_module(reference["module"])
    except ImportError:
        spec = importlib.util.spec_from_file_location("scripted_answer", reference["file"])
        if spec is None or spec.loader is None:
            raise
        found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
    function: Function = attrgetter(reference["name"])(found)
    return function
