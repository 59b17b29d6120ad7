"""The training stream: each batch one job over one source, drawn by weight; batch k is pure in the seed and k.

    forecast    what follows a series, for horizons and histories of many lengths
    impute      what was hidden of a series
    detect      the same in longer stretches: who knows what is normal can tell what stands there
    classify    the class of a labelled series, changed a little

A batch is a dict as `losses.py` reads it: `values` and `present` (rows, variables, time), `task`, and either `truth`
and `asked` (rows, variables, time + horizon) or `labels` (rows,). Batches are of about one size whatever the length of
what is in them. It knows no model but the size of its patches, of which horizons are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from stillroom.core.batches import Batches
from stillroom.core.errors import DataError, RecipeError
from stillroom.core.seeds import seed_of
from stillroom.units import augment, masks
from stillroom.units.arrays import by_size, pad
from stillroom.units.sources import Job, Source
from stillroom.units.windows import STRANGERS, Windows, begun, with_labels

HIDDEN: dict[str, dict[str, float]] = {
    "impute": {"points": 0.4, "blocks": 0.35, "patches": 0.15, "tail": 0.1},
    "detect": {"patches": 0.7, "blocks": 0.3},
}
"""How often each kind of gap is what a job hides."""
ROWS = 8
"""Rows that a batch has room for, where windows are long and wide: it then has fewer variables."""
BEYOND = 2**40
"""Where the numbers of validation batches begin: no training is that long."""

Batch = dict[str, Any]


class Mix(BaseModel):
    """The `mix` part of a recipe: what a batch is drawn as.

    Parameters
    ----------
    jobs
        Share of the batches that each job has; scaled to sum to 1. Within a job, sources are drawn by their weights.
    context_lengths
        A batch draws one of these, and its windows have between half of it and all of it, as far as series are that
        long. Short ones stand in it more than once: practice is full of series of 10 to 60 steps, and they are cheap.
    horizons
        The shortest and the longest a batch may be asked for; short ones are as likely as long ones on a logarithmic
        scale, none is longer than half the batch's context, and each is made up to whole patches, as the steps of a
        patch come at one price. Of a short series at most the last third is asked for.
    variables
        The most a window has; not where a class is asked for, which takes them all.
    cells
        Values in a padded batch, about: windows are as many as fit, and at most `batch_size`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs: dict[Job, PositiveFloat] = Field(min_length=1)
    context_lengths: tuple[PositiveInt, ...] = Field(
        default=(16, 32, 32, 64, 64, 128, 128, 256, 512, 1024, 2048), min_length=1
    )
    horizons: tuple[PositiveInt, PositiveInt] = (4, 192)
    variables: PositiveInt = 16
    cells: PositiveInt = 2**16

    @model_validator(mode="after")
    def _rising(self) -> Mix:
        if self.horizons[0] > self.horizons[1]:
            raise ValueError("horizons must name the shortest first")
        return self


