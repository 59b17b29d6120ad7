"""What a model must be able to do, one Protocol a task kind; it holds no arrays and no code.

Windows are made by stillroom.series, which stands above core; here is only what a model may read of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np


class Window(Protocol):
    """The past of some series and how far to look ahead; the truth is not in it."""

    @property
    def past(self) -> Any:
        """The history of every item, its covariates known in advance reaching over the horizon (a series.Panel)."""

    @property
    def prediction_length(self) -> int:
        """The horizon, in time steps."""

    @property
    def season_length(self) -> int:
        """Time steps in one season; 1 where there is none."""


@runtime_checkable
class Forecaster(Protocol):
    """A model that forecasts."""

    def predict(self, window: Any, quantile_levels: Sequence[float]) -> np.ndarray:
        """Return quantiles (items, targets, horizon, levels), sorted over the levels; `window` is a `Window`."""


@runtime_checkable
class Classifier(Protocol):
    """A model that learns classes from labelled series and tells others apart.

    A series is an array (variables, time); NaN = missing. Series may be of different lengths, never of different
    variables.
    """

    def fit_classes(self, series: Sequence[np.ndarray], labels: np.ndarray) -> None:
        """Learn from series and their labels (items,); what was learned before is forgotten."""

    def classify(self, series: Sequence[np.ndarray]) -> np.ndarray:
        """Return probabilities (items, classes), the classes in the order of `np.unique` of the labels learned."""


@runtime_checkable
class Imputer(Protocol):
    """A model that fills gaps."""

    def impute(self, series: Sequence[np.ndarray], season_length: int) -> list[np.ndarray]:
        """Return the series (variables, time) with a number for every NaN and what was observed as it was."""


@runtime_checkable
class Detector(Protocol):
    """A model that knows what is normal in a series and says how far from it others are."""

    def fit_normal(self, series: np.ndarray, season_length: int) -> None:
        """Learn from a series (variables, time) without labels; what was learned before is forgotten."""

    def detect(self, series: np.ndarray) -> np.ndarray:
        """Return a score a step (time,), finite; the higher, the stranger."""


class Kept(Protocol):
    """What a compressor left of a text."""

    @property
    def kept(self) -> Sequence[tuple[int, int]]:
        """The stretches of the text that stay, as (start, end) in characters, in order."""


@runtime_checkable
class Compressor(Protocol):
    """A model that shortens texts by leaving some of their words out."""

    def compress_many(self, texts: Iterable[str], *, rate: float) -> Iterable[Kept]:
        """Yield what is left of each text, in order: about `rate` of its tokens, in (0, 1]."""


@runtime_checkable
class Labeller(Protocol):
    """A model that answers rows of text: with one of some classes, or in its own words."""

    def label(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        examples: Sequence[Mapping[str, Any]],
        classes: Sequence[str] | None,
    ) -> Sequence[str | None]:
        """Return an answer for each row, in order; None where there is none.

        A row has a text `input`, and what other columns its data set has. `examples` are other rows of the set, each
        with its right `answer`, to learn from or to show. `classes` are the answers there are; None: any text.
        """


@runtime_checkable
class Generator(Protocol):
    """A model that answers rows of text in its own words."""

    def answer(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        prompt: Mapping[str, Any] | None,
        max_new_tokens: int | None,
    ) -> Sequence[str | None]:
        """Return an answer for each row, in order; None where there is none, or one that was cut before it ended.

        All rows come at once, so that a model can batch them. A row has a text `input`, and what other columns its
        data set has. `prompt` says what is asked: `system`, `user` (a Jinja2 template over the columns), `form` and
        `examples` (each with `input` and `answer`); None: whatever the model is used to. `max_new_tokens` is the room
        of an answer in the model's own tokens; None: as much as the model finds right.
        """
