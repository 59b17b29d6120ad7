"""The recipes of `adapt` and `distill`: what a YAML file may say, and the defaults where it says nothing.

The defaults suit small models on a CPU: a minute of training. A recipe is data; nothing here loads or trains a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from stillroom.core.methods import AdapterSpec
from stillroom.core.recipes import checked
from stillroom.core.settings import TrainSettings
from stillroom.series.reading import Columns

# By method: the fewer numbers move, the further each must.
LEARNING_RATES = {"full": 1e-4, "ia3": 1e-2, "vera": 1e-2, "fourierft": 1e-2, "prompt": 1e-1, "prefix": 1e-2}
LEARNING_RATE = 1e-3  # all others
VALIDATIONS = 10  # in a training: each forecasts up to a hundred series, which costs as much as many steps


class Recipe(BaseModel):
    """What adapting and distilling have in common.

    Parameters
    ----------
    data
        A file, a named data set, … as `stillroom.series.intake.load` takes it; None where the caller brings the series.
    prediction_length
        Steps to forecast; also the length of each held-out window.
    context_length
        The longest history trained on; None: as much as the model reads.
    train
        The core's `TrainSettings`; what is left out has a default here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str | None = None
    columns: Columns = Columns()
    prediction_length: PositiveInt
    context_length: PositiveInt | None = None
    train: TrainSettings

    @classmethod
    def of(cls, recipe: Self | Mapping[str, Any] | str | Path) -> Self:
        """Take a recipe, a mapping or a YAML file.

        Raises
        ------
        RecipeError
            No such file, not YAML, an unknown name (the nearest known one is given) or a value that cannot be meant.
        """
        return checked(cls, recipe)


class AdaptRecipe(Recipe):
    """A recipe for `adapt`.

    Parameters
    ----------
    model
        A folder, a hub id or a registered name; None where the caller brings the model.
    adapter
        How the weights may move; LoRA of rank 8 by default.
    """

    model: str | None = None
    adapter: AdapterSpec = AdapterSpec(method="lora", rank=8)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, recipe: Any) -> Any:
        adapter = recipe.get("adapter") or {}
        method = adapter.get("method") if isinstance(adapter, Mapping) else getattr(adapter, "method", None)
        rate = LEARNING_RATES.get(str(method), LEARNING_RATE)
        return _with_defaults(recipe, steps=300, batch_size=32, learning_rate=rate)


class DistillRecipe(Recipe):
    """A recipe for `distill`.

    Parameters
    ----------
    teacher
        A folder, a hub id or a registered name; None where the caller brings the model.
    student
        See `stillroom.chronos.students.build`.
    targets
        `live` asks the teacher anew for every batch; `stored` asks once and keeps the answers in `store`.
    store
        Path of the target store; None: in the Run's folder. Runs with the same teacher and batches share one.
    batches
        Distinct training batches; None: every step has a new one.
    top_k
        Tokens kept of a stored Chronos-T5 teacher's distribution, beside one bucket for the rest.
    weights
        Of the named losses. The teacher weighs as much as the truth by default: what it says is smoother, what
        happened is unbiased.
    """

    teacher: str | None = None
    student: Any = "quarter"
    targets: Literal["live", "stored"] = "live"
    store: str | None = None
    batches: PositiveInt | None = None
    top_k: PositiveInt = 64
    weights: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, recipe: Any) -> Any:
        return _with_defaults(recipe, steps=1000, batch_size=32, learning_rate=1e-3)


def _with_defaults(recipe: Any, **defaults: Any) -> Any:
    """Fill in the training settings that a recipe leaves out; WQL on held-out series selects."""
    train = recipe.get("train") or {}
    if not isinstance(train, Mapping):  # settings already made, or a mistake that pydantic will name
        return recipe
    train = {"select_by": "WQL", **defaults, **train}
    if isinstance(train["steps"], int):
        train.setdefault("eval_every", max(1, train["steps"] // VALIDATIONS))
    return {**recipe, "train": train}
