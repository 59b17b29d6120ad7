"""Pre-train a Chronos-Bolt network from scratch on synthetic families and real series, and ship it as a folder.

The stream is `stillroom.series.mixture`, the loop the core's trainer, the loss Bolt's own. Windows of real series that
are never trained on choose the checkpoint; no benchmark is looked at.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stillroom.chronos.losses import quantile_losses, quantile_pass
from stillroom.chronos.model import quiet
from stillroom.chronos.recipe import Recipe
from stillroom.chronos.scratch import BoltShape, bolt
from stillroom.core import halves
from stillroom.core.batches import Batches
from stillroom.core.runs import Run
from stillroom.core.trainer import DistillTrainer
from stillroom.series.corpus import Corpus, RealSeries, read
from stillroom.series.mixture import Mixture, coarser
from stillroom.series.overlap import Index

LAGS = (1, 4, 7, 12, 24, 48, 168)  # the seasons that the held-out yardstick tries


class PretrainRecipe(Recipe):
    """A recipe for `pretrain`.

    Parameters
    ----------
    model
        Sizes of the network.
    corpus
        The real series; None: synthetic ones alone, of which some are held out.
    shares, context_lengths
        See `stillroom.series.mixture.Mixture`.
    card
        What the model card says: `title`, `text`, `license`.
    """

    model: BoltShape = BoltShape()
    corpus: Corpus | None = None
    shares: dict[str, float]
    context_lengths: tuple[int, ...] = (32, 64, 128, 256, 512)
    card: dict[str, str] = Field(default_factory=dict)


class Stream(Batches):
    """The mixture, as tensors."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: torch.from_numpy(values) for name, values in self.mixture[index].items()}


def pretrain(recipe: PretrainRecipe | dict[str, Any] | str | Path, folder: str | Path) -> Run:
    """Train from scratch, going on where a killed run stopped, and write the model into `folder`.

    The folder then loads with upstream's `BaseChronosPipeline.from_pretrained`. Weights are kept in half precision,
    with `"dtype": "float32"` in the config so that they load as what CPUs are fast at.

    Raises
    ------
    RecipeError, MissingError, DataError
        As the recipe and its corpus have it.
    """
    recipe = PretrainRecipe.of(recipe)
    real = read(recipe.corpus) if recipe.corpus else RealSeries([], [], [], [])
    mixture = Mixture(
        recipe.shares,
        context_lengths=recipe.context_lengths,
        prediction_length=recipe.prediction_length,
        batch_size=recipe.train.batch_size,
        real=real.train,
        weights=real.weights() if real.train else None,
        seed=recipe.train.seed,
    )
    horizon = min(24, recipe.prediction_length)
    held_out = held_out_windows(real, horizon=horizon) if real.held_out else synthetic_windows(mixture)
    index = Index.of(real.train)
    run = Run.create(
        folder,
        recipe={"family": "chronos", "verb": "pretrain", **recipe.model_dump()},
        seeds={"seed": recipe.train.seed},
        data={
            "trained_on": [recipe.corpus.name] if recipe.corpus else [],
            "series": len(real.train),
            "held_out": len(real.held_out),
        },
    )
    started = time.monotonic()
    network = bolt(recipe.model, recipe.train.seed)
    trainer = DistillTrainer(
        network,
        quantile_losses,
        recipe.train,
        run.folder / "checkpoints",
        train_data=Stream(mixture),
        validate=partial(assess, held_out),
    )
    trainer.train()
    with quiet():
        halves.save_pretrained(network, run.folder)
    if real.train:
        Index(index.hashes[index.hashes % 64 == 0], every=64).save(run.folder / "trained_on.npz")
    run.record(
        metrics={"chosen_at": trainer.best},
        cost={"train_seconds": time.monotonic() - started, "parameters": sum(p.numel() for p in network.parameters())},
    )
    run.write_card(
        recipe.card.get("title", "A Chronos-Bolt forecaster"),
        recipe.card.get("text", ""),
        license=recipe.card.get("license", "apache-2.0"),
        library_name="chronos-forecasting",
        pipeline_tag="time-series-forecasting",
        trained_on=run.data["trained_on"],
    )
    return run


