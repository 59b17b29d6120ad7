"""What a kind of task is: its spec, what a model must be able to do for it, its metrics, its pictures.

Kinds register themselves under the entry-point group `stillroom.tasks`. The runner, the leaderboard and the report know
a kind by nothing but the shape below.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel

from stillroom.core import registry

if TYPE_CHECKING:
    import pandas as pd

    from stillroom.bench.examples import Example


class Kind(Protocol):
    """What a package registers under `stillroom.tasks` to bring a kind of task; any object of this shape will do."""

    name: str
    """What `kind:` says in a suite."""
    spec: type[BaseModel]
    """The pydantic model of one task. Has the fields `id`, `kind` and `dataset`; unknown keys are forbidden."""
    protocol: type
    """What a model must be able to do: a Protocol that can be checked at run time, as those of `core.protocols`."""
    baseline: str
    """The registered model that joins every run, and that all scores are relative to."""
    metrics: tuple[str, ...]
    """The headline metrics; the first of them ranks the leaderboard."""
    higher: frozenset[str]
    """Those of all its metrics that are shares with 1 as the best; the leaderboard compares 1 - score. In all others
    lower is better and 0 is perfect."""
    meaning: Mapping[str, str]
    """What each headline metric says, in a line for people; a kind may go without."""

    @property
    def version(self) -> str:
        """Changes whenever the same predictions would get another score."""

    def load(self, spec: Any) -> Any:
        """Return the task's data: `fingerprint` is a hash of its content, `size` the number of values that a model is
        asked for. Where they are series, `shared(index)` says how much of them a `stillroom.series.overlap.Index` has.

        Raises `MissingError` when the data cannot be had here (the task is skipped), and another `UserError` when the
        task cannot be meant as written (nothing is run at all).
        """

    def predict(self, model: Any, spec: Any, data: Any, fitting: Stopwatch) -> pd.DataFrame:
        """Ask the model for everything the task wants; the frame is kept, so that it can be scored again.

        What a model learns from the task's own training part is learned `with fitting:`, and so timed by itself.
        """

    def score(self, spec: Any, data: Any, predictions: pd.DataFrame) -> dict[str, float]:
        """Metrics by their upper-case names."""

    def examples(self, spec: Any, data: Any, predictions: pd.DataFrame) -> Sequence[Example]:
        """The best, the median and the worst item, to be drawn; empty where a picture says nothing."""


class Stopwatch:
    """Counts the seconds spent `with` it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._start = 0.0

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds += time.perf_counter() - self._start


def kind_of(name: str) -> Kind:
    """The registered kind of that name."""
    kind: Kind = registry.get("stillroom.tasks", name)
    return kind
