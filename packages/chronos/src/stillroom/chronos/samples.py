"""Training windows cut from a panel: batch k is a pure function of the seed and k, so that a run resumes exactly.

Knows the batches of losses.py and what each family's pipeline reads; draws only from the panel it is given, so whatever
was held out before cannot be trained on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from stillroom.core.errors import DataError
from stillroom.core.trainer import Batches

if TYPE_CHECKING:
    from stillroom.chronos.losses import Batch
    from stillroom.chronos.model import ChronosModel
    from stillroom.series.panel import Item, Panel

TRIES = 10  # draws before a window without any observed value is accepted


class TrainingWindows(Batches):
    """Random windows of random series, each series as likely as the next, each place in it as likely as the next.

    Parameters
    ----------
    model
        Whose family says how series become rows; Chronos-2 takes covariates and several targets along.
    panel
        What may be trained on.
    horizon
        Steps to look ahead. A series is used if it holds at least this much history before them.
    context_length
        The longest history of a window.
    batch_size
        Windows a batch.
    count
        Distinct batches, after which they come round again; None: every batch is new.

    Raises
    ------
    DataError
        No series is long enough.
    """

    def __init__(
        self,
        model: ChronosModel,
        panel: Panel,
        *,
        horizon: int,
        context_length: int,
        batch_size: int,
        seed: int = 0,
        count: int | None = None,
    ) -> None:
        self.horizon, self.context_length, self.batch_size = horizon, context_length, batch_size
        self.seed, self.count, self.grouped = seed, count, model.kind == "chronos2"
        long_enough = [item for item in panel if item.length >= 2 * horizon]
        self.skipped = len(panel) - len(long_enough)
        if not long_enough:
            raise DataError(
                f"None of the {len(panel)} series is long enough to train on: after the held-out steps, a horizon of "
                f"{horizon} needs {2 * horizon} steps of a series. Bring longer series or forecast fewer steps."
            )
        rows, self.targets, self.known = _rows(long_enough, horizon, self.grouped)
        self.rows = rows

    def __len__(self) -> int:
        return 2**31 if self.count is None else self.count

    def __getitem__(self, index: int) -> Batch:
        """Return batch `index`, as losses.py takes it."""
        random = np.random.default_rng([self.seed, index])
        windows = [self._draw(random) for _ in range(self.batch_size)]
        longest = max(context.shape[1] for context, _ in windows)
        context = np.concatenate([_pad_left(context, longest) for context, _ in windows])
        after = np.concatenate([after for _, after in windows])
        variates = len(windows[0][0])
        if not self.grouped:
            return {"context": torch.from_numpy(context), "target": torch.from_numpy(after)}
        place = np.tile(np.arange(variates), self.batch_size)[:, None]
        target = np.where(place < self.targets, after, np.nan)
        known = np.where(place >= variates - self.known, after, np.nan)  # upstream puts what is known last
        return {
            "context": torch.from_numpy(context),
            "target": torch.from_numpy(target.astype(np.float32)),
            "future_covariates": torch.from_numpy(known.astype(np.float32)),
            "group_ids": torch.from_numpy(np.repeat(np.arange(self.batch_size), variates)),
        }

    def _draw(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A history (variates, time) and what followed (variates, horizon)."""
        for _ in range(TRIES):
            rows = self.rows[random.integers(len(self.rows))]
            now = int(random.integers(self.horizon, rows.shape[1] - self.horizon + 1))
            context, after = rows[:, max(0, now - self.context_length) : now], rows[:, now : now + self.horizon]
            if np.isfinite(context[: self.targets]).any() and np.isfinite(after[: self.targets]).any():
                break
        return context, after


def _rows(items: list[Item], horizon: int, grouped: bool) -> tuple[list[np.ndarray], int, int]:
    """Every item's variates (variates, time) as float32, how many are targets, and how many are known ahead."""
    if not grouped:
        return [item.target.astype(np.float32) for item in items], 1, 0
    from chronos.chronos2.preprocess import from_list_of_dicts

    known = sorted(items[0].known)
    dicts = [
        {
            "target": item.target,
            "past_covariates": {
                name: np.asarray(values)[: item.length] for name, values in {**item.past, **item.known}.items()
            },
        }
        for item in items
    ]
    prepared = from_list_of_dicts(dicts, prediction_length=horizon, known_covariates_names=known)
    return [one["context"].numpy() for one in prepared], int(prepared[0]["n_targets"]), len(known)


def _pad_left(context: np.ndarray, length: int) -> np.ndarray:
    return np.pad(context, ((0, 0), (length - context.shape[1], 0)), constant_values=np.nan)
