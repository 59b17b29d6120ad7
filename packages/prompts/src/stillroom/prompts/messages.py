"""Chat messages: which of their text is compressed, by a policy for each, and the messages put together again.

A policy is "keep", "compress" or a rate. It comes from the message's own key `compress`, else from the policy by role,
else from that of `"*"`, else it is "compress". Content may be a string, a list of parts, or missing (a message that
only calls tools); images, audio, tool calls and all other keys stay untouched. It knows no API and no tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from stillroom.core.errors import DataError, RecipeError

Policy = float | Literal["keep", "compress"]
KEY = "compress"
TEXT_TYPES = ("text", "input_text", "output_text")


class Part(NamedTuple):
    """A text of a message: the message's index, the text, its rate (None: keep it; "compress": the caller's rate)."""

    message: int
    text: str
    rate: float | Literal["compress"] | None


def plan(messages: Sequence[Mapping[str, Any]], policy: Policy | Mapping[str, Policy] | None = None) -> list[Part]:
    """Return the texts of messages in order, each with what is to happen to it.

    Parameters
    ----------
    messages
        As for OpenAI's chat completions: mappings with `role` and `content`. A key `compress` in a message ("keep",
        "compress", a rate, or false) beats the policy.
    policy
        One for all, or by role, with `"*"` for roles that are not named.

    Raises
    ------
    DataError
        A message is no mapping, or its content is no text.
    RecipeError
        A policy is neither "keep", "compress" nor a rate in (0, 1].
    """
    by_role = policy if isinstance(policy, Mapping) else {"*": "compress" if policy is None else policy}
    parts: list[Part] = []
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise DataError(
                f"message {index} is a {type(message).__name__}: give mappings with role and content (model_dump())"
            )
        role = message.get("role", "*")
        asked = message.get(KEY, by_role.get(role, by_role.get("*", "compress")))
        rate = _rate(asked, f"message {index} ({role})")
        parts += (Part(index, text, rate) for text in _texts(message.get("content"), index))
    return parts


def rebuild(messages: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return copies of the messages with these texts, as many as `plan` named, and without the key `compress`."""
    left = iter(texts)
    return [
        {key: _with_texts(value, left) if key == "content" else value for key, value in message.items() if key != KEY}
        for message in messages
    ]


def _rate(policy: Any, where: str) -> float | Literal["compress"] | None:
    if policy == "keep" or policy is False:
        return None
    if policy == "compress" or policy is True or policy is None:
        return "compress"
    if isinstance(policy, int | float) and 0 < policy <= 1:
        return float(policy)
    raise RecipeError(f"the policy of {where} is {policy!r}: choose 'keep', 'compress' or a rate above 0 and up to 1")


def _is_text(part: Any) -> bool:
    if isinstance(part, Mapping):
        return part.get("type") in TEXT_TYPES and isinstance(part.get("text"), str)
    return isinstance(part, str)


def _texts(content: Any, index: int) -> list[str]:
    if content is None:
        return []
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list | tuple):
        raise DataError(
            f"the content of message {index} is a {type(content).__name__}, neither a string nor a list of parts"
        )
    return [part if isinstance(part, str) else part["text"] for part in content if _is_text(part)]


def _with_texts(content: Any, texts: Any) -> Any:
    if isinstance(content, str):
        return next(texts)
    if content is None:
        return None
    return [
        next(texts) if isinstance(part, str) else {**part, "text": next(texts)} if _is_text(part) else part
        for part in content
    ]
