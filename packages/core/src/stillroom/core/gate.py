"""The gate: is a candidate better than its baseline, or did it only look so on these items?

Judge on held-out data that did not choose the checkpoint. Items (series, rows, prompts) are what varies from one
sample to the next, so items are what the bootstrap draws, each with the candidate's and the baseline's loss together.
It knows no metric: give it losses that add up over items, such as the weighted quantile loss before it is divided by
Σ|y|, which cancels in the gain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import lgamma, log, log1p
from typing import TYPE_CHECKING

import numpy as np

from stillroom.core.errors import DataError, RecipeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FEWEST = 4
"""With 3 items one resample in 9 draws a single item over and over; such a sample bounds nothing."""

THIN = 20
"""Below it a verdict says that its evidence is thin: a bootstrap knows only the tails that its items show."""

CELLS = 1_000_000
"""Resampled items held in memory at once, about 32 bytes each."""

ROUNDING = 1e-9
"""What differs by less, relatively, is the same number computed twice."""


@dataclass(frozen=True)
class Verdict:
    """What the gate decided, and on what evidence."""

    keep: bool
    """The candidate stays; False: go on with the baseline."""
    gain: float
    """1 − Σ candidate / Σ baseline: 0.1 is a tenth less loss. NaN where there is nothing to measure."""
    low: float
    """Lower bound of the gain; −inf where nothing bounds it, NaN where the gain is."""
    high: float
    """Upper bound of the gain, at most 1."""
    n: int
    """Items judged."""
    thin: bool
    """Fewer than `THIN` items."""
    sentence: str
    """The verdict for people."""


def judge(
    candidate_losses: ArrayLike,
    baseline_losses: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Verdict:
    """Keep the candidate only if the lower bound of its paired relative gain is above zero.

    The gain is 1 − Σ candidate / Σ baseline. Its two-sided interval is bootstrapped over items, at each end the more
    cautious of the percentile and the studentised bound: the first is too narrow for few items, the second for heavy
    tails. At the default, the lower bound alone is one-sided at 2.5 %. Simulated without any true gain, from 4 to 1,000
    items and with tails down to index 1.1, at most 5 % of candidates were kept; but 9 % where a candidate is mostly a
    little better and rarely much worse, for a sample may show none of the rare items. Items count as independent:
    series that rise and fall together are fewer than they seem.

    Where an item is either right or wrong, so that every loss is 0 or one same number, the interval is exact instead:
    of the items on which the two differ, the candidate wins a share with the bounds of Clopper and Pearson. It keeps
    the candidate where McNemar's exact test does, after six such items at the earliest at the default confidence.

    Parameters
    ----------
    candidate_losses, baseline_losses
        (items, ...): losses ≥ 0 of the same items in the same order; further axes are summed into their item.
    weights
        (items,): multiplies the losses of each item; None: they count as they are.
    resamples
        2,000 leave the bound a sampling error of a few hundredths of the interval's width.
    seed
        Of the resampling. The verdict depends on the seed and the set of items, not on their order.
    confidence
        Of the two-sided interval.

    Returns
    -------
    Verdict
        With non-finite losses, fewer than `FEWEST` items or a baseline without loss, it keeps the baseline and says so.

    Raises
    ------
    DataError
        The losses differ in shape, or one is negative; the weights are not one number ≥ 0 an item.
    RecipeError
        `confidence` is not between 0 and 1, or `resamples` are too few for it.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, sections 12.5 (bootstrap-t) and 13.3 (percentile);
    Hesterberg (2015), What Teachers Should Know About the Bootstrap, on how narrow percentiles are for few items;
    Clopper and Pearson (1934), The Use of Confidence or Fiducial Limits; McNemar (1947), on paired proportions.
    """
    side = (1 - confidence) / 2
    if not 0 < confidence < 1 or resamples * side < 1:
        raise RecipeError(
            f"confidence {confidence} with {resamples} resamples cannot be: choose a confidence between 0 and 1, "
            "and at least 2 / (1 - confidence) resamples"
        )
    candidate, baseline = _losses_per_item(candidate_losses, baseline_losses, weights)
    n = len(candidate)
    if reason := _nothing_to_measure(candidate, baseline):
        return _verdict(False, reason, n, np.nan, np.nan, np.nan)
    scale = max(candidate.max(), baseline.max())  # only ratios matter, and squares of what is left cannot overflow
    candidate, baseline = candidate / scale, baseline / scale
    gain = float(1 - candidate.sum() / baseline.sum())
    if n < FEWEST:
        return _verdict(False, f"{_items(n)} cannot bound a gain, at least {FEWEST} can", n, gain, -np.inf, 1.0)
    if np.isin([candidate, baseline], [0.0, 1.0]).all():
        low, high = _exact(int((candidate < baseline).sum()), int((candidate > baseline).sum()), baseline.sum(), side)
    else:
        low, high = _interval(candidate, baseline, gain, resamples, seed, side)
    measured = _measured(gain, low, high, n, confidence)
    if low > 0:
        return _verdict(True, f"its loss is {measured}", n, gain, low, high)
    return _verdict(False, f"the candidate's loss is {measured}", n, gain, low, high)


def _losses_per_item(
    candidate_losses: ArrayLike, baseline_losses: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both losses as (items,), in an order that depends on their values alone."""
    candidate, baseline = np.asarray(candidate_losses, np.float64), np.asarray(baseline_losses, np.float64)
    if candidate.shape != baseline.shape or candidate.ndim == 0:
        raise DataError(
            f"the candidate's losses are {candidate.shape}, the baseline's {baseline.shape}: "
            "judge both on the same items, one row an item"
        )
    if (candidate < 0).any() or (baseline < 0).any():
        raise DataError("a relative gain needs losses of zero or more: give the gate losses, not scores or likelihoods")
    further = tuple(range(1, candidate.ndim))
    candidate, baseline = candidate.sum(axis=further), baseline.sum(axis=further)
    if weights is not None:
        weight = np.asarray(weights, np.float64)
        if weight.shape != candidate.shape or not (np.isfinite(weight) & (weight >= 0)).all():
            raise DataError(f"weights must be {len(candidate)} finite numbers of zero or more, one an item")
        candidate, baseline = candidate * weight, baseline * weight
    order = np.lexsort((candidate, baseline))
    return candidate[order], baseline[order]