Windows = dict[str, tuple[np.ndarray, np.ndarray]]  # group -> (contexts (n, time), targets (n, horizon))


def held_out_windows(
    real: RealSeries,
    *,
    contexts: tuple[int, ...] = (30, 90, 200, 512),
    horizon: int = 24,
    each: int = 3,
) -> Windows:
    """Cut seeded windows from the held-out series, grouped by source and context length.

    Windows that are mostly missing, or constant so far, judge nothing and are left out.
    """
    rng = np.random.default_rng(0)
    groups: dict[str, list[np.ndarray]] = {}
    for values, source in zip(real.held_out, real.held_out_sources, strict=True):
        for series in coarser(values, (1, 4, 24), 60):
            for length in contexts:
                for _ in range(each if len(series) >= length + horizon else 0):
                    start = int(rng.integers(0, len(series) - length - horizon + 1))
                    window = series[start : start + length + horizon]
                    if np.isfinite(window).mean() > 0.9 and np.nanstd(window[:length]) > 0:
                        groups.setdefault(f"{source}/{length}", []).append(window)
    return {name: (np.stack(rows)[:, :-horizon], np.stack(rows)[:, -horizon:]) for name, rows in groups.items()}


def synthetic_windows(mixture: Mixture, batches: int = 8) -> Windows:
    """Take batches that no training reaches (their indices lie above any step) as the held-out windows."""
    made = [mixture[2**40 + number] for number in range(batches)]
    return {str(number): (batch["context"], batch["target"]) for number, batch in enumerate(made)}


def assess(windows: Windows, network: nn.Module) -> dict[str, float]:
    """Score the median and the deciles against repeating the season that fitted each context best.

    Returns `relative_WQL` and `relative_MAE`: geometric means over the groups, below 1 is better than repeating.
    """
    levels = np.arange(1, 10) / 10
    wql, mae = [], []
    for context, target in windows.values():
        horizon = target.shape[1]
        batch = {"context": torch.from_numpy(context).float(), "target": torch.from_numpy(target).float()}
        predicted, scale = quantile_pass(network, batch, horizon)
        truth = scale.normalise(batch["target"]).numpy()
        naive = scale.normalise(torch.from_numpy(repeated(context, horizon)).float()).numpy()
        quantiles = np.sort(predicted.float().numpy(), axis=1)  # (rows, levels, horizon)
        counts = np.isfinite(truth) & np.isfinite(naive) & (np.abs(truth) < 20)
        error = truth[:, None] - quantiles
        loss = 2 * np.maximum(levels[:, None] * error, (levels[:, None] - 1) * error).mean(axis=1)
        yardstick = np.abs(truth - naive)[counts].sum()
        wql.append(loss[counts].sum() / yardstick)
        mae.append(np.abs(error[:, 4])[counts].sum() / yardstick)
    return {
        "relative_WQL": float(np.exp(np.mean(np.log(wql)))),
        "relative_MAE": float(np.exp(np.mean(np.log(mae)))),
    }


def repeated(context: np.ndarray, horizon: int) -> np.ndarray:
    """Repeat, for each row of (rows, time), the last season of the lag that its context itself repeats best."""
    out = np.empty((len(context), horizon))
    length = context.shape[1]
    lags = [lag for lag in LAGS if 2 * lag <= length]
    for row, values in enumerate(context):
        errors = [np.nanmean(np.abs(values[lag:] - values[:-lag])) for lag in lags]
        lag = lags[int(np.nanargmin(errors))] if np.isfinite(errors).any() else 1
        out[row] = np.resize(values[length - lag :], horizon)
    return out
