"""A child process that never outlives its parent: its order comes as a line on stdin, which then stays open.

When whoever started it dies, however that happens, the child reads the end of stdin and leaves, so nobody who starts
anew meets work that still runs. It does not know what is ordered.
"""

from __future__ import annotations

import os
import signal
import threading


def first_line() -> bytes:
    """Return the order, read byte by byte from the descriptor: a buffered reader would hold stdin's lock to the end.

    Without a line end at its end, the parent is gone already.
    """
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return line


def leave_with_parent() -> None:
    """From now on leave when stdin ends; a child that leads a session takes along what it has started."""
    threading.Thread(target=_leave, daemon=True).start()


def _leave() -> None:
    while os.read(0, 1):
        pass
    if os.getsid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
