"""UniTS as the benchmark sees it: who claims a folder or hub id, and how it is loaded. One model does all four jobs.

A benchmark asks a model by its name alone. So a model that is to learn classes in several ways, a row each, is a folder
for each of them: `taught` makes one. It knows no task and no suite.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from stillroom.core.errors import ModelError
from stillroom.core.folders import record
from stillroom.core.protocols import Classifier, Detector, Forecaster, Imputer
from stillroom.core.registry import ModelFamily, resolve_model
from stillroom.units.families import claims, load

family = ModelFamily(load=load, claims=claims, can=(Forecaster, Classifier, Imputer, Detector))


def taught(model: str | Path, folder: str | Path, **lesson: Any) -> Path:
    """Write a copy of a model that learns classes in a way of its own, and return its folder.

        taught("runs/units", "rows/few", share=0.05)    # then: stillroom bench run ucr-small --model rows/few

    The way stands as `lesson` in the copy's `config.json`: what a benchmark hashes, so that it is another score. Card
    and index come along, so that it is seen what the model was trained on.

    Parameters
    ----------
    model
        A folder with a whole model, or the name of one that is registered.
    folder
        What is there of an earlier copy is replaced.
    lesson
        Fields of `classify.Lesson`.

    Raises
    ------
    ModelError
        There is no such model, or it is no such folder.
    RecipeError
        A lesson that cannot be meant.
    """
    from stillroom.core.recipes import checked
    from stillroom.core.runs import write_atomic
    from stillroom.units.classify import Lesson

    checked(Lesson, lesson)
    source, folder = Path(resolve_model(str(model)).source or "").expanduser(), Path(folder)
    config = record(source / "config.json")
    if config.get("model_type") != "units":
        raise ModelError(f"{str(model)!r} is no folder with a whole UniTS model: save its network to one first.")
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("checkpoint*", "config.json"), dirs_exist_ok=True)
    write_atomic(folder / "config.json", json.dumps(config | {"lesson": lesson}, indent=2) + "\n")
    return folder
