"""Where a job runs: in a fresh process (limits and peak memory are true), or in this one (for a debugger).

Both take a job and return the columns of its outcome, as `stillroom.bench.on_ray.OnRay` does for clusters; none ever
raises for what a model did.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import Any

import psutil

from stillroom.bench.worker import Job, execute

POLL = 0.05  # seconds between two looks at a child: how late a limit may be noticed

Executor = Callable[[Job, Path], dict[str, Any]]
"""`executor(job, log)`: what is printed goes to the file `log`, which stays only when the job failed. One whose jobs
run elsewhere has `stop()`, which ends them; their outcome is then `failed` with the reason `stopped`."""


def in_process(job: Job, log: Path) -> dict[str, Any]:
    """Run the job here. No limits, and no peak memory of its own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file, redirect_stderr(file):
        outcome = execute(job)
    if outcome["status"] == "ok":
        log.unlink()
    return outcome


class FreshProcess:
    """Run every job in a process of its own.

    Parameters
    ----------
    time_limit
        Seconds a job may take in all, its start included; default: as long as it takes.
    memory_limit
        Resident memory in MB (10^6 bytes) that the process and its children may hold together; looked at every 50 ms.
        What the process took and gave back between two looks is found in its own peak, when it has ended.
    threads
        Threads of each child's numeric libraries; default: what they choose.
    """

    def __init__(
        self, *, time_limit: float | None = None, memory_limit: float | None = None, threads: int | None = None
    ) -> None:
        self.time_limit = time_limit
        self.memory_limit = memory_limit
        self.threads = threads
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End running children; those not started yet end at once. For Ctrl-C: threads cannot be interrupted."""
        self._stopped.set()

    def __call__(self, job: Job, log: Path) -> dict[str, Any]:
        """Run one job; see `Executor`."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            child = subprocess.Popen(
                [sys.executable, "-m", "stillroom.bench.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env=self._environment(),
                start_new_session=True,  # so that its own children can be ended with it
            )
            assert child.stdin is not None
            assert child.stdout is not None
            try:
                with suppress(BrokenPipeError):  # it died at once: its exit code says more
                    child.stdin.write(job.to_json().encode() + b"\n")
                    child.stdin.flush()
                refused, peak = self._wait(child)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)  # what the child started and left behind
            answer = child.stdout.read()
            child.stdout.close()
            with suppress(BrokenPipeError):
                child.stdin.close()
        outcome = self._outcome(child.returncode, answer, refused, log)
        if outcome["status"] == "ok" and self._exceeds(outcome["peak_memory_mb"]):
            peak = outcome["peak_memory_mb"]
            outcome = {"status": "failed", "reason": self._too_large(peak)}
            Path(job.predictions).unlink(missing_ok=True)
        if outcome["status"] == "ok":
            log.unlink()
        elif peak is not None:
            outcome.setdefault("peak_memory_mb", peak)
        return outcome

    def _exceeds(self, megabytes: float) -> bool:
        return self.memory_limit is not None and megabytes > self.memory_limit

    def _too_large(self, megabytes: float) -> str:
        return f"memory limit: {self.memory_limit:g} MB (it held {megabytes:.0f} MB)"

    def _environment(self) -> dict[str, str]:
        """This process's own; what the user set there about threads stands."""
        if self.threads is None:
            return dict(os.environ)
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        return dict.fromkeys(names, str(self.threads)) | os.environ

    def _wait(self, child: subprocess.Popen[bytes]) -> tuple[str | None, float | None]:
        """Wait for the child's end, or end it; returns why it was ended and its peak memory when that was watched."""
        start, peak, refused = time.monotonic(), None, None
        while child.poll() is None:
            if self.memory_limit is not None:
                peak = max(peak or 0.0, resident(child.pid))
                if self._exceeds(peak):
                    refused = self._too_large(peak)
            if self.time_limit is not None and time.monotonic() - start > self.time_limit:
                refused = f"time limit: {self.time_limit:g} s"
            if self._stopped.is_set():
                refused = "stopped"
            if refused:
                child.kill()
                child.wait()
                break
            with suppress(subprocess.TimeoutExpired):
                child.wait(POLL)
        return refused, peak

    def _outcome(self, code: int, answer: bytes, refused: str | None, log: Path) -> dict[str, Any]:
        if refused:
            return {"status": "failed", "reason": refused}
        with suppress(ValueError):
            outcome: dict[str, Any] = json.loads(answer)
            return outcome
        if code < 0:
            return {"status": "failed", "reason": f"the process was killed by {signal.Signals(-code).name}"}
        last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        return {"status": "failed", "reason": f"the process left with exit code {code}: {last[0][:200]}"}


def resident(pid: int) -> float:
    """Resident memory of a process and its children, in MB; what is gone in the meantime counts nothing."""
    total = 0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                total += one.memory_info().rss
    return total / 1e6
