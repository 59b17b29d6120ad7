"""Metrics of anomaly scores against labelled steps, series by series, in numpy.

Knows arrays only: no models, no data sets. The rules, each of which has a test:

- The higher a score, the stranger the step. An alarm is a step whose score is above the threshold of its series.
- AUC_PR, AUC_ROC, VUS_PR and VUS_ROC need no threshold: any rising transform of the scores leaves them as they are.
- A series counts where it has anomalous and normal steps; one without an anomaly counts in FALSE_ALARMS alone.
- Over series: the plain mean (macro), so that a long series weighs no more than a short one.
- Where there is no alarm, precision is 0.
- A metric without any series is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stillroom.core.errors import RecipeError

VERSION = 1  # part of every score's key: raise it when a rule here or `anomalous.period` changes

METRICS = (
    "VUS_PR",
    "AUC_PR",
    "VUS_ROC",
    "AUC_ROC",
    "F1",
    "PRECISION",
    "RECALL",
    "RANGE_F1",
    "EVENT_RECALL",
    "FALSE_ALARMS",
    "POINT_ADJUSTED_F1",
)
"""All are shares with 1 as the best, but for FALSE_ALARMS, which is a rate with 0 as the best.

VUS_PR, VUS_ROC   volume under the surface that the range-aware precision-recall (ROC) curve makes over all buffers
                  around the anomalies (Paparrizos et al., VLDB 2022): near misses are worth something
