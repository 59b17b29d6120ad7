"""Distil a Chronos teacher into a small student: a Bolt from any family, a T5 from a T5.

    teacher ── says ──► quantile paths or token distributions (live, or stored once) ──► student, beside the truth

The student learns from what happened (pinball, cross-entropy) and from what the teacher said (quantile matching,
token KL). The last window of every series chooses the checkpoint; the one before it is where teacher and student are
compared in the end. What a student can be, students.py says; what a teacher says, teachers.py.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.chronos import families
from stillroom.chronos.adapt import choose
from stillroom.chronos.losses import LOSSES
from stillroom.chronos.model import ChronosModel, quiet
from stillroom.chronos.recipe import DistillRecipe
from stillroom.chronos.samples import TrainingWindows
from stillroom.chronos.students import build
from stillroom.chronos.teachers import QuantileTeacher, TokenTeacher
from stillroom.core.runs import Run, new_folder
from stillroom.core.stored import StoredTargets
from stillroom.core.targets import TargetStore
from stillroom.core.trainer import DistillTrainer
from stillroom.series.heldout import assess, hold_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from stillroom.series.panel import Panel


@dataclass(frozen=True, eq=False)
class Distilled:
    """What came of a distillation.

    Parameters
    ----------
    model
        The student.
    run
        The Run directory, which upstream's own `BaseChronosPipeline.from_pretrained` loads. Its metrics hold teacher
        and student side by side on series' windows that neither trained nor chose anything.
    """

    model: ChronosModel
    run: Run


def distill(
    teacher: ChronosModel | str | Path,
    student_config: str | float | Path | Mapping[str, Any],
    data: pd.DataFrame | Panel | str | Path,
    recipe: DistillRecipe | Mapping[str, Any] | str | Path,
    folder: str | Path | None = None,
) -> Distilled:
    """Train a student on series and on what the teacher says of them.

    Parameters
    ----------
    teacher
        A loaded model, a folder, a hub id or a registered name. It is not changed.
    student_config
        As `students.build` takes it: `"quarter"` is a network of a quarter of the teacher's parameters.
    data
        A long frame, a panel, or what `stillroom.series.intake.load` takes.
    recipe
        A `DistillRecipe`, a mapping or a YAML file; `{"prediction_length": 24}` is enough.
    folder
        The Run directory; a training that was cut short there goes on. None: a new folder under `runs/`.

    Raises
    ------
    RecipeError
        A student that cannot learn from this teacher, or a recipe that cannot be meant.
    DataError
        No series is long enough.
    ModelError
        Covariates or several targets: students forecast one series at a time.
    """
    from stillroom.series.reading import to_panel

    recipe = DistillRecipe.of(recipe)
    settings, horizon = recipe.train, recipe.prediction_length
    teacher = teacher if isinstance(teacher, ChronosModel) else families.find(str(teacher))
    student = build(student_config, teacher, horizon, seed=settings.seed)
    panel = to_panel(data, recipe.columns)
    student.check_takes(panel)
    held = hold_out(panel, horizon, seed=settings.seed)
    # Tokens depend on the history that scales them, so T5s must read the same; quantiles are in the series' own units.
    reach = (min if student.kind == "t5" else max)(student.context_length, teacher.context_length)
    windows = TrainingWindows(
        student,
        held.train,
        horizon=min(horizon, student.prediction_length),
        context_length=min(recipe.context_length or reach, reach),
        batch_size=settings.batch_size,
        seed=settings.seed,
        count=recipe.batches,
    )
    run = Run.create(
        folder or new_folder("distill"),
        recipe={
            "family": "chronos",
            "verb": "distill",
            **recipe.model_dump(exclude={"store"}),
            "teacher": teacher.source,
            "student": student_config,
        },
        seeds={"seed": settings.seed},
        data={"series": panel.fingerprint()},
    )
    started = time.monotonic()
    stored = recipe.targets == "stored"
    said: QuantileTeacher | TokenTeacher
    if student.kind == "t5":
        said = TokenTeacher(teacher, recipe.top_k if stored else None)
    else:
        said = QuantileTeacher(teacher, student.quantile_levels)
    with TargetStore(recipe.store or run.folder / "targets.sqlite") if stored else nullcontext() as store:
        train_data: Any = windows
        if store is not None:
            train_data = StoredTargets(windows, said, store)
            train_data.capture(min(len(windows), settings.steps * settings.accumulation))
        trainer = DistillTrainer(
            student.model,
            LOSSES[student.kind],
            settings,
            run.folder / "checkpoints",
            train_data=train_data,
            validate=partial(choose, student, held),
            weights=recipe.weights or None,
            teacher=None if stored else said,
        )
        trainer.train()
    student.model.to("cpu")
    with quiet():
        student.model.save_pretrained(run.folder)
    student = replace(student, source=str(run.folder.resolve()))
    sizes = {name: sum(p.numel() for p in one.model.parameters()) for name, one in _pair(teacher, student)}
    scores = {name: assess(one, *held.judge).totals for name, one in _pair(teacher, student)}
    run.record(
        metrics={**scores, "parameters": sizes, "chosen_at": trainer.best, "series_too_short": len(held.skipped)},
        cost={"train_seconds": time.monotonic() - started},
    )
    _write_card(run, teacher, student, sizes, scores)
    return Distilled(student, run)


def _pair(teacher: ChronosModel, student: ChronosModel) -> list[tuple[str, ChronosModel]]:
    return [("teacher", teacher), ("student", student)]


def _write_card(
    run: Run, teacher: ChronosModel, student: ChronosModel, sizes: dict[str, int], scores: dict[str, dict[str, float]]
) -> None:
    text = (
        f"A {student.title} of {sizes['student']:,} parameters, taught by `{teacher.source}` ({teacher.title}, "
        f"{sizes['teacher']:,}). On the window before the last, which neither trained nor chose anything, its WQL is "
        f"{scores['student']['WQL']:.4g}, the teacher's {scores['teacher']['WQL']:.4g}."
    )
    run.write_card(f"{student.title}, distilled", text, base_model=teacher.source, tags=["distillation"])
