"""Training windows by the batch, mixed from synthetic families and real series: a pure function of seed and index.

Because batch `index` never depends on the batches before it, a training resumes exactly without replaying data and
several processes share one stream by taking every n-th index. It knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stillroom.core.errors import RecipeError
from stillroom.series import mixup, patterns, synthetic

SYNTHETIC = ("kernel_synth", *patterns.FAMILIES)
REAL = ("windows", "mixup")  # a window of one real series; a TSMixup of several


class Mixture:
    """Batches of (context, target) windows.

    Parameters
    ----------
    shares : how much of a batch each source makes up, by the names in `SYNTHETIC` and `REAL`; scaled to sum to 1.
    context_lengths : a batch draws one of these and its contexts have between half of it and all of it, so that
        short series, of which practice is full, are learnt from and cost little.
    prediction_length : steps of the target; steps that a short real series does not have are NaN.
    batch_size : windows in a batch.
    real : one-dimensional arrays with NaN where missing, drawn by `weights`; needed when `shares` names a real source.
    seed : the same seed, index and arguments give the same batch.

    Raises
    ------
    RecipeError : an unknown source, or a real source without series.
    """

    def __init__(
        self,
        shares: Mapping[str, float],
        *,
        context_lengths: Sequence[int],
        prediction_length: int,
        batch_size: int,
        real: Sequence[np.ndarray] = (),
        weights: np.ndarray | None = None,
        seed: int = 0,
    ) -> None:
        unknown = set(shares) - {*SYNTHETIC, *REAL}
        if unknown:
            known = ", ".join((*SYNTHETIC, *REAL))
            raise RecipeError(f"There is no source of series called {sorted(unknown)[0]!r}; choose from {known}.")
        if not len(real) and any(shares.get(name, 0) > 0 for name in REAL):
            raise RecipeError("The recipe mixes real series but none were given; name a file or drop the real shares.")
        total = sum(shares.values())
        self.shares = {name: share / total for name, share in shares.items() if share > 0}
        self.context_lengths = tuple(context_lengths)
        self.prediction_length = prediction_length
        self.batch_size = batch_size
        self.real, self.weights, self.seed = real, weights, seed

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Make batch `index`: context (batch, time) padded on the left, target (batch, prediction_length), float32."""
        rng = np.random.default_rng((self.seed, index))
        longest = int(rng.choice(self.context_lengths))
        length = longest + self.prediction_length
        counts = rng.multinomial(self.batch_size, list(self.shares.values()))
        parts = [
            self._source(name, int(count), length, rng)
            for name, count in zip(self.shares, counts, strict=True)
            if count > 0
        ]
        windows = np.concatenate([imperfect(part, rng) if name in SYNTHETIC else part for name, part in parts])
        contexts = rng.integers(longest // 2, longest + 1, len(windows))
        context, target = split(windows, contexts, self.prediction_length)
        near = rng.integers(min(8, self.prediction_length), self.prediction_length + 1, (len(windows), 1))
        whole = rng.random((len(windows), 1)) < 0.5
        target[(np.arange(self.prediction_length) >= near) & ~whole] = np.nan  # near steps are asked for most
        target[beyond(context, target)] = np.nan
        return {"context": context.astype(np.float32), "target": target.astype(np.float32)}

    def _source(self, name: str, count: int, length: int, rng: np.random.Generator) -> tuple[str, np.ndarray]:
        if name == "kernel_synth":
            seed = int(rng.integers(2**63))
            return name, np.stack(list(synthetic.kernel_synth(count, length, seed=seed)))
        if name in patterns.FAMILIES:
            return name, patterns.FAMILIES[name](rng, count, length)
        mixed = 1 if name == "windows" else mixup.MAX_MIXED
        return name, mixup.ts_mixup(self.real, count, length, rng, weights=self.weights, max_mixed=mixed)


def split(windows: np.ndarray, contexts: np.ndarray, prediction_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Split windows (count, time) into context and target, keeping `contexts` steps (count,) of each context.

    A window of a short series begins with NaN. The last third, at most, of what is left becomes the target, so that
    there is a history twice as long; the target's rest is NaN. No context reaches over time - prediction_length.
    """
    count, length = windows.shape
    context = np.full((count, length - prediction_length), np.nan)
    target = np.full((count, prediction_length), np.nan)
    for row in range(count):
        values = windows[row]
        first = int(np.argmax(np.isfinite(values))) if np.isfinite(values).any() else length
        values = values[first:]
        ahead = min(prediction_length, max(len(values) // 3, 1))
        past = values[: len(values) - ahead][-contexts[row] :]
        if len(past):
            context[row, -len(past) :] = past
            target[row, :ahead] = values[len(values) - ahead :]
    return context, target


def beyond(context: np.ndarray, target: np.ndarray, deviations: float = 20.0) -> np.ndarray:
    """Mark the target steps (rows, horizon) that lie further from their context than a forecast could say.

    A step after a nearly constant context can be thousands of its deviations away; one such row would outweigh the
    rest of its batch.
    """
    seen = np.isfinite(context)
    count = np.maximum(seen.sum(axis=1, keepdims=True), 1)
    values = np.where(seen, context, 0.0)
    mean = values.sum(axis=1, keepdims=True) / count
    deviation = np.sqrt((np.where(seen, context - mean, 0.0) ** 2).sum(axis=1, keepdims=True) / count)
    marked: np.ndarray = np.abs(target - mean) > deviations * deviation
    return marked


def imperfect(windows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Roughen synthetic windows as measured series are: some have gaps, outliers, a jump, or rounded values."""
    count, length = windows.shape
    spread = windows.std(axis=1, keepdims=True)
    out = windows.copy()
    jump = (np.arange(length) >= rng.integers(0, length, (count, 1))) & (rng.random((count, 1)) < 0.05)
    out += jump * rng.standard_normal((count, 1)) * 2 * spread
    outlier = (rng.random((count, length)) < 0.01) & (rng.random((count, 1)) < 0.1)
    out += outlier * rng.standard_normal((count, length)) * 4 * spread
    step = spread * np.exp(rng.uniform(np.log(0.01), np.log(0.5), (count, 1)))
    rounded = (rng.random((count, 1)) < 0.1) & (step > 0)
    out = np.where(rounded, np.round(out / np.where(step > 0, step, 1.0)) * step, out)
    out[(rng.random((count, length)) < rng.uniform(0, 0.3, (count, 1))) & (rng.random((count, 1)) < 0.05)] = np.nan
    return out


def coarser(series: np.ndarray, factors: Sequence[int], shortest: int) -> list[np.ndarray]:
    """Average every `factor` steps of a series: minutes become hours, hours days.

    One fine series thus teaches several seasons. A step is missing when all that it averages is. The blocks end where
    the series ends; a result under `shortest` steps is left out.
    """
    out = []
    for factor in factors:
        steps = len(series) // factor
        if steps >= shortest:
            blocks = series[len(series) - steps * factor :].reshape(steps, factor)
            observed = np.isfinite(blocks).sum(axis=1)
            sums = np.nansum(blocks, axis=1)
            out.append(np.where(observed > 0, sums / np.maximum(observed, 1), np.nan))
    return out
