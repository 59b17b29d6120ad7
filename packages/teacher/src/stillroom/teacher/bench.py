"""The kind `label` for stillroom-bench: rows of text to answer, and the answers that people gave.

Answers are one of some classes, or any text. A data set has rows with `input` and `answer`, both texts; what other
columns it has, a model may read as well. Rows whose column `split` says `train` are examples to learn from; where there
is no such column, every tenth row is one. The others are judged, and no model sees their answers.

It does not know who labels, nor what that costs. It registers itself as any outsider's kind would; bench is not
imported.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stillroom.core import registry
from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.protocols import Labeller
from stillroom.core.tables import rows
from stillroom.teacher.agreement import KEYS, f1, normalised

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES_EVERY = 10
"""Of a set that has no `split`, one row in so many is an example: spread, as files are often sorted by class."""

Row = Mapping[str, Any]
demo_label = Path(__file__).parent / "demo" / "demo-label.yaml"


def demo_remarks() -> list[dict[str, Any]]:
    """Return what customers of a shop might say, and what each remark is about, written for this package."""
    return list(rows(Path(__file__).parent / "demo" / "remarks.jsonl"))


class LabelTask(BaseModel):
    """One task of labelling, as a suite writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["label"] = "label"
    dataset: str
    """A registered data set, whose entry point is called without arguments and returns rows; or a file of rows: .jsonl,
    .csv or .parquet."""
    classes: tuple[str, ...] | None = Field(None, min_length=2)
    """The answers there are. Default: any text is one."""
    by: Literal["exact", "normalised", "numeric"] = "normalised"
    """Which answers are the same; see `agreement.KEYS`."""
    max_rows: int | None = Field(None, gt=0)
    """Judge only the first so many rows: a smaller task, with a key of its own. Examples stay as they are."""

    @model_validator(mode="after")
    def _distinct(self) -> LabelTask:
        if len(self.named) < len(self.classes or ()):
            raise ValueError(f"two classes are the same answer when they are compared as {self.by}")
        return self

    @property
    def named(self) -> dict[Hashable, str]:
        """The classes, by what their spellings have in common; empty where any text is an answer."""
        return {KEYS[self.by](one): one for one in self.classes or ()}


@dataclass(frozen=True, eq=False)
class LabelData:
    """The rows of a task.

    Parameters
    ----------
    rows, gold
        Those that are judged, without their answers; and these.
    examples
        Those to learn from, with their answers.
    """

    rows: Sequence[Row]
    gold: Sequence[str]
    examples: Sequence[Row]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all rows and answers."""
        return hashlib.sha256(repr((self.rows, self.gold, self.examples)).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Rows to label."""
        return len(self.rows)


