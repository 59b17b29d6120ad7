"""Questions about contexts, with gold answers: read them, ask them of full and compressed contexts, judge the answers.

Reads SQuAD's form (also XQuAD's), and rows with `context` and `answers`. It talks to no teacher: it writes request
rows, and reads a label table.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom.core.errors import DataError
from stillroom.core.tables import rows

FULL = "full"  # the variant of a request whose context is whole
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class Question:
    """A question and its gold answers.

    Parameters
    ----------
    id, text
        Its name, and what is asked; "" if the data does not say.
    answers
        Any of them is right.
    spans
        (start, end) characters of the context where an answer is; where the data does not say, wherever it occurs.
    """

    id: str
    text: str
    answers: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Context:
    """A text and the questions about it."""

    text: str
    questions: tuple[Question, ...]


def read(path: str | Path) -> list[Context]:
    """Read a file in SQuAD's form (.json, .json.gz) or rows (.jsonl, .csv, .parquet).

    A row has `context` and `answers`, may have `question` and `id`; answers are texts, SQuAD's mappings with `text` and
    `answer_start`, or a mapping with lists of both.

    Raises
    ------
    DataError
        There is no such file, or it is of another form.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    try:
        if path.name.endswith((".json", ".json.gz")):
            content = path.read_bytes()
            data = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
            return [_context(one["context"], one["qas"]) for article in data["data"] for one in article["paragraphs"]]
        grouped: dict[str, list[Any]] = {}
        for row in rows(path):
            grouped.setdefault(row["context"], []).append(row)
        return [_context(text, asked) for text, asked in grouped.items()]
    except (KeyError, TypeError, ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} needs contexts with answers, as SQuAD has them or as rows ({error!r})") from error


def asked(contexts: Iterable[Context], compressors: Mapping[str, Callable[[str], str]]) -> Iterator[dict[str, str]]:
    """Yield request rows: each question of the full context, and of what each named compressor leaves of it.

    `row_id` is the question's id, a slash and the name; `input` is the context, an empty line and the question.
    """
    for context in contexts:
        left = {FULL: context.text, **{name: compress(context.text) for name, compress in compressors.items()}}
        for name, text in left.items():
            for question in context.questions:
                yield {"row_id": f"{question.id}/{name}", "input": f"{text}\n\n{question.text}"}


def exact_match(contexts: Iterable[Context], labels: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return, for each variant in a label table (`full`, a rate, …), how many answers it has and how many are right.

    `exact_match` is the share equal to a gold answer, `as_full` the share equal to the answer from the full context;
    equal is meant as in SQuAD: without case, punctuation, articles and spare white space.

    Raises
    ------
    DataError
        No row of the table answers a question of these contexts.
    """
    gold = {one.id: {plain(answer) for answer in one.answers} for context in contexts for one in context.questions}
    given: dict[str, dict[str, str]] = {}
    for row in labels:
        question, _, variant = str(row.get("row_id")).rpartition("/")
        if question in gold:
            given.setdefault(variant, {})[question] = plain(str(row.get("answer") or ""))
    if not given:
        raise DataError("no row of the label table answers a question of this set: row_id should be QUESTION/VARIANT")
    full = given.get(FULL, {})
    found: dict[str, dict[str, float]] = {}
    for variant, answers in given.items():
        found[variant] = {
            "answers": len(answers),
            "exact_match": sum(answer in gold[name] for name, answer in answers.items()) / len(answers),
        }
        both = answers.keys() & full.keys()
        if variant != FULL and both:
            found[variant]["as_full"] = sum(answers[name] == full[name] for name in both) / len(both)
    return found


def plain(answer: str) -> str:
    """Return an answer as SQuAD's evaluation compares it (Rajpurkar et al. 2016, section 6.1)."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def _context(text: str, questions: Iterable[Mapping[str, Any]]) -> Context:
    return Context(text, tuple(_question(text, one, number) for number, one in enumerate(questions)))


def _question(context: str, row: Mapping[str, Any], number: int) -> Question:
    answers = row["answers"]
    if isinstance(answers, str):  # CSV has no lists
        answers = json.loads(answers) if answers.startswith("[") else [answers]
    if isinstance(answers, Mapping):
        answers = [dict(zip(answers, values, strict=True)) for values in zip(*answers.values(), strict=True)]
    texts, spans = [], []
    for answer in answers:
        known = isinstance(answer, Mapping)
        text = str(answer["text"] if known else answer)
        texts.append(text)
        if known and answer.get("answer_start") is not None:
            spans.append((int(answer["answer_start"]), int(answer["answer_start"]) + len(text)))
        else:
            spans += [found.span() for found in re.finditer(re.escape(text), context) if text.strip()]
    name = str(row.get("id") or f"{hashlib.sha256(context.encode()).hexdigest()[:12]}-{number}")
    return Question(name, str(row.get("question") or ""), tuple(texts), tuple(spans))
