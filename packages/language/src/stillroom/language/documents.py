"""What a new language model reads: an endless stream of short documents, laid end to end into rows of tokens.

    plain     lines of a text
    doubled   lines of a text, each of them twice: how a model learns to copy
    correct   a chat in which each sentence is answered with its correction
    repeat    a chat in which each sentence is answered with itself

Some chats begin with a system message that has nothing to do with what follows: only the turns so far tell what the
next answer should be. In plain and doubled documents every token is learned, in chats the answers, but the first
correction of a chat is not: nothing before it says that corrections are wanted, and where it stands alone a sentence is
to be repeated. It knows no network.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator
from torch import Tensor

from stillroom.core.batches import Batches
from stillroom.core.errors import DataError
from stillroom.core.objectives import IGNORED_LABEL
from stillroom.language.grammar.generate import LANGUAGES, pair
from stillroom.language.grammar.lexicon import Part
from stillroom.language.grammar.mistakes import SHARES
from stillroom.language.grammar.noise import Noise, noise
from stillroom.language.rows import expanded

Lesson = Literal["plain", "doubled", "correct", "repeat"]
LINES = {"plain": (2, 8), "doubled": (1, 4), "correct": (4, 8), "repeat": (1, 2)}
"""Fewest and most lines or turns of a document."""

SYSTEM = 0.3  # of the chats begin with a system message
HELD_OUT = 0.01  # of the lines of a text: they choose the checkpoint


class Corpus(BaseModel):
    """An item of a recipe's `corpora`: a text, or the generator of sentences.

    Parameters
    ----------
    text
        A file with a line a sentence, `.gz` or not; environment variables are expanded.
    language
        Of the text, for its noise; None: a language the generator does not know.
    grammar
        The languages that the generator speaks, by code.
    disguised
        The share of the generated sentences in which lemmas get another beginning, so that unknown words are met.
    weight
        Its share of the documents.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str | None = None
    language: str | None = None
    grammar: tuple[str, ...] = ()
    disguised: float = Field(default=0.0, ge=0, le=1)
    weight: PositiveFloat = 1.0

    @model_validator(mode="after")
    def _one(self) -> Corpus:
        if (self.text is None) == (not self.grammar):
            raise ValueError("a corpus has either a text or a grammar")
        unknown = sorted({*self.grammar, *filter(None, [self.language])} - set(LANGUAGES))
        if unknown:
            raise ValueError(f"there is no grammar of {unknown[0]!r}: there are {', '.join(LANGUAGES)}")
        return self


class Sentences(Protocol):
    """Where sentences come from."""

    def draw(self, random: Random) -> tuple[str, str]:
        """Return a sentence with mistakes, and as it should be."""


@dataclass(frozen=True, eq=False)
class Generated:
    """Sentences of the generator."""

    languages: Sequence[str]
    part: Part = "train"
    mistakes: Sequence[float] = SHARES
    disguised: float = 0.0

    def draw(self, random: Random) -> tuple[str, str]:  # noqa: D102
        code, number = random.choice(self.languages), random.getrandbits(48)
        made = pair(code, self.part, 0, number, self.mistakes, self.disguised)
        return made.source, made.target


@dataclass(frozen=True, eq=False)
class Written:
    """Sentences of a text, spoilt on the way."""

    lines: Sequence[str]
    noise: Noise
    mistakes: Sequence[float] = SHARES

    def draw(self, random: Random) -> tuple[str, str]:  # noqa: D102
        line = random.choice(self.lines)
        return self.noise.spoil(line, random, self.mistakes), line


