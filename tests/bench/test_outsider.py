"""An outsider's package, really built and installed, brings a kind of task with all that belongs to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "which-way"
version = "1.0"
dependencies = ["stillroom-bench"]

[project.entry-points."stillroom.tasks"]
direction = "which_way:kind"

[project.entry-points."stillroom.models"]
coin = "which_way:Coin"
momentum = "which_way:Momentum"

[project.entry-points."stillroom.datasets"]
waves = "which_way:waves"

[project.entry-points."stillroom.suites"]
demo-direction = "which_way:suite"
"""

MODULE = '''
"""Which way next? A kind of task for `stillroom bench`, with data, a suite and two models."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from stillroom.core import registry
from stillroom.core.errors import DataError


@runtime_checkable
class Compass(Protocol):
    """What a model must be able to do."""

    def rises(self, past: np.ndarray) -> np.ndarray:
        """How likely is each series of `past` (items, time) to rise in its next step? (items,)"""


class Coin:
    """It may rise, it may fall: the baseline."""

    def rises(self, past):
        return np.full(len(past), 0.5)


class Momentum:
    """It goes on as it went."""

    def rises(self, past):
        return np.where(past[:, -1] > past[:, -2], 0.9, 0.1)


def waves():
    """Sixty sine waves that begin at different phases, (items, time)."""
    return np.sin(0.5 * np.arange(40) + np.arange(60)[:, None])


def suite():
    tasks = [{"id": "waves", "dataset": "waves"}, {"id": "early-waves", "dataset": "waves", "history": 10}]
    return {"description": "Which way next?", "defaults": {"kind": "direction"}, "tasks": tasks}


class Task(BaseModel):
    """One task, as a suite writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["direction"] = "direction"
    dataset: str
    history: int = 30


@dataclass
class Data:
    past: np.ndarray
    rose: np.ndarray
    fingerprint: str

    @property
    def size(self):
        return len(self.rose)


class Direction:
    name = "direction"
    spec = Task
    protocol = Compass
    baseline = "coin"
    metrics = ("BRIER", "ACCURACY")  # the headline; the first ranks the leaderboard
    higher = frozenset({"ACCURACY"})
    version = "1"

    def load(self, spec):
        series = registry.get("stillroom.datasets", spec.dataset)()
        if not 1 < spec.history < series.shape[1]:
            raise DataError(f"task {spec.id}: history must be from 2 to {series.shape[1] - 1} steps")
        past, after = series[:, : spec.history], series[:, spec.history]
        return Data(past, after > past[:, -1], sha256(series.tobytes()).hexdigest())

    def predict(self, model, spec, data, fitting):
        return pd.DataFrame({"rises": model.rises(data.past)})

    def score(self, spec, data, predictions):
        said = predictions["rises"].to_numpy()
        return {"BRIER": np.mean((said - data.rose) ** 2), "ACCURACY": np.mean((said > 0.5) == data.rose)}

    def examples(self, spec, data, predictions):
        return []


kind = Direction()
'''


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """The environment of a command that finds the package; it is installed as any package is, only elsewhere."""
    pytest.importorskip("hatchling", reason="the package is built with hatchling")
    source, site = tmp_path_factory.mktemp("which-way"), tmp_path_factory.mktemp("site")
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "which_way.py").write_text(MODULE)
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", site]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, source], check=True)
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def bench(environment, stillroom, tmp_path):
    """Run `stillroom bench …` where the package is installed."""
    return lambda *arguments: stillroom("bench", *arguments, env=environment, cwd=tmp_path)


