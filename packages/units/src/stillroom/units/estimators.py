"""The four jobs as scikit-learn has them: estimators that can be cloned, searched over, and put into pipelines.

X is an array (items, variables, time) or (items, time), or a list of arrays (variables, time) or (time,), which may be
of unequal lengths: what aeon's loaders give. NaN is a missing value. What comes back has the form of what was given.
An estimator holds parameters until it is fitted; the network's weights are loaded once and never change.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, OutlierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from stillroom.core.errors import DataError
from stillroom.units.units import DECILES, Units


class _Series(BaseEstimator):  # type: ignore[misc]
    """What the four have in common: a model by name or in hand, and series as input."""

    model: Any
    device: str

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def _opened(self) -> Units:
        """The model, with nothing learned beside its weights."""
        if isinstance(self.model, Units):
            return self.model.fresh()
        return _loaded(str(Path(self.model).expanduser()), self.device).fresh()


class UnitsForecaster(_Series):
    """Forecast what follows series.

    Parameters
    ----------
    model
        A folder, a hub id, a registered name, or a `Units`.
    prediction_length
        Steps to forecast.
    quantile_levels
        Of `predict_quantiles`.
    context_length
        Read at most so many of the last steps; None: as many as the model has room for.
    device
        Where the model computes, if it is named.
    """

    def __init__(
        self,
        model: Any = "units",
        *,
        prediction_length: int = 24,
        quantile_levels: Sequence[float] = DECILES,
        context_length: int | None = None,
        device: str = "cpu",
    ) -> None:
        self.model = model
        self.prediction_length = prediction_length
        self.quantile_levels = quantile_levels
        self.context_length = context_length
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check X and load the model, which forecasts series it never saw; y is not looked at."""
        from stillroom.units.arrays import as_series

        as_series(X)
        self.units_ = self._opened()
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return medians (items, variables, prediction_length), without the middle axis if X has none."""
        return self._quantiles(X, [0.5])[..., 0]

    def predict_quantiles(self, X: Any) -> np.ndarray:
        """Return quantiles (items, variables, prediction_length, levels), or (items, prediction_length, levels)."""
        return self._quantiles(X, self.quantile_levels)

    def score(self, X: Any, y: Any) -> float:
        """Return minus the mean absolute error of the medians; y is shaped like what `predict` returns."""
        truth = np.asarray(y, dtype=np.float64)
        found = self.predict(X)
        if truth.shape != found.shape:
            raise DataError(f"What came has the shape {truth.shape}, and the forecast {found.shape}.")
        return -float(np.nanmean(np.abs(truth - found)))

    def _quantiles(self, X: Any, levels: Sequence[float]) -> np.ndarray:
        from stillroom.units import forecast
        from stillroom.units.arrays import as_series

        check_is_fitted(self, "units_")
        network = self.units_.model
        found = np.stack(
            forecast.quantiles(
                network, as_series(X), self.prediction_length, levels, context_length=self.context_length
            )
        )
        return found[:, 0] if _is_flat(X) else found


class UnitsClassifier(ClassifierMixin, _Series):  # type: ignore[misc]
    """Learn classes of series.

    Parameters
    ----------
    model
        A folder, a hub id, a registered name, or a `Units`.
    head, moves, steps, batch_size, learning_rate
        As in `classify.Lesson`.
    random_state
        Its seed.
    device
        Where the model computes, if it is named.
    """

    def __init__(
        self,
        model: Any = "units",
        *,
        head: str = "auto",
        moves: str = "tokens",
        steps: int = 200,
        batch_size: int = 16,
        learning_rate: float | None = None,
        random_state: int = 0,
        device: str = "cpu",
    ) -> None:
        self.model = model
        self.head = head
        self.moves = moves
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from series and the class of each (items,)."""
        units = self._opened()
        units.fit_classes(
            X,
            y,
            head=self.head,
            moves=self.moves,
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            seed=self.random_state,
        )
        assert units.learned is not None
        self.units_, self.classes_ = units, units.learned.classes
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities (items, classes), in the order of `classes_`."""
        check_is_fitted(self, "units_")
        found: np.ndarray = self.units_.classify(X)
        return found

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of each series."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        found: np.ndarray = self.classes_[likeliest]
        return found


class UnitsImputer(TransformerMixin, _Series):  # type: ignore[misc]
    """Fill what is missing of series.

    Parameters
    ----------
    model
        A folder, a hub id, a registered name, or a `Units`.
    device
        Where the model computes, if it is named.
    """

    def __init__(self, model: Any = "units", *, device: str = "cpu") -> None:
        self.model = model
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check X and load the model, which fills series it never saw."""
        from stillroom.units.arrays import as_series

        as_series(X)
        self.units_ = self._opened()
        return self

    def transform(self, X: Any) -> Any:
        """Return X with a number for every NaN, and what was observed as it was."""
        check_is_fitted(self, "units_")
        return _like(X, self.units_.impute(X))


class UnitsDetector(OutlierMixin, _Series):  # type: ignore[misc]
    """Learn what is normal in records, and find the steps of others that are not.

    Parameters
    ----------
    model
        A folder, a hub id, a registered name, or a `Units`.
    season_length
        Steps in one cycle.
    quantile
        A step is an outlier whose score is above this quantile of those of the records that were learned from.
    device
        Where the model computes, if it is named.
    """

    def __init__(
        self, model: Any = "units", *, season_length: int = 1, quantile: float = 0.99, device: str = "cpu"
    ) -> None:
        self.model = model
        self.season_length = season_length
        self.quantile = quantile
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from records of the same variables, taken as normal; y is not looked at."""
        from stillroom.units.arrays import as_series

        units = self._opened()
        units.fit_normal(as_series(X), self.season_length)
        self.units_, self.offset_ = units, -units.threshold(self.quantile)
        return self

    def score_samples(self, X: Any) -> Any:
        """Return how normal each step is, (items, time), or a list of arrays (time,); the lower, the stranger."""
        from stillroom.units.arrays import as_series

        check_is_fitted(self, "units_")
        found = [-own for own in self.units_.detect(as_series(X))]
        return np.stack(found) if isinstance(X, np.ndarray) and X.dtype != object else found

    def decision_function(self, X: Any) -> Any:
        """Return `score_samples` less the threshold: below 0 is an outlier."""
        found = self.score_samples(X)
        return found - self.offset_ if isinstance(found, np.ndarray) else [own - self.offset_ for own in found]

    def predict(self, X: Any) -> Any:
        """Return -1 for each step that is an outlier, and 1 for each other."""
        found = self.decision_function(X)
        flags = [np.where(own < 0, -1, 1) for own in found]
        return np.stack(flags) if isinstance(found, np.ndarray) else flags


@lru_cache(maxsize=2)
def _loaded(name: str, device: str) -> Units:
    """A search fits the same model many times: its weights are read once."""
    from stillroom.units.families import find

    return find(name, device=device)


def _is_flat(given: Any) -> bool:
    """Whether series come as rows (time,), of one variable that has no axis of its own."""
    return np.ndim(given[0]) == 1


def _like(given: Any, found: list[np.ndarray]) -> Any:
    rows = [own[0] for own in found] if _is_flat(given) else found
    return np.stack(rows) if isinstance(given, np.ndarray) and given.dtype != object else rows
