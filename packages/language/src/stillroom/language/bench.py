"""The kind `generate` for stillroom-bench: rows of text to answer in one's own words, and the answers that are right.

A data set has rows with a text `input`, and with `answer` (a text) or `references` (one or several); a column `group`
is its language, or another slice; what other columns it has, a prompt may ask for. No model sees the right answers.
With `noise`, inputs are disturbed before anybody sees them: quality under noise is a task of its own.

It does not know who answers. It registers itself as any outsider's kind would; bench is not imported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from stillroom.core import registry
from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.protocols import Generator
from stillroom.core.tables import rows as table_rows
from stillroom.language.metrics import METRICS, metric, score
from stillroom.language.noisy import disturbed
from stillroom.language.prompting import StudentPrompt, columns

if TYPE_CHECKING:
    import pandas as pd

DEMO = Path(__file__).parent / "demo"
demo_generate = DEMO / "demo-generate.yaml"


def demo_corrections() -> list[dict[str, Any]]:
    """Return sentences of four languages with learners' mistakes, and their corrections: the grammar's test part."""
    return list(table_rows(DEMO / "corrections.jsonl"))


class GenerateTask(BaseModel):
    """One task of generation, as a suite writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["generate"] = "generate"
    dataset: str
    """A registered data set, whose entry point is called without arguments and returns rows; or a file of rows: .jsonl,
    .csv or .parquet."""
    metrics: tuple[str, ...] = Field(("exact",), min_length=1)
    """Names in `stillroom.language.metrics`; the first one ranks."""
    prompt: StudentPrompt | None = None
    """What every model is asked. Default: what each is used to; a student of ours, what it was trained with."""
    max_new_tokens: int | None = Field(None, gt=0)
    """Room for an answer, in a model's own tokens. Default: what each finds right."""
    group: str | None = None
    """Judge only the rows of this group: a language, a task. Default: all."""
    max_rows: int | None = Field(None, gt=0)
    """Judge only the first so many rows: a smaller task, with a key of its own."""
    noise: float = Field(0.0, ge=0, le=1)
    """The share of the input's words (of four letters and more) that have a slip of the keyboard; see `noisy`."""
    noise_seed: int = Field(0, ge=0)
    """Another seed disturbs other words."""

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                metric(name)
            except RecipeError as error:
                raise ValueError(str(error)) from error
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True, eq=False)
class GenerateData:
    """The rows of a task.

    Parameters
    ----------
    rows
        As models see them: disturbed, if the task is to have noise, and without right answers.
    references
        The right answers of each.
    """

    rows: Sequence[Mapping[str, Any]]
    references: Sequence[tuple[str, ...]]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all rows and right answers."""
        return hashlib.sha256(repr((self.rows, self.references)).encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def size(self) -> int:
        """Rows to answer."""
        return len(self.rows)


class GenerateKind:
    """The kind `generate`."""

    name = "generate"
    spec = GenerateTask
    protocol = Generator
    baseline = "copy"
    metrics = ("QUALITY",)  # each task's own first metric: exact answers say nothing of a summary
    higher = frozenset({"QUALITY", "ANSWERED", *map(str.upper, METRICS)})
    meaning: ClassVar = {"QUALITY": "the first metric of each task, such as the share of exact answers; 1 is the best"}
    version = "1"

    def load(self, spec: GenerateTask) -> GenerateData:
        """Read the data set, and disturb its inputs if the task says so.

        Raises
        ------
        DataError
            A row without `input` or a right answer, or without a column that the task's prompt asks for; no rows; or
            right answers that a metric cannot judge.
        """
        found, references, groups = [], [], set()
        for number, row in enumerate(_read(spec.dataset)):
            right = _right(row, spec, number)
            groups.add(str(row.get("group") or ""))
            if spec.group is None or row.get("group") == spec.group:
                text = disturbed(row["input"], spec.noise, spec.noise_seed)
                found.append({**{k: v for k, v in row.items() if k not in ("answer", "references")}, "input": text})
                references.append(right)
        if not found:
            there = ", ".join(sorted(filter(None, groups)))
            what = (
                "no rows" if spec.group is None else f"no rows of the group {spec.group!r}: there are {there or 'none'}"
            )
            raise DataError(f"task {spec.id}: {spec.dataset} has {what}")
        data = GenerateData(found[: spec.max_rows], references[: spec.max_rows])
        for (
            name
        ) in spec.metrics:  # what it cannot judge, such as words where it wants numbers, is found before any work
            try:
                score(name, [None] * data.size, data.references, [row["input"] for row in data.rows])
            except DataError as error:
                raise DataError(f"task {spec.id}: {error}") from error
        return data

    def predict(self, model: Generator, spec: GenerateTask, data: GenerateData, fitting: Any) -> pd.DataFrame:
        """Let the model answer the rows: `item_id` and `answer`, as it was given."""
        import pandas as pd

        prompt = None if spec.prompt is None else spec.prompt.model_dump()
        answers = list(model.answer(data.rows, prompt=prompt, max_new_tokens=spec.max_new_tokens))
        if len(answers) != data.size:
            raise ModelError(f"{len(answers)} answers came back for {data.size} rows")
        for one in answers:
            if not isinstance(one, str | None):
                raise ModelError(f"an answer is a text or None, not {one!r}")
        return pd.DataFrame({"item_id": range(data.size), "answer": pd.Series(answers, dtype=object)})

    def score(self, spec: GenerateTask, data: GenerateData, predictions: pd.DataFrame) -> dict[str, float]:
        """The task's metrics over all rows, by their upper-case names; a row without an answer is wrong.

        QUALITY is the first of them again, and ANSWERED the share of rows with an answer. `edit_f05` counts edits of
        the input as it was shown, noise included.
        """
        frame = predictions.set_index("item_id").sort_index()
        if list(frame.index) != list(range(data.size)):
            raise DataError("these predictions are of other rows than the task's: run the task again")
        said = [one if isinstance(one, str) else None for one in frame["answer"]]
        sources = [row["input"] for row in data.rows]
        values = {name: score(name, said, data.references, sources).value for name in spec.metrics}
        found = {name.upper(): value for name, value in values.items()}
        answered = sum(one is not None for one in said) / data.size
        return {"QUALITY": values[spec.metrics[0]], **found, "ANSWERED": answered}

    def examples(self, spec: GenerateTask, data: GenerateData, predictions: pd.DataFrame) -> list[Any]:
        """None: bench draws lines, and a text is none."""
        return []


def _read(name: str) -> list[Mapping[str, Any]]:
    if Path(name).suffix and name not in registry.names("stillroom.datasets"):
        return list(table_rows(name))
    return list(registry.get("stillroom.datasets", name)())


def _right(row: Any, spec: GenerateTask, number: int) -> tuple[str, ...]:
    """The right answers of a row that can be asked."""
    where = f"row {number} of {spec.dataset}"
    if not isinstance(row, Mapping) or not isinstance(row.get("input"), str) or not row["input"].strip():
        raise DataError(f"{where} needs a text `input`")
    given = row.get("references")
    if given is None:
        given = row.get("answer")
    right = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list | tuple) else ()
    if not right or not all(isinstance(one, str) for one in right):
        raise DataError(f"{where} needs a right answer: a text `answer`, or one or several texts as `references`")
    asked = () if spec.prompt is None else columns(spec.prompt)
    if lacking := [name for name in asked if name not in row and name not in ("group", "task")]:
        raise DataError(f"{where} has no {lacking[0]!r}, which the prompt asks for; it has {', '.join(row)}")
    return right


kind = GenerateKind()
