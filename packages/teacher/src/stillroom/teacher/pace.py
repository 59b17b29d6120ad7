"""How fast calls may be made: as many at once as the server bears, and no more a minute than its limits allow.

The number at once is found as TCP finds its window (Jacobson 1988): one more after each round of successes, half as
many when the server asks for less. It knows no API: it is told how calls went.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

BACK_OFF = 1.0  # seconds between two cuts: the calls of one burst complain about the same overload


class Pace:
    """Lets calls begin.

    Parameters
    ----------
    concurrency
        The most calls at once.
    rpm, tpm
        The most requests and tokens a minute; None: no limit of ours.
    """

    def __init__(self, concurrency: int, rpm: float | None = None, tpm: float | None = None) -> None:
        self.most, self.limit, self.running = concurrency, float(concurrency), 0
        self._requests = Bucket(rpm) if rpm else None
        self._tokens = Bucket(tpm) if tpm else None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._cut = float("-inf")
        self._quiet_until = float("-inf")

    async def enter(self, tokens: int = 0) -> None:
        """Wait until a call of so many tokens may begin; each `enter` needs its `leave`."""
        if self.running >= int(self.limit) or self._waiting:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            try:
                await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled():
                    self.leave()
                raise
        else:
            self.running += 1
        try:
            while (pause := self._quiet_until - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            if self._requests:
                await self._requests.take(1)
            if self._tokens:
                await self._tokens.take(tokens)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """A call ended."""
        self.running -= 1
        while self._waiting and self.running < int(self.limit):
            future = self._waiting.popleft()
            if not future.cancelled():
                self.running += 1
                future.set_result(None)

    def went_well(self) -> None:
        """The server bore it: a full round of these makes room for one more."""
        self.limit = min(self.limit + 1 / max(self.limit, 1.0), float(self.most))

    def too_fast(self, retry_after: float | None = None) -> None:
        """The server asked for less; with `retry_after`, no call begins for so many seconds."""
        moment = time.monotonic()
        if retry_after:
            self._quiet_until = max(self._quiet_until, moment + retry_after)
        if moment - self._cut >= BACK_OFF:
            self._cut, self.limit = moment, max(self.limit / 2, 1.0)


class Bucket:
    """A token bucket: so many a minute, at most a second's worth of them (and one at least) saved up."""

    def __init__(self, per_minute: float) -> None:
        self.rate = per_minute / 61  # a minute's worth and what was saved up stay within the limit together
        self.depth = max(self.rate, 1.0)
        self._level, self._seen = self.depth, time.monotonic()

    async def take(self, amount: float) -> None:
        """Wait until the bucket holds the amount, and take it; more than it can hold is owed by those who follow."""
        moment = time.monotonic()
        self._level = min(self.depth, self._level + (moment - self._seen) * self.rate)
        self._seen = moment
        self._level -= amount
        if self._level < 0:
            await asyncio.sleep(-self._level / self.rate)