def test_its_suite_is_run_judged_rescored_and_reported(bench, tmp_path):
    done = bench("run", "demo-direction", "--model", "momentum", "--out", "out", "--workers", 2)
    assert done.returncode == 0, done.stderr
    scores = pd.read_parquet(tmp_path / "out" / "scores.parquet").set_index(["task", "model"])
    assert (scores["status"] == "ok").all()
    assert (scores["kind"] == "direction").all()
    assert (scores["weights"] == "which-way==1.0").all()
    assert (scores["size"] == 60).all()
    for task, history in (("waves", 30), ("early-waves", 10)):
        phases = [0.5 * history + item for item in range(60)]
        rose = np.array([np.sin(phase) > np.sin(phase - 0.5) for phase in phases])
        went_up = np.array([np.sin(phase - 0.5) > np.sin(phase - 1) for phase in phases])
        right = (rose == went_up).mean()
        assert scores.loc[(task, "momentum"), "ACCURACY"] == pytest.approx(right)
        assert scores.loc[(task, "momentum"), "BRIER"] == pytest.approx(right * 0.01 + (1 - right) * 0.81)
        assert scores.loc[(task, "coin"), "ACCURACY"] == pytest.approx(1 - rose.mean())
        assert scores.loc[(task, "coin"), "BRIER"] == 0.25

    [board] = json.loads(bench("leaderboard", "out", "--json").stdout)["boards"]
    assert (board["kind"], board["baseline"], board["metrics"]) == ("direction", "coin", ["BRIER", "ACCURACY"])
    best, baseline = board["models"]
    assert (best["model"], baseline["model"]) == ("momentum", "coin")
    momentum, coin = (scores.xs(model, level="model") for model in ("momentum", "coin"))
    ratios = momentum["BRIER"] / coin["BRIER"]
    assert best["relative_BRIER"] == pytest.approx(np.exp(np.log(ratios).mean()))
    ratios = (1 - momentum["ACCURACY"]) / (1 - coin["ACCURACY"])  # higher is better: errors are compared
    assert best["relative_ACCURACY"] == pytest.approx(np.exp(np.log(ratios).mean()))
    assert best["relative_ACCURACY"] < 1 == baseline["relative_ACCURACY"]

    assert bench("rescore", "out").stdout == "nothing changed\n"
    assert "0 to run, 4 done" in bench("run", "demo-direction", "--model", "momentum", "--out", "out").stderr
    assert bench("report", "out").returncode == 0


def test_its_tasks_stand_beside_others_and_each_model_does_what_it_can(bench, tmp_path):
    (tmp_path / "mixed.yaml").write_text(
        "tasks:\n"
        "  - {id: way, kind: direction, dataset: waves}\n"
        "  - {id: co2, kind: forecast, dataset: 'statsmodels:co2', prediction_length: 12}\n"
    )
    done = bench("run", "mixed.yaml", "--model", "momentum", "--out", "out", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "out").exists()
    done = bench("run", "mixed.yaml", "--model", "momentum", "--out", "out")
    assert done.returncode == 0, done.stderr
    scores = pd.read_parquet(tmp_path / "out" / "scores.parquet")
    pairs = [("co2", "seasonal-naive"), ("way", "coin"), ("way", "momentum")]
    assert list(zip(scores["task"], scores["model"], strict=True)) == pairs


def test_its_suite_is_part_of_the_tour_of_all_kinds(environment):
    script = "from stillroom.bench.tasks import load_suite; print({task.kind for task in load_suite('demo-all').tasks})"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "'direction'" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["demo-directoin"], "did you mean 'demo-direction'"),
        (["demo-direction", "--model", "momentun"], "did you mean 'momentum'"),
        (["demo-direction", "--model", "seasonal-naive"], "seasonal-naive can do no task of this suite"),
        (["demo-forecast", "--model", "momentum"], "momentum can do no task of this suite"),
        (["{id: a, kind: directions, dataset: waves}"], "did you mean 'direction'"),
        (["{id: a, kind: direction, dataset: wavs}"], "did you mean 'waves'"),
        (["{id: a, kind: direction, dataset: waves, histroy: 9}"], "did you mean 'history'"),
        (["{id: a, kind: direction, dataset: waves, history: 40}"], "history must be from 2 to 39 steps"),
    ],
)
def test_mistakes_with_its_names_are_refused_as_with_ours(arguments, sentence, bench, tmp_path):
    if arguments[0].startswith("{"):
        (tmp_path / "mine.yaml").write_text(f"tasks: [{arguments[0]}]")
        arguments = ["mine.yaml"]
    done = bench("run", *arguments, "--out", "out")
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert not (tmp_path / "out").exists()
