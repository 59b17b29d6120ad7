"""What holds YAML together: keys, indentation, markers, quotes, anchors, and the first word of every line.

It goes line by line over block mappings and sequences: `key: value`, `- item`, quoted and plain values, block scalars
(| and >), continuation lines, comments. Plain values keep their first word, so that no later word comes to stand where
YAML would take it for a sign. Flow collections ({…}, […]), aliases and quoted values over several lines stay as they
are. It knows no schema and no keys written with "?".

A stretch of lines counts as YAML when it holds two keys or more and no line that YAML would not allow there.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from stillroom.prompts.span import LETTERS, Span, whole
from stillroom.prompts.structure import Rates, checked, escapes

_NAME = r"""("(?:[^"\\\n]|\\.){1,80}+"|'[^'\n]{1,80}+'|[\w$./][\w$./@()+ -]{0,60}?) ?:(?=[ \r\n]|\Z)"""
_KEY = re.compile(rf"\n *+(?:- ++)*+{_NAME}")
_LINE = re.compile(rf"\n( *+)((?:-(?: ++|(?=[\r\n]|\Z)))*+)(?:{_NAME})? *+([^\n]*+)")
_PROPERTIES = re.compile(r"(?:[&!][^\s,{}\[\]]*+ *+)++")
_BLOCK = re.compile(r"[|>][-+0-9]{0,2} *+(?:#.*+)?\Z")
_QUOTED = re.compile(r"""(?:"((?:[^"\\\n]|\\.)*+)"|'((?:[^'\n]|'')*+)')( *+(?:#.*+)?\Z)?""")
_FIRST = re.compile(rf"[^\w\s]*+(?:(?:[{LETTERS}]++[^\w\s]*+)++|\S)?+")
_NO_VALUE = re.compile(r"[%@`,\]}]|[-?:](?: |\Z)")
_SIGNS = re.compile(r":(?: |\Z)|:\S|(?<= )#.*")


class Block(NamedTuple):
    """Lines of YAML, from the first character to the last that is not white space, and the spans in them."""

    start: int
    end: int
    spans: list[Span]


def yaml_blocks(text: str, rates: Rates | None = None) -> list[Block]:
    """Return the stretches of YAML in a text; `rates` as for `structure.json_spans`."""
    rates = checked(rates)
    lines = "\n" + text
    blocks: list[Block] = []
    position = 0
    while key := _KEY.search(lines, position):
        reader = _Reader(lines, rates)
        begin, after = key.start(), position
        position = max(reader.read(begin), begin + 1)
        if reader.keys < 2:
            continue
        while begin > after:  # remarks, directives and --- before the first key
            previous = lines.rfind("\n", after, begin)
            line = lines[previous:begin].strip()
            if previous < 0 or (line and line[0] not in "#%" and line != "---"):
                break
            reader.spans.append(Span(previous, begin - 1, None, "yaml"))
            begin = previous
        blocks.append(Block(begin, reader.end - 1, reader.spans))
    return blocks


