"""Real series for pre-training: read, thinned of what a benchmark uses, split, and made coarser.

A series is held out whole, by a hash of its name, so a longer file or another order holds out the same ones; what is
held out chooses the checkpoint. It knows files and arrays, no model.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from stillroom.core.errors import DataError
from stillroom.core.recipes import filled_in
from stillroom.series.mixture import coarser
from stillroom.series.records import read_records

SHORTEST = 60  # steps: two contexts and horizons of the shortest kind


class Corpus(BaseModel):
    """The `corpus` part of a recipe.

    Parameters
    ----------
    path
        A `.jsonl.gz` with `source`, `item_id` and `target` a line; `$NAME` is replaced from the environment.
    name
        What leakage checks call it.
    exclude
        `item_id`s left out; say why in the recipe.
    held_out
        Share of the series that choose the checkpoint.
    factors
        Each series also comes averaged over so many steps: a fine one teaches coarse seasons too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    name: str
    exclude: tuple[str, ...] = ()
    held_out: float = Field(default=0.1, gt=0, lt=1)
    factors: tuple[PositiveInt, ...] = (1, 2, 3, 4, 6, 7, 12, 24, 48, 144)


@dataclass(frozen=True, eq=False)
class RealSeries:
    """What was read: parallel lists of arrays (time,) float32 and of where each comes from."""

    train: list[np.ndarray]
    sources: list[str]
    held_out: list[np.ndarray]
    held_out_sources: list[str]

    def weights(self) -> np.ndarray:
        """How often to draw each training series: by the root of its length, and between sources by the root again.

        Neither one long record nor one source of many short ones then makes up most of a batch.
        """
        weights: np.ndarray = np.sqrt([len(values) for values in self.train])
        sources = np.array(self.sources)
        for source in set(self.sources):
            mine = sources == source
            weights[mine] /= np.sqrt(weights[mine].sum())
        weights /= weights.sum()
        return weights


def read(corpus: Corpus) -> RealSeries:
    """Read the series of a corpus.

    Raises
    ------
    MissingError
        The path names an environment variable that is not set.
    DataError
        No such file, a line that is not as said, or an excluded series that is not there.
    """
    path = Path(filled_in(corpus.path))
    if not path.is_file():
        raise DataError(f"There is no corpus {path}: correct its path in the recipe.")
    real, seen = RealSeries([], [], [], []), set()
    try:
        for row in read_records(path):
            seen.add(row["item_id"])
            if row["item_id"] not in corpus.exclude:
                _add(real, corpus, row)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no corpus: each line needs source, item_id and target ({error}).") from error
    if missing := set(corpus.exclude) - seen:
        raise DataError(f"{path.name} has no series {sorted(missing)[0]!r} to exclude: correct the recipe.")
    return real


def _add(real: RealSeries, corpus: Corpus, row: dict[str, Any]) -> None:
    values = np.array([np.nan if value is None else value for value in row["target"]], dtype=np.float32)
    name = f"{row['source']}/{row['item_id']}".encode()
    chance = int.from_bytes(hashlib.sha256(name).digest()[:8], "big") / 2**64
    if chance < corpus.held_out:
        real.held_out.append(values)
        real.held_out_sources.append(row["source"])
        return
    series = [part.astype(np.float32) for part in coarser(values, corpus.factors, SHORTEST)]
    real.train.extend(series)
    real.sources.extend([row["source"]] * len(series))
