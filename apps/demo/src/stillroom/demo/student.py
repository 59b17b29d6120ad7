"""Chapter 6: a student takes over: a language model of a few megabytes learns to correct sentences from a bigger one.

What is made here, prompt, rows and recipe, `benchmarks/correction.py` uses at full size and over a real API.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from stillroom.demo.tour import Result, Table, Tour

if TYPE_CHECKING:
    from stillroom.language.grammar import Pair
    from stillroom.language.intervals import Interval
    from stillroom.language.report import Table as Judged

ABOUT = (
    "Distil a language model: the teacher mini, shown four corrected sentences, corrects others; the student mini, "
    "which is smaller and has never corrected anything, learns from its answers alone. Both are judged on other "
    "sentences; a third of their words and patterns neither has met in a correction."
)
TAKES = "about a minute and a half"
TEACHER, STUDENT = "teacher", "student"
LANGUAGES = ("en",)  # of the tour; the teacher knows four, and each needs its own labels and steps
SHOTS = 4  # corrected sentences that the teacher is shown, one a language
LEARN_SEED, EXAM_SEED, SHOWN_SEED = 11, 12, 13  # of sentences; the teacher was trained on those of seed 0


def shown() -> list[Pair]:
    """Return the corrected sentences that the teacher is shown: one of each language, each with one mistake."""
    from stillroom.language.grammar import LANGUAGES
    from stillroom.language.grammar.generate import pair

    random = Random(SHOWN_SEED)
    found = []
    for code in LANGUAGES:
        drawn = (pair(code, "train", SHOWN_SEED, random.randrange(10**6)) for _ in range(1000))
        found.append(next(one for one in drawn if len(one.kinds) == 1 and one.kinds[0] not in ("punctuation",)))
    return found[:SHOTS]


def recipe(
    student: str, labels: Path, exam: Path | None, *, steps: int, seed: int = 0, **changes: Any
) -> dict[str, Any]:
    """Return the recipe of the student: every weight moves, and exact answers on held-out labels choose."""
    return {
        "student": {"model": student},
        "data": [{"path": str(labels)}],
        "spoilt": 8,  # each answer is a right sentence, in which other mistakes can be made
        "exam": None if exam is None else {"path": str(exam)},
        "adapter": {"method": "full"},
        "metrics": ["exact", "edit_f05"],
        "train": {
            "steps": steps,
            "eval_every": max(1, steps // 4),  # each answers rows, which costs as much as many steps
            "learning_rate": 1e-3,
            "batch_size": 32,
            "precision": "bf16",
            "seed": seed,
        },
        "card": {
            "title": "A student that corrects sentences",
            "license": "apache-2.0",
            "teacher_license": "apache-2.0",
        },
        **changes,
    }


def write(path: Path, pairs: Sequence[Pair], answers: Sequence[str | None], *, exam: bool = False) -> None:
    """Write what a teacher said to sentences: as labels, or, for an exam, beside the right answers."""
    from stillroom.language.rows import Row
    from stillroom.language.work import write_rows

    both = zip(pairs, answers, strict=True)
    if exam:
        rows = [Row(one.source, one.target, group=one.language, extra={"teacher": said}) for one, said in both]
    else:
        rows = [Row(one.source, said, group=one.language) for one, said in both]
    write_rows(path, rows)


def run(
    tour: Tour,
    teacher: str = TEACHER,
    student: str = STUDENT,
    languages: Sequence[str] = LANGUAGES,
    rows: int = 360,
    exam: int = 150,
    steps: int = 200,
) -> Result:
    """Label `rows` sentences by the teacher, teach the student, and examine both on `exam` others."""
    from stillroom.language.answering import answer
    from stillroom.language.distill import distill
    from stillroom.language.grammar.generate import distinct
    from stillroom.language.prompting import Shown, StudentPrompt
    from stillroom.language.report import closed
    from stillroom.language.rows import Row
    from stillroom.language.students import load

    folder = tour.folder("student")
    learned = distinct(rows, languages, seed=LEARN_SEED)
    examined = distinct(exam, languages, part="all", seed=EXAM_SEED)
    labels, questions = folder / "labels.jsonl", folder / "exam.jsonl"
    if not questions.is_file():
        asked = StudentPrompt(examples=tuple(Shown(input=one.source, answer=one.target) for one in shown()))
        corrector = load(teacher)
        for path, pairs in ((labels, learned), (questions, examined)):
            said = answer(corrector, [Row(one.source) for one in pairs], asked, description="the teacher corrects")
            write(path, pairs, said.texts, exam=path is questions)
    done = distill(recipe(student, labels, questions, steps=steps), folder / "run")
    scored = done.table.scored
    gap = closed(
        scored["student", "exact"], scored["teacher", "exact"], scored["base", "exact"], scored["copy", "exact"]
    )
    example = next((one for one in examined if one.kinds), examined[0])
    return Result(
        "A student of one's own",
        [
            f"The teacher corrected {rows} sentences such as “{example.source}”; the student learned from its answers "
            f"in {steps} steps. {done.verdict.sentence}",
            f"On {exam} others, of whose words and patterns a third are in nothing that either learned to correct, "
            f"{_closed(gap)} In four languages, with more labels and steps: `python benchmarks/correction.py`.",
        ],
        [_judged(done.table)],
        {"table": done.table.rows(), "gap_closed": gap.value, "kept": done.verdict.keep},
        [str(done.run.folder), str(labels)],
    )


def _closed(gap: Interval) -> str:
    if isnan(gap.value):
        return "the teacher is no better than the copy: there is no gap to close."
    bounds = "" if isnan(gap.low) else f" (95 % interval {gap.low:.0%} to {gap.high:.0%})"
    return f"the student closes {gap.value:.0%} of the gap between copying and its teacher{bounds}."


def _judged(table: Judged) -> Table:
    groups = list(dict.fromkeys(entry.group for entry in table.entries))
    groups = groups[:1] if len(groups) == 2 else groups  # of one language, all is all there is
    systems = list(dict.fromkeys(entry.system for entry in table.entries))
    return Table(
        "Sentences corrected exactly",
        ["", *groups],
        [[system, *(f"{table.value(system, 'exact', group):.1%}" for group in groups)] for system in systems],
    )
