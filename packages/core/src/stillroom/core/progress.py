"""Progress on stderr for what lasts longer than two seconds: a bar on a terminal, a plain line now and then elsewhere.

It knows nothing of the work: whoever works calls `advance`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

DELAY = 2.0  # seconds of silence: what is over sooner needs no bar
INTERVAL = 10.0  # seconds between two plain lines: a log file should stay readable
_terminal = threading.Lock()  # one bar at a time: the work inside a work stays silent


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show how far the body of a `with` has come; gives `advance(steps=1)`, which any thread may call.

    >>> with progress("forecasting", total=2) as advance:
    ...     for window in range(2):
    ...         advance()

    Parameters
    ----------
    description
        What is being done, in a few words.
    total
        How many steps there are; None when nobody knows.
    """
    shown = _Bar(description, total) if sys.stderr.isatty() else _Lines(description, total)
    try:
        yield shown.advance
    finally:
        shown.close()


@contextmanager
def without_bars() -> Iterator[None]:
    """Silence transformers' own bars: what they tell of is over in no time."""
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


class _Bar:
    """A rich bar that appears on its own after DELAY, also when no step has ended by then."""

    def __init__(self, description: str, total: int | None) -> None:
        self.description, self.total, self.done = description, total, 0
        self.bar: Any = None
        self.stream = sys.stderr  # the work inside may redirect it for a while
        self.closed = False
        self.lock = threading.Lock()
        self.timer = threading.Timer(DELAY, self.show)
        self.timer.daemon = True
        self.timer.start()

    def show(self) -> None:
        with self.lock:
            if self.closed or not _terminal.acquire(blocking=False):
                return
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            self.bar = Progress(*columns, console=Console(file=self.stream), transient=True)
            self.task = self.bar.add_task(self.description, total=self.total, completed=self.done)
            self.bar.start()

    def advance(self, steps: int = 1) -> None:
        with self.lock:
            self.done += steps
            if self.bar is not None:
                self.bar.update(self.task, completed=self.done)

    def close(self) -> None:
        self.timer.cancel()
        with self.lock:
            self.closed = True
            if self.bar is not None:
                self.bar.stop()
                _terminal.release()


class _Lines:
    """One line after DELAY, one every INTERVAL, and the last one."""

    def __init__(self, description: str, total: int | None) -> None:
        self.description, self.total, self.done = description, total, 0
        self.stream = sys.stderr  # the work inside may redirect it for a while
        self.started = time.monotonic()
        self.due = self.started + DELAY
        self.silent = True
        self.lock = threading.Lock()

    def advance(self, steps: int = 1) -> None:
        with self.lock:
            self.done += steps
            if time.monotonic() >= self.due:
                self.due = time.monotonic() + INTERVAL
                self.silent = False
                self.say()

    def say(self) -> None:
        of = "" if self.total is None else f"/{self.total}"
        print(
            f"{self.description}: {self.done}{of} after {time.monotonic() - self.started:.0f} s",
            file=self.stream,
            flush=True,
        )

    def close(self) -> None:
        if not self.silent:
            self.say()
