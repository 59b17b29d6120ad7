from __future__ import annotations

import asyncio
import time

from stillroom.teacher.pace import Bucket, Pace


async def peak(pace, calls, each=0.005):
    running = most = 0

    async def call():
        nonlocal running, most
        await pace.enter()
        running += 1
        most = max(most, running)
        await asyncio.sleep(each)
        running -= 1
        pace.leave()

    await asyncio.gather(*(call() for _ in range(calls)))
    return most


def test_no_more_calls_run_at_once_than_allowed():
    async def work():
        pace = Pace(7)
        assert await peak(pace, 60) == 7
        assert pace.running == 0

    asyncio.run(work())


def test_a_complaint_halves_the_calls_at_once_and_a_round_of_successes_adds_one():
    async def work():
        pace = Pace(64)
        pace.too_fast()
        pace.too_fast()  # of the same burst
        assert pace.limit == 32
        assert await peak(pace, 100) == 32
        for _ in range(32):
            pace.went_well()
        assert 32.9 < pace.limit < 33.1
        for _ in range(10_000):
            pace.went_well()
        assert pace.limit == 64

    asyncio.run(work())


def test_a_server_that_names_a_time_is_left_alone_until_then():
    async def work():
        pace = Pace(4)
        pace.too_fast(retry_after=0.2)
        began = time.monotonic()
        await peak(pace, 4)
        assert time.monotonic() - began >= 0.2

    asyncio.run(work())


def test_in_no_minute_more_is_taken_than_the_limit_says():
    async def work():
        bucket = Bucket(6000)
        began, times = time.monotonic(), []
        for _ in range(150):
            await bucket.take(1)
            times.append(time.monotonic() - began)
        first, rate = bucket.depth, bucket.rate
        assert all(number + 1 <= first + rate * moment + 1 for number, moment in enumerate(times))
        assert first + 60 * rate <= 6000

    asyncio.run(work())


def test_a_call_that_is_given_up_while_it_waits_leaves_its_place_to_the_next():
    async def work():
        pace = Pace(1)
        await pace.enter()
        waiting = asyncio.ensure_future(pace.enter())
        await asyncio.sleep(0)
        waiting.cancel()
        next_one = asyncio.ensure_future(pace.enter())
        await asyncio.sleep(0)
        pace.leave()
        await asyncio.wait_for(next_one, 1)
        assert pace.running == 1

    asyncio.run(work())
