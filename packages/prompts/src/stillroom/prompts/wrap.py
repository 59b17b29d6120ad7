"""Around the real openai client: prompts are compressed on their way out, all else is the client's own business.

>>> client = wrap(OpenAI(), compressor, {"system": "keep", "*": 0.5})
>>> client.chat.completions.create(model="gpt-5", messages=messages)
>>> client.saved.tokens

What comes back is of the client's own class, a copy that shares its connections: whatever takes an OpenAI client takes
it, and streams, raw responses, `with_options`, retries and errors are as they were. It looks at the request alone, so
every method that ends in one of `FIELDS` is covered. A text becomes the same text in every call, whatever stands
before or after it, so a conversation's prefix stays byte-identical and a provider's prompt cache goes on working.

It does not read answers, and what it counts is by the compressor's counter, not by the provider's bill.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from stillroom.core.errors import MissingError, RecipeError
from stillroom.prompts import messages
from stillroom.prompts.options import Options

if TYPE_CHECKING:
    from stillroom.prompts.compressor import Compressor

FIELDS = {  # what holds text that is read as a prompt, and whose it is if it does not say so itself
    "/chat/completions": {"messages": "user"},
    "/completions": {"prompt": "user"},
    "/responses": {"instructions": "system", "input": "user"},
}
REMEMBERED = (
    2**26
)  # characters of compressed texts that are kept, so that each turn of a conversation costs its new ones


@dataclass
class Saved:
    """What compression has saved since the client was wrapped, copies made by `with_options` included.

    Parameters
    ----------
    calls
        Calls that were answered; a stream counts when it begins, retries not at all.
    original_tokens, compressed_tokens
        Of the texts in their prompts, before and after.
    """

    calls: int = 0
    original_tokens: int = 0
    compressed_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Tokens that were never sent."""
        return self.original_tokens - self.compressed_tokens


def wrap(client: Any, compressor: Compressor, policy: Any = None, **options: Any) -> Any:
    """Return a copy of an openai client that compresses the prompts of completions, chat and responses.

    Parameters
    ----------
    client
        An `openai.OpenAI`, `AsyncOpenAI`, or a subclass such as Azure's; it stays as it is.
    policy
        What becomes of messages: "keep", "compress" or a rate, for all or by role (see `messages`). A message's own key
        `compress` beats it, and is not sent. `prompt` and a plain `input` count as the user's, `instructions` as the
        system's.
    options
        Those of `Compressor.compress`, such as `rate` for what the policy calls "compress", `keep` and `counter`; but
        not `target_tokens` and `question`, which would make one message depend on others.

    Returns
    -------
    The client, with an attribute `saved` (see `Saved`).

    Raises
    ------
    MissingError
        openai is not installed.
    RecipeError
        It is no openai client, or the options cannot be meant.
    """
    try:
        import openai
    except ImportError as error:
        raise MissingError("openai is not installed: `pip install 'stillroom-prompts[openai]'`") from error
    if not isinstance(client, openai.OpenAI | openai.AsyncOpenAI):
        raise RecipeError(f"a {type(client).__name__} is no openai client: give an openai.OpenAI or AsyncOpenAI")
    outgoing = _Outgoing(compressor, policy, options)
    wrapped: Any = client.copy()
    wrapped.__class__ = (_asynchronous if isinstance(client, openai.AsyncOpenAI) else _synchronous)(
        type(client), outgoing
    )
    return wrapped


def _synchronous(kind: Any, outgoing: _Outgoing) -> type:
    class Wrapped(kind):  # type: ignore[misc]
        saved = outgoing.saved

        def request(self, cast_to: Any, options: Any, **others: Any) -> Any:
            options, before, after = outgoing.request(options)
            answer = super().request(cast_to, options, **others)
            outgoing.count(before, after)
            return answer

    return _named_as(kind, Wrapped)


