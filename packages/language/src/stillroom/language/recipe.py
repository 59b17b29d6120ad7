"""The recipe of `distill`: what a YAML file may say, and the defaults where it says nothing.

    student: {model: student}
    data:
      - {path: labels.sqlite}
    prompt: {form: plain}
    train: {steps: 500}

A recipe is data; nothing here loads or trains a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from stillroom.core.methods import AdapterSpec
from stillroom.core.recipes import checked
from stillroom.core.settings import TrainSettings
from stillroom.language.metrics import METRICS
from stillroom.language.objective import Objective
from stillroom.language.prompting import StudentPrompt
from stillroom.language.rows import Source

SHORTFALL = "shortfall"  # the metric that selects: 1 less the recipe's first metric, as lower is better
# By method: the fewer numbers move, the further each must.
LEARNING_RATES = {"full": 1e-4, "ia3": 1e-2, "vera": 1e-2, "fourierft": 1e-2, "prompt": 1e-1, "prefix": 1e-2}
LEARNING_RATE = 5e-4  # all others
VALIDATIONS = 10  # in a training: each answers `choose_from` rows, which costs as much as many steps


class StudentPart(BaseModel):
    """Who learns.

    Parameters
    ----------
    model
        A mini's name, a folder, a hub id, or a Run of ours to go on from.
    kind
        `causal`, `seq2seq` (T5) or `classifier`; `auto`: a classifier where there are classes, otherwise what the
        checkpoint says.
    classes
        The answers there are: makes a sequence classifier, the cheapest student for one-of-a-set labels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    kind: Literal["auto", "causal", "seq2seq", "classifier"] = "auto"
    classes: tuple[str, ...] | None = Field(None, min_length=2)


class Split(BaseModel):
    """Shares of the rows that choose the checkpoint and that judge what was chosen; by hash of the input, see `split`.

    Parameters
    ----------
    choose, judge
        Of 5,000 rows 250 choose and 250 judge.
    seed
        Another seed is another split.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    choose: float = Field(default=0.05, gt=0, lt=1)
    judge: float = Field(default=0.05, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)


class DistillRecipe(BaseModel):
    """A recipe for `distill`.

    Parameters
    ----------
    student
        Who learns.
    data
        Labels: stores that `stillroom teacher label` wrote, or files of rows. Several tasks are learned at once.
    exam
        Rows with people's answers, which train nothing: teacher, student, base and copy are judged on them. A column
        `references` holds several right answers, a column `teacher` what the teacher said. None: the rows held out
        of `data` judge, by the teacher's answers.
    prompt
        What the student is asked; `{form: plain}` for students without a chat template.
    max_tokens, too_long
        Tokens a row may have; longer ones are left out and counted (`skip`), an `error`, or, where they are text to
        read on, cut into `chunk`s.
    packing
        Lay rows end to end into sequences of `max_tokens` (causal students): nothing is padded, `train.batch_size`
        counts sequences.
    mixing
        Temperature of the mixture of tasks, where no source has a weight; 1: each row alike.
    spoilt
        For students that correct texts: so often each answer to learn is spoilt anew, with the mistakes that the labels
        show, half of them with unknown words in it, and joins the rows. 0: the labels are what there is.
    split
        What is held out.
    objective
        What is learned from; labels by default.
    adapter
        How the weights may move; LoRA of rank 8 by default.
    metrics
        The first one chooses and gates; the others are reported. By default the share of exact answers, of classes
        the accuracy.
    max_new_tokens
        Room for an answer while choosing and judging; `auto`: half as much again as its prompt, and 16.
    choose_from
        At most so many rows are answered at each validation.
    train
        The core's `TrainSettings`; `select_by` is always `shortfall`, 1 less the first metric.
    card
        What the model card says besides: `title`, `text`, `license`, `teacher` and `teacher_license`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    student: StudentPart
    data: tuple[Source, ...] = Field(min_length=1)
    exam: Source | None = None
    prompt: StudentPrompt = StudentPrompt()
    max_tokens: PositiveInt = 512
    too_long: Literal["skip", "error", "chunk"] = "skip"
    packing: bool = False
    mixing: float = Field(default=1.0, gt=0)
    spoilt: NonNegativeInt = 0
    split: Split = Split()
    objective: Objective = Objective()
    adapter: AdapterSpec = AdapterSpec(method="lora", rank=8)
    metrics: tuple[str, ...] = Field(min_length=1)
    max_new_tokens: PositiveInt | Literal["auto"] = "auto"
    choose_from: PositiveInt = 200
    train: TrainSettings
    card: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def of(cls, recipe: DistillRecipe | Mapping[str, Any] | str | Path) -> DistillRecipe:
        """Take a recipe, a mapping or a YAML file; RecipeError if it cannot be meant."""
        return checked(cls, recipe)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, recipe: Any) -> Any:
        if not isinstance(recipe, Mapping):
            return recipe
        adapter, student, train = recipe.get("adapter") or {}, recipe.get("student") or {}, recipe.get("train") or {}
        if isinstance(student, str):
            student = {"model": student}
        classes = student.get("classes") if isinstance(student, Mapping) else getattr(student, "classes", None)
        metrics = recipe.get("metrics") or (("accuracy", "macro_f1") if classes else ("exact",))
        if isinstance(train, Mapping):
            method = adapter.get("method") if isinstance(adapter, Mapping) else getattr(adapter, "method", None)
            defaults = {"steps": 500, "learning_rate": LEARNING_RATES.get(str(method), LEARNING_RATE)}
            train = {"select_by": SHORTFALL, **defaults, **train}
            if isinstance(train["steps"], int):
                train.setdefault("eval_every", max(1, train["steps"] // VALIDATIONS))
        return {**recipe, "student": student, "metrics": metrics, "train": train}

    @field_validator("metrics")
    @classmethod
    def _known(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        for name in metrics:
            if name not in METRICS:
                raise ValueError(f"there is no metric {name!r}: there are {', '.join(METRICS)}")
        return metrics

    @model_validator(mode="after")
    def _possible(self) -> DistillRecipe:
        if self.train.select_by != SHORTFALL:
            raise ValueError(f"select_by is always {SHORTFALL}: say in metrics what counts")
        if self.student.classes and self.objective.name != "labels":
            raise ValueError("a classifier learns from labels and soft targets: its objective is `labels`")
        if self.packing and self.objective.teacher is not None and self.objective.teacher.prompt is not None:
            raise ValueError("rows cannot be packed for a teacher that reads another prompt: leave packing out")
        return self
