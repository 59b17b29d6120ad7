"""What a model is trained on, as a recipe names it, read and split.

    series      real series of a pre-training corpus                   stillroom.series.corpus
    synthetic   made series                                            stillroom.series.mixture
    panels      series of one or more variables, up to a stated end    stillroom.series.intake
    classes     labelled series: the training split alone              stillroom.series.labelled
    normal      what anomaly detectors learn from: no test part        stillroom.series.anomalous

What a benchmark judges by is cut off where it is read. Of what is left a part is held out, to choose the checkpoint by.
It knows no model, and of the jobs only the names.
"""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, field_validator, model_validator

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.recipes import filled_in
from stillroom.series import anomalous, corpus, intake, labelled
from stillroom.series.mixture import SYNTHETIC, coarser
from stillroom.series.panel import Item
from stillroom.units.windows import FEWEST, Items, Labelled, Synthetic, Windows

Fill = Literal["forecast", "impute", "detect"]
Job = Literal["forecast", "impute", "detect", "classify"]
FILLS: tuple[Fill, ...] = ("forecast", "impute", "detect")
EVERY: dict[Fill, float] = dict.fromkeys(FILLS, 1.0)

FEW = 10
"""Items under which the last steps of each are held out, and not whole items."""
FACTORS = (1, 4, 24)
"""Held-out series of a corpus also come averaged over so many steps."""


