"""Train in a process of its own that can be killed at an exact place.

`runpy.run_path(this file, {"ORDER": …}, "child")` trains. ORDER: module and function of the training, its recipe and
folder, and die_at, the number of the call to os.replace (a checkpoint or a record that becomes whole) at which the
process kills itself with SIGKILL.
"""

import os
import signal
from importlib import import_module

import torch


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
    order = ORDER  # noqa: F821 - a global that run_path gives
    train = getattr(import_module(order["module"]), order["function"])
    torch.set_num_threads(1)
    die_at(order["die_at"])
    train(order["recipe"], order["folder"])
