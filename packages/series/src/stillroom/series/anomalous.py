"""Series with labelled anomalies: NAB, NASA's telemetry, what comes with aeon, and a user's own table.

Each series has a part to learn from, whose labels nobody sees, and a part to judge by. Missing values are NaN and stay
NaN. Steps are rows: gaps in time are not filled. Knows no models and no metrics.
"""

from __future__ import annotations

import difflib
import gzip
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stillroom.core import registry
from stillroom.core.errors import DataError, MissingError, RecipeError
from stillroom.series.columns import item_codes, require, timestamps, values_of
from stillroom.series.intake import read_frame

if TYPE_CHECKING:
    from stillroom.series.overlap import Index

TRAIN = 0.15
"""The share of a series to learn from, unless told: NAB's."""
PROBATION = 750
"""NAB's longest probation, in steps: 15 % of 5,000 (`getProbationPeriod` in nab/util.py)."""
PERIODS = (6, 303)
"""The shortest and the longest period that is believed."""
NO_PERIOD = 125
"""What stands in where there is none."""
BUNDLED: dict[str, tuple[str | None, str]] = {
    "KDD-TSAD_135": (
        "KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_TRAIN.csv",
        "KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_TEST.csv",
    ),
    "ecg-diff-count-3": ("UnitTest/ecg-diff-count-3_TRAIN_NA.csv", "UnitTest/ecg-diff-count-3_TEST.csv"),
    "Daphnet_S06R02E0": (None, "Daphnet_S06R02E0/S06R02E0.csv"),
}
"""What comes with aeon: the file to learn from, or None where one is cut in two, and the file to judge by.

KDD-TSAD_135 is a patient's record from the UCR archive, whose training part is also the start of the other file, where
it is left out; ecg-diff-count-3 is made by GutenTAG; Daphnet_S06R02E0 is a walking patient with nine acceleration
sensors and no labelled anomaly: it only says how often a detector cries wolf.
"""


@dataclass(frozen=True, eq=False)
class AnomalyItem:
    """One series, cut in two.

    Parameters
    ----------
    item_id
        Its name.
    train
        Shape (variables, time): what is taken as normal. Real records are not always.
    test
        Shape (variables, time).
    truth
        Shape (time,), boolean: which steps of `test` are anomalous.

    Raises
    ------
    DataError
        If the shapes do not fit together, or a part is empty.
    """

    item_id: str
    train: np.ndarray
    test: np.ndarray
    truth: np.ndarray

    def __post_init__(self) -> None:
        variables = len(self.train)
        if self.train.ndim != 2 or self.test.shape != (variables, len(self.truth)) or not self.train.size:
            raise DataError(
                f"The parts of {self.item_id!r} do not fit together: train {self.train.shape}, test {self.test.shape}, "
                f"truth {self.truth.shape} instead of (variables, time), (variables, time) and (time,)."
            )

    @cached_property
    def period(self) -> int:
        """Steps in one cycle, found in the training part: `period` of the first variable that varies in it."""
        return next((period(values) for values in self.train if _varies(values)), NO_PERIOD)


@dataclass(frozen=True, eq=False)
class AnomalySet:
    """Series of one source, each with a name of its own; `DataError` where there are none, or two of one name."""

    items: tuple[AnomalyItem, ...]

    def __post_init__(self) -> None:
        names = [item.item_id for item in self.items]
        if not names or len(set(names)) < len(names):
            raise DataError("Two series have the same name." if names else "There are no series to watch.")

    @property
    def size(self) -> int:
        """Steps to judge, over all series."""
        return sum(len(item.truth) for item in self.items)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content (sha256, hex): every item's name, both parts and labels."""
        digest = hashlib.sha256()
        for item in self.items:
            digest.update(repr((item.item_id, item.train.shape, item.test.shape)).encode())
            for values in (item.train, item.test):
                digest.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())
            digest.update(item.truth.tobytes())
        return digest.hexdigest()

    def shared(self, index: Index) -> float:
        """Share of the telling windows of one series that the index holds, of the series with the largest.

        What every model learns from does not count. The variables of a series count together, as most commands of
        telemetry have so few telling windows that one look-alike would be a large share of them.
        """
        gap = np.array([np.nan])  # no window reaches over it
        return max(index.shared(np.concatenate([x for row in item.test for x in (row, gap)])) for item in self.items)


