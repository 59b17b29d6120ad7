"""Distil into a small UniTS what a larger model knows.

    any forecaster ── quantiles of what follows, asked for once and kept ──► UniTS, beside the truth
    a large UniTS  ── classes, values, quantiles, hidden states, live ─────► UniTS, beside the truth

Half of what is held out chooses the checkpoint; on the other half, which neither trained nor chose anything, teacher
and student are compared in the end.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stillroom.core import registry
from stillroom.core.batches import Batches
from stillroom.core.errors import ModelError, RecipeError
from stillroom.core.protocols import Forecaster
from stillroom.core.runs import Run, new_folder
from stillroom.core.stored import StoredTargets
from stillroom.core.targets import TargetStore
from stillroom.core.trainer import DistillTrainer
from stillroom.series.panel import Item, Panel
from stillroom.series.windows import Window
from stillroom.units import families
from stillroom.units.adapt import given, prepared
from stillroom.units.handover import content, save
from stillroom.units.judging import Held, assess, examine, judges, parted
from stillroom.units.losses import losses
from stillroom.units.model import UnitsModel
from stillroom.units.pretrain import scratch, shares
from stillroom.units.recipe import DistillRecipe, Shape
from stillroom.units.sources import Source, read, tasks
from stillroom.units.stream import Batch, Stream, held_out
from stillroom.units.units import Units


@dataclass(frozen=True, eq=False)
class Distilled:
    """What came of a distillation.

    Parameters
    ----------
    model
        The student.
    run
        The Run directory, which `stillroom.units.load` reads. Its metrics hold teacher and student side by side.
    """

    model: Units
    run: Run


def distill(
    teacher: Any,
    recipe: DistillRecipe | Mapping[str, Any] | str | Path,
    folder: str | Path | None = None,
    *,
    sources: Sequence[Source] | None = None,
) -> Distilled:
    """Train a student on the sources of a recipe and on what a teacher says of them.

    Parameters
    ----------
    teacher
        A `Units`, any other `stillroom.core.protocols.Forecaster`, or what the registry finds one by: a folder, a hub
        id, a name; None: the recipe's. It is not changed.
    recipe
        A `DistillRecipe`, a mapping, or the path of a YAML file.
    folder
        The Run directory; a training that was cut short there goes on. None: a new folder under `runs/`.
    sources
        Sources in memory, instead of those that the recipe names.

    Raises
    ------
    RecipeError
        A recipe that cannot be meant, a student that cannot learn from this teacher, or the folder of another run.
    ModelError
        There is no such teacher, it does not forecast, or it forecasts numbers that are not finite.
    DataError
        Nothing to learn from, to choose by or to judge by.
    """
    recipe = DistillRecipe.of(recipe)
    settings = recipe.train
    source, said = _teacher(teacher if teacher is not None else recipe.teacher)
    live = said.model if isinstance(said, Units) else None
    weights = recipe.teaching_weights(live is not None)
    learned, judging = parted(read(recipe.sources) if sources is None else sources)
    student, base = _student(recipe, learned)
    if live is None and "forecast" not in recipe.mix.jobs:
        raise RecipeError("A forecaster teaches what follows a series: give the mix the job `forecast`.")
    if live is not None:
        _check_alike(student, live, weights, recipe.mix.jobs, learned)
    patch_size = student.config.patch_size
    choose = held_out(learned, recipe.mix, patch_size=patch_size)
    exam = judges(judging, recipe.mix, patch_size=patch_size)
    stream = Stream(learned, recipe.mix, batch_size=settings.batch_size, patch_size=patch_size, seed=settings.seed)
    run = Run.create(
        folder or new_folder("distill"),
        recipe={"family": "units", "verb": "distill", **recipe.model_dump(exclude={"store"}), "teacher": source},
        seeds={"seed": settings.seed},
        data=content(learned, base),
    )
    started = time.monotonic()
    asked = None if isinstance(said, Units) else QuantileTeacher(said, source, tuple(student.config.quantiles))
    with TargetStore(recipe.store or run.folder / "targets.sqlite") if asked else nullcontext() as store:
        batches: Batches = First(stream, recipe.batches or settings.steps * settings.accumulation)
        if store is not None and asked is not None:
            batches = StoredTargets(batches, asked, store)
            batches.capture(len(batches))
        trainer = DistillTrainer(
            student,
            partial(losses, smoothing=recipe.smoothing, temperature=recipe.temperature, names=tuple(weights)),
            settings,
            run.folder / "checkpoints",
            train_data=batches,
            validate=partial(assess, choose, shares(stream)),
            weights=weights,
            teacher=None if live is None else copy.deepcopy(live),
        )
        trainer.train()
    student.to("cpu")
    save(student, run.folder, learned, base)
    scores = {"teacher": _marks_of(said, asked, exam, student), "student": examine(exam, student).means()}
    sizes = {"student": student.num_parameters()} | ({} if live is None else {"teacher": live.num_parameters()})
    run.record(
        metrics={**scores, "parameters": sizes, "chosen_at": trainer.best},
        cost={"train_seconds": time.monotonic() - started},
    )
    _write_card(run, source, recipe, scores)
    student.requires_grad_(False).eval()
    return Distilled(Units(student, str(run.folder.resolve())), run)


class First(Batches):
    """The first `count` batches of an endless stream, which then come round again."""

    def __init__(self, stream: Batches, count: int) -> None:
        self.stream, self.count = stream, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Batch:
        """Return batch `index`."""
        return self.stream[index]


@dataclass(frozen=True, eq=False)
class QuantileTeacher:
    """A forecaster that says the quantiles of what follows each variable of a batch, at the student's levels.

    Each variable is asked for by itself, with the history that the student sees: not every forecaster takes several,
    and none is told of frequencies or seasons, which a batch does not know.

    Parameters
    ----------
    forecaster
        Any `Forecaster`.
    source
        What it was found by; stands for it where it cannot say a `fingerprint` of itself.
    """

    kind = "quantiles"
    forecaster: Forecaster
    source: str
    levels: tuple[float, ...]

    def __call__(self, batch: Batch) -> Batch:
        """Return `teacher_quantiles` (rows, variables, horizon, levels) in the units of the series, NaN where unknown.

        Of a batch of another job it says nothing.
        """
        if batch["task"] != "forecast":
            return {}
        values = batch["values"].cpu().numpy()
        rows, variables, time = values.shape
        horizon = batch["truth"].shape[-1] - time
        said = np.full((rows, variables, horizon, len(self.levels)), np.nan, dtype=np.float32)
        known = np.argwhere(np.isfinite(values).any(axis=2))
        histories = [_observed(values[row, variable]) for row, variable in known]
        items = tuple(Item(number, None, history[None]) for number, history in enumerate(histories))
        if items:
            found = self.forecaster.predict(Window(Panel(items, None), horizon, 1), self.levels)[:, 0]
            if not np.isfinite(found).all():
                raise ModelError(f"{self.source} forecasts numbers that are not finite: choose another teacher.")
            said[known[:, 0], known[:, 1]] = found
        return {"teacher_quantiles": torch.from_numpy(said)}

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that the answer depends on besides the batch."""
        own = getattr(self.forecaster, "fingerprint", None)
        seed = getattr(self.forecaster, "seed", 0)
        return {"teacher": own() if callable(own) else self.source, "seed": seed, "levels": self.levels}