class LabelKind:
    """The kind `label`."""

    name = "label"
    spec = LabelTask
    protocol = Labeller
    baseline = "trivial"
    metrics = ("ACCURACY",)  # the one that both forms of answers have
    higher = frozenset({"ACCURACY", "MACRO_F1", "EXACT_MATCH", "F1", "ANSWERED"})
    meaning: ClassVar = {"ACCURACY": "share of the rows whose answer is the right one; no answer is a wrong one"}
    version = "1"

    def load(self, spec: LabelTask) -> LabelData:
        """Read the data set.

        Raises
        ------
        DataError
            A row without `input` or `answer`, an answer that is none of the classes, or nothing left to judge.
        RecipeError
            The task has classes, and there is nothing to learn their frequencies from.
        """
        examples, judged = [], []
        for number, row in enumerate(_read(spec.dataset)):
            answer = _right(row, spec, number)
            split = row["split"] if "split" in row else "train" if number % EXAMPLES_EVERY == 0 else "test"
            seen = {name: value for name, value in row.items() if name not in ("answer", "split")}
            if split == "train":
                examples.append({**seen, "answer": answer})
            else:
                judged.append((seen, answer))
        judged = judged[: spec.max_rows]
        if not judged:
            raise DataError(f"{spec.dataset} has no rows to judge: give it rows whose split is not train")
        if spec.classes and not examples:
            raise RecipeError(f"task {spec.id}: {spec.dataset} has no rows whose split is train, to learn from")
        return LabelData([row for row, _ in judged], [answer for _, answer in judged], examples)

    def predict(self, model: Labeller, spec: LabelTask, data: LabelData, fitting: Any) -> pd.DataFrame:
        """Let the model label the rows: `item_id` and `answer`, as it was given."""
        import pandas as pd

        answers = list(model.label(data.rows, examples=data.examples, classes=spec.classes))
        if len(answers) != data.size:
            raise ModelError(f"{len(answers)} answers came back for {data.size} rows")
        if odd := next((one for one in answers if not isinstance(one, str | None)), None):
            raise ModelError(f"an answer is a text or None, not {odd!r}")
        return pd.DataFrame({"item_id": range(data.size), "answer": answers})

    def score(self, spec: LabelTask, data: LabelData, predictions: pd.DataFrame) -> dict[str, float]:
        """Agreement with people, over all rows: one without an answer is wrong.

        ACCURACY is the share of answers that are the right one, as the task compares them, and ANSWERED that of rows
        with an answer. Of classes, an answer that is none of them counts as no answer, and MACRO_F1 is the mean F1 of
        the classes that are true of some row or said of one, as in scikit-learn. Of other texts, EXACT_MATCH and F1 are
        SQuAD's, but for articles, which stay.
        """
        said = _said(spec, data, predictions)
        same = KEYS[spec.by]
        hits = [one is not None and same(one) == same(right) for one, right in zip(said, data.gold, strict=True)]
        found = {"ACCURACY": _mean(hits), "ANSWERED": _mean([one is not None for one in said])}
        if spec.classes:
            return found | {"MACRO_F1": macro_f1(data.gold, said)}
        pairs = [("" if one is None else one, right) for one, right in zip(said, data.gold, strict=True)]
        return found | {
            "EXACT_MATCH": _mean([normalised(one, right) for one, right in pairs]),
            "F1": _mean([f1(one, right) for one, right in pairs]),
        }

    def examples(self, spec: LabelTask, data: LabelData, predictions: pd.DataFrame) -> list[Any]:
        """None: bench draws lines, and a text is none."""
        return []


def macro_f1(truth: Sequence[str], said: Sequence[str | None]) -> float:
    """Return the mean F1 of the classes that are true of some row or said of one; None is no class."""
    hits = Counter(right for right, one in zip(truth, said, strict=True) if right == one)
    sizes = Counter(truth) + Counter(one for one in said if one is not None)
    return _mean([2 * hits[name] / size for name, size in sizes.items()])


def _read(name: str) -> list[Row]:
    if Path(name).suffix and name not in registry.names("stillroom.datasets"):
        return list(rows(name))
    return list(registry.get("stillroom.datasets", name)())


def _right(row: Any, spec: LabelTask, number: int) -> str:
    """The answer of a row, of classes as the task spells them."""
    if not isinstance(row, Mapping) or not all(isinstance(row.get(name), str) for name in ("input", "answer")):
        raise DataError(f"row {number} of {spec.dataset} needs `input` and `answer`, both texts")
    answer: str = row["answer"]
    if not spec.classes:
        return answer
    if (named := spec.named.get(KEYS[spec.by](answer))) is None:
        raise DataError(f"row {number} of {spec.dataset}: {answer!r} is none of the task's classes")
    return named


def _said(spec: LabelTask, data: LabelData, predictions: pd.DataFrame) -> list[str | None]:
    """The kept answers in the order of the rows, of classes as the task spells them."""
    frame = predictions.set_index("item_id").sort_index()
    if list(frame.index) != list(range(data.size)):
        raise DataError("these predictions are of other rows than the task's: run the task again")
    said = [one if isinstance(one, str) else None for one in frame["answer"]]
    if not spec.classes:
        return said
    return [None if one is None else spec.named.get(KEYS[spec.by](one)) for one in said]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


kind = LabelKind()
