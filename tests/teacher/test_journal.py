from __future__ import annotations

import asyncio
import time

import pytest

from stillroom.teacher.journal import Journal


def test_what_gathers_during_a_commit_is_committed_as_one():
    groups = []

    def commit(entries):
        groups.append(list(entries))
        time.sleep(0.02)
        return [entry * 10 for entry in entries]

    async def work():
        journal = Journal(commit)
        found = await asyncio.gather(*(journal.put(number) for number in range(100)))
        await journal.close()
        return found

    assert asyncio.run(work()) == [number * 10 for number in range(100)]
    assert [number for group in groups for number in group] == list(range(100))
    assert len(groups) <= 3


def test_the_loop_goes_on_while_the_disk_works():
    async def work():
        journal = Journal(lambda entries: (time.sleep(0.2), [None] * len(entries))[1])
        future, ticks = journal.put(1), 0
        while not future.done():
            await asyncio.sleep(0.01)
            ticks += 1
        await journal.close()
        return ticks

    assert asyncio.run(work()) >= 5


def test_a_failed_commit_is_told_to_those_who_wait_and_the_next_one_is_made():
    def commit(entries):
        if "bad" in entries:
            raise OSError("disk full")
        return entries

    async def work():
        journal = Journal(commit)
        with pytest.raises(OSError, match="disk full"):
            await journal.put("bad")
        assert await journal.put("good") == "good"
        await journal.close()

    asyncio.run(work())


def test_what_was_handed_in_before_the_end_is_committed():
    seen = []

    async def work():
        journal = Journal(lambda entries: (time.sleep(0.01), seen.extend(entries), entries)[2])
        for number in range(50):
            journal.put(number)
        await journal.close()

    asyncio.run(work())
    assert seen == list(range(50))
