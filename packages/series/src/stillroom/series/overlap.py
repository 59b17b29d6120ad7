"""Do two collections of series share data? Hashed sliding windows answer it without keeping either.

A window of `WIDTH` steps is shifted and scaled to [0, 1], rounded and hashed, so copies are found in other units, at
other offsets and inside longer series. An `Index` of a training set can be stored beside a model: the benchmark reads
it to flag leakage. It knows arrays, no names.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

WIDTH = 16
DISTINCT = 8
"""Values that must differ within a window: counts, plateaus and gaps look alike everywhere and say nothing."""
_DECIMALS = 3


def fingerprints(series: np.ndarray, width: int = WIDTH) -> np.ndarray:
    """Hash every telling window of one series (time,); returns sorted unique uint64, possibly none.

    Windows with a missing value, with fewer than `DISTINCT` values, or that only climb or only fall by equal steps
    are left out.
    """
    values = np.asarray(series, dtype=np.float64)
    if len(values) < width:
        return np.empty(0, dtype=np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(values, width)
    windows = windows[np.isfinite(windows).all(axis=1)]
    low, high = windows.min(axis=1, keepdims=True), windows.max(axis=1, keepdims=True)
    windows, low, span = (part[(high > low)[:, 0]] for part in (windows, low, high - low))
    scaled = np.round((windows - low) / span, _DECIMALS)
    ordered = np.sort(scaled, axis=1)
    distinct = 1 + (np.diff(ordered, axis=1) > 0).sum(axis=1)
    straight = np.ptp(np.diff(scaled, axis=1), axis=1) <= 4 * 10.0**-_DECIMALS
    whole = np.round(scaled[(distinct >= DISTINCT) & ~straight] * 10**_DECIMALS).astype(np.uint64)
    hashed = np.zeros(len(whole), dtype=np.uint64)
    for column in range(width):  # multiply and mix, wrapping at 64 bits, as splitmix64 does
        hashed = (hashed ^ whole[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        hashed ^= hashed >> np.uint64(29)
        hashed *= np.uint64(0xBF58476D1CE4E5B9)
        hashed ^= hashed >> np.uint64(32)
    return _distinct(hashed)


class Index:
    """The window hashes of a collection of series.

    Parameters
    ----------
    hashes : sorted unique uint64.
    every : only hashes divisible by `every` are kept, on both sides of a comparison, so a small file still sees any
        overlap of a few times `every` windows. 1 keeps all.
    """

    def __init__(self, hashes: np.ndarray, every: int = 1) -> None:
        self.hashes, self.every = hashes, every

    @classmethod
    def of(cls, series: Iterable[np.ndarray], every: int = 1) -> Index:
        """Index a collection of one-dimensional series."""
        parts = [_thin(fingerprints(values), every) for values in series]
        return cls(_distinct(np.concatenate(parts)) if parts else np.empty(0, dtype=np.uint64), every)

    def shared(self, series: np.ndarray) -> float:
        """Share of a series' telling windows that the index holds; 0 when it has none."""
        hashes = _thin(fingerprints(series), self.every)
        if not len(hashes) or not len(self.hashes):
            return 0.0
        nearest = self.hashes.take(np.searchsorted(self.hashes, hashes), mode="clip")  # sorted: no pass over the index
        return float((nearest == hashes).mean())

    def save(self, path: str | Path) -> None:
        """Write the index as .npz."""
        np.savez_compressed(path, hashes=self.hashes, every=self.every)

    @classmethod
    def load(cls, path: str | Path) -> Index:
        """Read an index that `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["hashes"], int(stored["every"]))


def _distinct(hashes: np.ndarray) -> np.ndarray:
    """Sort and drop doubles; `np.unique` hashes integers since numpy 2.3, which takes ten times as long."""
    ordered = np.sort(hashes)
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    distinct: np.ndarray = ordered[first]
    return distinct


def _thin(hashes: np.ndarray, every: int) -> np.ndarray:
    kept: np.ndarray = hashes[hashes % np.uint64(every) == 0]
    return kept
