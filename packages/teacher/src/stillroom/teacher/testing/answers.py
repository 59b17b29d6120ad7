"""From a request's body to the answer, as a provider computes it: texts, token counts, the prompt cache, the charge.

Tokens are counted by a simple estimate: runs of word characters and single other characters that are no white space,
at least 1 for a text that is not empty, and 4 more for each message of a chat. So a text never has more tokens than
bytes in UTF-8. Tools and schemas in a request count nothing.

It does not know connections: what goes wrong on the wire is the business of `app`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import cycle, islice
from typing import Any

from stillroom.teacher.testing.bill import Charge, cost
from stillroom.teacher.testing.script import Fault, Reply, Script, text_of

MESSAGE_TOKENS = 4  # what a message costs beside its text, as OpenAI's own counting recipe has it (3, and 1 for a name)
CACHE_STEP = 128  # tokens: providers cache prompts in steps
LEAST_LOGPROB = -9999.0  # what OpenAI says of a token that is not among the likely ones
_TOKEN = re.compile(r"\w+|[^\w\s]")


class BadRequest(Exception):
    """A body that is no request: answered with status 400 and this sentence."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What was computed for one request.

    Parameters
    ----------
    model, chat
        As asked; a chat or a legacy completion.
    replies
        One for each choice.
    usage
        As in the API; None if the script keeps it back.
    charge
        The line on the bill.
    top_logprobs
        How many alternatives a token gets; None if no logprobs were asked for.
    """

    model: str
    chat: bool
    replies: tuple[Reply, ...]
    usage: dict[str, Any] | None
    charge: Charge
    top_logprobs: int | None


class Answerer:
    """Answers requests by a script; remembers how often each body came, and the beginnings of prompts."""

    def __init__(self, script: Script, price: tuple[float, float, float]) -> None:
        self.script = script
        self.number = 0  # of the next request
        fresh, cached, completion = (round(dollars * 10**6) for dollars in price)
        self._rates = (fresh, cached, completion)
        self._attempts: Counter[str] = Counter()
        self._prefixes: set[int] = set()

    def take(self) -> int:
        """Return the number of a request that has just come."""
        self.number += 1
        return self.number - 1

    def fault(self, number: int, content: str) -> Fault | None:
        """Return what goes wrong with a request, by its number and its body's hash, and count the attempt."""
        attempt = self._attempts[content]
        self._attempts[content] += 1
        return self.script.fault(number, attempt)

    def compute(
        self, number: int, body: dict[str, Any], content: str, fault: Fault | None, batch: str | None = None
    ) -> Completion:
        """Answer a request; it is not billed yet.

        Raises
        ------
        BadRequest
            The body lacks its model or its prompt.
        """
        chat = "messages" in body
        parts = _parts(body)
        counts = [part if isinstance(part, int) else count(part) + MESSAGE_TOKENS * chat for part in parts]
        prompt = sum(counts)
        cached = self._cached(body["model"], parts, counts) if chat else 0
        length = self.script.tokens(content)
        limit = _limit(body)
        kind = fault.kind if fault else ""
        replies: list[Reply] = []
        completion = 0
        # a function is asked once; what it said stands in all `n` choices
        for asked in [body] if chat else _singly(body):
            reply, tokens = _finish(self.script.reply(asked), kind, length, limit)
            choices = body.get("n") or 1
            replies += [reply] * choices
            completion += tokens * choices
        usage = None
        if kind != "no_usage":
            usage = {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
                "prompt_tokens_details": {"cached_tokens": cached},
            }
        usd = cost(self._rates, prompt, cached, completion, batch=batch is not None)
        charge = Charge(number, content, len(replies), prompt, cached, completion, usd, batch)
        alternatives = (body.get("top_logprobs") or 0) if chat and body.get("logprobs") else None
        return Completion(body["model"], chat, tuple(replies), usage, charge, alternatives)

    def _cached(self, model: str, parts: list[str | int], counts: list[int]) -> int:
        """Return how many tokens of a prompt are cached, and remember its beginnings."""
        minimum = self.script.prompt_cache_minimum
        if minimum is None:
            return 0
        beginning, tokens, longest = hash(model), 0, 0
        for part, more in zip(parts, counts, strict=True):
            beginning, tokens = hash((beginning, part)), tokens + more
            if tokens < minimum:
                continue
            if beginning in self._prefixes:
                longest = tokens
            self._prefixes.add(beginning)
        return minimum + (longest - minimum) // CACHE_STEP * CACHE_STEP if longest else 0


@lru_cache(maxsize=1024)  # a system prompt comes with each request
def count(text: str) -> int:
    """Return the tokens of a text, by the estimate above."""
    return len(_TOKEN.findall(text)) or (1 if text else 0)


def cut(text: str, tokens: int) -> str:
    """Return the first tokens of a text."""
    ends = [match.end() for match in islice(_TOKEN.finditer(text), tokens + 1)]
    return text if len(ends) <= tokens else text[: ends[tokens - 1]]


def whole(completion: Completion, id: str, created: int) -> dict[str, Any]:
    """Return the answer as the API's object."""
    choices = [_choice(completion, index, reply) for index, reply in enumerate(completion.replies)]
    head = _head(completion, id, created, "chat.completion")
    return head | {"choices": choices} | ({} if completion.usage is None else {"usage": completion.usage})