class _Reader:
    """Reads lines as far as they are YAML. Its positions count the newline before the text; its spans do not."""

    def __init__(self, lines: str, rates: Rates) -> None:
        self.lines, self.rates = lines, rates
        self.spans: list[Span] = []
        self.keys = self.end = 0
        self.open: list[tuple[int, object]] = []  # the column of each key that holds the line, and its rate
        self.floor = -1  # a line that is indented deeper than this column goes on with the value before it,
        self.mode = "plain"  # which is plain text, a block scalar ("block"), to be kept as it is ("kept"), or to come

    def read(self, start: int) -> int:
        """Read on from the newline at `start`, and return where the first line is that is not YAML."""
        while line := _LINE.match(self.lines, start):
            indent, dashes, name, value = line.groups()
            stop = line.start(4) + len(value.rstrip())
            if dashes or name or value.strip():
                deeper = len(indent) > self.floor >= 0
                if deeper and self.mode in ("block", "kept"):
                    good = self._more(start + 1, start + 1 + len(indent), stop)
                elif name is not None:
                    good = self._key(name, len(indent) + len(dashes)) and self._value(start + 1, line.start(4), stop)
                elif dashes:
                    good = self._item(len(indent) + len(dashes.rstrip()) - 1) and self._value(
                        start + 1, line.start(4), stop
                    )
                elif value[0] == "#":
                    good = self._keep(start + 1, line.start(4) + 1)
                elif not indent and (value[:3] == "---" or value[0] == "%" or value[:3] == "..."):
                    self.open, self.floor = [], -1
                    good = self._keep(start + 1, stop)
                else:
                    good = deeper and self._more(start + 1, line.start(4), stop)
                if not good:
                    break
                self.end = stop
            start = line.end()
        return start

    def _key(self, name: str, column: int) -> bool:
        while self.open and self.open[-1][0] >= column:
            self.open.pop()
        rate = self.open[-1][1] if self.open else ...
        if self.rates:
            rate = self.rates.get(name[1:-1] if name[0] in "\"'" else name, rate)
        self.open.append((column, rate))
        self.floor = column
        self.keys += 1
        return True

    def _item(self, column: int) -> bool:
        if not self.open:
            return False  # a list outside of any key is a list of Markdown's
        while len(self.open) > 1 and self.open[-1][0] > column:
            self.open.pop()
        self.floor = column
        return True

    def _value(self, start: int, text: int, stop: int) -> bool:
        """Read what comes after a key or a marker on its line."""
        lines = self.lines
        self.mode = "plain"
        first = lines[text] if text < stop else ""
        if first and first in "&!":
            text = _PROPERTIES.match(lines, text, stop).end()  # type: ignore[union-attr]
            first = lines[text] if text < stop else ""
        if first in ("", "#"):
            self.mode = "to come"
            return self._keep(start, min(text, stop) + len(first))
        if first in "{[*":
            self.mode = "kept"
            return self._keep(start, stop)
        if first in "|>":
            self.mode = "block"
            return bool(_BLOCK.match(lines, text, stop)) and self._keep(start, stop)
        if first in "\"'":
            if not (quoted := _QUOTED.match(lines, text, stop)):
                self.mode = "kept"
                return self._keep(start, stop)
            if quoted[3] is None:
                return False
            inside, after = quoted.span(1 if first == '"' else 2)
            self._keep(start, inside)
            self._loose(inside, after)
            self.spans += (Span(a - 1, b - 1, None, "yaml") for a, b in escapes(lines, inside, after))
            return self._keep(after, stop)
        return not _NO_VALUE.match(lines, text, stop) and self._plain(start, text, stop)

    def _more(self, start: int, text: int, stop: int) -> bool:
        """Read a line that goes on with the value before it."""
        if self.mode == "kept":
            return self._keep(start, stop)
        if self.mode == "block":
            self._loose(text, stop)
            return self._keep(start, _FIRST.match(self.lines, text, stop).end())  # type: ignore[union-attr]
        return self._value(start, text, stop) if self.mode == "to come" else self._plain(start, text, stop)

    def _plain(self, start: int, text: int, stop: int) -> bool:
        signs = [sign.span() for sign in _SIGNS.finditer(self.lines, text, stop)]
        if any(self.lines[begin:end] in (":", ": ") for begin, end in signs):
            return False
        self._loose(text, stop)
        for begin, end in signs:
            self._keep(*whole(self.lines, begin, end))
        return self._keep(start, _FIRST.match(self.lines, text, stop).end())  # type: ignore[union-attr]

    def _loose(self, start: int, end: int) -> None:
        """Note the rate of a stretch that may be compressed; a rate of None keeps it."""
        if (rate := self.open[-1][1] if self.open else ...) is not ...:
            self.spans.append(Span(start - 1, end - 1, rate, "yaml"))  # type: ignore[arg-type]

    def _keep(self, start: int, end: int) -> bool:
        self.spans.append(Span(start - 1, end - 1, None, "yaml"))
        return True
