"""Jobs in processes of their own: what they answer, what limits they keep, and that they never outlive the parent."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from stillroom.bench import executor
from stillroom.bench.executor import FreshProcess, in_process
from stillroom.bench.worker import Job

TASK = {"id": "months", "dataset": "months", "prediction_length": 12, "season_length": 12}
pytestmark = pytest.mark.usefixtures("outside")


def job(model: str, folder: Path, **changes) -> Job:
    return Job(TASK | changes, model, 0, str(folder / "predictions.parquet"))


def test_a_fresh_process_gives_the_answer_of_this_process(tmp_path):
    here = in_process(job("seasonal-naive", tmp_path), tmp_path / "here.log")
    there = FreshProcess()(job("seasonal-naive", tmp_path), tmp_path / "there.log")
    assert here["metrics"] == there["metrics"]
    assert here["metrics"]["MASE"] == 1  # the trend is the only error, over the horizon as before it
    assert here["status"] == there["status"] == "ok"
    assert not (tmp_path / "there.log").exists()


def test_a_baseline_does_not_import_torch_and_stays_small(tmp_path):
    outcome = FreshProcess()(job("seasonal-naive", tmp_path), tmp_path / "log")
    assert "torch" not in outcome["versions"]
    assert 20 < outcome["peak_memory_mb"] < 300


def test_what_a_model_prints_and_draws_changes_nothing(tmp_path):
    first, second = (FreshProcess()(job("chatty", tmp_path), tmp_path / "log") for _ in range(2))
    assert first["status"] == "ok"
    assert first["metrics"] == second["metrics"]


@pytest.mark.parametrize("execute", [in_process, FreshProcess()], ids=["here", "there"])
def test_a_model_that_raises_fails_with_one_line_and_keeps_the_traceback(execute, tmp_path):
    outcome = execute(job("raises", tmp_path), tmp_path / "log")
    assert outcome["status"] == "failed"
    assert outcome["reason"] == "ValueError: no luck at all"
    assert "Traceback" in (tmp_path / "log").read_text()
    assert not (tmp_path / "predictions.parquet").exists()


def test_a_forecast_of_the_wrong_shape_or_without_numbers_fails(tmp_path):
    assert "shape (1, 1, 12) instead of (1, 1, 12, 9)" in in_process(job("flat", tmp_path), tmp_path / "log")["reason"]
    assert "108 of 108 forecast values are not finite" in in_process(job("blank", tmp_path), tmp_path / "log")["reason"]


def test_a_time_limit_ends_the_job(tmp_path):
    start = time.monotonic()
    outcome = FreshProcess(time_limit=3)(job("sleeps", tmp_path), tmp_path / "log")
    assert outcome == {"status": "failed", "reason": "time limit: 3 s"}
    assert time.monotonic() - start < 10


def test_a_memory_limit_ends_the_job(tmp_path):
    outcome = FreshProcess(memory_limit=400)(job("eats", tmp_path), tmp_path / "log")
    assert outcome["status"] == "failed"
    assert outcome["reason"].startswith("memory limit: 400 MB (it held ")
    assert outcome["peak_memory_mb"] > 400


def test_memory_that_was_given_back_between_two_looks_counts_against_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "POLL", 60)  # one look at the start, and then the job has ended
    outcome = FreshProcess(memory_limit=400)(job("gulps", tmp_path), tmp_path / "log")
    assert outcome["status"] == "failed"
    assert outcome["reason"].startswith("memory limit: 400 MB (it held ")
    assert outcome["peak_memory_mb"] > 800
    assert not (tmp_path / "predictions.parquet").exists()
    assert FreshProcess(memory_limit=2000)(job("gulps", tmp_path), tmp_path / "log")["status"] == "ok"


def test_an_interrupted_call_ends_its_process(tmp_path):
    script = (
        "import signal\n"
        "from pathlib import Path\n"
        "from stillroom.bench.executor import FreshProcess\n"
        "from stillroom.bench.worker import Job\n"
        "signal.signal(signal.SIGUSR1, signal.default_int_handler)\n"
        "try:\n"
        f"    FreshProcess()(Job({TASK!r}, 'sleeps', 0, 'p'), Path({str(tmp_path / 'log')!r}))\n"
        "except KeyboardInterrupt:\n"
        "    signal.pause()\n"  # it lives on, as a notebook does
    )
    parent = psutil.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 30
    while not (children := parent.children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    parent.send_signal(signal.SIGUSR1)
    try:
        while children[0].is_running() and children[0].status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert parent.is_running()
    finally:
        parent.kill()


def test_peak_memory_is_that_of_the_child(tmp_path):
    ballast = bytearray(300_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    outcome = FreshProcess()(job("last", tmp_path), tmp_path / "log")
    assert outcome["peak_memory_mb"] < 250


def test_a_process_that_leaves_or_is_killed_fails_with_its_code_or_signal(tmp_path):
    assert FreshProcess()(job("leaves", tmp_path), tmp_path / "log")["reason"].startswith(
        "the process left with exit code 7"
    )
    assert FreshProcess()(job("dies", tmp_path), tmp_path / "log")["reason"] == "the process was killed by SIGKILL"


def test_a_child_leaves_when_its_parent_is_killed(tmp_path):
    script = (
        "from pathlib import Path\n"
        "from stillroom.bench.executor import FreshProcess\n"
        "from stillroom.bench.worker import Job\n"
        f"FreshProcess()(Job({TASK!r}, 'sleeps', 0, 'p'), Path({str(tmp_path / 'log')!r}))\n"
    )
    parent = psutil.Process(subprocess.Popen([sys.executable, "-c", script]).pid)
    deadline = time.monotonic() + 30
    while not (children := parent.children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    parent.kill()
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert len(gone) == 1
    assert not alive