class Part(BaseModel):
    """What all parts of `sources` share."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Series(corpus.Corpus):
    """A pre-training corpus; what is not said here stands in `stillroom.series.corpus.Corpus`.

    Series of one source and one length are taken to have been measured together.

    Parameters
    ----------
    jobs
        How often it serves each job, beside the other sources of that job; one that is not named it does not serve.
    multivariate
        Share of its batches whose windows have several variables.
    mixed
        Share of the windows of one variable that are a TSMixup of several.
    """

    jobs: dict[Fill, PositiveFloat] = Field(default=EVERY, min_length=1)
    multivariate: float = Field(default=0.25, ge=0, le=1)
    mixed: float = Field(default=0.5, ge=0, le=1)


class Made(Part):
    """Synthetic series.

    Parameters
    ----------
    shares
        See `stillroom.series.mixture.Mixture`; the synthetic sources alone.
    jobs, multivariate
        As for `Series`; several variables have nothing to do with each other.
    """

    shares: dict[str, PositiveFloat] = Field(min_length=1)
    jobs: dict[Fill, PositiveFloat] = Field(default=EVERY, min_length=1)
    multivariate: float = Field(default=0.15, ge=0, le=1)

    @field_validator("shares")
    @classmethod
    def _known(cls, shares: dict[str, float]) -> dict[str, float]:
        for name in shares:
            if name not in SYNTHETIC:
                near = difflib.get_close_matches(name, SYNTHETIC, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(SYNTHETIC)}"
                raise ValueError(f"no series are made by the name of {name!r}: {hint}")
        return shares


class Measured(Part):
    """A panel.

    Parameters
    ----------
    name
        What reports and leakage checks call it: a benchmark's name of it where there is one.
    source
        Anything that `stillroom.series.intake.load` takes; `$NAME` is replaced from the environment.
    end
        Only the steps before this one are read: so many from the start of each series, or, if negative, all but so
        many at its end; null: all. It has no default: say it, and no test month is learnt by mistake.
    together
        Names of items and the ids of the series that are their variables, where a data set keeps them apart; other
        series are left out. Default: the items as they are.
    held_out
        Share of it that chooses the checkpoint: the last steps of each item, or, of at least `FEW` items, whole ones
        by a hash of their ids.
    jobs, multivariate
        As for `Series`.
    """

    name: str
    source: str
    end: int | None
    together: dict[str, tuple[str, ...]] = {}
    held_out: float = Field(default=0.1, gt=0, lt=1)
    jobs: dict[Fill, PositiveFloat] = Field(default=EVERY, min_length=1)
    multivariate: float = Field(default=0.75, ge=0, le=1)

    @field_validator("end")
    @classmethod
    def _something(cls, end: int | None) -> int | None:
        if end == 0:
            raise ValueError("would leave nothing: write null for all steps")
        return end


class Classes(Part):
    """Labelled series. Only those of the training split are touched.

    Parameters
    ----------
    source
        Anything that `stillroom.series.labelled.load` takes; `$NAME` is replaced from the environment.
    name
        The model's name of the task; default: what comes last in `source`.
    held_out
        Share of the training series that chooses the checkpoint, by a hash of their values. The last one that is left
        of a class is kept to learn from.
    jobs
        As for `Series`; the series can serve the other jobs too.
    multivariate
        As for `Series`; when a class is asked for, all variables are seen.
    """

    source: str
    name: str = ""
    held_out: float = Field(default=0.1, gt=0, lt=1)
    jobs: dict[Job, PositiveFloat] = Field(default={"classify": 1.0}, min_length=1)
    multivariate: float = Field(default=0.75, ge=0, le=1)

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.name or Path(self.source.rpartition(":")[2]).stem


class Normal(Part):
    """What is normal: the training parts of series with anomalies, such as NASA's telemetry and NAB's probation.

    Parameters
    ----------
    source
        Anything that `stillroom.series.anomalous.load` takes, such as `telemetry:SMAP` and `nab:`; `$NAME` is replaced
        from the environment.
    held_out
        Share of the series that chooses the checkpoint, by a hash of their ids.
    jobs, multivariate
        As for `Series`.
    """

    source: str
    held_out: float = Field(default=0.1, gt=0, lt=1)
    jobs: dict[Fill, PositiveFloat] = Field(default={"detect": 1.0}, min_length=1)
    multivariate: float = Field(default=0.75, ge=0, le=1)


class Sources(Part):
    """The `sources` part of a recipe."""

    series: tuple[Series, ...] = ()
    synthetic: Made | None = None
    panels: tuple[Measured, ...] = ()
    classes: tuple[Classes, ...] = ()
    normal: tuple[Normal, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Sources:
        names = [part.name for part in self.series] + [part.name for part in self.panels]
        names += [part.task for part in self.classes] + [part.source for part in self.normal]
        names += [*FILLS, "synthetic"]
        if twice := [name for name, times in Counter(names).items() if times > 1]:
            raise ValueError(f"two sources or jobs are called {twice[0]!r}: give one another name")
        return self


@dataclass(frozen=True, eq=False)
class Source:
    """A source, read.

    Parameters
    ----------
    name
        Its own among all sources; of labelled series the name of the task.
    jobs
        How often it serves each job, beside the other sources of that job.
    multivariate
        Share of its batches whose windows have several variables.
    train, held_out
        What is learnt from; what chooses the checkpoint, None where there is too little.
    classes
        The names of the classes, sorted; None: it has none.
    data
        What leakage checks call the data sets in it.
    """

    name: str
    jobs: Mapping[Job, float]
    multivariate: float
    train: Windows
    held_out: Windows | None
    classes: tuple[str, ...] | None = None
    data: tuple[str, ...] = ()

    def learnt(self) -> Iterator[np.ndarray]:
        """Yield every real series (time,) that is trained on, for a `stillroom.series.overlap.Index`."""
        for values in self.train.series if isinstance(self.train, Items) else ():
            yield from values


def read(sources: Sources) -> list[Source]:
    """Read everything that a recipe names.

    Raises
    ------
    RecipeError
        It names nothing.
    MissingError
        An environment variable is not set, or a data set or the package to read it with is not here.
    DataError
        A file is not there or not what it should be, or nothing is left of it before its stated end.
    """
    found = [_series(part) for part in sources.series]
    if sources.synthetic is not None:
        made = Synthetic(sources.synthetic.shares)
        found.append(Source("synthetic", _jobs(sources.synthetic.jobs), sources.synthetic.multivariate, made, made))
    found += [_panel(part) for part in sources.panels]
    found += [_classes(part) for part in sources.classes]
    found += [_normal(part) for part in sources.normal]
    if not found:
        raise RecipeError("The recipe names no sources to train on: give series, synthetic, panels, classes or normal.")
    return found


def tasks(sources: Iterable[Source]) -> dict[str, list[str] | None]:
    """Return the tasks that a model of these sources has, with their classes: the `tasks` of its config."""
    found: dict[str, list[str] | None] = dict.fromkeys(FILLS)
    return found | {source.name: list(source.classes) for source in sources if source.classes is not None}


def apart(names: Sequence[bytes], share: float) -> np.ndarray:
    """Say which of some things are held out, (things,): a share of them, by a hash of their names, at least one.

    Their order does not matter, and things of one name are held out together. Of things that are all alike, or of one
    alone, none is.
    """
    chances = np.array([int.from_bytes(hashlib.sha256(name).digest()[:8], "big") for name in names], dtype=np.uint64)
    last = np.sort(chances)[max(round(share * len(chances)), 1) - 1]
    chosen: np.ndarray = chances <= last
    return chosen & ~chosen.all()


def _jobs(jobs: Mapping[Fill, float]) -> dict[Job, float]:
    return dict(jobs.items())


def _series(part: Series) -> Source:
    real = corpus.read(part)
    train = _together(real.train, real.sources, part.mixed)
    if train is None:
        raise DataError(f"The corpus {part.name} has no series to learn from that is long enough.")
    coarse = [
        (shorter.astype(np.float32), source)
        for values, source in zip(real.held_out, real.held_out_sources, strict=True)
        for shorter in coarser(values, FACTORS, corpus.SHORTEST)
    ]
    held_out = _together([values for values, _ in coarse], [source for _, source in coarse], 0.0)
    return Source(part.name, _jobs(part.jobs), part.multivariate, train, held_out, data=(part.name,))


def _together(series: Sequence[np.ndarray], sources: Sequence[str], mixed: float) -> Items | None:
    """Make the series of one source and one length an item; how often each is drawn stays as the corpus says."""
    if not len(series):
        return None
    weights = corpus.RealSeries(list(series), list(sources), [], []).weights()
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    for place, (values, source) in enumerate(zip(series, sources, strict=True)):
        groups[source, len(values)].append(place)
    items = [np.stack([series[place] for place in places]) for places in groups.values()]
    chances = np.array([weights[places].sum() for places in groups.values()])
    return Items(items, chances, mixed=mixed)


def _panel(part: Measured) -> Source:
    panel = intake.load(filled_in(part.source))
    named = {name: panel.joined(ids, name) for name, ids in part.together.items()}
    if not named:
        named = {str(item.item_id): item for item in panel}
    series = {name: _before(item, part) for name, item in named.items()}
    series = {name: values for name, values in series.items() if values.shape[1] >= FEWEST}
    if not series:
        raise DataError(f"The panel {part.name} has no series of {FEWEST} steps before its end {part.end}.")
    if len(series) >= FEW:
        names = [f"{part.name}/{name}".encode() for name in series]
        train, held_out = _divided(list(series.values()), apart(names, part.held_out))
    else:
        cuts = [max(round((1 - part.held_out) * values.shape[1]), FEWEST) for values in series.values()]
        train = [values[:, :cut] for values, cut in zip(series.values(), cuts, strict=True)]
        held_out = [values[:, cut:] for values, cut in zip(series.values(), cuts, strict=True)]
        held_out = [values for values in held_out if values.shape[1] >= FEWEST]
    rest = Items(held_out) if held_out else None
    return Source(part.name, _jobs(part.jobs), part.multivariate, Items(train), rest, data=(part.name,))


def _divided(series: Sequence[np.ndarray], held_out: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Series to learn from, and those held out."""
    both: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for values, held in zip(series, held_out.tolist(), strict=True):
        both[held].append(values)
    return both


