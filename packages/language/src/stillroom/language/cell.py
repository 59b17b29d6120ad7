"""One training of a comparison, in a process of its own: `python -m stillroom.language.cell` is that process.

Only so is its peak memory its own, and none of what one training leaves behind reaches the next. The process reads its
order, the recipe and the folder, as a JSON line on stdin, which stays open as a lifeline: when whoever started it dies,
however that happens, it reads the end of the file and leaves; a comparison that is started again never meets a training
that still runs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from stillroom.core import lifeline
from stillroom.core.errors import StillroomError
from stillroom.core.memory import peak_memory
from stillroom.core.runs import Run

CHECKPOINTS = "checkpoints"


def train(recipe: dict[str, Any], folder: Path) -> None:
    """Train here, and let go of the checkpoints: a comparison has many trainings, and each checkpoint their weights.

    Of the checkpoints `history.json` stays. A training that goes on says so in its costs (`resumed`): its seconds are
    then those of its last stretch.
    """
    from stillroom.core import checkpoints
    from stillroom.language.distill import distill

    resumed = bool(checkpoints.steps(folder / CHECKPOINTS))
    run = distill(recipe, folder).run
    if resumed:
        run.record(cost={"resumed": True})
    checkpoints.prune(folder / CHECKPOINTS, set())


def train_apart(recipe: dict[str, Any], folder: Path, log: Path) -> str | None:
    """Train in a fresh process; return why it failed, None if it did not.

    Parameters
    ----------
    log
        Where it writes what it says; removed if all went well.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT
        )
        assert child.stdin is not None
        try:
            with suppress(BrokenPipeError):  # it died at once: its log says more
                child.stdin.write(json.dumps({"recipe": recipe, "folder": str(folder)}).encode() + b"\n")
                child.stdin.flush()
            code = child.wait()
        finally:
            with suppress(BrokenPipeError):
                child.stdin.close()
            child.wait()
    if code == 0:
        log.unlink()
        return None
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if code < 0:
        return f"the process was killed by {signal.Signals(-code).name}"
    return said[-1] if said else f"the process ended with {code}"


def peaks() -> dict[str, float]:
    """Return the most memory that this process has held, in MB (10^6 bytes), and on a GPU if it computes on one."""
    found = {"peak_memory_mb": peak_memory()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["peak_gpu_mb"] = torch.cuda.max_memory_allocated() / 1e6
    return found


def main() -> None:
    """Train what the order says."""
    line = lifeline.first_line()
    if not line.endswith(b"\n"):
        os._exit(1)  # nobody waits for it any more
    order = json.loads(line)
    lifeline.leave_with_parent()
    folder = Path(order["folder"])
    try:
        train(order["recipe"], folder)
        Run.load(folder).record(cost=peaks())
    except StillroomError as error:
        print(error, flush=True)
        os._exit(2)
    except KeyboardInterrupt:
        os._exit(130)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # all is written: libraries that crash while they are torn down no longer matter


if __name__ == "__main__":
    main()
