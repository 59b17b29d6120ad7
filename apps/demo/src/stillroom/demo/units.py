"""The chapter of four jobs: one small network forecasts, fills gaps, tells classes apart and finds what is strange.

Each job is done once, on one real set, beside a baseline of that job. No weight moves. It does not know how the network
does a job, nor how the pictures are drawn (`units_pictures`).
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stillroom.demo.tour import Result, Table, Tour

if TYPE_CHECKING:
    from stillroom.core.protocols import Detector
    from stillroom.series.anomalous import AnomalyItem
    from stillroom.series.labelled import LabelledSplit
    from stillroom.series.windows import Window
    from stillroom.units.units import Units

ABOUT = (
    "Give one small network four jobs on real series: forecast the CO₂ in the air, fill gaps in what a watch measured, "
    "tell two movements of a hand apart, and find what is strange in a patient's record, each beside a baseline."
)
TAKES = "less than a minute"

SETS = ("statsmodels:co2", "ucr:BasicMotions", "ucr:GunPoint", "aeon:KDD-TSAD_135")
"""What the network is judged on here, by the names that recipes have for it. A recipe that leaves them out makes a
network that has seen none of it; where one says that it was trained on some, the chapter says so."""
CO2, MOTIONS, HANDS, PATIENT = SETS
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
YEAR = 52  # weeks
HORIZON, CONTEXT = 2 * YEAR, 10 * YEAR
GAP, SHARE = 5, 0.25  # steps, tenths of a second, that are hidden together, and how much is hidden of each variable
ALARM = 0.99  # the quantile of the training part's scores above which a step is an alarm, as in the benchmarks


@dataclass(frozen=True, eq=False)
class Forecast:
    """Two years of CO₂: quantiles (horizon, levels), what came and what seasonal naive says, both (horizon,)."""

    window: Window
    truth: np.ndarray
    quantiles: np.ndarray
    naive: np.ndarray
    scores: dict[str, dict[str, float]]


@dataclass(frozen=True, eq=False)
class Filled:
    """Motions, what was hidden of them, and both fillings, all (items, variables, time); `labels` (items,)."""

    labels: np.ndarray
    truth: np.ndarray
    hidden: np.ndarray
    filled: np.ndarray
    lines: np.ndarray
    mse: dict[str, float]


@dataclass(frozen=True, eq=False)
class Told:
    """Movements, and which class each of the test part was said to be of, (items,)."""

    split: LabelledSplit
    said: np.ndarray
    accuracy: dict[str, float]


@dataclass(frozen=True, eq=False)
class Watched:
    """A record, how strange each step of its test part is, (time,), and above which score a step is an alarm."""

    item: AnomalyItem
    scores: np.ndarray
    threshold: float
    metrics: dict[str, dict[str, float]]


def run(tour: Tour, model: str = "units") -> Result:
    """Do the four jobs with a UniTS model, by a registered name, a folder or a hub id."""
    from stillroom.core.progress import without_bars
    from stillroom.core.runs import write_atomic
    from stillroom.demo import units_pictures
    from stillroom.units.units import Units

    with without_bars():
        units = Units.load(model)
    title = Path(model).name
    parameters = sum(parameter.numel() for parameter in units.model.parameters())
    began = time.process_time()
    ahead, filled, told, watched = forecast(units), impute(units), classify(units), detect(units)
    seconds = time.process_time() - began
    pictures = {
        "forecast": units_pictures.forecast(ahead),
        "impute": units_pictures.impute(filled),
        "classify": units_pictures.classify(told),
        "detect": units_pictures.detect(watched),
    }
    paths = [tour.folder("units") / f"{job}.png" for job in pictures]
    for path, picture in zip(paths, pictures.values(), strict=True):
        write_atomic(path, picture)
    return Result(
        "Four jobs, one network",
        [
            f"One network of {parameters:,} parameters does four jobs, and not one parameter moves: what it learns of "
            f"classes and of what is normal stands beside them. With the baselines this took {seconds:.0f} s of a "
            f"core.{_trained_on(model)}",
            _of_forecast(ahead),
            _of_filled(filled),
            _of_told(told),
            _of_watched(watched),
        ],
        [_table(title, ahead, filled, told, watched)],
        {
            "parameters": parameters,
            "forecast": ahead.scores,
            "impute": filled.mse,
            "classify": told.accuracy,
            "detect": watched.metrics,
        },
        [str(path) for path in paths],
        [str(path.relative_to(tour.out)) for path in paths],
    )


def forecast(units: Units) -> Forecast:
    """Forecast the last two years of weekly CO₂ from the ten before them."""
    from stillroom.bench.baselines.forecasters import seasonal_naive
    from stillroom.series import bundled
    from stillroom.series.metrics import evaluate
    from stillroom.series.windows import cut

    panel = bundled.load(CO2.partition(":")[2])
    [(window, truth)] = cut(panel, HORIZON, season_length=YEAR, max_context=CONTEXT)
    said = {"units": units.predict(window, LEVELS)[0], "seasonal naive": seasonal_naive().predict(window, LEVELS)[0]}
    scores = {
        name: evaluate(truth[0], quantiles, LEVELS, window.histories(), YEAR).totals for name, quantiles in said.items()
    }
    kept = {name: {metric: own[metric] for metric in ("MASE", "WQL", "COVERAGE")} for name, own in scores.items()}
    middle = LEVELS.index(0.5)
    return Forecast(window, truth[0, 0], said["units"][0], said["seasonal naive"][0, :, middle], kept)


def impute(units: Units) -> Filled:
    """Hide a quarter of each variable of the test part's motions, in gaps of half a second, and fill them."""
    from stillroom.bench.baselines.imputers import linear_interpolation
    from stillroom.series.gaps import evaluate, hide, scale_of
    from stillroom.series.labelled import load

    split = load(MOTIONS)
    truth = np.stack(split.test)
    seen = ~np.isnan(truth)
    hidden = np.stack([hide(seen[:, v], SHARE, "demo", v, block_length=GAP) for v in range(truth.shape[1])], axis=1)
    given = np.where(hidden, np.nan, truth)
    said = {"units": np.stack(units.impute(given))}
    said["straight lines"] = np.stack(linear_interpolation().impute(list(given), 1))
    _, deviation = scale_of(np.concatenate(split.train, axis=1))
    unit = deviation[:, None]
    mse = {name: evaluate((truth / unit)[hidden], (own / unit)[hidden])["MSE"] for name, own in said.items()}
    return Filled(split.test_labels, truth, hidden, said["units"], said["straight lines"], mse)


