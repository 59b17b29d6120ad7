"""Distil: a student learns what a teacher said, and stays only if it is better than it was.

    rows ── split ──► learn ── train ──► the checkpoint whose answers to `choose` are best ── judged on `judge` ──► kept

How rows become batches is lessons.py's business, how good answers are judging.py's, the loop is the core's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from stillroom.core import adapters
from stillroom.core.errors import RecipeError
from stillroom.core.gate import Verdict, judge
from stillroom.core.keys import key
from stillroom.core.lesson import Losses
from stillroom.core.runs import Run, new_folder
from stillroom.core.trainer import DistillTrainer
from stillroom.language import classifier, handover, judging, validation
from stillroom.language.answering import answer
from stillroom.language.lessons import Material, lessons, material, store_of
from stillroom.language.losses import losses_for
from stillroom.language.metrics import score
from stillroom.language.objective import TOP_K
from stillroom.language.recipe import SHORTFALL, DistillRecipe
from stillroom.language.report import Table
from stillroom.language.rows import Row
from stillroom.language.students import Student, load


@dataclass(frozen=True, eq=False)
class Distilled:
    """What came of a distillation.

    Parameters
    ----------
    student
        The trained one if the gate kept it, otherwise the base, untouched.
    verdict
        What the gate found, with a sentence for people.
    table
        Student, base, copy and teacher by the recipe's metrics, on the exam or else on the held-out labels.
    run
        The Run directory, which `transformers` and PEFT load; see `handover`.
    """

    student: Student
    verdict: Verdict
    table: Table
    run: Run


def distill(recipe: DistillRecipe | Mapping[str, Any] | str | Path, folder: str | Path | None = None) -> Distilled:
    """Train a student by a recipe, judge it, and keep it if it is better than the base.

    Parameters
    ----------
    recipe
        A `DistillRecipe`, a mapping, or the path of a YAML file.
    folder
        The Run directory; a training that was cut short there goes on. None: a new folder under `runs/`.

    Raises
    ------
    DataError
        Rows that cannot be read, or of which nothing is left to learn, choose or judge with.
    ModelError
        A student or teacher that is not there, or a teacher that writes in other tokens than its student.
    RecipeError
        A recipe that cannot be meant, or the folder of another run.

    Notes
    -----
    Kept only if the lower bound of the paired bootstrap (95 %) over rows of the relative gain, by the first metric, is
    above zero.
    """
    recipe = DistillRecipe.of(recipe)
    rows = material(recipe)
    for sentence in rows.sentences:
        _say(sentence)
    folder = Path(folder) if folder is not None else new_folder("language")
    run = Run.create(
        folder,
        recipe={"family": "language", "verb": "distill", **recipe.model_dump(mode="json")},
        seeds={"seed": recipe.train.seed},
        data={name: fingerprint(getattr(rows, name)) for name in ("learn", "choose", "judge", "exam")},
    )
    started = time.monotonic()
    settings = recipe.train
    student = load(
        recipe.student.model, recipe.student.kind, recipe.adapter, recipe.student.classes,
        seed=settings.seed, total_steps=settings.steps,
    )  # fmt: skip
    ask = partial(answer, prompt=recipe.prompt, prompts=rows.prompts, max_new_tokens=recipe.max_new_tokens)
    judged = rows.exam or rows.judge
    with lessons(recipe, rows, student, run.folder) as lesson:
        for sentence in (*lesson.sentences, adapters.size(student.model)):
            _say(sentence)
        base = ask(student, judged, description="the base answers")  # before a step moves it
        trainer = DistillTrainer(
            student.model,
            losses_of(recipe, student),
            settings,
            run.folder / "checkpoints",
            train_data=lesson.batches,
            validate=partial(assess, recipe, student, rows.choose[: recipe.choose_from], ask),
            weights=recipe.objective.weights(),
            teacher=lesson.teacher,
        )
        trainer.train()
    said = ask(student, judged, description="the student answers")
    _say(said.sentence)
    metric = recipe.metrics[0]
    verdict = judge(judging.losses(metric, judged, said.texts), judging.losses(metric, judged, base.texts))
    _say(verdict.sentence)
    table = judging.table(judged, {"student": said.texts, "base": base.texts}, recipe.metrics)
    if verdict.keep:
        handover.save(student, run.folder)
    run.record(
        metrics={
            "verdict": verdict,
            "judged_by": "exam" if rows.exam else "teacher's answers, held out",
            "judged": table.rows(),
            "chosen_at": trainer.best,
            "rows": {name: len(getattr(rows, name)) for name in ("learn", "choose", "judge", "exam")},
        },
        cost={
            "train_seconds": time.monotonic() - started,
            "trained": adapters.trainable(student.model)[0],
            "answers": said.sentence,
        },
    )
    _write_card(run, recipe, rows, verdict, table)
    before = partial(load, recipe.student.model, recipe.student.kind, classes=recipe.student.classes)
    kept = replace(student, source=str(run.folder.resolve())) if verdict.keep else before()
    return Distilled(kept, verdict, table, run)


@dataclass(frozen=True)
class Stored:
    """Where a teacher's likeliest tokens are kept: the store, of how many rows, and how many of each distribution."""

    store: Path
    rows: int
    top_k: int