def read(corpus: Corpus, mistakes: Sequence[float] = SHARES) -> tuple[Sentences, Sentences]:
    """Return a corpus to learn from, and its held-out part.

    `mistakes` says how often a sentence to learn from has none, one, two, …

    Raises
    ------
    DataError
        There is no such file, or too little in it.
    MissingError
        Its path needs an environment variable that is not set.
    """
    if corpus.text is None:
        learned = Generated(corpus.grammar, mistakes=mistakes, disguised=corpus.disguised)
        return learned, Generated(corpus.grammar, "choose")
    path = expanded(corpus.text)
    if not path.is_file():
        raise DataError(f"there is no text {path}: give a file with a line a sentence")
    try:
        lines = list(dict.fromkeys(map(finished, filter(None, map(str.strip, _open(path))))))
    except (OSError, EOFError, UnicodeDecodeError) as error:  # gzip's, and a text that is none
        raise DataError(f"{path} cannot be read as text in UTF-8: {error}") from error
    parts: tuple[list[str], list[str]] = ([], [])
    for line in lines:
        digest = hashlib.sha256(line.casefold().encode()).digest()
        parts[int.from_bytes(digest[:4], "big") < HELD_OUT * 2**32].append(line)
    if not all(parts):
        raise DataError(f"{path} has {len(lines)} different lines, too few to hold some out: give a longer text")
    spoiling = noise(parts[0], corpus.language)
    return Written(parts[0], spoiling, mistakes), Written(parts[1], spoiling)


def finished(line: str) -> str:
    """Return a line with a capital and a mark at its end: some texts have neither, and neither should be learned.

    >>> finished("no hay tiempo")
    'No hay tiempo.'
    """
    return line[:1].upper() + line[1:] + ("." if line[-1:].isalnum() else "")


def _open(path: Path) -> Iterator[str]:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        yield from file


class Documents(Batches):
    """Batches of documents: `input_ids` and `labels`, both (rows, tokens), nothing padded.

    Documents follow one another, each after the end mark of the one before; the last of a row is cut.

    Parameters
    ----------
    corpora
        Sentences, each with its share of the documents.
    lessons
        Kinds of documents with their shares.
    rows, tokens
        The size of a batch.
    """

    def __init__(
        self,
        tokenizer: Any,
        corpora: Sequence[tuple[Sentences, float]],
        lessons: Mapping[Lesson, float],
        *,
        rows: int,
        tokens: int,
        seed: int = 0,
    ) -> None:
        self.tokenizer, self.rows, self.tokens, self.seed = tokenizer, rows, tokens, seed
        self.corpora, self.shares = [corpus for corpus, _ in corpora], [share for _, share in corpora]
        self.lessons: dict[Lesson, float] = dict(lessons)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        random = Random(f"documents {self.seed} {index}")
        ids, labels = zip(*(self._row(random) for _ in range(self.rows)), strict=True)
        return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}

    def _row(self, random: Random) -> tuple[list[int], list[int]]:
        ids: list[int] = []
        labels: list[int] = []
        while len(ids) < self.tokens:
            lesson = random.choices(list(self.lessons), list(self.lessons.values()))[0]
            corpus = random.choices(self.corpora, self.shares)[0]
            drawn = [corpus.draw(random) for _ in range(random.randint(*LINES[lesson]))]
            system = None
            if lesson in ("correct", "repeat") and random.random() < SYSTEM:
                system = " ".join(corpus.draw(random)[1] for _ in range(random.randint(1, 2)))
            for piece, learned in document(self.tokenizer, lesson, drawn, system):
                ids += piece
                labels += piece if learned else [IGNORED_LABEL] * len(piece)
        return ids[: self.tokens], labels[: self.tokens]


def document(
    tokenizer: Any, lesson: Lesson, drawn: Sequence[tuple[str, str]], system: str | None = None
) -> list[tuple[list[int], bool]]:
    """Return a document of sentences, with and without mistakes: its tokens in pieces, and whether each is learned."""
    end = tokenizer.eos_token_id
    if lesson in ("plain", "doubled"):
        lines = [right for _, right in drawn for _ in range(1 + (lesson == "doubled"))]
        return [([*tokenizer("\n".join(lines)).input_ids, end], True)]
    pieces = []
    if system is not None:
        spoken = [{"role": "system", "content": system}]
        pieces.append((tokenizer.apply_chat_template(spoken, return_dict=False), False))
    for turn, (source, right) in enumerate(drawn):
        pieces.append((chat_ids(tokenizer, source), False))
        answer = right if lesson == "correct" else source
        pieces.append(([*tokenizer(answer).input_ids, end], lesson == "repeat" or turn > 0))
    return pieces


def chat_ids(tokenizer: Any, text: str) -> list[int]:
    """Return a turn of the user's, up to where the assistant's answer begins."""
    asked = [{"role": "user", "content": text}]
    ids: list[int] = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    return ids
