"""What is kept from training: the last window of every series chooses, the one before it judges.

    ├──────────── may be trained on ────────────┤── judges ──┤── chooses ──┤   then comes the user's own test

The two never overlap and neither is trained on. The window that chooses is the later one, nearest to what will be asked
of the model; the one that judges has no part in the choice, so its verdict is not flattered by it. This module knows no
training and no model family: it cuts, and it scores a forecaster on what was cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stillroom.core.errors import DataError
from stillroom.series.metrics import Scores, evaluate
from stillroom.series.panel import Panel
from stillroom.series.windows import Window, cut

if TYPE_CHECKING:
    from stillroom.core.protocols import Forecaster

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CHOOSING = 100  # series that choose the checkpoint, at most: they are forecast again and again


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A panel, cut for training.

    Parameters
    ----------
    train
        Every series up to its held-out steps.
    judge, choose
        A window and its truth (items, targets, horizon); `choose` has a seeded sample of at most `CHOOSING` series.
    skipped
        Ids of the series too short to be cut.
    """

    train: Panel
    judge: tuple[Window, np.ndarray]
    choose: tuple[Window, np.ndarray]
    skipped: tuple[str | int, ...]


def hold_out(panel: Panel, prediction_length: int, *, seed: int = 0) -> HeldOut:
    """Cut the last two windows off every series that has at least one step before them.

    Raises
    ------
    DataError
        No series is that long.
    """
    enough = 2 * prediction_length + 1
    kept = tuple(item for item in panel if item.length >= enough)
    skipped = tuple(item.item_id for item in panel if item.length < enough)
    if not kept:
        longest = max((item.length for item in panel), default=0)
        raise DataError(
            f"None of the {len(panel)} series can be held out: two windows of {prediction_length} steps and a history "
            f"take {enough} steps, and the longest series has {longest}. Bring longer series or forecast fewer steps."
        )
    kept_panel = Panel(kept, panel.freq, panel.targets)
    judge, (window, truth) = cut(kept_panel, prediction_length, windows=2)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(kept))[:CHOOSING])
    past = Panel(tuple(window.past.items[i] for i in chosen), panel.freq, panel.targets)
    choose = (Window(past, window.prediction_length, window.season_length), truth[chosen])
    return HeldOut(judge[0].past, judge, choose, skipped)


def assess(model: Forecaster, window: Window, truth: np.ndarray) -> Scores:
    """Score a forecaster's deciles on one window; the rows of `Scores.items` are items x targets."""
    quantiles = model.predict(window, DECILES)
    n, targets, horizon = truth.shape
    return evaluate(
        truth.reshape(n * targets, horizon),
        quantiles.reshape(n * targets, horizon, len(DECILES)),
        DECILES,
        window.histories(),
        window.season_length,
    )


def losses_by_series(scores: Scores, truth: np.ndarray) -> np.ndarray:
    """The sums that the WQL is made of, (items, targets), of the series that have anything to be judged by."""
    seen: np.ndarray = np.isfinite(truth).any(axis=(1, 2))
    losses: np.ndarray = scores.items["quantile_loss"].reshape(truth.shape[:2])[seen]
    return losses