def load(source: str, *, train: int | float | None = None) -> AnomalySet:
    """Load series with labelled anomalies.

    Parameters
    ----------
    source
        - `nab:CATEGORY`, or `nab:` for all seven: the Numenta Anomaly Benchmark;
        - `telemetry:SMAP` or `telemetry:MSL`: NASA's telemetry (Hundman et al., KDD 2018);
        - `aeon:NAME`, a series that comes with aeon (`BUNDLED`);
        - the name of a registered data set (`stillroom.datasets`): a callable that returns an `AnomalySet`;
        - the path of a CSV or Parquet file, see `from_frame`.

        The first two are read from the folder STILLROOM_DATA.
    train
        How much of the start of each series is to learn from: a number of steps, or a share between 0 and 1. Default:
        NAB's probation, 15 % but at most 750 steps, for NAB, else 15 %. Sources that bring a training part take none.

    Raises
    ------
    DataError
        If it cannot be found or read, or nothing would be left to learn from or to judge by.
    RecipeError
        If `train` is given for a source that brings its own.
    MissingError
        If it needs STILLROOM_DATA or a package that is not there.
    """
    kind, colon, name = source.partition(":")
    if colon and kind not in _SOURCES:
        known = ", ".join(f"{known}:" for known in _SOURCES)
        raise DataError(f"{source!r} is no source of anomalies: use {known} or a CSV or Parquet file.")
    if colon:
        return AnomalySet(tuple(_SOURCES[kind](name, train)))
    if source not in registry.names("stillroom.datasets"):
        return from_frame(read_frame(source), train=train)
    _own_split(source, train)
    registered = registry.get("stillroom.datasets", source)()
    if not isinstance(registered, AnomalySet):
        raise DataError(f"The data set {source!r} has no anomalies: it is a {type(registered).__name__}.")
    return registered


def from_frame(frame: pd.DataFrame, *, train: int | float | None = None) -> AnomalySet:
    """Read a long frame: a row a step, columns `label` (0 or 1) and numbers, one a variable.

    Columns `item_id`, which tells several series apart, and `timestamp`, which sorts them, may be there or not.

    Parameters
    ----------
    frame
        Not changed.
    train
        As in `load`; default 15 %. Labels in that part are not looked at.

    Raises
    ------
    DataError
        For missing columns, labels other than 0 and 1, values that are not numbers, and series that are too short.
    """
    require(frame, ["label"], "the table")
    variables = [column for column in frame.columns if column not in ("item_id", "timestamp", "label")]
    if not variables or not len(frame):
        raise DataError("The table has no values: it needs rows, and a column of numbers beside its labels.")
    codes, ids = item_codes(frame, "item_id")
    order = np.arange(len(frame))
    if "timestamp" in frame:
        numbers = pd.api.types.is_numeric_dtype(frame["timestamp"])
        order = np.argsort(frame["timestamp"] if numbers else timestamps(frame, "timestamp"), kind="stable")
    order = order[np.argsort(codes[order], kind="stable")]
    labels = values_of(frame, "label", must=True)
    if (strange := ~np.isin(labels, (0, 1))).any():
        row = int(np.argmax(strange))
        raise DataError(f"'label' must be 0 or 1, but row {row} holds {frame['label'].iloc[row]}.")
    values = np.stack([values_of(frame, column, must=True) for column in variables])[:, order]
    ends = np.cumsum(np.bincount(codes))[:-1]
    series = zip(ids, np.split(values, ends, axis=1), np.split(labels[order] == 1, ends), strict=True)
    return AnomalySet(tuple(_cut(str(item_id), own, truth, train) for item_id, own, truth in series))


def period(values: np.ndarray) -> int:
    """Steps in one cycle of a series (time,): the lag of the highest peak of its autocorrelation.

    The rule of TSB-UAD (Paparrizos et al., VLDB 2022), by whose code VUS got its buffer: of the local maxima up to lag
    400, and 125 where there is none or the highest is not between 6 and 303. Missing values count as the mean; of a
    long series the first 20,000 steps are looked at.
    """
    values = values[:20_000]
    centred = np.nan_to_num(values - np.nanmean(values))
    spectrum = np.fft.rfft(centred, 2 * len(centred))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: min(401, len(centred))]
    inner = correlation[4:-1]
    peaks = 4 + np.flatnonzero((inner > correlation[3:-2]) & (inner > correlation[5:]))
    if not len(peaks):
        return NO_PERIOD
    highest = int(peaks[np.argmax(correlation[peaks])])
    return highest if PERIODS[0] <= highest <= PERIODS[1] else NO_PERIOD


def _varies(values: np.ndarray) -> bool:
    return bool(np.nanmin(values, initial=np.inf) < np.nanmax(values, initial=-np.inf))