def _observed(row: np.ndarray) -> np.ndarray:
    """A history without the NaN that it begins with."""
    return row[int(np.argmax(np.isfinite(row))) :].astype(np.float64)


def _teacher(teacher: Any) -> tuple[str, Any]:
    """What a teacher is called, and the teacher."""
    if teacher is None:
        raise RecipeError("Nothing says who teaches: give a teacher, or a recipe that names one.")
    if isinstance(teacher, str | Path):
        name = str(teacher)
        teacher = families.load(name) if families.claims(name) else registry.resolve_model(name).load()
    else:
        name = str(getattr(teacher, "source", type(teacher).__name__))
    if not isinstance(teacher, Forecaster):
        raise ModelError(f"{name} does not forecast: name a forecaster, or a UniTS, as teacher.")
    return name, teacher


def _student(recipe: DistillRecipe, sources: Sequence[Source]) -> tuple[Any, str | None]:
    """The network to train, and the folder that it goes on from."""
    if isinstance(recipe.student, Shape):
        return scratch(recipe.student, tasks(sources), recipe.train.seed), None
    base = given(recipe.student)
    return prepared(base.model, sources, recipe.train.seed).requires_grad_(True), base.source


def _check_alike(
    student: UnitsModel, teacher: UnitsModel, weights: Mapping[str, float], jobs: Any, sources: Sequence[Source]
) -> None:
    """Raise RecipeError, before anything is trained, for a student that this teacher cannot teach."""
    ours, theirs = student.config, teacher.config
    for name in [source.name for source in sources if "classify" in source.jobs and "classify" in jobs]:
        if theirs.tasks.get(name) != ours.tasks[name]:
            raise RecipeError(f"The teacher does not know the classes of {name}: adapt it to them first.")
    if weights.get("hidden") and ours.patch_size != theirs.patch_size:
        raise RecipeError(
            f"Hidden states are compared patch by patch: give the student the teacher's patch_size "
            f"{theirs.patch_size}, or leave the loss `hidden` out of `weights`."
        )
    if weights.get("quantile_match") and list(ours.quantiles) != list(theirs.quantiles):
        raise RecipeError("Student and teacher forecast other quantiles: give the student the teacher's.")


def _marks_of(said: Any, asked: QuantileTeacher | None, exam: Held, student: UnitsModel) -> dict[str, float]:
    """What the teacher is worth on what judges, on the student's scales."""
    return examine(exam, said.model).means() if asked is None else examine(exam, student, asked).means()


def _write_card(run: Run, source: str, recipe: DistillRecipe, scores: Mapping[str, Mapping[str, float]]) -> None:
    rows = "; ".join(
        f"{name} {scores['student'][name]:.4g} (teacher {value:.4g})"
        for name, value in scores["teacher"].items()
        if name in scores["student"]
    )
    parts = [
        recipe.card.get("text", ""),
        f"A UniTS of {run.metrics['parameters']['student']:,} parameters, taught by `{source}`. On held-out series "
        f"that neither trained nor chose anything: {rows}.",
    ]
    run.write_card(
        recipe.card.get("title", "A UniTS model, distilled"),
        "\n\n".join(filter(None, parts)),
        license=recipe.card.get("license", "apache-2.0"),
        library_name="stillroom-units",
        tags=["distillation"],
        trained_on=run.data["trained_on"],
        teacher=source,
    )
