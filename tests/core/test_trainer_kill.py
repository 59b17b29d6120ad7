"""Runs that are really killed end as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import random
import runpy
import signal
from pathlib import Path

import pytest
import torch

CHILD = str(Path(__file__).with_name("tiny_training.py"))
KINDS = {
    "batches": ("batches", {"ema": 0.9, "workers": 2}),
    "rows": ("rows", {"accumulation": 2}),
    "stream": ("stream", {"optimizer": "muon"}),
}


@pytest.fixture(scope="module")
def processes():
    """Children of a server that has imported torch already: real processes that start in no time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["stillroom.core.trainer"])
    return context


@pytest.fixture(scope="module")
def start(processes):
    def start(folder, case, die_at=None):
        kind, settings = KINDS[case]
        order = {"folder": str(folder), "kind": kind, "settings": settings, "die_at": die_at}
        process = processes.Process(target=runpy.run_path, args=(CHILD, {"ORDER": order}, "child"))
        process.start()
        return process

    return start


@pytest.fixture(scope="module")
def uninterrupted(start, tmp_path_factory):
    """What each case ends with when nobody kills it, and how many calls its saves make."""
    done = {}

    def uninterrupted(case):
        if case not in done:
            folder = tmp_path_factory.mktemp(case)
            finish(start(folder, case))
            done[case] = outcome(folder), int((folder / "calls").read_text())
        return done[case]

    return uninterrupted


def finish(process):
    process.join(120)
    assert process.exitcode == 0


def outcome(folder):
    """Everything a run leaves behind: the chosen weights, the last ones and their average, and the whole history."""
    last = torch.load(folder / "checkpoint-12" / "weights.pt")
    final = torch.load(folder / "final.pt")
    tensors = {
        f"{part}.{name}": value for part in ("weights", "averages") for name, value in (last[part] or {}).items()
    }
    return tensors | final, (folder / "history.json").read_text()


def same(one, other):
    return (
        one[0].keys() == other[0].keys()
        and all(torch.equal(tensor, other[0][name]) for name, tensor in one[0].items())
        and one[1] == other[1]
    )


def killed_at_each(calls, case, start, uninterrupted, tmp_path):
    expected, total = uninterrupted(case)
    for call in calls(total):
        folder = tmp_path / str(call)
        doomed = start(folder, case, die_at=call)
        doomed.join(120)
        assert doomed.exitcode == -signal.SIGKILL
        finish(start(folder, case))
        assert same(outcome(folder), expected), f"killed at call {call} of {total}"


def test_a_run_killed_within_a_save_ends_with_the_same_weights(start, uninterrupted, tmp_path):
    # a save is nine syncs and a rename: with a stride of eleven each kill meets another place of another save
    killed_at_each(lambda total: range(2, total, 11), "rows", start, uninterrupted, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", KINDS)
def test_a_run_killed_at_any_write_of_any_save_ends_with_the_same_weights(case, start, uninterrupted, tmp_path):
    killed_at_each(lambda total: range(1, total + 1), case, start, uninterrupted, tmp_path)


def killed_at_random(case, start, uninterrupted, folder, seed, kills):
    expected, _ = uninterrupted(case)
    draw = random.Random(seed)
    for _ in range(kills):
        doomed = start(folder, case)
        doomed.join(draw.uniform(0.05, 1.0))
        doomed.kill()
        doomed.join()
    finish(start(folder, case))
    assert same(outcome(folder), expected)


@pytest.mark.parametrize("case", KINDS)
def test_a_run_killed_again_and_again_ends_with_the_same_weights(case, start, uninterrupted, tmp_path):
    killed_at_random(case, start, uninterrupted, tmp_path, seed=1, kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("case", KINDS)
def test_a_run_killed_many_times_ends_with_the_same_weights(case, seed, start, uninterrupted, tmp_path):
    killed_at_random(case, start, uninterrupted, tmp_path, seed=seed, kills=6)
