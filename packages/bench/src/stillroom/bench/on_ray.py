"""Jobs on a Ray cluster: each in a fresh process on whichever node has room.

The node does what `FreshProcess` does here, so limits and peak memory stay true, and hands back the outcome, the
predictions and the log; this side writes them. No file system is shared: models, data sets and kinds come from the
packages that are installed on the node, and a file or folder that a task or a model names must be there under the same
path.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import threading
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stillroom.bench.executor import FreshProcess
from stillroom.bench.worker import Job, one_line
from stillroom.core.errors import MissingError
from stillroom.core.runs import write_atomic

PATIENCE = 5.0  # seconds that a cancelled job has to end its process, before its Ray worker is killed


class OnRay:
    """Run every job on Ray: in the cluster that RAY_ADDRESS names, or in one of its own on this machine.

    Parameters
    ----------
    time_limit
        Seconds a job may take, counted from its start on a node: waiting for one is free.
    memory_limit
        As of `FreshProcess`.
    threads
        CPUs that a job takes of a node, and threads of its numeric libraries; default: 1.

    Raises
    ------
    MissingError
        Ray is not installed, or the cluster does not answer.
    """

    def __init__(
        self, *, time_limit: float | None = None, memory_limit: float | None = None, threads: int | None = None
    ) -> None:
        if find_spec("ray") is None:
            raise MissingError("running on Ray needs the extra of that name: pip install 'stillroom-bench[ray]'")
        self._started = start()
        import ray

        self._stopped = threading.Event()
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        largest = max((node["Resources"].get("CPU", 0) for node in nodes if node["Alive"]), default=0)
        cpus = min(threads or 1, largest or 1)  # a job that asks for more than any node has would wait for ever
        self._on_node = ray.remote(num_cpus=cpus, max_retries=0)(on_node)
        self._limits = {"time_limit": time_limit, "memory_limit": memory_limit, "threads": threads or 1}

    def stop(self) -> None:
        """End running jobs; those not started yet end at once. For Ctrl-C: threads cannot be interrupted."""
        self._stopped.set()

    def close(self) -> None:
        """Shut Ray down if it was started here; leaving the process does it too."""
        import ray

        if self._started:
            ray.shutdown()

    def __call__(self, job: Job, log: Path) -> dict[str, Any]:
        """Run one job; see `Executor`."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        log.parent.mkdir(parents=True, exist_ok=True)
        reference = self._on_node.remote(job, self._limits, str(Path.cwd()))
        try:
            while not ray.wait([reference], timeout=0.2)[0]:
                if self._stopped.is_set():
                    cancel(reference)
                    return {"status": "failed", "reason": "stopped"}
            outcome, predictions, said = ray.get(reference)
        except RayError as error:  # the worker was killed, its node died, or nothing could be imported there
            cause = error.cause if isinstance(error, RayTaskError) else error
            outcome = {"status": "failed", "reason": one_line(f"Ray: {type(cause).__name__}: {cause}")}
            predictions, said = None, str(error).encode()
        if predictions is not None:
            write_atomic(Path(job.predictions), predictions)
        if outcome["status"] == "ok":
            log.unlink(missing_ok=True)
        else:
            log.write_bytes(said)
        return outcome


def start() -> bool:
    """Join the cluster that is configured, or start one on this machine; says whether this process is new to Ray."""
    import ray

    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    address = os.environ.get("RAY_ADDRESS", "local")  # without "local", Ray would join any cluster it finds here
    try:
        host, colon, port = address.rpartition("://")[2].rpartition(":")
        if colon:
            socket.create_connection(
                (host.strip("[]"), int(port)), timeout=10
            ).close()  # Ray itself would try for many minutes
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:  # no answer; another version of Ray or Python; no address
        raise MissingError(f"no Ray answers at {address!r} (RAY_ADDRESS): {one_line(str(error))}") from error
    ray._private.worker._worker_logs_enabled = False  # its warnings go to stdout, where `--json` prints; rows have them
    return True


def on_node(job: Job, limits: dict[str, Any], here: str) -> tuple[dict[str, Any], bytes | None, bytes]:
    """Run a job in a fresh process and a temporary folder of this node: outcome, predictions when ok, log when not."""
    with suppress(OSError):  # where the folder is there too, relative names mean what they mean to the user
        os.chdir(here)
    with tempfile.TemporaryDirectory(prefix="stillroom-") as folder:
        predictions, log = Path(folder, "predictions.parquet"), Path(folder, "log")
        outcome = FreshProcess(**limits)(replace(job, predictions=str(predictions)), log)
        if outcome["status"] == "ok":
            return outcome, predictions.read_bytes(), b""
        return outcome, None, log.read_bytes()


def cancel(reference: Any) -> None:
    """End a job: kindly, so that the node can clear up; then by killing its worker, with which the process leaves."""
    import ray

    ray.cancel(reference)
    if not ray.wait([reference], timeout=PATIENCE)[0]:
        ray.cancel(reference, force=True)
