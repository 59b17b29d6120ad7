"""Pre-train in a process of its own that can be killed at an exact place.

`runpy.run_path(this file, {"ORDER": …}, "child")` trains. ORDER: recipe, folder, and die_at, the number of the call to
os.replace (a checkpoint or a record that becomes whole) at which the process kills itself with SIGKILL.
"""

import os
import signal

import torch

from stillroom.units.pretrain import pretrain


def die_at(number):
    """Count the renames, and die, for real, at one of them."""
    real, calls = os.replace, []

    def replace(*args, **kwargs):
        calls.append(args)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    os.replace = replace


if __name__ == "child":
    torch.set_num_threads(1)
    die_at(ORDER["die_at"])  # noqa: F821 - a global that run_path gives
    pretrain(ORDER["recipe"], ORDER["folder"])  # noqa: F821
