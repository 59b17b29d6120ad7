"""An outside package with models and data sets of its own, as anybody could install one; and a small CSV file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

OUTSIDE = '''
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd

from stillroom.core.errors import MissingError
from stillroom.series.panel import Item, Panel


class Last:
    """Repeats the last value; notes every call in the file $OUTSIDE_CALLS, and takes $OUTSIDE_SECONDS; a forecast of
    $OUTSIDE_HELD steps does not end.
    """

    def predict(self, window, quantile_levels):
        if "OUTSIDE_CALLS" in os.environ:
            with open(os.environ["OUTSIDE_CALLS"], "a") as file:
                file.write(f"{window.prediction_length}\\n")
        held = os.environ.get("OUTSIDE_HELD") == str(window.prediction_length)
        time.sleep(600 if held else float(os.environ.get("OUTSIDE_SECONDS", 0)))
        last = np.stack([item.target[:, -1] for item in window.past])
        return np.broadcast_to(last[:, :, None, None], (*last.shape, window.prediction_length, len(quantile_levels)))


class Raises:
    def predict(self, window, quantile_levels):
        raise ValueError("no luck\\nat all")


class Sleeps:
    def predict(self, window, quantile_levels):
        time.sleep(600)


class Eats:
    def predict(self, window, quantile_levels):
        self.food = np.ones(100_000_000)  # 800 MB
        time.sleep(600)


class Gulps(Last):
    """Takes 800 MB and gives it back at once."""

    def predict(self, window, quantile_levels):
        np.ones(100_000_000)
        return super().predict(window, quantile_levels)


class Breeds:
    """Starts a process of its own and notes its id."""

    def predict(self, window, quantile_levels):
        child = subprocess.Popen(["sleep", "600"])
        Path(os.environ["OUTSIDE_CALLS"]).write_text(str(child.pid))
        time.sleep(600)


class Leaves:
    def predict(self, window, quantile_levels):
        os._exit(7)


class Dies:
    def predict(self, window, quantile_levels):
        os.kill(os.getpid(), 9)


class Flat(Last):
    def predict(self, window, quantile_levels):
        return super().predict(window, quantile_levels)[..., 0]


class Blank(Last):
    def predict(self, window, quantile_levels):
        return super().predict(window, quantile_levels) * np.nan


class Chatty(Last):
    """Prints to both streams and draws from the global generators."""

    def predict(self, window, quantile_levels):
        print("{not json}", flush=True)
        return super().predict(window, quantile_levels) + np.random.normal()


class Mute:
    """Can nothing."""


def months():
    values = np.tile(10.0 * np.arange(12), 5) + np.arange(60)  # a year and a trend
    return Panel((Item("a", pd.Timestamp("2000-01-31"), values[None]),), "ME")


def nowhere():
    raise MissingError("the archive is offline")
'''

MODELS = ("last", "raises", "sleeps", "eats", "gulps", "breeds", "leaves", "dies", "flat", "blank", "chatty", "mute")


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path of this process and of its children: the package `outside` 1.0, installed."""
    folder = tmp_path / "site"
    info = folder / "outside-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "outside.py").write_text(OUTSIDE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    lines = ["[stillroom.models]", *(f"{name} = outside:{name.capitalize()}" for name in MODELS)]
    lines += ["[stillroom.datasets]", "months = outside:months", "nowhere = outside:nowhere"]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.delitem(sys.modules, "outside", raising=False)
    return folder


@pytest.fixture
def shops(tmp_path: Path) -> Path:
    """A CSV file with two monthly series of 48 steps that repeat a year, plus a trend."""
    steps = np.arange(48)
    frames = [
        pd.DataFrame(
            {
                "shop": name,
                "month": pd.date_range("2015-01-01", periods=48, freq="MS"),
                "sales": level + steps + 10.0 * (steps % 12),
            }
        )
        for name, level in (("north", 100), ("south", 300))
    ]
    path = tmp_path / "shops.csv"
    pd.concat(frames).to_csv(path, index=False)
    return path


@pytest.fixture
def stillroom():
    """Run the real command in a process of its own."""

    def run(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("stillroom")), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)

    return run
