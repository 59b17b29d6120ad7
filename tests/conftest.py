"""Trainings that are killed, for real: what every package with a training proves by them."""

from __future__ import annotations

import multiprocessing
import runpy
from pathlib import Path

import pytest

CHILD = str(Path(__file__).with_name("training_child.py"))


@pytest.fixture(scope="module")
def start(training):
    """Train in a child of a server that has imported everything already; a module says by `training` which function.

    start(recipe, folder, die_at) gives the child's exit code; see `training_child.py`.
    """
    module, function = training
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])

    def start(recipe, folder, die_at):
        order = {
            "module": module, "function": function, "recipe": recipe, "folder": str(folder), "die_at": die_at
        }  # fmt: skip
        process = context.Process(target=runpy.run_path, args=(CHILD, {"ORDER": order}, "child"))
        process.start()
        process.join(300)
        return process.exitcode

    return start
