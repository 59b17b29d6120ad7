"""Texts and what of them should stay, by name: registered, public, or a file of the user's; and the two of the demo.

What should stay is the words that people kept (`Example`), or answers (`Context`); a set has either. It does not know
what they are for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stillroom.core import registry
from stillroom.core.errors import DataError
from stillroom.core.tables import rows
from stillroom.prompts import questions
from stillroom.prompts.detokenise import detokenise
from stillroom.prompts.examples import Example
from stillroom.prompts.questions import Context
from stillroom.prompts.report import judged
from stillroom.prompts.words import split

DEMO = Path(__file__).parent / "demo"
GONE = re.compile(r"\[-(.*?)-\]")


def read(name: str) -> list[Example] | list[Context]:
    """Return the texts of a set.

    Parameters
    ----------
    name
        A registered data set, whose entry point is called without arguments; a public one as NAME:SPLIT (default: test;
        see `sources`); or a file: JSON Lines with `tokens` and `keep` (a list of words, a string of 0 and 1), rows as
        `stillroom prompts align` writes them, or contexts with answers (see `questions.read`).

    Raises
    ------
    DataError
        There is no such set, or it holds something else.
    MissingError
        A public one that is not here.
    """
    if name in registry.names("stillroom.datasets"):
        found = list(registry.get("stillroom.datasets", name)())
    elif name.endswith(".jsonl") and "tokens" in next(rows(name), {}):
        found = list(_tokens(name))
    else:
        public, _, part = name.partition(":")
        found = judged(name if Path(name).suffix else f"{public}/{part or 'test'}")
    if len({type(one) for one in found}) != 1 or not all(isinstance(one, Example | Context) for one in found):
        raise DataError(f"{name} holds neither texts with kept words nor contexts with questions")
    return found


def demo_deletions() -> list[Example]:
    """Return sentences and what one careful reader would delete, written for this package."""
    language, found = "en", []
    for line in (DEMO / "deletions.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") and len(line) == 4:
            language = line[2:]
        elif line and not line.startswith("#"):
            found.append(_marked(line, language))
    return found


def demo_answers() -> list[Context]:
    """Return short contexts with questions and their answers, written for this package."""
    return questions.read(DEMO / "answers.json")


def _marked(line: str, language: str) -> Example:
    """Read a text in which `[-…-]` stands around what goes."""
    pieces = GONE.split(line)  # what stays and what goes take turns
    words = split("".join(pieces))
    edges = np.cumsum([0, *map(len, pieces)])
    piece = np.searchsorted(edges, words.start, side="right") - 1
    return Example(words.text, words.start, words.end, (piece % 2 == 0).astype(np.float32), "demo", language)


def _tokens(path: str) -> Iterator[Example]:
    for number, row in enumerate(rows(path), start=1):
        tokens, keep = row.get("tokens"), row.get("keep")
        if isinstance(tokens, str):
            tokens = tokens.split()
        if not isinstance(tokens, list) or not isinstance(keep, str) or len(tokens) != len(keep) or set(keep) - {*"01"}:
            raise DataError(f"row {number} of {path} needs tokens, and in keep a 0 or 1 for each of them")
        yield Example(*detokenise(tokens), np.array([*keep], dtype=np.float32), str(number), row.get("language"))
