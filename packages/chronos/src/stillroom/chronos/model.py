"""A Chronos model in memory: one object over upstream's three pipelines, which forecasts any window.

Upstream's pipelines do the forecasting; here are their inputs, their batches and their quantiles. This module does not
know where checkpoints come from (families.py), nor data frames (forecast.py), nor training (losses.py).
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stillroom.chronos.ungrouped import ungrouped
from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.progress import without_bars
from stillroom.series.levels import at_levels, in_order

if TYPE_CHECKING:
    from stillroom.series.panel import Item, Panel
    from stillroom.series.windows import Window

TITLES = {"t5": "Chronos-T5", "bolt": "Chronos-Bolt", "chronos2": "Chronos-2"}
DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

TOKENS_AT_ONCE = {"cpu": 2**15, "cuda": 2**18}  # bounds the memory of a batch; a larger one is no faster
ROWS_AT_ONCE = 256
LARGEST = 1e18  # float32 squares values while scaling: beyond this they overflow


@dataclass(frozen=True, eq=False)
class ChronosModel:
    """A loaded checkpoint: a `Forecaster` that also shows the network inside, for those who train it.

    Parameters
    ----------
    pipeline
        Upstream's `ChronosPipeline`, `ChronosBoltPipeline` or `Chronos2Pipeline`.
    kind
        `t5`, `bolt` or `chronos2`.
    source
        The folder or hub id that it came from.
    seed
        Of the sample paths that Chronos-T5 draws: the same window gives the same forecast.
    """

    pipeline: Any
    kind: str
    source: str
    seed: int = 0

    @property
    def model(self) -> Any:
        """The network that trains: T5, Bolt or Chronos-2, possibly with an adapter around it."""
        return self.pipeline.inner_model

    @property
    def title(self) -> str:
        """The family's name in print."""
        return TITLES[self.kind]

    @property
    def context_length(self) -> int:
        """The longest history that the model reads, in time steps."""
        return int(self.pipeline.model_context_length)

    @property
    def prediction_length(self) -> int:
        """The longest horizon of one pass; longer ones are unrolled by upstream's rule."""
        return int(self.pipeline.model_prediction_length)

    @property
    def quantile_levels(self) -> tuple[float, ...]:
        """The levels the model was trained on; for Chronos-T5, which draws samples, the deciles."""
        return DECILES if self.kind == "t5" else tuple(float(level) for level in self.pipeline.quantiles)

    def fingerprint(self) -> str:
        """Hash every weight (sha256, hex): the same network gives the same hash, wherever it was loaded from."""
        import torch

        digest = hashlib.sha256(self.kind.encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def with_network(self, network: Any) -> ChronosModel:
        """Return the same model around another network of the same configuration (the base in an adapter, say)."""
        if self.kind == "t5":
            from chronos.chronos import ChronosModel as SampleModel

            inner = SampleModel(config=self.pipeline.model.config, model=network)
            return replace(self, pipeline=type(self.pipeline)(self.pipeline.tokenizer, inner))
        return replace(self, pipeline=type(self.pipeline)(network))

    def predict(self, window: Window, quantile_levels: Sequence[float]) -> np.ndarray:
        """Forecast quantiles (items, targets, horizon, levels), not decreasing over ascending levels.

        Levels that the model was not trained on are interpolated; beyond its outermost ones they equal those, as
        upstream has it. See `predict_with_point` for what is raised.
        """
        return self.predict_with_point(window, quantile_levels)[0]

    def predict_with_point(
        self, window: Window, quantile_levels: Sequence[float], advance: Callable[[int], None] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Forecast quantiles as `predict` does, and upstream's point forecast (items, targets, horizon).

        The point forecast is the median, for Chronos-T5 the mean of its sample paths. `advance` is told after each
        batch how many series it held.

        Raises
        ------
        RecipeError
            A level that is not strictly between 0 and 1.
        ModelError
            Covariates or several targets for a family that takes none, or a forecast that is not finite.
        DataError
            Values too large for single precision.
        """
        from stillroom.core.evaluating import evaluating

        levels = [float(level) for level in quantile_levels]
        if not levels or not all(0 < level < 1 for level in levels):
            raise RecipeError("Quantile levels lie strictly between 0 and 1, as in 0.1 0.5 0.9.")
        past, horizon = window.past, window.prediction_length
        self.check_takes(past)
        inputs = _prepare(self, past, horizon)
        alone = self.kind == "chronos2" and all(len(prepared["context"]) == 1 for prepared in inputs)
        short_way = ungrouped(self.model) if alone else nullcontext()
        quantiles = np.empty((len(past), len(past.targets), horizon, len(levels)), dtype=np.float32)
        point = np.empty(quantiles.shape[:-1], dtype=np.float32)
        with short_way, evaluating(self.model), _local_seed(self.model.device, self.seed), quiet():
            for batch in _batches(self, past, inputs, horizon):
                quantiles[batch], point[batch] = self._answer([inputs[i] for i in batch], horizon, levels)
                if advance is not None:
                    advance(len(batch))
        broken = ~np.isfinite(quantiles).all(axis=(1, 2, 3))
        if broken.any():
            item = past.items[int(np.argmax(broken))].item_id
            raise ModelError(f"{self.source} forecasts values that are not finite for series {item!r}: take another.")
        return quantiles, point

    def check_takes(self, panel: Panel) -> None:
        """Raise ModelError, in one sentence, if the family cannot take the panel's covariates or targets."""
        if self.kind == "chronos2":
            return
        if len(panel.targets) > 1:
            raise ModelError(
                f"{self.title} forecasts one target and was given {len(panel.targets)} ({', '.join(panel.targets)}): "
                "forecast them one by one, or take a Chronos-2 model."
            )
        covariates = sorted({name for item in panel for name in (*item.past, *item.known, *item.static)})
        if covariates:
            raise ModelError(
                f"{self.title} takes no covariates and was given {', '.join(covariates)}: "
                "leave them out, or take a Chronos-2 model."
            )

    def _answer(self, inputs: list[Any], horizon: int, levels: list[float]) -> tuple[np.ndarray, np.ndarray]:
        """Quantiles (items, targets, horizon, levels) and points (items, targets, horizon) of one batch."""
        import torch

        if self.kind == "t5":
            samples = self.pipeline.predict(inputs, prediction_length=horizon)  # (items, samples, horizon)
            quantiles = torch.quantile(samples, torch.tensor(levels, dtype=samples.dtype), dim=1)
            quantiles, point = quantiles.permute(1, 2, 0)[:, None], samples.mean(dim=1)[:, None]
            return in_order(quantiles.numpy(), levels), point.numpy()
        if self.kind == "bolt":
            predicted = self.pipeline.predict(inputs, prediction_length=horizon)[:, None]
        else:
            have = set(self.quantile_levels)
            unrolled = [level for level in DECILES if level in have] or list(self.quantile_levels)
            options = {"batch_size": 2**31, "unrolled_quantiles": unrolled}
            predicted = torch.stack(self.pipeline.predict(inputs, prediction_length=horizon, **options))
        values = predicted.transpose(2, 3).numpy()  # (items, targets, horizon, the model's levels)
        return at_levels(values, self.quantile_levels, levels), at_levels(values, self.quantile_levels, [0.5])[..., 0]


def _prepare(model: ChronosModel, past: Panel, horizon: int) -> list[Any]:
    """One input an item, as the family's pipeline takes it: a context (time,), or Chronos-2's prepared variates."""
    import torch

    for item in past:
        if np.any(np.abs(item.target) > LARGEST):
            raise DataError(f"Series {item.item_id!r} has values beyond {LARGEST:.0e}: divide them by a constant.")
    if model.kind != "chronos2":
        # an empty history is an unknown one
        histories = (item.target[0] if item.target.shape[1] else np.array([np.nan]) for item in past)
        return [torch.from_numpy(history[-model.context_length :].astype(np.float32)) for history in histories]
    from chronos.chronos2.preprocess import from_list_of_dicts

    return list(from_list_of_dicts([_variates(item, horizon) for item in past], prediction_length=horizon))


def _variates(item: Item, horizon: int) -> dict[str, Any]:
    """Upstream's dict of an item: past and known covariates, numbers or categories; static ones say nothing to it."""
    target = item.target if item.target.shape[1] else np.full((len(item.target), 1), np.nan)
    steps = target.shape[1]
    known = {name: values for name, values in item.known.items() if len(values) >= steps + horizon}
    return {
        "target": target,
        "past_covariates": {name: np.asarray(values)[:steps] for name, values in {**item.past, **item.known}.items()},
        "future_covariates": {name: np.asarray(values)[steps : steps + horizon] for name, values in known.items()},
    }


def _batches(model: ChronosModel, past: Panel, inputs: list[Any], horizon: int) -> Iterator[list[int]]:
    """Indices of items, short histories first so that little is padded, as many at once as memory allows."""
    if model.kind == "t5":
        config = model.pipeline.model.config
        patch, copies = 1, config.num_samples
    else:
        patch = model.pipeline.inner_model.chronos_config.input_patch_size
        copies = len(model.quantile_levels) if horizon > model.prediction_length else 1
    lengths = np.array([min(item.target.shape[1], model.context_length) for item in past], dtype=int)
    rows = len(inputs[0]["context"]) if model.kind == "chronos2" and inputs else 1
    tokens = rows * copies * (lengths + min(horizon, model.prediction_length) + 2 * patch) // patch
    budget = TOKENS_AT_ONCE.get(model.model.device.type, TOKENS_AT_ONCE["cuda"])
    batch: list[int] = []
    for index in np.argsort(lengths, kind="stable"):
        full = (len(batch) + 1) * tokens[index] > budget or (len(batch) + 1) * rows > ROWS_AT_ONCE
        if batch and full:  # the newest is the longest: all are padded to it
            yield batch
            batch = []
        batch.append(int(index))
    if batch:
        yield batch


@contextmanager
def _local_seed(device: Any, seed: int) -> Iterator[None]:
    """Seed what is drawn inside and leave the caller's random state as it was."""
    import torch

    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Silence upstream's advice on long horizons (they are asked for on purpose) and transformers' loading bars."""
    import chronos.chronos as upstream

    advice = logging.getLogger(upstream.__file__)  # upstream names its loggers by their files
    level = advice.level
    advice.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), without_bars():
            warnings.filterwarnings("ignore", message="We recommend keeping prediction length")
            yield
    finally:
        advice.setLevel(level)