AUC_PR, AUC_ROC   average precision, and the area under the ROC curve, of steps
F1, PRECISION, RECALL   of steps, at the threshold
RANGE_F1          of ranges, at the threshold (Tatbul et al., NeurIPS 2018)
EVENT_RECALL      share of anomalies with an alarm in them
FALSE_ALARMS      alarms per 1,000 normal steps; of steps and not of ranges, or one endless alarm would be none
POINT_ADJUSTED_F1 F1 after the labels were let into the alarms, see `point_adjusted_f1`; it flatters, and never ranks
"""

_CUTS = 250  # thresholds that the volumes sample, as in the authors' code


def evaluate(
    truths: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    thresholds: Sequence[float],
    buffers: Sequence[int],
) -> dict[str, np.ndarray]:
    """Score n series, each by itself.

    Parameters
    ----------
    truths
        Which steps are anomalous, n boolean arrays of shape (time,).
    scores
        How strange each step is, n finite arrays of shape (time,).
    thresholds
        Above which a score is an alarm, one a series; it must come from normal data, never from these labels.
    buffers
        The widest buffer of the volumes, in steps, one a series: its period, as the authors advise.

    Returns
    -------
    dict of np.ndarray
        For every name in `METRICS` an array (n,), NaN where the series does not count. `macro` makes totals of them.

    Raises
    ------
    RecipeError
        If a score has not the shape of its truth.
    """
    found = []
    for truth, score, threshold, buffer in zip(truths, scores, thresholds, buffers, strict=True):
        if truth.ndim != 1 or score.shape != truth.shape:
            raise RecipeError(f"These do not fit together: truth {truth.shape}, scores {score.shape}.")
        found.append(_evaluate_one(truth.astype(bool), score, threshold, buffer))
    return {name: np.array([metrics.get(name, np.nan) for metrics in found]) for name in METRICS}


def macro(items: dict[str, np.ndarray]) -> dict[str, float]:
    """Mean of every metric over the series that count in it."""
    counted = {name: values[~np.isnan(values)] for name, values in items.items()}
    return {name: float(values.mean()) if len(values) else np.nan for name, values in counted.items()}


def _evaluate_one(truth: np.ndarray, score: np.ndarray, threshold: float, buffer: int) -> dict[str, float]:
    alarms = score > threshold
    if truth.all():
        return {}
    metrics = {"FALSE_ALARMS": 1000 * float(alarms[~truth].mean())}
    if not truth.any():
        return metrics
    metrics["AUC_PR"], metrics["AUC_ROC"] = areas(truth, score)
    metrics["VUS_PR"], metrics["VUS_ROC"] = volumes(truth, score, buffer)
    hits, flagged, anomalous = (float(np.count_nonzero(part)) for part in (alarms & truth, alarms, truth))
    metrics["PRECISION"] = hits / flagged if flagged else 0.0
    metrics["RECALL"] = hits / anomalous
    metrics["F1"] = 2 * hits / (flagged + anomalous)
    metrics["RANGE_F1"] = range_f1(truth, alarms)
    metrics["EVENT_RECALL"] = float(_hit(truth, alarms).mean())
    metrics["POINT_ADJUSTED_F1"] = point_adjusted_f1(truth, alarms)
    return metrics


def ranges(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where stretches of True start and stop, the stop being the first step after: two arrays (stretches,)."""
    edges = np.diff(flags.astype(np.int8), prepend=0, append=0)
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def areas(truth: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """Average precision and the area under the ROC curve of steps; equal scores are one threshold.

    Parameters
    ----------
    truth
        Boolean, shape (time,), with both values in it.
    score
        Shape (time,).
    """
    order = np.argsort(-score)
    last = np.flatnonzero(np.diff(score[order], append=np.nan) != 0)  # of each run of equal scores
    hits = truth[order].cumsum()[last].astype(np.float64)
    alarms = last + 1.0
    recall, fall_out = hits / hits[-1], (alarms - hits) / (len(score) - hits[-1])
    precision = float((np.diff(recall, prepend=0) * (hits / alarms)).sum())
    return precision, _trapezoid(np.append(0, fall_out), np.append(0, recall))


def volumes(truth: np.ndarray, score: np.ndarray, buffer: int) -> tuple[float, float]:
    """Volumes under the range-aware precision-recall and ROC surfaces, over the buffers 0, 1, …, `buffer`.

    Around each anomaly the labels fall off in slopes half a buffer long, and recall is multiplied by the share of
    anomalies that are found at all. Source: Paparrizos et al., "Volume Under the Surface", VLDB 2022. Equals aeon's
    `range_pr_vus_score` and `range_roc_vus_score`, also in that a constant score, which says nothing, gets 0. They go
    over all steps for each of 250 thresholds and each buffer; here every step is sorted once into the first threshold
    that it reaches, and a buffer looks only at the steps of its slopes.

    Parameters
    ----------
    truth
        Boolean, shape (time,), with both values in it.
    score
        Shape (time,).
    buffer
        The widest, in steps: about the period of the series.
    """
    if score.min() == score.max():
        return 0.0, 0.0
    starts, stops = ranges(truth)
    cuts = np.sort(score)[::-1][np.linspace(0, len(score) - 1, _CUTS, dtype=np.int64)]
    first = np.searchsorted(-cuts, -score)  # (time,): a step is an alarm from this cut on
    alarms = np.bincount(first, minlength=_CUTS).cumsum()
    found = np.stack([_found(starts, stops, first, half) for half in range(buffer // 2 + 1)])

    weights = np.tile(np.bincount(first[truth], minlength=_CUTS).astype(np.float64), (buffer + 1, 1))
    steps, distance, once, twice = _slopes(starts, stops, truth, buffer // 2)
    for width in range(2, buffer + 1):
        half = width // 2
        reached = slice(np.searchsorted(once, half, side="right"))
        slope = np.where(twice[reached] <= half, 1.0, np.sqrt(1 - distance[reached] / width))
        weights[width] += np.bincount(first[steps[reached]], slope, minlength=_CUTS)

    hits = weights.cumsum(axis=1)  # (buffers, cuts)
    positives = (np.count_nonzero(truth) + hits[:, -1:]) / 2
    recall = np.minimum(hits / positives, 1) * found[np.arange(buffer + 1) // 2]
    fall_out = np.minimum((alarms - hits) / (len(score) - positives), 1)
    zero, one = np.zeros((buffer + 1, 1)), np.ones((buffer + 1, 1))
    precision_recall = _trapezoid(np.hstack([zero, recall]), np.hstack([one, hits / alarms]))
    roc = _trapezoid(np.hstack([zero, fall_out, one]), np.hstack([zero, recall, one]))
    return precision_recall / (buffer + 1), roc / (buffer + 1)


def _found(starts: np.ndarray, stops: np.ndarray, first: np.ndarray, half: int) -> np.ndarray:
    """Share of anomalies with an alarm in them or in their slopes, for each cut; those that touch are one anomaly."""
    begins, ends = np.maximum(starts - half, 0), np.minimum(stops + max(half - 1, 0), len(first))
    apart = begins[1:] > ends[:-1]
    bounds = np.stack([begins[np.append(True, apart)], ends[np.append(apart, True)]], axis=1).ravel()
    earliest = np.minimum.reduceat(np.append(first, _CUTS), bounds)[::2]
    share: np.ndarray = np.bincount(earliest, minlength=_CUTS).cumsum() / len(earliest)
    return share


def _slopes(
    starts: np.ndarray, stops: np.ndarray, truth: np.ndarray, widest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The normal steps within the widest slope, by how wide a slope must be to reach them.

    Returns their positions, the distance to the anomaly that reaches them first, the slope at which it does, and the
    one at which a second does: two slopes are more than 0.7 each, so where they meet, the label is 1.
    """
    steps = np.flatnonzero(~truth)
    ahead = np.searchsorted(starts, steps)  # of the next anomaly
    far = 2 * len(truth)
    before, after = np.append([-far, -far], stops - 1), np.append(starts, [far, far])
    distances = np.abs(np.stack([before[ahead + 1], before[ahead], after[ahead], after[ahead + 1]]) - steps)
    slopes = distances + np.array([[1], [1], [0], [0]])  # backwards a slope reaches one step further, as in the source
    near = slopes.min(axis=0) <= widest
    steps, distances, slopes = steps[near], distances[:, near], slopes[:, near]
    order = np.argsort(slopes, axis=0)
    once, twice = np.take_along_axis(slopes, order[:2], axis=0)
    distance = np.take_along_axis(distances, order[:1], axis=0)[0]
    by_slope = np.argsort(once)
    return steps[by_slope], distance[by_slope], once[by_slope], twice[by_slope]


def range_f1(truth: np.ndarray, alarms: np.ndarray) -> float:
    """F1 of ranges: each range earns by the share of it that is met, divided by the ranges it is met in.

    Half of a real anomaly's recall is for being met at all. Source: Tatbul et al., "Precision and Recall for Time
    Series", NeurIPS 2018, with its flat bias, reciprocal cardinality and existence weights 0 and 0.5; equals aeon's
    `range_f_score`.

    Parameters
    ----------
    truth, alarms
        Boolean, shape (time,).
    """
    if not truth.any() or not alarms.any():
        return 0.0
    _, reward = _met(alarms, truth)
    met, overlap = _met(truth, alarms)
    precision, recall = reward.mean(), (0.5 * met + 0.5 * overlap).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _met(flags: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each range of `flags` meets one of `others`, and its share in them, divided by how many they are."""
    starts, stops = ranges(flags)
    other_starts, other_stops = ranges(others)
    covered = np.append(0, others.cumsum())
    share = (covered[stops] - covered[starts]) / (stops - starts)
    meets = np.searchsorted(other_starts, stops) - np.searchsorted(other_stops, starts, side="right")
    return meets > 0, share / np.maximum(meets, 1)


def point_adjusted_f1(truth: np.ndarray, alarms: np.ndarray) -> float:
    """F1 of steps when one alarm within an anomaly counts as alarms in all of it.

    It flatters: where anomalies are long, a few alarms at random meet nearly all of them, and random scores beat
    trained models (Kim et al., "Towards a Rigorous Evaluation of Time-Series Anomaly Detection", AAAI 2022). It stands
    here because many papers report nothing else; never choose a model by it.

    Parameters
    ----------
    truth, alarms
        Boolean, shape (time,).
    """
    starts, stops = ranges(truth)
    hits = float((stops - starts)[_hit(truth, alarms)].sum())
    wrong = np.count_nonzero(alarms & ~truth)
    total = hits + wrong + np.count_nonzero(truth)
    return 2 * hits / total if total else 0.0


def _hit(truth: np.ndarray, alarms: np.ndarray) -> np.ndarray:
    """Which ranges of `truth` have an alarm in them."""
    return _met(truth, alarms)[0]


def _trapezoid(x: np.ndarray, y: np.ndarray) -> float:
    """Area under the lines through the points, summed over all rows."""
    return float((np.diff(x) * (y[..., 1:] + y[..., :-1])).sum() / 2)
