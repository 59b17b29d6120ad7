"""The series that a task names: the keys that every kind of task over series shares, and the reader behind them.

It knows where data sets come from, and nothing of what is asked about them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from stillroom.bench.tasks import is_path
from stillroom.core import registry
from stillroom.core.errors import DataError, RecipeError

if TYPE_CHECKING:
    from stillroom.series.panel import Panel

COLUMNS = (
    "targets", "item_id", "timestamp", "past_covariates", "known_covariates", "static_covariates", "freq",
)  # fmt: skip
"""Keys that say what the columns of a file mean; a kind may lack some."""


class SeriesTask(BaseModel):
    """A task over series, as a suite writes it; each kind adds `kind` and its own keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    dataset: str
    """A Chronos benchmark name, `hub:owner/repository/name`, `statsmodels:NAME`, a registered data set, or a path."""
    season_length: int | None = Field(None, gt=0)
    """Default: what the frequency suggests."""
    freq: str | None = None
    """Default: what the timestamps say."""
    targets: tuple[str, ...] | None = None
    """Default: the column `target`; of a file with one row a series, all lists of numbers, each a series of its own."""
    univariate: bool = False
    """Make every target a series of its own; without `targets`, every column of numbers."""
    item_id: str = "item_id"
    timestamp: str = "timestamp"
    max_series: int | None = Field(None, gt=0)
    """Take only the first so many series: a smaller task, with a key of its own."""


def read_panel(spec: SeriesTask) -> Panel:
    """The series a task names, all of them: of a file or prefixed source, a registered data set, or a Chronos name.

    Raises
    ------
    MissingError
        When they cannot be had here.
    DataError
        When they cannot be read, or there are none.
    RecipeError
        When columns are named of something that has none.
    """
    panel = _read(spec)
    if len(panel) == 0:
        raise DataError(f"task {spec.id}: {spec.dataset} has no series, so there is nothing to do")
    return panel.univariate() if spec.univariate else panel


def _read(spec: SeriesTask) -> Panel:
    fields = type(spec).model_fields
    options: dict[str, Any] = {
        name: getattr(spec, name) for name in COLUMNS if name in fields and getattr(spec, name) != fields[name].default
    }
    if ":" in spec.dataset or is_path(spec.dataset):
        from stillroom.series.intake import load

        if spec.univariate:  # which the default of a long table, one target, is not
            options["targets"] = spec.targets
        return load(spec.dataset, **options)
    if options:
        raise RecipeError(f"task {spec.id}: {', '.join(options)} can only be given for a file, not for {spec.dataset}")
    if spec.dataset in registry.names("stillroom.datasets"):
        panel: Panel = registry.get("stillroom.datasets", spec.dataset)()
        return panel
    from stillroom.series.intake import load_named

    return load_named(spec.dataset)
