"""The scripted server as a process of its own, to be started, killed and started again on the same port.

It is a fresh interpreter, no fork, so it has nothing of the test's threads and locks, and a kill is a kill. It ends
with the process that started it, however that ends.

What outlives a kill: the port, the bill, files and batches. What begins anew with each start: the numbers of requests,
the attempts at a body, the prompt cache, the counts, and the requests on record.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stillroom.core.errors import MissingError
from stillroom.teacher.testing import bill
from stillroom.teacher.testing.script import Script

HOST = "127.0.0.1"
PRICE = (0.15, 0.075, 0.60)  # what gpt-4o-mini cost in 2025
START_SECONDS = 30.0  # to wait for a server


class ScriptedServer:
    """A small OpenAI-compatible server that answers by a script, for tests: real HTTP, real processes, a real bill.

    >>> with ScriptedServer(Script(answer="yes", latency=0.02)) as server:
    ...     client = OpenAI(base_url=server.base_url, api_key="anything")
    ...     ...
    ...     server.bill().usd

    Parameters
    ----------
    script
        What it answers, how long that takes, what goes wrong.
    price
        US dollars a million tokens: of prompts, of what of them is cached, of completions. A batch costs half.
    port
        On 127.0.0.1; 0 takes a free one, and keeps it.

    Raises
    ------
    MissingError
        On `start`: aiohttp is not installed, the port is taken, or the server does not come up.
    """

    def __init__(self, script: Script = Script(), price: tuple[float, float, float] = PRICE, *, port: int = 0) -> None:
        self.script, self.price, self.port = script, price, port
        self._folder = Path(tempfile.mkdtemp(prefix="scripted-server-"))  # goes with this object, as the bill does
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._held: socket.socket | None = None

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as its base_url."""
        return f"http://{HOST}:{self.port}/v1"

    def start(self) -> None:
        """Start the server and wait until it answers; after `kill` or `stop` with the same port, bill and batches."""
        if self._process is not None and self._process.poll() is None:
            return
        self.kill()  # one that has ended by itself is collected
        if importlib.util.find_spec("aiohttp") is None:
            raise MissingError("aiohttp is not installed: `pip install 'stillroom-teacher[testing]'`")
        if self._held is None:
            self._held = _hold(self.port)
            self.port = self._held.getsockname()[1]
        settings = {"script": self.script.to_json(), "price": self.price, "folder": str(self._folder)}
        log = self._folder / "server.log"
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "stillroom.teacher.testing.app"],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
            )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(settings | {"port": self.port}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended at once, and says why in its log
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                said = log.read_text(errors="replace").strip().rpartition("\n")[2]
                raise MissingError(f"the scripted server did not come up on port {self.port}: {said or 'it was slow'}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the server, and give its port back; the bill stays."""
        self.kill()
        if self._held is not None:
            self._held.close()
            self._held = None

    def kill(self) -> None:
        """Kill the server (SIGKILL) where it stands."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def bill(self) -> bill.Bill:
        """Return what was computed and charged for since the first start, whether the server runs or not."""
        return bill.read(self._folder / "bill.jsonl")

    def requests(self) -> list[dict[str, Any]]:
        """Return the latest requests for completions since the start, at most 1,000, the oldest first.

        Each has `number`, `path`, `body`, `headers` (names in lower case, without those that hold a key), and
        `authorized`: whether a key was sent.
        """
        requests: list[dict[str, Any]] = self._ask("/_script/requests")
        return requests

    def stats(self) -> dict[str, int]:
        """Return the counts since the start.

        `requests` for completions with the right key, of which `rejected` by the limits (per minute, at once), `active`
        now and at the `peak`.
        """
        stats: dict[str, int] = self._ask("/_script/stats")
        return stats

    def _answers(self) -> bool:
        try:
            return self._process is not None and self.stats()["pid"] == self._process.pid
        except OSError:
            return False

    def _ask(self, path: str) -> Any:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=START_SECONDS)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _hold(port: int) -> socket.socket:
    """Bind a port without listening, so that nobody else gets it while the server is dead.

    Clients are refused meanwhile, as they should be, and cannot be given it as their own end of a connection (which a
    client that calls a dead server again and again sooner or later is: it then talks to itself).
    """
    try:
        with socket.socket() as probe:  # a shared port is shared with strangers too: see first that it is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            port = probe.getsockname()[1]
        held = socket.socket()
        if hasattr(socket, "SO_REUSEPORT"):
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((HOST, port))
    except OSError as error:
        raise MissingError(f"port {port} cannot be had ({error.strerror}): give another one, or 0") from error
    return held
