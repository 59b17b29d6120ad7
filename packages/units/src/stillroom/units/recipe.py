"""The recipes of `pretrain`, `adapt` and `distill`: what a YAML file may say, and the defaults where it says nothing.

All three learn from the same `sources`, drawn by the same `mix`. A recipe is data: nothing here loads or trains models.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator, model_validator

from stillroom.core.errors import RecipeError
from stillroom.core.methods import AdapterSpec
from stillroom.core.recipes import checked
from stillroom.core.settings import TrainSettings
from stillroom.units.sources import FILLS, Sources
from stillroom.units.stream import Mix

TAUGHT: dict[str, tuple[str, ...]] = {"pinball": FILLS, "mse": FILLS, "cross_entropy": ("classify",)}
"""The losses that truths and labels teach by, and the jobs that have them."""
SAID: dict[str, tuple[str, ...]] = {"quantile_match": ("forecast",)}
"""What a forecaster teaches beside."""
SHOWN: dict[str, tuple[str, ...]] = {
    "quantile_match": FILLS,
    "forward_kl": ("classify",),
    "huber": FILLS,
    "hidden": (*FILLS, "classify"),
}
"""What another UniTS teaches beside."""

# By method: the fewer numbers move, the further each must.
LEARNING_RATES = {"full": 3e-4, "bitfit": 1e-2, "ia3": 1e-2, "vera": 1e-2, "fourierft": 1e-2, "prompt": 1e-2}
LEARNING_RATE = 1e-3  # all others
VALIDATIONS = 10  # in an adaptation or a distillation
HELD_OUT = 0.2  # of each source, in these two: half of it chooses, half judges


class Shape(BaseModel):
    """Sizes of a network, as `stillroom.units.config.UnitsConfig` has them; the tasks come from the sources."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patch_size: PositiveInt = 8
    d_model: PositiveInt = 192
    num_layers: PositiveInt = 4
    num_heads: PositiveInt = 6
    d_ff: PositiveInt = 512
    prompt_tokens: PositiveInt = 8
    operator_size: PositiveInt = 32
    max_length: PositiveInt = 4096
    quantiles: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    dropout: float = Field(default=0.0, ge=0, lt=1)


