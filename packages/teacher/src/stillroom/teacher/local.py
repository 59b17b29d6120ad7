"""A local model as a teacher: a folder of weights behind `transformers serve`, which is asked as any API is.

It starts a real server in a process of its own and stops it again; it knows nothing of what is asked.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from stillroom.core.errors import ModelError


@contextmanager
def served(folder: Path, patience: float = 120.0, log: Path | None = None) -> Iterator[str]:
    """Serve a model with `transformers serve` while the body of the `with` runs; gives the API's address.

    The model goes by its folder's name, wherever that lies.

    Parameters
    ----------
    patience
        Seconds that it may take to begin.
    log
        A file for what the server says; None: beside the folder.

    Raises
    ------
    ModelError
        The server ended, or took too long to begin.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", folder.name]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--log-level", "error"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}  # a model so small has no use for more
    log = log or folder.with_suffix(".log")
    with log.open("wb") as said:
        server = subprocess.Popen(command, cwd=folder.parent, env=environment, stdout=said, stderr=said)
    try:
        with _direct():
            _wait(server, f"http://127.0.0.1:{port}/health", patience, log)
            yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextmanager
def _direct() -> Iterator[None]:
    """Keep calls to this machine away from the environment's proxies."""
    before = os.environ.get("no_proxy")
    os.environ["no_proxy"] = ",".join(filter(None, (before or os.environ.get("NO_PROXY"), "127.0.0.1")))
    try:
        yield
    finally:
        if before is None:
            del os.environ["no_proxy"]
        else:
            os.environ["no_proxy"] = before


def _wait(server: subprocess.Popen[bytes], health: str, patience: float, log: Path) -> None:
    until = time.monotonic() + patience
    while server.poll() is None and time.monotonic() < until:
        try:
            with urlopen(health, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise ModelError(
        f"`transformers serve` did not begin to serve: see {log}; it needs pip install 'transformers[serving]'"
    )
