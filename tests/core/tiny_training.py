"""A tiny training run with everything that resuming could forget; in a process of its own it can be killed anywhere.

`runpy.run_path(this file, {"ORDER": …}, "child")` trains. ORDER: folder, kind, settings, and die_at, the number of the
call to os.fsync or os.replace at which the process kills itself with SIGKILL.
"""

import gc
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, IterableDataset

from stillroom.core.trainer import Batches, DistillTrainer, TrainSettings

HELD_OUT = torch.randn(32, 4, generator=torch.Generator().manual_seed(7))


class Net(nn.Module):
    """Dropout draws from the global generator, batch norm moves buffers, and one layer is frozen."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.inner, self.norm, self.drop = nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.3)
        self.fixed, self.outer = nn.Linear(16, 16), nn.Linear(16, 1)
        self.fixed.requires_grad_(False)

    def forward(self, x):
        return self.outer(self.fixed(self.drop(self.norm(self.inner(x)).relu())))


def row(number):
    """One row, with noise from the global generators of numpy and torch."""
    x = torch.randn(4, generator=torch.Generator().manual_seed(number))
    return {"x": x + 0.1 * torch.randn(4) + 0.1 * float(np.random.rand()), "y": x.sum().view(1)}  # noqa: NPY002


class Numbered(Batches):
    def __getitem__(self, index):
        rows = [row(index * 8 + place) for place in range(8)]
        return {name: torch.stack([one[name] for one in rows]) for name in ("x", "y")}


class Rows(Dataset):
    def __len__(self):
        return 27  # no multiple of the batch: batches reach over passes

    def __getitem__(self, index):
        return row(index)


class Stream(IterableDataset):
    def __iter__(self):
        return map(row, range(50))


DATA = {"batches": Numbered, "rows": Rows, "stream": Stream}
SETTINGS = {"steps": 12, "learning_rate": 0.02, "select_by": "mse", "batch_size": 8, "eval_every": 3, "save_every": 2}


def mse(model, batch, teacher=None):
    return {"mse": (model(batch["x"]) - batch["y"]).square().mean()}


def validate(model):
    torch.randn(3)  # whatever validation draws must not reach the training
    return {"mse": float((model(HELD_OUT) - HELD_OUT.sum(1, keepdim=True)).square().mean())}


def trainer(folder, kind="batches", model=None, **settings):
    settings = TrainSettings(**{**SETTINGS, **settings})
    return DistillTrainer(model or Net(), mse, settings, folder, train_data=DATA[kind](), validate=validate)


def count_writes(die_at):
    """Count the calls that make a save durable, and die, for real, at one of them."""
    calls = []

    def counted(real):
        def call(*args, **kwargs):
            calls.append(real)
            if len(calls) == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    os.fsync, os.replace = counted(os.fsync), counted(os.replace)
    return calls


if __name__ == "child":
    multiprocessing.set_start_method(
        "fork", force=True
    )  # for the workers that make batches; a test's child has another
    torch.set_num_threads(1)
    gc.freeze()  # Trainer collects garbage, which takes longer than all the rest here
    calls = count_writes(ORDER.get("die_at"))  # noqa: F821 - a global that run_path gives
    run = trainer(ORDER["folder"], ORDER["kind"], **ORDER["settings"])  # noqa: F821
    run.train()
    torch.save(run.student.state_dict(), Path(ORDER["folder"], "final.pt"))  # noqa: F821
    Path(ORDER["folder"], "calls").write_text(str(len(calls)))  # noqa: F821
