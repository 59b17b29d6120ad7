"""What a network is worth on data that was held out: to choose a checkpoint by, and to be judged by.

The loss of an item is between zero and a few in every job, so that jobs can be averaged and gains added up:

    forecast, impute, detect    twice the pinball loss, in the scales of each variable, averaged over levels and steps
    classify                    the Brier score: the squared distance of the probabilities from what was true

Half of what is held out chooses and half judges, so a verdict is not flattered by the choice. What judges is cut into
windows that do not overlap, and each counts as an item. It knows no training and no adapter.

References
----------
Brier (1950), Verification of Forecasts Expressed in Terms of Probability. Unlike accuracy it tells two networks apart
by a handful of items, and unlike the log loss no single item that a network was sure of outweighs the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stillroom.core.errors import DataError
from stillroom.core.evaluating import evaluating
from stillroom.core.gate import Verdict, judge
from stillroom.core.objectives import pinball
from stillroom.core.seeds import seed_of
from stillroom.units import masks
from stillroom.units.arrays import by_size
from stillroom.units.losses import bare, known
from stillroom.units.sources import Job, Source
from stillroom.units.stream import HIDDEN, Batch, Mix, Stream, ahead, hiding, labelled
from stillroom.units.windows import FEWEST, Items, Labelled, Windows, with_labels

Held = Mapping[str, Sequence[Batch]]
"""Batches by "JOB/SOURCE"."""

MOST = 400
"""Windows of one source that judge, at most: more cost time and tell little more."""


@dataclass(frozen=True, eq=False)
class Marks:
    """What was found of a network.

    Parameters
    ----------
    losses
        By "JOB/SOURCE", the losses of all items that have anything to be judged by, (items,).
    right
        By source, whether the class that was said is the true one, 0 or 1, (items,); of sources with classes alone.
    """

    losses: dict[str, np.ndarray]
    right: dict[str, np.ndarray]

    def means(self) -> dict[str, float]:
        """Return the mean loss of each "JOB/SOURCE", and "accuracy/SOURCE" where there are classes."""
        found = {name: float(losses.mean()) for name, losses in self.losses.items()}
        return found | {f"accuracy/{name}": float(right.mean()) for name, right in self.right.items()}


def examine(held: Held, network: nn.Module, other: Callable[[Batch], Batch] | None = None) -> Marks:
    """Judge a network by batches that were held out; what has nothing to be judged by is left out.

    Parameters
    ----------
    network
        A `UnitsModel`, bare or within an adapter. It is left in the mode it was in.
    other
        Judge instead the forecasts that this says of a batch, `teacher_quantiles` (rows, variables, horizon, levels) in
        the units of the series, at the network's levels and on its scales. What it says nothing of is left out.
    """
    losses: dict[str, list[np.ndarray]] = {}
    right: dict[str, list[np.ndarray]] = {}
    with evaluating(network):
        for name, batches in held.items():
            for batch in batches:
                said = None if other is None else other(batch).get("teacher_quantiles")
                if other is not None and said is None:
                    continue
                own, said_right = _judged(network, batch, said)
                losses.setdefault(name, []).append(own[np.isfinite(own)])
                if said_right is not None:
                    right.setdefault(name.partition("/")[2], []).append(said_right)
    return Marks(_joined(losses), _joined(right))


def assess(held: Held, weights: Mapping[str, float], network: nn.Module) -> dict[str, float]:
    """Return what a network is worth by batches that were held out, as `DistillTrainer` asks for it.

    Parameters
    ----------
    held
        Batches by "JOB/SOURCE".
    weights
        How much each of them counts in `loss`.

    Returns
    -------
    dict
        `loss`, the weighted mean, and what `Marks.means` says.
    """
    marks = examine(held, network)
    means = marks.means()
    total = sum(weights[name] for name in marks.losses)
    loss = sum(weights[name] * means[name] for name in marks.losses)
    return {"loss": loss / total if total else float("nan"), **means}


def verdict(candidate: Marks, baseline: Marks) -> Verdict:
    """Judge by all items at once; every job over every source weighs alike, however many items it has.

    Parameters
    ----------
    candidate, baseline
        What `examine` found of each, by the same batches.
    """
    ours, others = [], []
    for name, losses in baseline.losses.items():
        scale = losses.sum() or len(losses)
        ours.append(candidate.losses[name] / scale)
        others.append(losses / scale)
    return judge(np.concatenate(ours), np.concatenate(others))


def parted(sources: Sequence[Source]) -> tuple[list[Source], list[Source]]:
    """Divide what every source holds out between choosing and judging.

    Items go to one of the two by turns, labelled ones class by class. Of a single item the later half chooses, nearest
    to what will be asked of the network, and the earlier one judges. Made series are drawn anew for either.
    """
    both = [(source, *_halves(source.held_out)) for source in sources]
    return [replace(s, held_out=chooses) for s, chooses, _ in both], [replace(s, held_out=own) for s, _, own in both]


def judges(sources: Sequence[Source], mix: Mix, *, patch_size: int = 8, seed: int = 0) -> dict[str, list[Batch]]:
    """Make the batches that judge: of real series, windows that do not overlap, at most `MOST` a source.

    Windows are as long as the median of `mix.context_lengths` and, to forecast, the longest horizon that half of it
    leaves room for.

    Parameters
    ----------
    sources
        With what judges held out, as `parted` returns them second; one without anything is left out.
    mix, patch_size
        As for `stillroom.units.stream.Stream`.
    seed
        Of what is hidden, and of made series.

    Raises
    ------
    DataError
        Nothing is held out at all.
    """
    stream = Stream(sources, mix, batch_size=64, patch_size=patch_size, seed=seed)
    found: dict[str, list[Batch]] = {}
    for job, source in stream.pairs:
        if source.held_out is None:
            continue
        rng = np.random.default_rng(seed_of("judges", seed, job, source.name))
        if job == "classify":
            items = with_labels(source.held_out)
            made = [labelled(items, places, source.name) for places in by_size(items.series, mix.cells)]
        else:
            made = _filling(job, source.held_out, mix, patch_size, rng)
        found[f"{job}/{source.name}"] = made
    if not found:
        raise DataError("Nothing is held out to judge by: give more or longer series, or hold out a larger share.")
    return found


def some(items: Items, places: np.ndarray) -> Items:
    """Return the items at these places, with their weights and labels."""
    changes: dict[str, Any] = {"series": [items.series[place] for place in places.tolist()]}
    if items.weights is not None:
        changes["weights"] = items.weights[places]
    if isinstance(items, Labelled):
        changes["labels"] = items.labels[places]
    return replace(items, **changes)


def _joined(parts: Mapping[str, Sequence[np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays end to end, of each name that has any item."""
    joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    return {name: values for name, values in joined.items() if len(values)}


