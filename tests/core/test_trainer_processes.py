from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from stillroom.core import checkpoints

SCRIPT = Path(__file__).with_name("two_processes.py")


def launch(folder):
    """Start two processes that train in `folder`, in a session of their own."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--main_process_port", "0", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    # Without MPI `--cpu --num_processes 2` starts one process; `--multi_gpu` starts two, and this keeps them off GPUs.
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    command += [str(SCRIPT), str(folder)]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, start_new_session=True, **streams)


def trained(folder):
    process = launch(folder)
    _, said = process.communicate(timeout=500)
    assert process.returncode == 0, said
    return folder


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The folder in which two processes have trained, once on ready batches and once on rows."""
    return trained(tmp_path_factory.mktemp("together"))


@pytest.fixture(scope="module", params=["batches", "rows"])
def case(request, together, tmp_path_factory):
    """What each of the two ended with, and what one process ends with that sees the same rows a step."""
    kind = request.param
    both = [json.loads((together / f"{kind}-{rank}.json").read_text()) for rank in (0, 1)]
    accumulation, batch_size = (2, 4) if kind == "batches" else (1, 8)
    _, alone = runpy.run_path(str(SCRIPT))["train"](tmp_path_factory.mktemp("alone"), kind, accumulation, batch_size)
    return together / kind, both, alone


def test_two_processes_end_with_the_same_weights_and_history(case):
    _, both, _ = case
    assert both[0]["weights"] == both[1]["weights"]
    assert both[0]["history"] == both[1]["history"]
    assert both[0]["losses"] == both[1]["losses"]


def test_two_processes_train_like_one_with_their_rows_together(case):
    _, both, alone = case
    for name, value in alone["weights"].items():
        torch.testing.assert_close(torch.tensor(both[0]["weights"][name]), torch.tensor(value), rtol=1e-5, atol=1e-6)
    for row, other in zip(both[0]["losses"], alone["losses"], strict=True):
        assert row == pytest.approx(other, rel=1e-5)


def test_two_processes_split_the_data(case):
    _, both, alone = case
    assert len(both[0]["numbers"]) == len(both[1]["numbers"]) == 24
    assert sorted(both[0]["numbers"] + both[1]["numbers"]) == sorted(alone["numbers"])


def test_two_processes_write_one_checkpoint_and_validate_once(case):
    folder, both, _ = case
    assert [one["visits"] for one in both] == [3, 0]
    assert checkpoints.steps(folder) == [6, 3]
    assert all(checkpoints.whole(folder, step) for step in (6, 3))
    names = {path.name for path in checkpoints.place(folder, 6).iterdir()}
    assert {"rng_state_0.pth", "rng_state_1.pth", "weights.pt"} <= names
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_two_processes_that_are_killed_end_with_the_same_weights(together, tmp_path):
    doomed = launch(tmp_path)
    while not checkpoints.place(tmp_path / "batches", 3).exists():
        time.sleep(0.01)
        assert doomed.poll() is None
    os.killpg(doomed.pid, signal.SIGKILL)
    doomed.communicate()
    trained(tmp_path)
    for rank in (0, 1):
        expected, ended = (json.loads((folder / f"batches-{rank}.json").read_text()) for folder in (together, tmp_path))
        assert ended["weights"] == expected["weights"]
        assert ended["history"] == expected["history"]
