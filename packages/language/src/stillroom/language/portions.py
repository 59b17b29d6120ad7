"""The rows of a comparison: one split for all of its trainings, and files of so many rows to learn, each in the next.

What is learned of a portion differs; what chooses a checkpoint and what judges it is the same in every training, so
that they can be compared. It trains nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.runs import write_atomic
from stillroom.language.duplicates import limited
from stillroom.language.lessons import material
from stillroom.language.prompting import StudentPrompt, columns
from stillroom.language.recipe import DistillRecipe
from stillroom.language.rows import REFERENCES, Row
from stillroom.language.work import as_lines, record


@dataclass(frozen=True)
class Portions:
    """The rows of a recipe, to be handed out in portions.

    Parameters
    ----------
    learn, held_out
        What portions are taken of; and what chooses and judges, which every portion brings along.
    judged
        What a suite asks: the exam if there is one, else what was held out to judge.
    prompts, weights
        Of tasks that have one of their own.
    sentences
        What was read and what was left out, for people.
    """

    learn: list[Row]
    held_out: list[Row]
    judged: list[Row]
    prompts: Mapping[str, StudentPrompt]
    weights: Mapping[str, float | None]
    sentences: list[str]

    def write(self, folder: Path, labels: int | None) -> list[dict[str, Any]]:
        """Write the rows of so many labels, a file a task, and return the `data` of a recipe that reads them.

        The recipe's own split takes them apart as they were: it goes by their texts. Labels are counted over all tasks.

        Raises
        ------
        RecipeError
            The folder has such a file already, of other rows.
        """
        parts: dict[tuple[str, bool], list[Row]] = {}
        for row in [*limited(self.learn, labels), *self.held_out]:
            parts.setdefault((row.task, bool(row.input)), []).append(row)
        data = []
        for number, ((task, asks), rows) in enumerate(parts.items()):
            name = "-".join(
                filter(None, ("all" if labels is None else str(labels), _slug(task), str(number) if number else ""))
            )
            path = folder / f"{name}.jsonl"
            write_once(path, as_lines(map(record, rows)))
            prompt = self.prompts.get(task)
            source = {
                "path": str(path),
                "task": task,
                "weight": self.weights.get(task),
                "prompt": None if prompt is None else prompt.model_dump(mode="json"),
                "columns": {} if asks else {"input": ""},
            }
            data.append({name: value for name, value in source.items() if value})
        return data

    def asked(self, prompt: StudentPrompt) -> Iterator[dict[str, Any]]:
        """Yield what a suite asks: input, right answers, and those of the other columns that a prompt may want.

        Raises
        ------
        DataError
            A row without an input.
        """
        wanted = {name for one in (prompt, *self.prompts.values()) for name in columns(one)}
        for row in self.judged:
            if not row.input:
                raise DataError("what is judged must have an input: texts without one are learned, not answered")
            right = row.extra.get(REFERENCES) or row.answer
            own: dict[str, Any] = {"input": row.input, "group": row.group, "task": row.task}
            own["answer" if isinstance(right, str) else REFERENCES] = right
            yield {k: v for k, v in row.extra.items() if k in wanted} | {k: v for k, v in own.items() if v}


def portions(recipe: DistillRecipe) -> Portions:
    """Read and split the rows of a recipe.

    Raises
    ------
    DataError
        As `lessons.material`.
    """
    plain = recipe.objective.model_copy(update={"rationale": None})  # rows as they were read, not yet two tasks each
    found = material(recipe.model_copy(update={"objective": plain}))
    return Portions(
        learn=found.learn,
        held_out=[*found.choose, *found.judge],
        judged=found.exam or found.judge,
        prompts=found.prompts,
        weights=found.weights,
        sentences=found.sentences,
    )


def write_once(path: Path, content: str) -> None:
    """Write a file that is not there; RecipeError where there is another one of that name."""
    if not path.exists():
        write_atomic(path, content)
    elif path.read_text(encoding="utf-8") != content:
        raise RecipeError(
            f"{path} is of another comparison: its recipe or its rows were not the same; choose another folder"
        )


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
