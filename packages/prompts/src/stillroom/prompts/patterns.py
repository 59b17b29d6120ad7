"""Where placeholders, addresses and what the caller names stand in a text: one pass of a compiled pattern each.

It sees characters, no grammar of any template language: a placeholder that runs over braces of its own is seen in
parts. Every pattern takes time linear in the text, whatever the text is; the caller's own are the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from stillroom.core.errors import RecipeError

_PLACEHOLDER = re.compile(
    r"""[{<$%\[]
    (?: (?<=\{) (?: \{[^{}]{0,500}+\}\}           # {{ jinja }}
                  | [%\#][^{}]{0,500}+[%\#]?\}    # {% if x %}, {# remark #}
                  | [^{}"\n]{0,80}+\} )           # {name}, {0}, {}, {price:.2f}
      | (?<=<)  (?: /?[^\W\d][^<>\n]{0,200}+>     # <name>, <your name>, and tags of markup
                  | [<|!][^<>\n]{0,200}+>+ )      # <<name>>, <|user|>, <!-- remark -->
      | (?<=\$) (?: \{[^{}\n]{0,80}+\} | [^\W\d]\w{0,80}+ )                    # ${NAME}, $NAME
      | (?<=%)  (?: \(\w{1,80}+\) )? [#0+]*+ \d*+ (?:\.\d++)? [sdifreEfFgGxXoc] (?!\w)   # %s, %(name)s, %5.2f
      | (?<=\[) (?: \[[^\[\]\n]{0,80}+\]\] | /?[A-Z][A-Z0-9_ ]{0,40}+\] )      # [[name]], [NAME]
    )""",
    re.VERBOSE,
)
_END = r"""\s<>"“”„«»`\\，。；！？、）】》」』"""
_SCHEME = re.compile(rf"://[^{_END}]+")
_WWW = re.compile(rf"www\.(?<!\w....)[^{_END}]+")
_HOST = re.compile(
    r"\.(?:com|org|net|edu|gov|info|io|ai|dev|app|uk|de|fr|es|it|pt|nl|pl|ru|cn|jp|eu|ch|at|br|in)(?![\w.@])"
    rf"(?::\d+)?(?:/[^{_END}]*)?"
)
_MAIL = re.compile(r"@[\w-]{1,63}+(?:\.[\w-]{1,63}+)+")
# what comes before ://, before the last dot of a host, and before @: read backwards
_SCHEME_BACK = re.compile(r"[\w+.-]{1,20}")
_HOST_BACK = re.compile(r"[\w-][\w.-]{0,250}")
_LOCAL_BACK = re.compile(r"[\w.+%'-]{1,64}")


def placeholders(text: str) -> Iterator[tuple[int, int]]:
    """Yield where a template will fill something in: {name}, {{ name }}, {% if %}, <name>, ${NAME}, %s, [[name]]."""
    return (match.span() for match in _PLACEHOLDER.finditer(text))


def urls(text: str) -> Iterator[tuple[int, int]]:
    """Yield where addresses of the web are, less the punctuation of the sentence around them."""
    for pattern, back in ((_SCHEME, _SCHEME_BACK), (_WWW, None), (_HOST, _HOST_BACK)):
        for match in pattern.finditer(text):
            start = _back(text, match.start(), back) if back else match.start()
            if start < match.start() or back is None:
                yield start, _close(text, *match.span())


def emails(text: str) -> Iterator[tuple[int, int]]:
    """Yield where e-mail addresses are."""
    for match in _MAIL.finditer(text):
        start = _back(text, match.start(), _LOCAL_BACK)
        if start < match.start():
            yield start, match.end()


def compiled(patterns: Iterable[str | re.Pattern[str]]) -> list[re.Pattern[str]]:
    """Return the caller's patterns, compiled.

    Raises
    ------
    RecipeError
        One is no regular expression, or matches the empty string.
    """
    checked = []
    for pattern in [patterns] if isinstance(patterns, str | re.Pattern) else patterns:
        try:
            checked.append(re.compile(pattern))
        except re.error as error:
            raise RecipeError(f"{pattern!r} is no regular expression: {error.msg} at position {error.pos}") from error
        if checked[-1].search(""):
            raise RecipeError(f"{checked[-1].pattern!r} matches the empty string: name at least one character")
    return checked


def matches(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Yield where the caller's pattern matches."""
    for match in pattern.finditer(text):
        if match.start() == match.end():
            raise RecipeError(
                f"{pattern.pattern!r} matches the empty string at position {match.start()}: name at least one character"
            )
        yield match.span()


def _back(text: str, end: int, pattern: re.Pattern[str]) -> int:
    """Return how far back from `end` the characters go that the pattern names."""
    match = pattern.match(text[max(0, end - 256) : end][::-1])
    return end - match.end() if match else end


def _close(text: str, start: int, end: int) -> int:
    """Return where an address ends: before trailing punctuation, and brackets that it does not open."""
    address = text[start:end]
    surplus = {close: address.count(close) - address.count(open) for open, close in ("()", "[]", "{}")}
    while end > start:
        last = text[end - 1]
        if surplus.get(last, 0) > 0:
            surplus[last] -= 1
        elif last not in ".,;:!?'*_~":
            break
        end -= 1
    return end
