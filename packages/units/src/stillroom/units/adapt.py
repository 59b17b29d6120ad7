"""Adapt a UniTS model to one's own series, to one set or several at once, and keep the result only if it is better.

    base ── tokens for new classes ── adapter ── train (one half of what is held out chooses) ── the other half judges

Labelled sets that the model has no task for get one: a prompt, and a category token a class, which begins at the mean
of its series. That is the baseline for classes, as it costs no training. This module decides what moves and what is
judged; what a batch is, stream.py says, how an adapter works, the core.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stillroom.core import adapters
from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.gate import Verdict
from stillroom.core.runs import Run, new_folder
from stillroom.core.seeds import own_random
from stillroom.core.trainer import DistillTrainer
from stillroom.units.architecture import UNITS
from stillroom.units.families import find
from stillroom.units.handover import content, save
from stillroom.units.judging import assess, examine, judges, parted, some, verdict
from stillroom.units.losses import losses
from stillroom.units.means import begin_at_means
from stillroom.units.model import UnitsModel
from stillroom.units.pretrain import shares
from stillroom.units.recipe import AdaptRecipe
from stillroom.units.sources import Source, read
from stillroom.units.stream import Stream, held_out
from stillroom.units.units import Units
from stillroom.units.windows import FEWEST, Items, Labelled, few_of_each, with_labels


@dataclass(frozen=True, eq=False)
class Adapted:
    """What came of an adaptation.

    Parameters
    ----------
    model
        The adapted model if the gate kept it, otherwise the base with the tokens that new classes need.
    verdict
        What the gate found, with a sentence for people.
    run
        The Run directory; `stillroom.units.load(run.folder)` gives `model` again, without its base.
    """

    model: Units
    verdict: Verdict
    run: Run


def adapt(
    model: Units | str | Path | None,
    recipe: AdaptRecipe | Mapping[str, Any] | str | Path,
    folder: str | Path | None = None,
    *,
    sources: Sequence[Source] | None = None,
) -> Adapted:
    """Train an adapter on the sources of a recipe, and judge it.

    Parameters
    ----------
    model
        A loaded model, a folder, a hub id or a registered name; None: the recipe's. It is not changed.
    recipe
        An `AdaptRecipe`, a mapping, or the path of a YAML file;
        `{"sources": {"classes": [{"source": "ucr:ArrowHead"}]}}` is enough.
    folder
        The Run directory; a training that was cut short there goes on. None: a new folder under `runs/`.
    sources
        Sources in memory, instead of those that the recipe names.

    Raises
    ------
    DataError
        Nothing to learn from, to choose by or to judge by.
    ModelError
        There is no such model, or it has other classes for a task of the same name.
    RecipeError
        A recipe that cannot be meant or names no model, or the folder of another run.

    Notes
    -----
    Kept only if the lower bound of the paired bootstrap (95 %) of the relative gain over held-out items is above zero,
    every job over every source weighing alike. The folder holds a whole model in half precision whatever the method, as
    that is a few megabytes: a base that moved away breaks nothing.
    """
    recipe = AdaptRecipe.of(recipe)
    settings = recipe.train
    base = given(model or recipe.model)
    choosing, judging = parted(read(recipe.sources) if sources is None else sources)
    patch_size = base.model.config.patch_size
    choose = held_out(choosing, recipe.mix, patch_size=patch_size)
    exam = judges(judging, recipe.mix, patch_size=patch_size)
    learned = [few(source, recipe.share, settings.seed) for source in choosing]
    stream = Stream(learned, recipe.mix, batch_size=settings.batch_size, patch_size=patch_size, seed=settings.seed)
    before = prepared(base.model, learned, settings.seed)
    run = Run.create(
        folder or new_folder("adapt"),
        recipe={"family": "units", "verb": "adapt", "base": base.source, **recipe.model_dump(exclude={"model"})},
        seeds={"seed": settings.seed},
        data={"base": base.fingerprint(), **content(learned, base.source)},
    )
    started = time.monotonic()
    baseline = examine(exam, before)
    network = attached(before, recipe)
    moving, total = adapters.trainable(network)
    weights = recipe.loss_weights()
    trainer = DistillTrainer(
        network,
        partial(losses, smoothing=recipe.smoothing, names=tuple(weights)),
        settings,
        run.folder / "checkpoints",
        train_data=stream,
        validate=partial(assess, choose, shares(stream)),
        weights=weights,
    )
    trainer.train()
    network.to(base.model.device)
    candidate = examine(exam, network)
    decided = verdict(candidate, baseline)
    kept: Any = merged(network, before) if decided.keep else before
    save(kept.cpu(), run.folder, learned, base.source)
    run.record(
        metrics={
            "verdict": decided,
            "base": baseline.means(),
            "adapted": candidate.means(),
            "chosen_at": trainer.best,
            "items": {name: len(losses) for name, losses in baseline.losses.items()},
        },
        cost={"train_seconds": time.monotonic() - started, "trained": moving, "parameters": total},
    )
    _write_card(run, base, decided, recipe)
    kept.to(base.model.device).requires_grad_(False).eval()
    return Adapted(Units(kept, str(run.folder.resolve())), decided, run)


def given(model: Units | str | Path | None) -> Units:
    """Return the model that a caller or a recipe gives."""
    if model is None:
        raise RecipeError("Nothing says what to begin with: give a model, or a recipe that names one.")
    return model if isinstance(model, Units) else find(str(model))


def few(source: Source, share: float, seed: int) -> Source:
    """Leave of what a source teaches a share: of labelled series of every class, of others the first part of each.

    Of a class at least one series is left. Made series, of which there is no end, stay as they are.

    Raises
    ------
    DataError
        No series has `FEWEST` steps in its first part.
    """
    train = source.train
    if share == 1 or not isinstance(train, Items):
        return source
    if isinstance(train, Labelled):
        kept = few_of_each(train.labels, share, seed)
    else:
        first = [values[:, : round(share * values.shape[1])] for values in train.series]
        train = replace(train, series=first)
        kept = np.flatnonzero([values.shape[1] >= FEWEST for values in first])
        if not len(kept):
            raise DataError(
                f"A share of {share} leaves no series of {source.name} {FEWEST} steps to learn from: take more of it."
            )
    return replace(source, train=some(train, kept))


def prepared(base: UnitsModel, sources: Sequence[Source], seed: int) -> UnitsModel:
    """Return a copy of a network that has a task for every labelled source, its category tokens at the classes' means.

    A task that it has already keeps its tokens.

    Raises
    ------
    ModelError
        It has a task of that name with other classes.
    """
    network: Any = copy.deepcopy(base)
    for source in sources:
        if source.classes is None or "classify" not in source.jobs:
            continue
        known = network.config.tasks.get(source.name, [])
        if known and list(known) != list(source.classes):
            raise ModelError(f"The model knows {source.name} with other classes: give the source another `name`.")
        if source.name not in network.config.tasks:
            items = with_labels(source.train)
            with own_random("tokens", seed, source.name):
                network.add_task(source.name, source.classes)
            begin_at_means(network, source.name, items.series, items.labels)
    network.requires_grad_(False).eval()
    return network  # type: ignore[no-any-return]


def attached(network: UnitsModel, recipe: AdaptRecipe) -> Any:
    """Return a copy of a network of which what the recipe's adapter lets move requires gradients, and nothing else.

    `prompt` is ours: tokens are weights of the network, so no adapter is put around it.
    """
    spec = recipe.adapter
    copied: Any = copy.deepcopy(network)
    if spec.method == "prompt":
        own = set(copied.token_parameters())
        for name, parameter in copied.named_parameters():
            parameter.requires_grad_(name in own)
        return copied
    quantization = adapters.quantization(spec, UNITS)
    if quantization is not None:
        with tempfile.TemporaryDirectory() as folder:
            network.save_pretrained(folder)
            copied = UnitsModel.from_pretrained(folder, quantization_config=quantization, dtype=torch.float32)
    with own_random("adapter", recipe.train.seed):  # its first weights are drawn
        return adapters.attach(copied, spec, UNITS, total_steps=recipe.train.steps)


def merged(network: Any, before: UnitsModel) -> UnitsModel:
    """Return the plain network that says what the adapted one says."""
    if not hasattr(network, "stillroom_adapter"):
        return network  # type: ignore[no-any-return]
    plain: Any = adapters.merge(network, lambda: copy.deepcopy(before))
    return plain  # type: ignore[no-any-return]


def _write_card(run: Run, base: Units, decided: Verdict, recipe: AdaptRecipe) -> None:
    kept = "the adapted model" if decided.keep else "the base, which is as good or better on what was held out"
    jobs = ", ".join(recipe.mix.jobs)
    share = "" if recipe.share == 1 else f", with {recipe.share:.0%} of what there was to learn from"
    parts = [
        recipe.card.get("text", ""),
        f"This run holds {kept}. {decided.sentence}",
        f"Base: `{base.source}`, adapted with {recipe.adapter.method} to {jobs}{share}. Half of what was held out "
        "chose the checkpoint, the other half judged; neither was trained on. Load it with `stillroom.units.load`.",
    ]
    run.write_card(
        recipe.card.get("title", "A UniTS model, adapted"),
        "\n\n".join(filter(None, parts)),
        base_model=base.source,
        license=recipe.card.get("license", "apache-2.0"),
        library_name="stillroom-units",
        trained_on=run.data["trained_on"],
    )
