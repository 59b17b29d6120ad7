"""From a prompt and a row to the request that is sent: messages, or one text for servers that only complete texts.

What is the same for every row is rendered, and compressed, once: the same bytes begin every request, so a provider's
prompt cache keeps working. Templates run in Jinja2's sandbox, without its random parts; a request depends on the prompt
and the row alone. It does not know who is asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jinja2 import StrictUndefined, TemplateError, UndefinedError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.keys import key
from stillroom.teacher.prompt import Prompt

Shorten = Callable[[str, float], tuple[str, int]]
"""Compresses a text to a rate; returns what is left, and how many tokens that saved."""


@dataclass(frozen=True, eq=False)
class Request:
    """What is sent for a row.

    Attributes
    ----------
    endpoint
        `chat` or `completions`.
    body
        The JSON that is sent, as the API names its fields.
    sample
        Which of several answers to the same body this is, from 0.
    prefix
        How many messages at the beginning are the same for every row.
    saved_tokens
        Tokens that compression took out of it.
    input
        What label tables carry as `input`.
    """

    endpoint: str
    body: dict[str, Any]
    sample: int
    prefix: int
    saved_tokens: int
    input: str

    @cached_property
    def key(self) -> str:
        """The address of its answer: a hash of all that is sent."""
        return key(endpoint=self.endpoint, body=self.body, sample=self.sample)

    @cached_property
    def texts(self) -> list[str]:
        """What the teacher reads, message by message, and the schema it is held to."""
        if self.endpoint == "completions":
            return [str(self.body["prompt"])]
        schema = [json.dumps(self.body["response_format"])] if "response_format" in self.body else []
        return [message["content"] for message in self.body["messages"]] + schema

    @property
    def size(self) -> int:
        """UTF-8 bytes of what the teacher reads: its tokens are no more."""
        return sum(len(text.encode("utf-8", "replace")) for text in self.texts)


class Rendering:
    """A prompt, made ready for its rows.

    Parameters
    ----------
    rates
        The rate of each part to be compressed (see `Prompt.rates`).
    shorten
        The compressor; needed if there are rates.

    Raises
    ------
    RecipeError
        A template that is none.
    """

    def __init__(self, prompt: Prompt, rates: Mapping[str, float] | None = None, shorten: Shorten | None = None):
        self.prompt, self.rates, self.shorten = prompt, dict(rates or {}), shorten
        environment = _environment()
        self._user = _compiled(environment, prompt.user.text, "user")
        self._whole = _compiled(environment, prompt.template, "template") if prompt.template is not None else None
        self.columns = sorted(meta.find_undeclared_variables(environment.parse(prompt.user.text)))
        self._fields = _fields(prompt)

    def request(self, row: Mapping[str, Any], model: str, *, sample: int = 0, name: str = "the row") -> Request:
        """Return the request that a row makes.

        Raises
        ------
        DataError
            The row has not what the template asks for, or half a character (a lone surrogate).
        """
        system, shown, saved = self._static
        payload, more = self._compressed(row, "user")
        user = self._rendered(payload, name)
        whole = row.get(self._input) if self._input is not None else row.get("input")
        messages = [*([{"role": "system", "content": system}] if system else []), *shown]
        body: dict[str, Any] = {"model": model}
        if self._whole is None:
            body["messages"] = [*messages, {"role": "user", "content": user}]
        else:
            said = [message["content"] for message in shown]
            pairs = [{"user": a, "assistant": b} for a, b in zip(said[::2], said[1::2], strict=True)]
            body["prompt"] = self._whole.render(system=system, examples=pairs, user=user)
        return Request(
            self.prompt.endpoint,
            {**body, **self._fields},
            sample,
            len(messages) if self._whole is None else 0,
            saved + more,
            whole if isinstance(whole, str) else user,
        )

    @cached_property
    def _input(self) -> str | None:
        """The column that is the input, if it can be told without a row."""
        if self.prompt.input is not None:
            return self.prompt.input
        return self.columns[0] if len(self.columns) == 1 else None

    @cached_property
    def _static(self) -> tuple[str, list[dict[str, str]], int]:
        """The system message, the messages of the examples, and the tokens that compression saved in them."""
        texts, saved = [], 0
        for name in ("system", "instructions"):
            part = getattr(self.prompt, name)
            if part is not None and part.text.strip():
                text, fewer = self._shorter(part.text.strip(), name)
                texts.append(text)
                saved += fewer
        texts += [self.prompt.output.instruction()] if self.prompt.output.instruction() else []
        shown = []
        for number, example in enumerate(self.prompt.examples.items):
            row, fewer = self._compressed(example.row, "examples")
            saved += fewer
            shown.append({"role": "user", "content": self._rendered(row, f"example {number}")})
            shown.append({"role": "assistant", "content": example.answer})
        return "\n\n".join(texts), shown, saved

    def _compressed(self, row: Mapping[str, Any], part: str) -> tuple[Mapping[str, Any], int]:
        """Compress the texts of a row."""
        if part not in self.rates:
            return row, 0
        shorter, saved = {}, 0
        for name, value in row.items():
            shorter[name], fewer = self._shorter(value, part) if isinstance(value, str) else (value, 0)
            saved += fewer
        return shorter, saved

    def _shorter(self, text: str, part: str) -> tuple[str, int]:
        if part not in self.rates or not text.strip():
            return text, 0
        assert self.shorten is not None
        return self.shorten(text, self.rates[part])

    def _rendered(self, row: Mapping[str, Any], name: str) -> str:
        try:
            text = str(self._user.render(row))
            text.encode()
        except UndefinedError as error:
            missing = ", ".join(repr(column) for column in self.columns if column not in row) or str(error)
            has = ", ".join(map(str, row)) or "nothing"
            raise DataError(f"{name} has no {missing}, which the prompt asks for; it has {has}") from error
        except UnicodeEncodeError as error:
            raise DataError(
                f"{name} holds half a character (a lone surrogate): decode it with errors='replace'"
            ) from error
        except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise DataError(f"{name} cannot be put into the prompt: {error}") from error
        return text


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": True}
    del environment.filters["random"], environment.globals["lipsum"]  # a request is the same every time
    return environment


def _compiled(environment: ImmutableSandboxedEnvironment, text: str, name: str) -> Any:
    try:
        return environment.from_string(text)
    except TemplateError as error:
        raise RecipeError(f"{name} is no Jinja2 template: {error}") from error


def _fields(prompt: Prompt) -> dict[str, Any]:
    """What a prompt adds to the body of each request."""
    own = {name: getattr(prompt, name) for name in ("max_tokens", "temperature", "top_p", "seed", "stop")}
    if prompt.top_logprobs is not None:
        chat = {"logprobs": True, "top_logprobs": prompt.top_logprobs}
        own |= chat if prompt.endpoint == "chat" else {"logprobs": prompt.top_logprobs}
    return {name: value for name, value in own.items() if value is not None} | prompt.output.fields() | prompt.extra