def chunks(completion: Completion, id: str, created: int, *, usage: bool) -> Iterator[dict[str, Any]]:
    """Give the answer as the API's stream of objects: a token each, the end of each choice, and the usage if asked."""
    head = _head(completion, id, created, "chat.completion.chunk")
    for index, reply in enumerate(completion.replies):
        for delta, logprobs in _deltas(completion, reply):
            choice = {"index": index, "logprobs": logprobs, "finish_reason": None}
            yield head | {"choices": [choice | _delta(completion, delta)]}
        end = {"index": index, "logprobs": None, "finish_reason": reply.finish_reason}
        yield head | {"choices": [end | _delta(completion, {})]}
    if usage and completion.usage:
        yield head | {"choices": [], "usage": completion.usage}


def _head(completion: Completion, id: str, created: int, chat: str) -> dict[str, Any]:
    kind = chat if completion.chat else "text_completion"
    return {"id": id, "object": kind, "created": created, "model": completion.model}


def _choice(completion: Completion, index: int, reply: Reply) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": index, "finish_reason": reply.finish_reason}
    choice["logprobs"] = _logprobs(reply, completion.top_logprobs)
    if completion.chat:
        content = None if reply.refusal is not None else reply.text
        choice["message"] = {"role": "assistant", "content": content, "refusal": reply.refusal}
    else:
        choice["text"] = reply.text
    return choice


def _delta(completion: Completion, delta: dict[str, Any]) -> dict[str, Any]:
    return {"delta": delta} if completion.chat else {"text": delta.get("content") or ""}


def _deltas(completion: Completion, reply: Reply) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Give what each chunk of a choice adds, with its logprobs (all of them come with the first token)."""
    if completion.chat:
        yield {"role": "assistant", "content": None if reply.refusal is not None else ""}, None
    if reply.refusal is not None:
        yield {"refusal": reply.refusal}, None
        return
    logprobs, begin = _logprobs(reply, completion.top_logprobs), 0
    for match in _TOKEN.finditer(reply.text):
        yield {"content": reply.text[begin : match.end()]}, logprobs
        logprobs, begin = None, match.end()
    if begin < len(reply.text):
        yield {"content": reply.text[begin:]}, logprobs


def _logprobs(reply: Reply, top: int | None) -> dict[str, Any] | None:
    if top is None or reply.logprobs is None:
        return None
    content = []
    for token, alternatives in reply.logprobs:
        likely = [_logprob(other, value) for other, value in alternatives[:top]]
        content.append(_logprob(token, dict(alternatives).get(token, LEAST_LOGPROB)) | {"top_logprobs": likely})
    return {"content": content, "refusal": None}


def _logprob(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "logprob": value, "bytes": list(token.encode())}


def _parts(body: dict[str, Any]) -> list[str | int]:
    """Return the texts of a prompt, a message each; of a prompt that is given as tokens, their number."""
    if not isinstance(body.get("model"), str):
        raise BadRequest("you must provide a model parameter")
    if "messages" in body:
        messages = body["messages"]
        if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
            raise BadRequest("messages must be a list of messages, and not empty")
        return [text_of(message.get("content")) for message in messages]
    return [prompt if isinstance(prompt, str) else len(prompt) for prompt in _prompts(body)]


def _prompts(body: dict[str, Any]) -> list[str | list[int]]:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], int):
        return [prompt]
    prompts: list[Any] = prompt if isinstance(prompt, list) else [prompt]
    if not prompts or not all(isinstance(one, str | list) for one in prompts):
        raise BadRequest("you must provide messages, or a prompt that is a text, tokens, or a list of them")
    return prompts


def _singly(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [body | {"prompt": prompt} for prompt in _prompts(body)]


def _limit(body: dict[str, Any]) -> int | None:
    limits = [body[name] for name in ("max_tokens", "max_completion_tokens") if body.get(name) is not None]
    if any(not isinstance(limit, int) or limit < 1 for limit in limits):
        raise BadRequest("max_tokens must be a whole number of at least 1")
    return min(limits, default=None)


def _finish(reply: Reply, kind: str, length: int | None, limit: int | None) -> tuple[Reply, int]:
    """Return a reply as its fault, its length and the limit make it, and its tokens."""
    if kind == "empty":
        reply = replace(reply, text="", logprobs=None)
    elif kind == "invalid":
        reply = replace(reply, text="???", logprobs=None)
    elif kind == "refusal":
        reply = replace(reply, text="", refusal="I'm sorry, I can't help with that.", logprobs=None)
    elif length is not None and reply.refusal is None:
        words = _TOKEN.findall(reply.text) or ["word"]
        reply = replace(reply, text=" ".join(islice(cycle(words), length)))
    tokens = reply.completion_tokens
    if tokens is None:
        tokens = count(reply.text if reply.refusal is None else reply.refusal)
    if kind == "length":
        limit = min(limit or tokens, max(1, tokens // 2))
    if kind == "length" or (limit is not None and tokens > limit):
        assert limit is not None
        logprobs = None if reply.logprobs is None else reply.logprobs[:limit]
        reply = replace(reply, text=cut(reply.text, limit), finish_reason="length", logprobs=logprobs)
        tokens = min(tokens, limit)
    return reply, tokens
