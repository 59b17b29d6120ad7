"""Labelled series by name: some to learn classes from, others to be told apart.

It knows where such data sets lie and how they are written down. It knows no model and no metric, and never touches the
network: what is neither in the folder STILLROOM_DATA nor bundled with aeon is missing, and says so.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from stillroom.core import registry
from stillroom.core.errors import DataError, MissingError

BUNDLED = (
    "ACSF1",
    "ArrowHead",
    "BasicMotions",
    "GunPoint",
    "ItalyPowerDemand",
    "JapaneseVowels",
    "OSULeaf",
    "PickupGestureWiimoteZ",
)
"""The sets of the UCR and UEA archives that come with aeon."""


@dataclass(frozen=True, eq=False)
class LabelledSplit:
    """Labelled series, divided into those to learn from and those to judge by.

    Parameters
    ----------
    train, test
        Series of the shape (variables, time), float64, NaN = missing; of any lengths, but all of the same variables.
    train_labels, test_labels
        The class of each as a string, shape (items,).
    name
        What sentences about it begin with; no part of its content.

    Raises
    ------
    DataError
        If there is nothing to learn or to judge, or the two parts do not fit together.
    """

    train: Sequence[np.ndarray]
    train_labels: np.ndarray
    test: Sequence[np.ndarray]
    test_labels: np.ndarray
    name: str = "labelled series"

    def __post_init__(self) -> None:
        for part, series, labels in (
            ("training", self.train, self.train_labels),
            ("test", self.test, self.test_labels),
        ):
            if not len(series):
                raise DataError(f"{self.name}: there are no {part} series")
            if len(series) != len(labels):
                raise DataError(f"{self.name}: {len(series)} {part} series have {len(labels)} labels")
            if not isinstance(labels, np.ndarray) or labels.dtype.kind != "U" or labels.ndim != 1:
                raise DataError(f"{self.name}: the {part} labels must be an array (items,) of strings")
            for number, values in enumerate(series):
                self._check(f"{part} series {number}", values)
        if len(self.classes) < 2:
            raise DataError(f"{self.name}: all training series are of the one class {str(self.classes[0])!r}")
        if unknown := np.setdiff1d(self.test_labels, self.classes).tolist():
            raise DataError(
                f"{self.name}: no training series is of the class{'es' * (len(unknown) > 1)} "
                f"{', '.join(map(repr, unknown))}, which test series have"
            )

    def _check(self, which: str, values: np.ndarray) -> None:
        if values.ndim != 2 or not values.size:
            raise DataError(f"{self.name}: {which} has the shape {values.shape} instead of (variables, time)")
        if len(values) != len(self.train[0]):
            raise DataError(f"{self.name}: {which} has {len(values)} variables, but the first has {len(self.train[0])}")
        if np.isinf(values).any():
            raise DataError(f"{self.name}: {which} has infinite values; a missing value is written as NaN")

    @property
    def classes(self) -> np.ndarray:
        """The classes there are, sorted: the order of a `Classifier`'s probabilities."""
        return np.unique(self.train_labels)

    def fingerprint(self) -> str:
        """Hash the content (sha256, hex): every series' shape and values, and its label."""
        digest = hashlib.sha256()
        for series, labels in ((self.train, self.train_labels), (self.test, self.test_labels)):
            digest.update(repr(labels.tolist()).encode())
            for values in series:
                digest.update(repr(values.shape).encode())
                digest.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())  # one NaN for all
        return digest.hexdigest()

    def first(self, most: int) -> LabelledSplit:
        """Keep the first `most` series of every class, of those to learn from as of those to judge by.

        Of every class, as files are often sorted by class: the first of all would be of one.
        """
        train = self._places(self.train_labels, most)
        test = self._places(self.test_labels, most)
        return LabelledSplit(
            [self.train[place] for place in train],
            self.train_labels[train],
            [self.test[place] for place in test],
            self.test_labels[test],
            self.name,
        )

    def _places(self, labels: np.ndarray, most: int) -> np.ndarray:
        return np.sort(np.concatenate([np.flatnonzero(labels == label)[:most] for label in self.classes]))