def _asynchronous(kind: Any, outgoing: _Outgoing) -> type:
    class Wrapped(kind):  # type: ignore[misc]
        saved = outgoing.saved

        async def request(self, cast_to: Any, options: Any, **others: Any) -> Any:
            from anyio import to_thread  # what openai itself runs on

            options, before, after = await to_thread.run_sync(outgoing.request, options)
            answer = await super().request(cast_to, options, **others)
            outgoing.count(before, after)
            return answer

    return _named_as(kind, Wrapped)


def _named_as(kind: type, wrapped: type) -> type:
    """Let a class go by the name of another: openai's clients send it along, as their User-Agent."""
    wrapped.__name__, wrapped.__qualname__ = kind.__name__, kind.__qualname__
    return wrapped


class _Outgoing:
    """Requests on their way out: the texts that became of texts, and the count of what that saved."""

    def __init__(self, compressor: Compressor, policy: Any, options: Mapping[str, Any]) -> None:
        for name in ("target_tokens", "question"):
            if options.get(name) is not None:
                raise RecipeError(f"{name} would make one message depend on others: give a rate or a threshold")
        asked = Options.read(options)
        roles = policy if isinstance(policy, Mapping) else ("*",)
        messages.plan([{"role": role, "content": ""} for role in roles], policy)  # refuses what is no policy
        policies = ({"*": None} | dict(policy)).values() if isinstance(policy, Mapping) else [policy]
        if not asked.says_how_much and any(one is None or one is True or one == "compress" for one in policies):
            raise RecipeError(
                "it is not said how much to keep: give a rate such as rate=0.5, or a policy that has one for every role"
            )
        self.compressor, self.policy, self.options = compressor, policy, options
        self.saved = Saved()
        self._texts: OrderedDict[bytes, tuple[str, int, int]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def request(self, options: Any) -> tuple[Any, int, int]:
        """Return a request with its prompt compressed, and the tokens of the prompt's texts before and after."""
        fields = FIELDS.get(options.url)
        if options.method != "post" or not fields or not isinstance(options.json_data, Mapping):
            return options, 0, 0
        tally = [0, 0]
        body = {
            name: self._prompt(value, fields[name], tally) if name in fields else value
            for name, value in options.json_data.items()
        }
        return options.model_copy(update={"json_data": body}), *tally

    def count(self, before: int, after: int) -> None:
        """Note an answered call; those without a prompt are none."""
        if before:
            with self._lock:
                self.saved.calls += 1
                self.saved.original_tokens += before
                self.saved.compressed_tokens += after

    def _prompt(self, value: Any, role: str, tally: list[int]) -> Any:
        if isinstance(value, str):
            return self._message({"role": role, "content": value}, tally)["content"]
        if isinstance(value, Mapping):
            return self._message(value, tally)
        if isinstance(value, list):
            return [self._prompt(item, role, tally) for item in value]
        return value  # tokens instead of text, or nothing

    def _message(self, message: Mapping[str, Any], tally: list[int]) -> dict[str, Any]:
        texts = []
        for part in messages.plan([message], self.policy):
            text, before, after = self._text(part.text, "keep" if part.rate is None else part.rate)
            texts.append(text)
            tally[0] += before
            tally[1] += after
        return messages.rebuild([message], texts)[0]

    def _text(self, text: str, policy: Any) -> tuple[str, int, int]:
        """Return what becomes of a text, and its tokens before and after; what is forgotten is made again the same."""
        key = sha256(f"{policy} {text}".encode(errors="surrogatepass")).digest()
        with self._lock:
            if key in self._texts:
                self._texts.move_to_end(key)
                return self._texts[key]
        message = {"role": "user", "content": text}
        made = self.compressor.compress([message], policy=policy, **self.options)
        assert made.messages is not None
        entry = (made.messages[0]["content"], made.original_tokens, made.compressed_tokens)
        with self._lock:
            if key not in self._texts:
                self._texts[key] = entry
                self._size += len(entry[0])
            while self._size > REMEMBERED:
                self._size -= len(self._texts.popitem(last=False)[1][0])
        return entry
