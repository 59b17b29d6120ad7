"""What a training leaves in its folder: the whole model, and what it and its base were trained on.

By names and by hashed windows a benchmark sees whether a score is of data that was trained on. It knows no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stillroom.core import halves
from stillroom.core.folders import record
from stillroom.core.progress import without_bars
from stillroom.series.overlap import Index
from stillroom.units.sources import Source

INDEX = "trained_on.npz"
EVERY = 64
"""Of the hashes of what was trained on, one of so many is kept: a small file that still sees any overlap."""


def content(sources: Sequence[Source], base: str | None = None) -> dict[str, Any]:
    """Return what a Run says of its data: the names of the sets, also of those of its base, and how many series.

    Parameters
    ----------
    base
        The folder of the model that the training began with.
    """
    names = {name for source in sources for name in source.data}
    if base is not None:
        known = record(Path(base) / "run.json").get("data", {})  # a base that was not made here says nothing
        names |= set(known.get("trained_on", []))
    counts = {source.name: sum(1 for _ in source.learnt()) for source in sources}
    return {"trained_on": sorted(names), "series": {name: count for name, count in counts.items() if count}}


def save(network: Any, folder: Path, sources: Sequence[Source], base: str | None = None) -> None:
    """Write a model in half precision, which loads as float32, and the index of the real series it was trained on.

    Parameters
    ----------
    network
        A `UnitsModel` on the CPU.
    base
        As for `content`.
    """
    with without_bars():
        halves.save_pretrained(network, folder)
    index = Index.of((series for source in sources for series in source.learnt()), every=EVERY)
    if base is not None and (Path(base) / INDEX).is_file():
        before = Index.load(Path(base) / INDEX)
        index = Index(np.union1d(index.hashes, before.hashes[before.hashes % EVERY == 0]), every=EVERY)
    if len(index.hashes):
        index.save(folder / INDEX)