class Recipe(BaseModel):
    """What all three have in common.

    Parameters
    ----------
    sources
        What is learned from; see `stillroom.units.sources`.
    mix
        What a batch is drawn as; see `stillroom.units.stream.Mix`. Its `jobs` are, unless told, those that the sources
        serve, all as often.
    train
        The core's `TrainSettings`. What selects is `loss` unless told: the mean over jobs and sources, each by its
        share of the batches, of what was held out (see `judging.assess`); `JOB/SOURCE` selects by one of them.
    weights
        Of the named losses (see `losses.losses`); those that are not named do not count. Default: all of them.
    smoothing
        Share of a class label that is spread over all classes.
    card
        What the model card says: `title`, `text`, `license`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: Sources
    mix: Mix
    train: TrainSettings
    weights: dict[str, float] = Field(default_factory=dict)
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    card: dict[str, str] = Field(default_factory=dict)

    def loss_weights(self) -> dict[str, float]:
        """Return the weight of each named loss."""
        return self.weights or dict.fromkeys(TAUGHT, 1.0)

    @classmethod
    def of(cls, recipe: Self | Mapping[str, Any] | str | Path) -> Self:
        """Take a recipe, a mapping or a YAML file.

        Raises
        ------
        RecipeError
            No such file, not YAML, an unknown name (the nearest known one is given) or a value that cannot be meant.
        """
        return checked(cls, recipe)

    @model_validator(mode="before")
    @classmethod
    def _jobs_that_are_served(cls, recipe: Any) -> Any:
        mix = recipe.get("mix") or {}
        if not isinstance(mix, Mapping) or "jobs" in mix or not isinstance(recipe.get("sources"), Mapping):
            return recipe
        return {**recipe, "mix": {**mix, "jobs": dict.fromkeys(_served(recipe["sources"]), 1.0)}}

    @model_validator(mode="after")
    def _weights_can_be_meant(self) -> Self:
        self._check(self._losses())
        return self

    def _check(self, known: Mapping[str, tuple[str, ...]]) -> None:
        """Raise RecipeError for a weight of a loss that there is not, and for a job that no weight teaches."""
        for name, weight in self.weights.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."
                raise RecipeError(f"weights: there is no loss {name!r} here: {hint}")
            if weight < 0:
                raise RecipeError(f"weights: {name} weighs {weight}: give 0 or more.")
        for job in self.mix.jobs if self.weights else ():
            if not any(weight and job in known[name] for name, weight in self.weights.items()):
                own = [name for name, jobs in known.items() if job in jobs]
                raise RecipeError(f"weights: the job {job} has no loss: give a weight to {' or '.join(own)}.")

    @classmethod
    def _losses(cls) -> dict[str, tuple[str, ...]]:
        """The losses that such a recipe may weigh, and the jobs that have them."""
        return TAUGHT


class PretrainRecipe(Recipe):
    """A recipe for `pretrain`.

    Parameters
    ----------
    model
        Sizes of the network.
    """

    model: Shape = Shape()

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, recipe: Any) -> Any:
        return _with_defaults(recipe)


class AdaptRecipe(Recipe):
    """A recipe for `adapt`.

    Parameters
    ----------
    model
        A folder or a registered name; None where the caller brings the model.
    adapter
        How the weights may move. `prompt`, the default, moves tokens alone: those of the tasks, CLS and GEN (the
        paper's prompt learning, section 5); the others are the core's.
    share
        Few-shot: learn from this share alone of what may be learned from, of labelled series the same share of every
        class, of others the first part. What chooses and judges is no part of it, and the same at every share.
    """

    model: str | None = None
    adapter: AdapterSpec = AdapterSpec(method="prompt")
    share: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, recipe: Any) -> Any:
        adapter = recipe.get("adapter") or {}
        method = adapter.get("method", "prompt") if isinstance(adapter, Mapping) else getattr(adapter, "method", None)
        rate = LEARNING_RATES.get(str(method), LEARNING_RATE)
        return _holding_out(_with_defaults(recipe, steps=300, batch_size=32, learning_rate=rate))

    @field_validator("adapter")
    @classmethod
    def _own_prompt(cls, adapter: AdapterSpec) -> AdapterSpec:
        if adapter.method == "prompt" and adapter.virtual_tokens != AdapterSpec(method="prompt").virtual_tokens:
            raise RecipeError("A UniTS has its own number of prompt tokens: leave virtual_tokens out.")
        return adapter


class DistillRecipe(Recipe):
    """A recipe for `distill`.

    Parameters
    ----------
    teacher
        Whatever the registry finds: a folder, a hub id, a name; None where the caller brings the model. Another UniTS
        teaches every job, live; any other forecaster what follows a series, by quantiles that are asked for once and
        kept.
    student
        Sizes of the network, or the folder or name of one to go on with.
    store
        Path of the target store of a forecaster's quantiles; None: in the Run's folder. Runs with the same teacher and
        batches share one.
    batches
        Distinct training batches; None: every step has a new one.
    temperature
        Divides the logits of the classes; their divergence is then weighed by its square, so that gradients keep their
        size (Hinton et al. 2015, section 2).
    """

    teacher: str | None = None
    student: Shape | str = Shape(d_model=96, num_heads=4, d_ff=256)
    store: str | None = None
    batches: PositiveInt | None = None
    temperature: PositiveFloat = 1.0

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, recipe: Any) -> Any:
        return _holding_out(_with_defaults(recipe, steps=1000, batch_size=32, learning_rate=1e-3))

    def teaching_weights(self, live: bool) -> dict[str, float]:
        """Return the weight of each named loss: what the teacher says weighs as much as the truth unless told.

        What it says is smoother, what happened is unbiased.

        Parameters
        ----------
        live
            Whether the teacher is another UniTS.

        Raises
        ------
        RecipeError
            A weight for what only another UniTS teaches, or a job that none of the weights teaches.
        """
        known = TAUGHT | (SHOWN if live else SAID)
        if strange := set(self.weights) - set(known):
            raise RecipeError(f"weights: a forecaster cannot teach by {min(strange)}: leave it out, or name a UniTS.")
        self._check(known)
        weights = self.weights or dict.fromkeys(known, 1.0)
        return {name: w * self.temperature**2 if name == "forward_kl" else w for name, w in weights.items()}

    @classmethod
    def _losses(cls) -> dict[str, tuple[str, ...]]:
        return TAUGHT | SHOWN


def _with_defaults(recipe: Any, **defaults: Any) -> Any:
    """Fill in the training settings that a recipe leaves out."""
    train = recipe.get("train") or {}
    if not isinstance(train, Mapping):  # settings already made, or a mistake that pydantic will name
        return recipe
    train = {"select_by": "loss", **defaults, **train}
    if defaults and isinstance(train["steps"], int):
        train.setdefault("eval_every", max(1, train["steps"] // VALIDATIONS))
    return {**recipe, "train": train}


def _served(sources: Mapping[str, Any]) -> list[str]:
    """The jobs that sources serve, as they are written; what is wrong with them, pydantic will say."""
    own: dict[str, tuple[str, ...]] = {"classes": ("classify",), "normal": ("detect",)}
    found: dict[str, None] = {}
    for name, parts in sources.items():
        for part in parts if isinstance(parts, list | tuple) else [parts]:
            jobs: Any = part.get("jobs") if isinstance(part, Mapping) else getattr(part, "jobs", None)
            found |= dict.fromkeys(jobs or own.get(name, FILLS))
    return list(found)


def _holding_out(recipe: Any) -> Any:
    """Let sources hold out enough for a choice and a verdict, where they do not say how much."""
    if not isinstance(recipe.get("sources"), Mapping):
        return recipe
    filled = dict(recipe["sources"])
    for name in ("series", "panels", "classes", "normal"):
        if isinstance(filled.get(name), list | tuple):
            filled[name] = [
                {"held_out": HELD_OUT, **part} if isinstance(part, Mapping) else part for part in filled[name]
            ]
    return {**recipe, "sources": filled}
