"""Group commit: many coroutines hand in what is to be written, a thread commits what has gathered, and all go on.

A commit waits for the disk, whatever is in it; so while one is being synced, the next gathers. The event loop never
waits for the disk. It does not know what is written.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any


class Journal:
    """Commits entries for coroutines of the running event loop; close it with `await journal.close()`.

    Parameters
    ----------
    commit
        Writes entries as one, and returns a result for each; called in a thread of its own, one call at a time.
    """

    def __init__(self, commit: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        self._commit, self._loop = commit, asyncio.get_running_loop()
        self._waiting: list[tuple[Any, asyncio.Future[Any]]] = []
        self._something = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def put(self, entry: Any) -> asyncio.Future[Any]:
        """Return a future that is done, with the entry's result, once the entry is committed."""
        future = self._loop.create_future()
        with self._something:
            self._waiting.append((entry, future))
            self._something.notify()
        return future

    async def close(self) -> None:
        """Commit what is left, and end."""
        with self._something:
            self._closed = True
            self._something.notify()
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while True:
            with self._something:
                while not (self._waiting or self._closed):
                    self._something.wait()
                gathered, self._waiting = self._waiting, []
            if not gathered:
                return
            try:
                results: Sequence[Any] = self._commit([entry for entry, _ in gathered])
                error = None
            except Exception as raised:  # whoever waits is told
                results, error = [None] * len(gathered), raised
            self._loop.call_soon_threadsafe(_resolve, [future for _, future in gathered], results, error)


def _resolve(futures: Sequence[asyncio.Future[Any]], results: Sequence[Any], error: Exception | None) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.cancelled():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