class Stream(Batches):
    """Batches to train on.

    Parameters
    ----------
    sources
        What `sources.read` returned.
    mix
        See `Mix`.
    batch_size
        Rows of a batch at most.
    patch_size
        Of the model.
    seed
        The same seed, number and arguments give the same batch.

    Raises
    ------
    RecipeError
        A job has a share but no source that serves it.
    """

    def __init__(
        self, sources: Sequence[Source], mix: Mix, *, batch_size: int, patch_size: int = 8, seed: int = 0
    ) -> None:
        self.mix, self.batch_size, self.patch_size, self.seed = mix, batch_size, patch_size, seed
        self.pairs = [(job, source) for job in mix.jobs for source in sources if job in source.jobs]
        for job in mix.jobs:
            if not any(job in source.jobs for source in sources):
                raise RecipeError(f"No source serves the job {job}: give one a weight for it, or drop its share.")
        of_job = {job: sum(source.jobs.get(job, 0.0) for source in sources) for job in mix.jobs}
        chances = np.array([mix.jobs[job] * source.jobs[job] / of_job[job] for job, source in self.pairs])
        self.chances = chances / chances.sum()

    def __getitem__(self, index: int) -> Batch:
        """Return batch `index`."""
        rng = np.random.default_rng([self.seed, index])
        job, source = self.pairs[int(rng.choice(len(self.pairs), p=self.chances))]
        if job != "classify":
            return self.filling(job, source, source.train, int(rng.choice(self.mix.context_lengths)), rng)
        series = with_labels(source.train).series
        rows = self._rows(source.train.widest * max(values.shape[1] for values in series))
        return labelled(source.train, rng.integers(len(series), size=rows), source.name, rng)

    def filling(self, job: Job, source: Source, windows: Windows, longest: int, rng: np.random.Generator) -> Batch:
        """Draw a batch of a job that fills in values, from one part of a source, of one of the context lengths."""
        horizon = self._horizon(longest, rng) if job == "forecast" else 0
        variables = self._variables(source, windows, longest + horizon, rng)
        rows = self._rows(variables * (longest + horizon))
        drawn = windows.draw(rng, rows, longest + horizon, variables)
        kept = rng.integers(max(longest // 2, 1), longest + 1, rows)
        if job == "forecast":
            return ahead(drawn, kept, horizon)
        shorter = [begun(one[:, -keep:]) for one, keep in zip(drawn, kept.tolist(), strict=True)]
        hidden = [masks.draw(np.isfinite(one), rng, kinds=HIDDEN[job], patch_size=self.patch_size) for one in shorter]
        return hiding(shorter, hidden, job)

    def _horizon(self, longest: int, rng: np.random.Generator) -> int:
        least, most = self.mix.horizons
        most = max(min(most, longest // 2), least)
        drawn = int(np.exp(rng.uniform(np.log(least), np.log(most + 1))))
        return -(-min(drawn, most) // self.patch_size) * self.patch_size

    def _variables(self, source: Source, windows: Windows, steps: int, rng: np.random.Generator) -> int:
        several = rng.random() < source.multivariate
        all_of_them = rng.random() < 0.5
        most = min(self.mix.variables, self.mix.cells // (ROWS * steps))
        most = min(most, windows.widest if windows.widest > 1 else STRANGERS)
        if not several or most < 2:
            return 1
        return most if all_of_them else int(rng.integers(2, most + 1))

    def _rows(self, cells: int) -> int:
        return max(min(self.batch_size, self.mix.cells // cells), 1)


def held_out(
    sources: Sequence[Source], mix: Mix, *, batch_size: int = 64, batches: int = 4, patch_size: int = 8, seed: int = 0
) -> dict[str, list[Batch]]:
    """Make the validation batches, which no training reaches: the same ones for a seed, whatever else is trained on.

    Parameters
    ----------
    sources, mix, batch_size, patch_size
        As for `Stream`.
    batches
        Of each job over each source, their context lengths spread evenly over those of the mix; of labelled series
        there are as many as hold all that are held out, unchanged.

    Returns
    -------
    dict
        "JOB/SOURCE" → batches; sources of which nothing is held out are left out.

    Raises
    ------
    RecipeError
        As for `Stream`.
    DataError
        Nothing is held out at all.
    """
    stream = Stream(sources, mix, batch_size=batch_size, patch_size=patch_size, seed=seed)
    found: dict[str, list[Batch]] = {}
    for job, source in stream.pairs:
        if source.held_out is None:
            continue
        if job == "classify":
            places = by_size(with_labels(source.held_out).series, mix.cells)
            made = [labelled(source.held_out, some, source.name) for some in places]
        else:
            own, made = seed_of("held out", seed, job, source.name), []
            for number in range(batches):
                longest = mix.context_lengths[number * len(mix.context_lengths) // batches]
                rng = np.random.default_rng([own, BEYOND + number])
                made.append(stream.filling(job, source, source.held_out, longest, rng))
        found[f"{job}/{source.name}"] = made
    if not found:
        raise DataError("Nothing is held out to choose a checkpoint by: give more or longer series.")
    return found


def ahead(windows: Sequence[np.ndarray], kept: np.ndarray, horizon: int) -> Batch:
    """Make a batch that asks what follows.

    Parameters
    ----------
    windows
        Arrays (variables, time). The last steps of each are asked for: the horizon, but at most a third of it, so that
        there is a history twice as long.
    kept
        Steps of history at most, (windows,).
    horizon
        Steps ahead; what a short series lacks of them is not known.
    """
    contexts, wholes = [], []
    for window, keep in zip(windows, kept.tolist(), strict=True):
        steps = window.shape[1]
        after = min(horizon, max(steps // 3, 1)) if steps > 1 else 0
        context = begun(window[:, : steps - after][:, -keep:])
        unknown = np.full((len(window), horizon - after), np.nan, dtype=window.dtype)
        contexts.append(context)
        wholes.append(np.concatenate([context, window[:, steps - after :], unknown], axis=1))
    values, present = pad(contexts)
    truth, there = pad(wholes)
    future = torch.arange(truth.shape[-1]) >= truth.shape[-1] - horizon
    return {"values": values, "present": present, "task": "forecast", "truth": truth, "asked": there & future}


def hiding(windows: Sequence[np.ndarray], hidden: Sequence[np.ndarray], task: str) -> Batch:
    """Make a batch that asks what is hidden of windows (variables, time), True in arrays of the same shapes."""
    values, present = pad([np.where(gone, np.nan, one) for one, gone in zip(windows, hidden, strict=True)])
    truth, _ = pad(windows)
    asked = pad([gone.astype(np.float32) for gone in hidden])[0] > 0  # padding is NaN, which is not
    return {"values": values, "present": present, "task": task, "truth": truth, "asked": asked}


def labelled(windows: Windows, places: np.ndarray, task: str, rng: np.random.Generator | None = None) -> Batch:
    """Make a batch that asks for the classes of some labelled series, changed a little if there is a random generator.

    Raises
    ------
    DataError
        The series have no labels.
    """
    items = with_labels(windows)
    series = [items.series[place] for place in places.tolist()]
    values, present = pad(series if rng is None else [augment.augmented(one, rng) for one in series])
    return {"values": values, "present": present, "task": task, "labels": torch.from_numpy(items.labels[places])}
