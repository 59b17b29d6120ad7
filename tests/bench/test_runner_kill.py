"""The real command, killed again and again: no row is lost, and nothing is computed twice but what was in flight.

The outside model `last` notes every forecast it is asked for in a file of its own, which no kill takes back.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from stillroom.bench.keys import stem
from stillroom.bench.rows import MEASURED

pytestmark = pytest.mark.usefixtures("outside")


@pytest.fixture
def bench_run(tmp_path, monkeypatch):
    """Start `stillroom bench run` of a model on so many tasks; the task `h3` asks for 3 steps."""
    monkeypatch.setenv("OUTSIDE_CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("OUTSIDE_SECONDS", "0.1")

    def start(tasks: int, out: str, workers: int = 1, model: str = "last") -> psutil.Popen:
        horizons = range(1, tasks + 1)
        suite = [{"id": f"h{h}", "dataset": "months", "prediction_length": h, "season_length": 12} for h in horizons]
        (tmp_path / "mine.yaml").write_text(json.dumps({"tasks": suite}))
        command = [Path(sys.executable).with_name("stillroom"), "bench", "run", tmp_path / "mine.yaml"]
        options = ["--model", model, "--workers", str(workers), "--out", tmp_path / out]
        return psutil.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return start


def calls(tmp_path: Path) -> list[int]:
    """What `last` was asked for so far, in order."""
    path = tmp_path / "calls"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def rows(folder: Path) -> list[Path]:
    return list((folder / "rows").glob("*.json"))


def row(folder: Path, horizon: int) -> Path:
    """Where the row of `last` is, once it is durable."""
    return folder / "rows" / f"{stem(f'h{horizon}', 'last')}.json"


def kill(process: psutil.Popen) -> None:
    """End a run as the system does when memory is short, and wait until its children have noticed."""
    process.send_signal(signal.SIGSTOP)  # so that none is born between the count and the kill
    children = process.children()
    process.send_signal(signal.SIGKILL)
    process.wait()
    alive = psutil.wait_procs(children, timeout=20)[1]
    assert all(child.status() == psutil.STATUS_ZOMBIE for child in alive)  # where nobody collects them


def table(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "scores.parquet").drop(columns=list(MEASURED))


@pytest.mark.parametrize(
    ("kills", "workers"),
    [
        (6, 2),
        pytest.param(25, 1, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
        pytest.param(25, 2, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
def test_a_run_killed_at_random_moments_ends_with_the_table_of_an_uninterrupted_one(
    kills, workers, bench_run, tmp_path, monkeypatch
):
    monkeypatch.setenv("OUTSIDE_HELD", str(kills))  # the last task: no run ends before it is killed, however fast
    chance = np.random.default_rng(kills + workers)
    for attempt in range(kills + 1):
        done = {h for h in range(1, kills + 1) if row(tmp_path / "killed", h).exists()}
        before = calls(tmp_path)
        if attempt == kills:
            monkeypatch.delenv("OUTSIDE_HELD")
        process = bench_run(kills, "killed", workers)
        if attempt < kills:
            enough = len(rows(tmp_path / "killed")) + chance.integers(2)
            while len(rows(tmp_path / "killed")) < enough and kills not in calls(tmp_path)[len(before) :]:
                assert process.poll() is None, "the run ended before its kill"
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 1))
            assert process.poll() is None, "the run ended before its kill"
            kill(process)
        else:
            assert process.wait() == 0, "the last run is left alone"
        asked = calls(tmp_path)[len(before) :]
        assert done.isdisjoint(asked), "a row that was there is computed again"
        assert len(asked) == len(set(asked)), "one run computes a row twice"
    assert set(calls(tmp_path)) == set(range(1, kills + 1))
    assert len(calls(tmp_path)) <= kills * (1 + workers)  # a kill costs at most the jobs in flight

    assert bench_run(kills, "whole", 2).wait() == 0
    pd.testing.assert_frame_equal(table(tmp_path / "killed"), table(tmp_path / "whole"))
    assert len(table(tmp_path / "whole")) == 2 * kills
    for name in table(tmp_path / "whole")["predictions"]:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_kill_between_predictions_and_row_costs_that_job_alone(bench_run, tmp_path):
    """The one moment that a random kill hardly hits: the predictions are there, the row that names them is not."""
    assert bench_run(2, "out").wait() == 0
    before = table(tmp_path / "out")
    row(tmp_path / "out", 2).unlink()
    (tmp_path / "out" / "scores.parquet").unlink()
    assert bench_run(2, "out").wait() == 0
    assert calls(tmp_path) == [1, 2, 2]
    pd.testing.assert_frame_equal(table(tmp_path / "out"), before)


def test_what_a_model_started_ends_with_a_killed_run(bench_run, tmp_path):
    process = bench_run(1, "out", model="breeds")
    while not calls(tmp_path):
        assert process.poll() is None
        time.sleep(0.05)
    [started] = map(psutil.Process, calls(tmp_path))
    kill(process)
    deadline = time.monotonic() + 20
    while started.is_running() and started.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
