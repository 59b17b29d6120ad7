"""The bones of Markdown: fenced and inline code, headings, markers of lists and quotes, tables.

It goes by lines and runs of backticks as CommonMark does, without the rest of its grammar. Functions see the text with
a newline put before it, so that every line begins after one; what they yield counts in the text without it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_FENCE = re.compile(r"\n[ \t>]*+(`{3,}+|~{3,}+)[ \t]*([^\n`]*+)(?=\n|\Z)")
_TICKS = re.compile(r"`++(?:(?!\w)|(?<!\w`))")  # one between two letters is an apostrophe
_HEADING = re.compile(
    r"\n {0,3}(?:#{1,6}[ \t][^\n]*+"  # ## heading
    r"|(?=[^\s>|=\-][^\n]{0,200}+\n {0,3}(?:={3,}+|-{3,}+)[ \t\r]*+(?:\n|\Z))[^\n]*+\n[^\n]*+)"  # underlined
)
_ITEM = r"(?:[-*+•‣◦–]|\(?(?:\d{1,9}|[A-Za-z]|[ivx]{1,5})[.)])(?:[ \t]+\[[ xX]\])?(?=[ \t])"
_MARKER = re.compile(rf"\n[ \t]*+(?:>(?:[ \t]*+>)*+(?:[ \t]*+{_ITEM})?+|{_ITEM})")
_RULER = re.compile(r"\n[ \t]*+\|?+[ \t]*+:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?+[ \t\r]*+(?=\n|\Z)")


class Fence(NamedTuple):
    """A fenced block: its first character, where what is inside begins and ends, its end, and its language."""

    start: int
    inside: int
    close: int
    end: int
    language: str


def fences(lines: str) -> list[Fence]:
    """Return the fenced blocks; one that is never closed runs to the end of the text."""
    found: list[Fence] = []
    opening: re.Match[str] | None = None
    for match in _FENCE.finditer(lines):
        if opening is None:
            opening = match
        elif match[1][0] == opening[1][0] and len(match[1]) >= len(opening[1]) and not match[2].strip():
            found.append(_fence(opening, match.start(), match.end() - 1))
            opening = None
    if opening is not None:
        found.append(_fence(opening, len(lines) - 1, len(lines) - 1))
    return found


def _fence(opening: re.Match[str], close: int, end: int) -> Fence:
    language = opening[2].split(maxsplit=1)
    inside = min(opening.end(), end)
    return Fence(opening.start(), inside, max(close, inside), end, language[0].lower() if language else "")


def inline_code(lines: str, fenced: Iterable[Fence]) -> Iterator[tuple[int, int]]:
    """Yield `code` between runs of backticks of one length, within a line and outside of fenced blocks."""
    begin = 0
    for start, end in [*((fence.start, fence.end) for fence in fenced), (len(lines), len(lines))]:
        line: list[tuple[int, int]] = []
        for match in _TICKS.finditer(lines, begin, start):
            if line and lines.find("\n", line[-1][1], match.start()) >= 0:
                yield from _pairs(line)
                line = []
            line.append(match.span())
        yield from _pairs(line)
        begin = end + 1


def _pairs(runs: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    closers = defaultdict(list)  # the runs of each length that are still ahead, the next one last
    for index in range(len(runs) - 1, -1, -1):
        closers[runs[index][1] - runs[index][0]].append(index)
    free = 0
    for index, (start, end) in enumerate(runs):
        ahead = closers[end - start]
        ahead.pop()
        if index >= free and ahead:
            free = ahead[-1] + 1
            yield start - 1, runs[ahead[-1]][1] - 1


def headings(lines: str) -> Iterator[tuple[int, int]]:
    """Yield the lines of headings, whole, with the line under them where that is what makes them one."""
    return ((match.start(), match.end() - 1) for match in _HEADING.finditer(lines))


def markers(lines: str) -> Iterator[tuple[int, int]]:
    """Yield what makes a line an item or a quotation: indentation, >, and the marker (-, 1., a), - [x])."""
    return ((match.start(), match.end() - 1) for match in _MARKER.finditer(lines))


def tables(lines: str) -> Iterator[tuple[int, int]]:
    """Yield what makes a table: its head and the ruler under it, whole; of its rows the bars and the two ends."""
    position = 0
    while ruler := _RULER.search(lines, position):
        position = ruler.end()
        head = lines.rfind("\n", 0, ruler.start())
        if head < 0 or "|" not in ruler[0] or lines.find("|", head, ruler.start()) < 0:
            continue
        yield head, ruler.end() - 1
        while position < len(lines):
            end = lines.find("\n", position + 1)
            end = len(lines) if end < 0 else end
            row = lines[position + 1 : end]
            if "|" not in row:
                break
            first, last = position + len(row) - len(row.lstrip()), position + len(row.rstrip()) - 1
            yield position, first + 1
            for bar in re.finditer(r"\|", row):
                yield position + bar.start(), position + bar.end()
            yield last, last + 1
            position = end