def _nothing_to_measure(candidate: NDArray[np.float64], baseline: NDArray[np.float64]) -> str | None:
    """Return why there is no gain to speak of, or None."""
    if not len(baseline):
        return "there are no items to judge by"
    for name, losses in (("candidate", candidate), ("baseline", baseline)):
        if broken := int((~np.isfinite(losses)).sum()):
            return f"the {name}'s loss is not a finite number on {broken} of {_items(len(losses))}"
    return None if baseline.any() else "its loss is zero, so there is nothing to gain"


def _exact(wins: int, losses: int, wrong: float, side: float) -> tuple[float, float]:
    """Return the bounds of the gain where items are right or wrong; the baseline has `wrong` wrong ones."""
    differ = wins + losses
    low, high = 1 - _upper_share(losses, differ, side), _upper_share(wins, differ, side)
    return differ * (2 * low - 1) / wrong, min(differ * (2 * high - 1) / wrong, 1.0)


def _upper_share(successes: int, trials: int, side: float) -> float:
    """Return the largest share at which so few successes still come with a chance of `side` (Clopper and Pearson)."""
    if successes == trials:
        return 1.0
    numbers = range(successes + 1)
    ways = np.array([lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1) for k in numbers])
    low, high = 0.0, 1.0
    while high - low > ROUNDING:
        share = (low + high) / 2
        chance = np.exp(ways + np.array(numbers) * log(share) + (trials - np.array(numbers)) * log1p(-share)).sum()
        low, high = (share, high) if chance > side else (low, share)
    return high


def _interval(
    candidate: NDArray[np.float64],
    baseline: NDArray[np.float64],
    gain: float,
    resamples: int,
    seed: int,
    side: float,
) -> tuple[float, float]:
    """Return the bounds of the gain, each the more cautious of the percentile and the studentised one.

    The gain's standard error is that of the linearised ratio: with the residuals r = candidate - ratio * baseline it is
    √Σr² / Σ baseline, up to a factor of n alone, which a studentised bound cancels.
    """
    residual = candidate - (1 - gain) * baseline
    error = float(np.sqrt((residual**2).sum()) / baseline.sum())
    if error < ROUNDING:  # every item gains alike
        return gain - ROUNDING, min(gain + ROUNDING, 1.0)
    columns = np.stack([baseline, residual, residual**2, residual * baseline, baseline**2], axis=1)
    sums = np.concatenate([counts @ columns for counts in _draws(len(baseline), resamples, seed)])
    total, drift, rr, rb, bb = sums.T
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shift = -drift / total  # the resample's gain, less the sample's
        spread = rr + 2 * shift * rb + shift**2 * bb  # the sum of the resample's own squared residuals
        # Where one item was drawn throughout, or only items on which the baseline has no loss, nothing is bounded.
        unbounded = ~(spread > ROUNDING * (rr + shift**2 * bb))
        studentised = -drift / np.sqrt(spread)
    shift = np.where(total > 0, shift, -np.inf)
    low = min(
        gain + np.quantile(shift, side, method="lower"),
        gain - error * np.quantile(np.where(unbounded, np.inf, studentised), 1 - side, method="higher"),
    )
    high = max(
        gain + np.quantile(np.where(total > 0, shift, np.inf), 1 - side, method="higher"),
        gain - error * np.quantile(np.where(unbounded, -np.inf, studentised), side, method="lower"),
    )
    return float(low), float(min(high, 1.0))


def _draws(n: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each resample draws each item, (some resamples, n) at a time."""
    rng = np.random.default_rng(seed)
    together = max(1, CELLS // n)
    for start in range(0, resamples, together):
        rows = min(together, resamples - start)
        cells = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(cells.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _verdict(keep: bool, reason: str, n: int, gain: float, low: float, high: float) -> Verdict:
    thin = n < THIN
    evidence = f" The evidence is thin: fewer than {THIN} items." if thin else ""
    sentence = f"Kept the {'candidate' if keep else 'baseline'}: {reason}.{evidence}"
    return Verdict(keep, gain, low, high, n, thin, sentence)


def _measured(gain: float, low: float, high: float, n: int, confidence: float) -> str:
    """Return what was measured, as the end of "the loss is"."""
    change = f"{abs(gain):.1%} {'below' if gain > 0 else 'above'} the baseline's" if gain else "the baseline's own"
    chance = ", which may be chance" if low <= 0 < gain else ""
    bounds = f"{low:.1%} to {high:.1%}" if np.isfinite(low) else f"up to {high:.1%}"
    return f"{change} over {_items(n)}{chance} ({confidence * 100:.4g}% interval of the gain: {bounds})"


def _items(n: int) -> str:
    return "1 item" if n == 1 else f"{n:,} items"