def _cut(item_id: str, values: np.ndarray, truth: np.ndarray, train: int | float | None) -> AnomalyItem:
    """Cut a series (variables, time) after its training part."""
    train = TRAIN if train is None else train
    steps = int(train * len(truth)) if isinstance(train, float) else train
    if not 0 < steps < len(truth):
        part = "everything" if steps else "nothing"
        raise DataError(
            f"The training part of {item_id!r} would contain {part}: choose `train` so that its {len(truth)} steps "
            "are cut in two."
        )
    return AnomalyItem(item_id, values[:, :steps], values[:, steps:], truth[steps:])


def _marked(windows: list[list[int]], steps: int) -> np.ndarray:
    """Labels (steps,) from pairs of first and last anomalous step."""
    truth = np.zeros(steps, dtype=bool)
    for first, last in windows:
        truth[first : last + 1] = True
    return truth


def _data(name: str, source: str) -> Path:
    """A file below STILLROOM_DATA."""
    folder = os.environ.get("STILLROOM_DATA")
    path = Path(folder or "", "anomaly", name)
    if not folder or not path.is_file():
        raise MissingError(f"{source} cannot be had here: set STILLROOM_DATA to a folder that has anomaly/{name}.")
    return path


def _own_split(source: str, train: int | float | None) -> None:
    if train is not None:
        raise RecipeError(f"{source} brings its own training part: leave `train` out.")


def _nearest(name: str, known: list[str], source: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"There is no {source}:{name}" + (f" (did you mean {near[0]!r}?)" if near else "") + f": {', '.join(known)}."


def _nab(category: str, train: int | float | None) -> list[AnomalyItem]:
    """The series of one category, or all. Source: github.com/numenta/NAB, whose windows around anomalies are kept."""
    with gzip.open(_data("nab.jsonl.gz", "nab"), "rt", encoding="utf-8") as file:
        series = [json.loads(line) for line in file]
    known = sorted({one["item_id"].split("/")[0] for one in series})
    if category and category not in known:
        raise DataError(_nearest(category, known, "nab"))
    items = []
    for one in series:
        if category in ("", one["item_id"].split("/")[0]):
            values = np.array([one["target"]], dtype=np.float64)  # null becomes NaN
            steps = values.shape[1]
            probation = min(int(TRAIN * steps), PROBATION) if train is None else train
            items.append(_cut(one["item_id"], values, _marked(one["anomaly_windows"], steps), probation))
    return items


def _telemetry(name: str, train: int | float | None) -> list[AnomalyItem]:
    """The channels of one spacecraft. The first variable is the channel's value, the others are commands, 0 or 1."""
    if name not in ("SMAP", "MSL"):
        raise DataError(_nearest(name, ["SMAP", "MSL"], "telemetry"))
    _own_split(f"telemetry:{name}", train)
    labels = json.loads(_data(f"{name}.labels.json", f"telemetry:{name}").read_text(encoding="utf-8"))
    with np.load(_data(f"{name}.npz", f"telemetry:{name}"), allow_pickle=False) as arrays:
        return [
            AnomalyItem(
                channel,
                arrays[f"{channel}_train"].T.astype(np.float64),
                arrays[f"{channel}_test"].T.astype(np.float64),
                _marked(label["seq"], label["n"]),
            )
            for channel, label in labels.items()
        ]


def _bundled(name: str, train: int | float | None) -> list[AnomalyItem]:
    """One series that comes with aeon, read from its folder: importing aeon would take seconds."""
    if name not in BUNDLED:
        raise DataError(_nearest(name, list(BUNDLED), "aeon"))
    train_file, test_file = BUNDLED[name]
    values, truth = _timeeval(test_file)
    if train_file is None:
        return [_cut(name, values, truth, train)]
    _own_split(f"aeon:{name}", train)
    learned, _ = _timeeval(train_file)
    steps = learned.shape[1]
    if np.array_equal(values[:, :steps], learned):
        return [_cut(name, values, truth, steps)]
    return [AnomalyItem(name, learned, values, truth)]


def _timeeval(file: str) -> tuple[np.ndarray, np.ndarray]:
    """Values (variables, time) and labels (time,) of a file in TimeEval's form: time, values, label."""
    package = find_spec("aeon")
    if package is None or not package.submodule_search_locations:
        raise MissingError("Series of aeon need aeon: pip install 'stillroom-series[aeon]'.")
    path = Path(package.submodule_search_locations[0], "datasets", "data", file)
    if not path.is_file():
        raise MissingError(f"This version of aeon no longer brings {path.name}: pip install 'aeon<1.7'.")
    table = pd.read_csv(path).to_numpy()[:, 1:].astype(np.float64)
    return table[:, :-1].T, table[:, -1] == 1


_SOURCES: dict[str, Callable[[str, int | float | None], list[AnomalyItem]]] = {
    "nab": _nab,
    "telemetry": _telemetry,
    "aeon": _bundled,
}
