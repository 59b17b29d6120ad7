"""What holds JSON together: everything but the inside of its strings, which may be compressed.

Objects and arrays are found wherever they stand: as the whole text, one a line, in a fenced block, within prose. Kept
are braces, brackets, commas, keys, numbers, true, false, null, quotes, the white space between them, and escapes: drop
any other words, and what is left is JSON with the same keys. Text that only resembles JSON (single quotes, comments,
trailing commas, an end that is missing) is seen as far as its inner objects and arrays are JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import EllipsisType
from typing import NamedTuple

from stillroom.core.errors import RecipeError
from stillroom.prompts.span import Span

Rates = Mapping[str, float | None]
Rate = float | None | EllipsisType  # `...`: no key says

_OPEN = re.compile(r'\{(?=\s*+["}])|\[(?=\s*+(?:["{}\[\]\-0-9]|true|false|null))')
_TOKEN = re.compile(  # a string, a number or name, or a bracket; and the mark after it
    r'[ \t\r\n]*+(?:"((?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+)"|([{}\[\]])'
    r"|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+\-]?[0-9]++)?|true|false|null)(?:[ \t\r\n]*+([:,]))?"
)
VALUE, VALUE_OR_END, KEY, KEY_OR_END, END = range(5)  # what may come next
# \uXXXX after a letter is within a word and shares its fate (Gr\u00f6\u00dfe); every other escape is kept
_ESCAPES = re.compile(r"(?<=[0-9A-Za-zÀ-ɏͰ-ԯ])(?:\\u[0-9a-fA-F]{4})++|((?:\\u[0-9a-fA-F]{4}|\\[^u])++)")


class Value(NamedTuple):
    """An object or array that no other contains, and the strings in it that are values: start, end, and rate of each.

    The rate is that of the innermost key that has one, and `...` where none has.
    """

    start: int
    end: int
    strings: tuple[tuple[int, int, Rate], ...]


def json_spans(text: str, rates: Rates | None = None) -> list[Span]:
    """Return what keeps the JSON in a text parseable, sorted, and how much of its strings is to stay.

    Parameters
    ----------
    rates
        For the strings under a key, at any depth: the share of their tokens to keep; None keeps them as they are.

    Raises
    ------
    RecipeError
        A rate is outside (0, 1].
    """
    return [span for value in json_values(text, rates) for span in value_spans(text, value)]


def value_spans(text: str, value: Value) -> Iterator[Span]:
    """Yield the spans of one object or array: all but the inside of strings, and the escapes within these."""
    start, end, strings = value
    for first, last, rate in strings:
        if first == last or rate is None:
            continue
        yield Span(start, first, None, "json")
        if rate is not ...:
            yield Span(first, last, rate, "json")
        for begin, stop in escapes(text, first, last):
            yield Span(begin, stop, None, "json")
        start = last
    yield Span(start, end, None, "json")


def escapes(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the runs of escapes in a stretch of a text that are not within a word."""
    if text.find("\\", start, end) >= 0:
        for match in _ESCAPES.finditer(text, start, end):
            if match[1]:
                yield match.span()


def json_values(text: str, rates: Rates | None = None) -> list[Value]:
    """Return the objects and arrays of a text that no other contains.

    Nothing is read twice: where an outer value fails, the inner ones that were complete stay, and reading goes on at
    the failure. So a megabyte of open brackets costs no more than a megabyte of JSON.
    """
    rates = checked(rates)
    strings: list[tuple[int, int, Rate]] = []
    found: list[tuple[int, int, int, int]] = []  # start and end in the text, and in `strings`
    match, position = _TOKEN.match, 0
    while opening := _OPEN.search(text, position):
        begin = position = opening.start()
        outside = len(found)
        frames: list[tuple[int, bool, Rate, int]] = []  # what is open: start, is it an object, rate, strings before
        rate: Rate = ...
        expected, in_object = VALUE, False
        while token := match(text, position):
            string, bracket, mark = token.groups()
            if bracket is None:
                if mark == ":":
                    if string is None or expected not in (KEY, KEY_OR_END):
                        break
                    if rates:
                        rate = rates.get(_key(string), frames[-1][2])
                    expected = VALUE
                elif expected > VALUE_OR_END:
                    break
                else:
                    if string is not None:
                        strings.append((*token.span(1), rate))
                    expected = END if mark is None else KEY if in_object else VALUE
            elif bracket in "{[":
                if expected > VALUE_OR_END or mark is not None:
                    break
                in_object = bracket == "{"
                frames.append((token.start(2), in_object, rate, len(strings)))
                expected = KEY_OR_END if in_object else VALUE_OR_END
            else:
                if expected in (VALUE, KEY) or in_object != (bracket == "}"):
                    break
                start, _, _, before = frames.pop()
                while len(found) > outside and found[-1][0] > start:
                    found.pop()
                position = token.end(2)
                found.append((start, position, before, len(strings)))
                if not frames or mark == ":":
                    break
                _, in_object, rate, _ = frames[-1]
                expected = END if mark is None else KEY if in_object else VALUE
            position = token.end()
        position = max(position, begin + 1)
    return [Value(start, end, tuple(strings[low:high])) for start, end, low, high in found]


def _key(raw: str) -> str:
    return json.loads(f'"{raw}"') if "\\" in raw else raw


def checked(rates: Rates | None) -> Rates:
    """Return the rates by key, all of them None or in (0, 1]; anything else is a RecipeError."""
    for key, rate in (rates or {}).items():
        if rate is not None and not 0 < rate <= 1:
            raise RecipeError(f"the rate of {key!r} is {rate}: a rate is the share to keep, above 0 and up to 1")
    return rates or {}