def classify(units: Units) -> Told:
    """Learn two movements of a hand from the archive's training part, and tell those of its test part apart."""
    from stillroom.bench.baselines.classifiers import dtw_1nn
    from stillroom.series.labelled import load

    split, nearest = load(HANDS), dtw_1nn()
    units.fit_classes(split.train, split.train_labels, head="ridge")
    said = {"units": split.classes[units.classify(split.test).argmax(axis=1)]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba's, of types in aeon
        nearest.fit_classes(split.train, split.train_labels)
        said["1-NN DTW"] = split.classes[nearest.classify(split.test).argmax(axis=1)]
    return Told(split, said["units"], {name: float((own == split.test_labels).mean()) for name, own in said.items()})


def detect(units: Units) -> Watched:
    """Learn what is normal from the record's training part, set the threshold there, and score what comes after."""
    from stillroom.bench.baselines.detectors import isolation_forest, moving_z_score
    from stillroom.series.anomalies import evaluate
    from stillroom.series.anomalous import load

    [item] = load(PATIENT).items
    watchers: dict[str, Detector] = {"moving z-score": moving_z_score(), "isolation forest": isolation_forest()}
    found = {}
    for name, watcher in {"units": units, **watchers}.items():
        watcher.fit_normal(item.train, item.period)
        threshold = float(np.quantile(watcher.detect(item.train), ALARM, method="higher"))
        found[name] = watcher.detect(item.test), threshold
    metrics = {}
    for name, (scores, threshold) in found.items():
        every = evaluate([item.truth], [scores], [threshold], [item.period])
        metrics[name] = {metric: float(every[metric][0]) for metric in ("AUC_PR", "VUS_PR", "RECALL", "FALSE_ALARMS")}
    return Watched(item, *found["units"], metrics)


def _of_forecast(done: Forecast) -> str:
    own, naive = done.scores["units"], done.scores["seasonal naive"]
    return (
        f"Forecast: {HORIZON // YEAR} years of weekly CO₂ on Mauna Loa from the {CONTEXT // YEAR} before them. MASE is "
        f"{own['MASE']:.2f}, {_beside(own['MASE'], naive['MASE'])} seasonal naive's {naive['MASE']:.2f}; "
        f"{own['COVERAGE']:.0%} of what came lies in the 80 % band. One series is an example and no verdict."
    )


def _of_filled(done: Filled) -> str:
    own, lines = done.mse["units"], done.mse["straight lines"]
    items, variables, _ = done.truth.shape
    return (
        f"Impute: {items} motions, of whose {variables} variables {SHARE:.0%} is hidden, half a second at a time, each "
        f"by itself. The mean squared error of what is filled in is {own:.2f}, {_beside(own, lines)} the {lines:.2f} "
        "of straight lines, in units of the training part's variance."
    )


def _of_told(done: Told) -> str:
    own, nearest = done.accuracy["units"], done.accuracy["1-NN DTW"]
    return (
        f"Classify: {len(done.split.train)} movements of a hand to learn from, {len(done.split.test)} to tell apart, "
        f"as the archive splits them. {own:.1%} are told right, {nearest:.1%} by the nearest neighbour under dynamic "
        "time warping. What learns is a ridge regression on what the network makes of a series."
    )


def _of_watched(done: Watched) -> str:
    truth, alarms = done.item.truth, done.scores > done.threshold
    places = np.flatnonzero(truth)
    away = int(np.abs(places - done.scores.argmax()).min())
    where = "in it" if away == 0 else f"{away:,} steps from it"
    return (
        f"Detect: a patient's record with one labelled anomaly, {len(places)} of {len(truth):,} steps. The "
        f"{done.item.train.shape[1]:,} steps before say what is normal and set the threshold, which at most "
        f"{1 - ALARM:.0%} of them exceed; no label does. {np.count_nonzero(alarms & truth)} steps of the anomaly are "
        f"alarms, and {np.count_nonzero(alarms & ~truth):,} of the others. The strangest step of all lies {where}."
    )


def _beside(own: float, other: float) -> str:
    return "equal to" if own == other else "below" if own < other else "above"


def _trained_on(model: str) -> str:
    """Say which of the sets the model was trained on, as far as its folder tells."""
    from stillroom.bench.lineage import trace
    from stillroom.core.registry import resolve_model

    known = set(trace(resolve_model(model)).trained_on) & {*SETS}
    return f" It was trained on parts of {', '.join(sorted(known))}." if known else ""


def _table(title: str, ahead: Forecast, filled: Filled, told: Told, watched: Watched) -> Table:
    measured: list[tuple[str, str, dict[str, Any]]] = [
        ("forecast: MASE", ".2f", {name: own["MASE"] for name, own in ahead.scores.items()}),
        ("forecast: WQL", ".4f", {name: own["WQL"] for name, own in ahead.scores.items()}),
        ("impute: MSE", ".2f", filled.mse),
        ("classify: accuracy", ".1%", told.accuracy),
        ("detect: AUC-PR", ".3f", {name: own["AUC_PR"] for name, own in watched.metrics.items()}),
        (
            "detect: false alarms in 1,000 steps",
            ".1f",
            {name: own["FALSE_ALARMS"] for name, own in watched.metrics.items()},
        ),
    ]
    return Table(
        "The four jobs beside their baselines. Of accuracy and AUC-PR more is better, of the others less",
        ["", title, "baseline", ""],
        [
            [what if number == 0 else "", format(own["units"], form) if number == 0 else "", name, format(value, form)]
            for what, form, own in measured
            for number, (name, value) in enumerate((name, value) for name, value in own.items() if name != "units")
        ],
    )