def captured(recipe: DistillRecipe | Mapping[str, Any] | str | Path, folder: str | Path | None = None) -> Stored:
    """Ask the teacher of a recipe about its rows, and store what it says; `distill` then finds it there.

    Raises
    ------
    RecipeError
        The recipe has no teacher whose targets are `stored`. Otherwise as `distill`.
    """
    recipe = DistillRecipe.of(recipe)
    part = recipe.objective.teacher
    if part is None or part.targets != "stored":
        raise RecipeError("There is nothing to capture: give the recipe an objective.teacher with targets: stored.")
    folder = Path(folder) if folder is not None else new_folder("language")
    rows = material(recipe)
    student = load(recipe.student.model, recipe.student.kind)
    with lessons(recipe, rows, student, folder) as lesson:
        return Stored(store_of(part, folder), len(lesson.batches.rows), part.top_k or TOP_K)


def losses_of(recipe: DistillRecipe, student: Student) -> Losses:
    """Return the losses of a recipe's objective for its kind of student."""
    if student.kind == "classifier":
        return classifier.losses
    return losses_for(recipe.objective, student.kind, tokenizer=student.tokenizer, seed=recipe.train.seed)


def assess(recipe: DistillRecipe, student: Student, rows: Sequence[Row], ask: Any, model: Any) -> dict[str, float]:
    """Return what the rows that choose say of a student in training, by its answers: the metrics, and `shortfall`.

    `loss` is the cross-entropy of the right answers, which chooses nothing.
    """
    moved = replace(student, model=model)
    said = ask(moved, rows, description="validating").texts
    right, sources = judging.references(rows), [row.input for row in rows]
    found = {name: score(name, said, right, sources).value for name in recipe.metrics}
    return {SHORTFALL: 1 - found[recipe.metrics[0]], **found, "loss": validation.cross_entropy(recipe, moved, rows)}


def fingerprint(rows: Sequence[Row]) -> str:
    """Return a hash of rows: inputs, answers, tasks, reasons and soft targets, in their order."""
    return key(rows=[[r.task, r.prefix, r.input, r.answer, r.rationale, r.soft_targets] for r in rows])


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _write_card(run: Run, recipe: DistillRecipe, rows: Material, verdict: Verdict, table: Table) -> None:
    teacher = recipe.card.get("teacher") or (recipe.objective.teacher.model if recipe.objective.teacher else None)
    kept = "a student" if verdict.keep else "no student: the base answers these rows as well or better"
    licence = recipe.card.get("teacher_license")
    parts = [
        recipe.card.get("text", ""),
        f"This run holds {kept}. {verdict.sentence}",
        f"Student: `{recipe.student.model}`, trained with {recipe.adapter.method} on {len(rows.learn):,} rows by "
        f"`{recipe.objective.name}`; {len(rows.choose):,} others chose the checkpoint, and {len(rows.judge):,} were "
        "held out from both. Rows of one input are of one part.",
        f"Teacher: {f'`{teacher}`' if teacher else 'not stated in the recipe (`card.teacher`)'}. What it wrote, and so "
        "what learned from it, may be used as its terms say"
        + (f": {licence}." if licence else "; they are not stated here (`card.teacher_license`): look them up."),
        f"## Judged {'by people' if rows.exam else 'by the teacher'}\n\n{table.markdown()}",
    ]
    run.write_card(
        recipe.card.get("title", "A distilled student"),
        "\n\n".join(filter(None, parts)),
        base_model=recipe.student.model,
        license=recipe.card.get("license", "other"),
        library_name="transformers" if recipe.adapter.method == "full" else "peft",
    )
