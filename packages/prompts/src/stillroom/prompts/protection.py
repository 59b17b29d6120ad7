"""Which stretches of a text stay as they are, by kind: placeholders, code, addresses, numbers, negations, structure.

Each kind is one pass over the text. It sees characters: no words, no tokens, no model; and it does not decide what
becomes of the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from operator import itemgetter

from stillroom.core.errors import RecipeError
from stillroom.prompts.markdown import Fence, fences, headings, inline_code, markers, tables
from stillroom.prompts.negations import negations
from stillroom.prompts.numbers import numbers
from stillroom.prompts.patterns import compiled, emails, matches, placeholders, urls
from stillroom.prompts.span import Span
from stillroom.prompts.structure import Rates, Value, json_values, value_spans
from stillroom.prompts.yaml_structure import Block, yaml_blocks

__all__ = ["DEFAULT", "Span", "spans"]

Pass = Callable[[str], Iterable[tuple[int, int]]]
_PASSES: dict[str, Pass] = {
    "placeholder": placeholders,
    "url": urls,
    "email": emails,
    "number": numbers,
    "negation": negations,
}
_BY_LINE: dict[str, Pass] = {
    "heading": headings,
    "list": markers,
    "table": tables,
}
DEFAULT = ("json", "yaml", "code", *_PASSES, *_BY_LINE)
_DATA = ("json", "jsonl", "ndjson", "yaml", "yml")  # languages of fenced blocks that are data
_WORD = re.compile(r"\S")


def spans(
    text: str,
    kinds: Iterable[str] = DEFAULT,
    patterns: Iterable[str | re.Pattern[str]] = (),
    *,
    rates: Rates | None = None,
) -> list[Span]:
    """Return the protected stretches of a text, sorted by where they start.

    Those that stay as they are (rate None) never overlap. A stretch with a rate of its own, the inside of a JSON or
    YAML value, may hold such stretches: these stay.

    Parameters
    ----------
    kinds
        Out of `DEFAULT`: "json", "yaml", "code", "placeholder", "url", "email", "number", "negation", "heading",
        "list", "table".
    patterns
        Regular expressions of the caller's; what they match stays. How long they take is the caller's affair.
    rates
        For the strings under a key of JSON or YAML, at any depth: the share of their tokens to keep; None keeps them.

    Raises
    ------
    RecipeError
        An unknown kind, a rate outside (0, 1], a pattern that is no regular expression or matches the empty string.
    """
    chosen = _chosen(kinds)
    lines = "\n" + text  # every line begins after a newline; and patterns that begin with a character are fast
    values = json_values(text, rates) if "json" in chosen else []
    blocks = yaml_blocks(_without(text, values), rates) if "yaml" in chosen else []
    found: list[tuple[int, int, float | None, str]] = [span for value in values for span in value_spans(text, value)]
    found += (span for block in blocks for span in block.spans)
    if "code" in chosen:
        found += ((start, end, None, "code") for start, end in _code(text, lines, values, blocks))
    for kind in chosen:
        if kind in _PASSES:
            found += ((start, end, None, kind) for start, end in _PASSES[kind](text))
        elif kind in _BY_LINE:
            found += ((start, end, None, kind) for start, end in _BY_LINE[kind](lines))
    for pattern in compiled(patterns):
        found += ((start, end, None, "pattern") for start, end in matches(text, pattern))
    return _apart(found)


def _chosen(kinds: Iterable[str]) -> list[str]:
    chosen = [kinds] if isinstance(kinds, str) else list(kinds)
    for kind in chosen:
        if kind not in DEFAULT:
            near = get_close_matches(kind, DEFAULT, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose among {', '.join(DEFAULT)}"
            raise RecipeError(f"there is no kind of protection called {kind!r}: {hint}")
    return chosen


def _without(text: str, values: list[Value]) -> str:
    """Blank out JSON, whose lines would pass for YAML."""
    pieces: list[str] = []
    end = 0
    for value in values:
        pieces += text[end : value.start], " " * (value.end - value.start)
        end = value.end
    return "".join([*pieces, text[end:]])


def _code(text: str, lines: str, values: list[Value], blocks: list[Block]) -> Iterator[tuple[int, int]]:
    """Yield fenced blocks and inline code; of a fenced block that is JSON or YAML throughout, only the fences."""
    fenced = fences(lines)
    yield from inline_code(lines, fenced)
    ends = {value.start: value.end for value in values} | {block.start: block.end for block in blocks}
    for fence in fenced:
        if fence.language in _DATA and _covered(text, fence, ends):
            yield fence.start, fence.inside
            yield fence.close, fence.end
        else:
            yield fence.start, fence.end


def _covered(text: str, fence: Fence, ends: dict[int, int]) -> bool:
    """Whether the inside of a fenced block is nothing but these stretches (their ends, by their start)."""
    position = fence.inside
    while word := _WORD.search(text, position, fence.close):
        if word.start() not in ends:
            return False
        position = ends[word.start()]
    return position > fence.inside


def _apart(found: list[tuple[int, int, float | None, str]]) -> list[Span]:
    """Return spans sorted by their start, those that are kept trimmed so that none overlaps the one before it."""
    found.sort(key=itemgetter(0))
    apart, rated, reach = [], [], 0
    for start, end, rate, reason in found:
        if rate is not None:
            rated.append(Span(start, end, rate, reason))
        elif end > reach:
            apart.append(Span(max(start, reach), end, None, reason))
            reach = end
    return sorted(apart + rated, key=itemgetter(0)) if rated else apart