def load(source: str | Path) -> LabelledSplit:
    """Load labelled series by name.

    Parameters
    ----------
    source
        - `ucr:NAME`, a set of the UCR or UEA archive: `classification/NAME.npz` in the folder STILLROOM_DATA if it is
          there, else as it comes with aeon (`BUNDLED`);
        - the name of a registered data set (`stillroom.datasets`): a callable that returns a `LabelledSplit`;
        - an `.npz` file (`read_npz`);
        - a folder NAME with `NAME_TRAIN.ts` and `NAME_TEST.ts`, or the first of the two files (`read_ts`).

    Raises
    ------
    DataError
        If it cannot be found or read, or is no labelled split.
    MissingError
        If the set or the package to read it with is not here.
    """
    name = str(source)
    if name.startswith("ucr:"):
        return _load_ucr(name)
    if name in registry.names("stillroom.datasets"):
        split = registry.get("stillroom.datasets", name)()
        if not isinstance(split, LabelledSplit):
            raise DataError(f"the data set {name!r} has no classes: it is a {type(split).__name__}")
        return split
    path = Path(name).expanduser()
    if not path.exists():
        raise DataError(f"there is no labelled data set {name!r}: write ucr:NAME, or name an .npz or _TRAIN.ts file")
    return read_npz(path) if path.suffix == ".npz" else read_ts(path)


def _load_ucr(source: str) -> LabelledSplit:
    name = source.removeprefix("ucr:")
    if folder := os.environ.get("STILLROOM_DATA"):
        path = Path(folder, "classification", f"{name}.npz")
        if path.exists():
            return read_npz(path, source)
    if name not in BUNDLED:
        raise MissingError(
            f"{source} is not here: set STILLROOM_DATA to a folder that has classification/{name}.npz; "
            f"those that come with aeon are {', '.join(BUNDLED)}"
        )
    aeon = find_spec("aeon")
    if aeon is None or not aeon.submodule_search_locations:
        raise MissingError(f"{source} comes with aeon: pip install 'stillroom-series[aeon]'")
    return read_ts(Path(aeon.submodule_search_locations[0], "datasets", "data", name), source)


def read_npz(path: Path, name: str | None = None) -> LabelledSplit:
    """Read `X_train`, `y_train`, `X_test` and `y_test` of an `.npz` file.

    X has the shape (items, variables, time) or, of one variable, (items, time). Series that are shorter than the array
    end in NaN, as in the UCR archive: the steps at the end that no variable has are cut off.

    Raises
    ------
    DataError
        If it is no such file, or needs pickle, which could run code.
    """
    name = name or str(path)
    try:
        with np.load(path, allow_pickle=False) as stored:
            return LabelledSplit(
                [_without_padding(values) for values in np.asarray(stored["X_train"], dtype=np.float64)],
                stored["y_train"].astype(str),
                [_without_padding(values) for values in np.asarray(stored["X_test"], dtype=np.float64)],
                stored["y_test"].astype(str),
                name,
            )
    except KeyError as error:
        raise DataError(f"{name} needs the arrays X_train, y_train, X_test and y_test: {error.args[0]}") from None
    except (ValueError, TypeError, OSError, EOFError, BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{name} cannot be read ({reason}): save numbers and strings with numpy.savez") from None


def _without_padding(values: np.ndarray) -> np.ndarray:
    values = np.atleast_2d(values)
    observed = np.flatnonzero(~np.isnan(values).all(axis=0))
    return values[..., : observed[-1] + 1] if len(observed) else values


def read_ts(path: Path, name: str | None = None) -> LabelledSplit:
    """Read the pair `NAME_TRAIN.ts` and `NAME_TEST.ts`, given the first of them or the folder NAME of both, with aeon.

    aeon reads everything in lower case, labels too.

    Raises
    ------
    DataError
        If there is no such pair, or aeon cannot read it.
    MissingError
        If aeon is not installed.
    """
    train = path / f"{path.resolve().name}_TRAIN.ts" if path.is_dir() else path
    test = train.with_name(train.name.replace("_TRAIN.ts", "_TEST.ts"))
    if train == test or not train.is_file() or not test.is_file():
        raise DataError(f"{path} is no labelled data set: an .npz file, or a pair NAME_TRAIN.ts and NAME_TEST.ts, is")
    return LabelledSplit(*_read_ts_file(train), *_read_ts_file(test), name=name or str(path))


def _read_ts_file(file: Path) -> tuple[list[np.ndarray], np.ndarray]:
    try:
        from aeon.datasets import load_from_ts_file
    except ImportError:
        raise MissingError(f"{file.name} needs aeon to be read: pip install 'stillroom-series[aeon]'") from None
    try:
        series, labels, about = load_from_ts_file(str(file), return_meta_data=True)
    except Exception as error:  # aeon meets what it did not expect in many ways
        raise DataError(f"{file} cannot be read by aeon: {type(error).__name__}: {error}") from None
    if not about["classlabel"]:
        raise DataError(f"{file} has no classes: its header must say @classLabel true and name them")
    return [np.asarray(values, dtype=np.float64) for values in series], labels