def _judged(network: Any, batch: Batch, quantiles: Tensor | None) -> tuple[np.ndarray, np.ndarray | None]:
    """The loss of each row, NaN where it has nothing to be judged by, and of classes whether the right one was said."""
    device = next(network.parameters()).device
    batch = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}
    horizon = batch["truth"].shape[-1] - batch["values"].shape[-1] if "truth" in batch else 0
    said = network(values=batch["values"], present=batch["present"], horizon=horizon, task=batch["task"])
    if "labels" in batch:
        shares, labels = said.class_logits.float().softmax(dim=-1), batch["labels"]
        brier = (shares - functional.one_hot(labels, shares.shape[-1])).square().sum(dim=-1)
        return brier.cpu().numpy(), (shares.argmax(-1) == labels).double().cpu().numpy()
    truth, counts = known(batch, said) or (None, None)
    if truth is None or counts is None:
        return np.full(len(batch["values"]), np.nan), None
    answer = said.quantiles
    if quantiles is not None:
        steps = quantiles.shape[2]
        answer = (quantiles.to(device).float() - said.loc[..., None]) / said.scale[..., None]
        truth, counts = truth[..., -steps:], counts[..., -steps:] & answer.isfinite().all(dim=-1)
    answer = torch.nan_to_num(answer).sort(dim=-1).values.transpose(-1, -2)  # (rows, variables, levels, steps)
    levels, losses = bare(network).config.quantiles, np.full(len(truth), np.nan)
    for row in torch.nonzero(counts.flatten(1).any(dim=1)).flatten().tolist():
        losses[row] = 2 * pinball(answer[row], truth[row], levels, counts[row]).item()
    return losses, None


def _halves(held_out: Windows | None) -> tuple[Windows | None, Windows | None]:
    """What chooses and what judges."""
    if not isinstance(held_out, Items):  # nothing, or made series
        return held_out, held_out
    if len(held_out.series) == 1 and not isinstance(held_out, Labelled):
        (values,) = held_out.series
        middle = values.shape[1] // 2
        if middle < FEWEST:
            return held_out, None
        return Items([values[:, middle:]]), Items([values[:, :middle]])
    order = np.arange(len(held_out.series))
    if isinstance(held_out, Labelled):
        order = np.argsort(held_out.labels, kind="stable")
    both = np.sort(order[::2]), np.sort(order[1::2])
    chooses, other = (some(held_out, places) if len(places) else None for places in both)
    return chooses, other


def _filling(job: Job, held_out: Windows, mix: Mix, patch_size: int, rng: np.random.Generator) -> list[Batch]:
    """Batches of a job that fills in values, over everything that a source holds out."""
    context = int(np.median(mix.context_lengths))
    horizon = 0
    if job == "forecast":
        horizon = max(min(mix.horizons[1], context // 2), mix.horizons[0])
    length = context + horizon
    if isinstance(held_out, Items):
        cut = [part for values in held_out.series for part in _apart(values, mix.variables, length)]
        if len(cut) > MOST:
            cut = [cut[place] for place in np.sort(rng.permutation(len(cut))[:MOST]).tolist()]
    else:
        cut = held_out.draw(rng, MOST // 4, length, 1)
    made = []
    for places in by_size(cut, mix.cells):
        windows = [cut[place] for place in places.tolist()]
        if job == "forecast":
            made.append(ahead(windows, np.full(len(windows), context), horizon))
        else:
            seen = [np.isfinite(window) for window in windows]
            hidden = [masks.draw(one, rng, kinds=HIDDEN[job], patch_size=patch_size) for one in seen]
            made.append(hiding(windows, hidden, job))
    return made


def _apart(values: np.ndarray, variables: int, length: int) -> list[np.ndarray]:
    """Cut a series (variables, time) into windows that do not overlap and end where it ends; a short one is whole.

    One of many variables is cut into groups of them, too.
    """
    length = min(length, values.shape[1])
    count = values.shape[1] // length
    groups = np.split(values[:, values.shape[1] - count * length :], range(variables, len(values), variables))
    return [part for group in groups for part in np.split(group, count, axis=1)]