def _before(item: Item, part: Measured) -> np.ndarray:
    """The steps before the stated end, float32; none of a series that a negative end takes whole."""
    if part.end is not None and part.end > item.length:
        raise DataError(
            f"Item {item.item_id!r} of {part.name} has {item.length} steps, so it does not reach the end at step "
            f"{part.end}: name its steps from the end, as in -24, or leave it out."
        )
    return item.target[:, : part.end].astype(np.float32)


def _classes(part: Classes) -> Source:
    split = labelled.load(filled_in(part.source))
    names = split.classes
    labels = np.searchsorted(names, split.train_labels)
    series = [np.asarray(values, dtype=np.float32) for values in split.train]
    chosen = apart([values.tobytes() for values in series], part.held_out)
    for number in range(len(names)):
        mine = np.flatnonzero(labels == number)
        if chosen[mine].all():
            chosen[mine[0]] = False
    train, held_out = _divided(series, chosen)
    return Source(
        part.task,
        part.jobs,
        part.multivariate,
        Labelled(train, np.ones(len(train)), labels=labels[~chosen]),
        Labelled(held_out, np.ones(len(held_out)), labels=labels[chosen]) if held_out else None,
        tuple(str(name) for name in names),
        (part.source,),
    )


def _normal(part: Normal) -> Source:
    found = anomalous.load(filled_in(part.source))
    items = [item for item in found.items if item.train.shape[1] >= FEWEST]
    if not items:
        raise DataError(f"No training part of {part.source} has {FEWEST} steps.")
    chosen = apart([f"{part.source}/{item.item_id}".encode() for item in items], part.held_out)
    series = [item.train.astype(np.float32) for item in items]
    train, held_out = _divided(series, chosen)
    data: tuple[str, ...] = (part.source,)
    if part.source == "nab:":  # each of whose categories is a data set by itself elsewhere
        data = tuple(sorted({f"nab:{item.item_id.partition('/')[0]}" for item in items}))
    rest = Items(held_out) if held_out else None
    return Source(part.source, _jobs(part.jobs), part.multivariate, Items(train), rest, data=data)
