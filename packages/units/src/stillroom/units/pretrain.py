"""Train a UniTS network from scratch, on every job and every source of a recipe at once, and ship it as a folder.

To fill what was hidden, to forecast and to tell classes apart are learned together: batch after batch one job over one
source, drawn by weight. The loop is the core's; series that are never trained on choose the checkpoint, and no test
part of a benchmark is read.

References
----------
Gao et al. (2024), UniTS: A Unified Multi-Task Time Series Model, arXiv 2403.00131, section 4.3, unified masked
pre-training; supervised jobs join in where the recipe has labelled series.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from stillroom.core.runs import Run
from stillroom.core.seeds import own_random
from stillroom.core.trainer import DistillTrainer
from stillroom.units.config import UnitsConfig
from stillroom.units.handover import content, save
from stillroom.units.judging import assess
from stillroom.units.losses import losses
from stillroom.units.model import UnitsModel
from stillroom.units.recipe import PretrainRecipe, Shape
from stillroom.units.sources import read, tasks
from stillroom.units.stream import Stream, held_out


def pretrain(recipe: PretrainRecipe | Mapping[str, Any] | str | Path, folder: str | Path) -> Run:
    """Train from scratch, going on where a killed run stopped, and write the model into `folder`.

    Weights are kept in half precision and load as float32. `trained_on.npz` is an index of the real series, by which a
    benchmark sees what of its own was trained on.

    Parameters
    ----------
    recipe
        A `PretrainRecipe`, a mapping, or the path of a YAML file.
    folder
        The Run directory; `stillroom.units.load` reads it.

    Raises
    ------
    RecipeError
        A recipe that cannot be meant, or the folder of another run.
    MissingError, DataError
        As the sources have it (see `sources.read`), or nothing is held out.
    """
    recipe = PretrainRecipe.of(recipe)
    settings, shape = recipe.train, recipe.model
    sources = read(recipe.sources)
    stream = Stream(
        sources, recipe.mix, batch_size=settings.batch_size, patch_size=shape.patch_size, seed=settings.seed
    )
    held = held_out(sources, recipe.mix, patch_size=shape.patch_size)
    network: Any = scratch(shape, tasks(sources), settings.seed)
    run = Run.create(
        folder,
        recipe={"family": "units", "verb": "pretrain", **recipe.model_dump()},
        seeds={"seed": settings.seed},
        data=content(sources),
    )
    started = time.monotonic()
    weights = recipe.loss_weights()
    trainer = DistillTrainer(
        network,
        partial(losses, smoothing=recipe.smoothing, names=tuple(weights)),
        settings,
        run.folder / "checkpoints",
        train_data=stream,
        validate=partial(assess, held, shares(stream)),
        weights=weights,
    )
    trainer.train()
    network.to("cpu")
    save(network, run.folder, sources)
    run.record(
        metrics={"chosen_at": trainer.best},
        cost={"train_seconds": time.monotonic() - started, "parameters": network.num_parameters()},
    )
    run.write_card(
        recipe.card.get("title", "A UniTS model"),
        recipe.card.get("text", ""),
        license=recipe.card.get("license", "apache-2.0"),
        library_name="stillroom-units",
        pipeline_tag="time-series-forecasting",
        trained_on=run.data["trained_on"],
    )
    return run


def scratch(shape: Shape, tasks: Mapping[str, list[str] | None], seed: int) -> UnitsModel:
    """Make a network with random weights, pure in the seed."""
    config = UnitsConfig(**shape.model_dump(), tasks=dict(tasks))
    with own_random("units", seed):
        return UnitsModel(config)


def shares(stream: Stream) -> dict[str, float]:
    """Return how often each "JOB/SOURCE" is drawn: what it counts in the loss that chooses."""
    names = [f"{job}/{source.name}" for job, source in stream.pairs]
    return dict(zip(names, stream.chances.tolist(), strict=True))
