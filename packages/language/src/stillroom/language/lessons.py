"""From a recipe to what is trained on: rows read and split, tokens, batches, and what the teacher says of them.

All that can be refused is refused here, before the first step. It knows no step and no metric.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from stillroom.core.errors import DataError
from stillroom.core.targets import TargetStore
from stillroom.language import packing
from stillroom.language.batching import Batched
from stillroom.language.capture import capture
from stillroom.language.encoding import encode, matched
from stillroom.language.mixing import Mixture
from stillroom.language.objective import TOP_K, TeacherPart
from stillroom.language.prompting import StudentPrompt, columns
from stillroom.language.rationale import to_answer, two_tasks
from stillroom.language.recipe import DistillRecipe
from stillroom.language.rows import Row, expanded, read
from stillroom.language.split import LEARN, normalised, split
from stillroom.language.spoilt import spoilt
from stillroom.language.students import Student
from stillroom.language.teachers import LanguageTeacher


@dataclass(frozen=True)
class Material:
    """The rows of a recipe.

    Parameters
    ----------
    learn, choose, judge, exam
        What is trained on; what chooses the checkpoint; what judges it by the teacher's answers; and by people's.
    prompts
        Of tasks that have one of their own.
    weights
        Of tasks in the mixture; None: in proportion to their rows.
    sentences
        What was read and what was left out, for people.
    """

    learn: list[Row]
    choose: list[Row]
    judge: list[Row]
    exam: list[Row]
    prompts: dict[str, StudentPrompt]
    weights: dict[str, float | None]
    sentences: list[str]


def material(recipe: DistillRecipe) -> Material:
    """Read and split the rows of a recipe; what stands in the exam is taken out of the rest.

    Raises
    ------
    DataError
        A source that cannot be read, or nothing left to learn, choose or judge with.
    """
    asked_of = columns(recipe.prompt)
    found = [read(source, asked_of) for source in recipe.data]
    sentences = [one.report.sentence() for one in found]
    exam: list[Row] = []
    if recipe.exam is not None:
        examined = read(recipe.exam, asked_of)
        exam = examined.rows
        sentences.append(f"exam: {examined.report.sentence()}")
    rows = [row for one in found for row in one.rows]
    examined_texts = {normalised(row.input) for row in exam}
    apart = [row for row in rows if normalised(row.input) not in examined_texts]
    if len(apart) < len(rows):
        sentences.append(f"{len(rows) - len(apart):,} rows are in the exam as well, and are left out of the training")
    parts = split(apart, {"choose": recipe.split.choose, "judge": recipe.split.judge}, seed=recipe.split.seed)
    for name, part in parts.items():
        if not part:
            raise DataError(
                f"of {len(apart):,} rows none is left to {name} with: label more, or hold out other shares in `split`"
            )
    if recipe.spoilt:
        held_out = [row for name, part in parts.items() if name != LEARN for row in part]
        without = {*examined_texts, *(normalised(row.input) for row in held_out)}
        more = spoilt(parts[LEARN], recipe.spoilt, recipe.train.seed, without)
        parts[LEARN] += more
        sentences.append(f"{len(more):,} more rows to learn: answers, spoilt anew")
    two = recipe.objective.rationale is not None
    return Material(
        learn=two_tasks(parts[LEARN]) if two else parts[LEARN],
        choose=to_answer(parts["choose"]) if two else parts["choose"],
        judge=to_answer(parts["judge"]) if two else parts["judge"],
        exam=to_answer(exam) if two else exam,
        prompts={source.task: source.prompt for source in recipe.data if source.prompt is not None},
        weights={source.task: source.weight for source in recipe.data},
        sentences=sentences,
    )


@dataclass(frozen=True, eq=False)
class Lessons:
    """What a trainer needs of the rows that are learned.

    Parameters
    ----------
    batches
        Of tokens, with what a stored teacher said.
    teacher
        A live one; None: there is none, or it has said everything already.
    sentences
        How long the rows are, and what was left out, for people.
    answer_tokens
        Tokens that are learned in one pass.
    """

    batches: Batched
    teacher: LanguageTeacher | None
    sentences: list[str]
    answer_tokens: int


@contextmanager
def lessons(recipe: DistillRecipe, rows: Material, student: Student, folder: Path) -> Iterator[Lessons]:
    """Give the batches of a recipe, while the store of the teacher's answers is open.

    Parameters
    ----------
    rows
        Of which those are trained on that are to `learn`.
    student
        With its adapter.
    folder
        Of the Run: a store that the recipe does not name lies there.

    Raises
    ------
    ModelError
        A teacher that is not there, or writes in other tokens than the student.
    DataError, RecipeError
        As `encode` and `Batched` have it.
    """
    part = recipe.objective.teacher
    teacher = None
    if part is not None:  # first of all: a teacher that cannot teach this student costs nothing yet
        teacher = LanguageTeacher.load(part.model, student.tokenizer, precision=part.precision)
    encoded, report = encode(
        rows.learn, student.tokenizer, recipe.prompt, recipe.max_tokens, recipe.too_long,
        kind=student.kind, classes=student.classes, prompts=rows.prompts,
    )  # fmt: skip
    sentences, read = [report.sentence()], None
    if part is not None and part.prompt is not None and teacher is not None:
        plain = [replace(row, prefix="") for row in rows.learn]  # it tells the student, not the teacher, its task
        asked, theirs = encode(
            plain, student.tokenizer, part.prompt, teacher.positions or sys.maxsize, kind=teacher.kind
        )
        if theirs.too_long:
            sentences.append(f"to the teacher: {theirs.sentence()}")
        encoded, read = matched(encoded, asked)
    if recipe.packing:
        packing.check(student.model)
    tasks = [rows.learn[one.row].task for one in encoded]
    shares = {task: rows.weights.get(task) for task in set(tasks)}
    options = {
        "size": recipe.train.batch_size, "pad": student.tokenizer.pad_token_id, "kind": student.kind,
        "packing": recipe.max_tokens if recipe.packing else None, "seed": recipe.train.seed,
        "teacher_kind": None if teacher is None else teacher.kind,
        "order": Mixture(tasks, shares, recipe.mixing, recipe.train.seed),
    }  # fmt: skip
    if part is None or teacher is None or part.targets == "live":
        batches = Batched(encoded, teachers=read, **options)
        yield Lessons(batches, teacher, sentences, report.answer_tokens)
        return
    with TargetStore(store_of(part, folder)) as store:
        said = capture(teacher, read or encoded, store, part.top_k or TOP_K)
        yield Lessons(Batched(encoded, targets=said, **options), None, sentences, report.answer_tokens)


def store_of(part: TeacherPart, folder: Path) -> Path:
    """Return where a teacher's answers are kept: as the recipe says, else in the Run's folder."""
    return expanded(part.store) if part.store else folder / "targets.sqlite"
