"""Let a student answer rows, whatever kind it is: in words, or with one of its classes.

It knows no right answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stillroom.language.encoding import prompt_ids
from stillroom.language.prompting import StudentPrompt
from stillroom.language.rows import Row
from stillroom.language.students import Student


@dataclass(frozen=True)
class Answered:
    """What a student said to rows.

    Parameters
    ----------
    texts
        In the order of the rows; None where the answer was cut before it ended: half an answer is none.
    sentence
        How it went, for people: how many, how fast, how many were cut.
    """

    texts: list[str | None]
    sentence: str


def answer(
    student: Student,
    rows: Sequence[Row],
    prompt: StudentPrompt,
    *,
    prompts: Mapping[str, StudentPrompt] | None = None,
    max_new_tokens: int | Literal["auto"] = "auto",
    description: str = "answering",
) -> Answered:
    """Return the student's answers to rows, decoded greedily.

    Parameters
    ----------
    prompt, prompts
        What it is asked, and what in tasks that have a prompt of their own.
    max_new_tokens
        Room for an answer; see `generation.generate`.
    """
    asked = prompt_ids(student.tokenizer, prompt, rows, kind=student.kind, prompts=prompts)
    if student.kind == "classifier":
        from stillroom.language.classifier import predict

        said = predict(student, asked)
        return Answered(list(said.classes), f"{len(rows):,} rows classified")
    from stillroom.language.generation import generate

    told = generate(student.model, student.tokenizer, asked, max_new_tokens=max_new_tokens, description=description)
    texts = [text if done else None for text, done in zip(told.texts, told.finished, strict=True)]
    return Answered(texts, told.sentence())
