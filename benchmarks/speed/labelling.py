"""What it costs that each answer is paid for once: `labelling.label` beside loops that keep nothing.

All ask the same server, the scripted one on this machine, which answers after 20 ms; concurrency 64. They take turns.

- stillroom: rows out of a template; reservation, usage and label on disk before the next row is asked; a fresh store;
- openai: 64 workers around `chat.completions.create` of the same `openai` client (aiohttp's transport), and no store;
- openai, post: the same around `client.post`, which checks no arguments and which is what we call: what we take beyond
  it is the price of the store;
- openai, own transport: the first loop with the transport that the client has by itself;
- aiohttp: 64 workers around `session.post`, and nothing else.

The most rows a second of `--repeats` turns, and the least CPU time a row, of us and of the server: what the server
needs bounds them all. Beside that the bytes of a row in the store, and the peak memory of jobs of two sizes whose rows
are stored already, but for a few thousand: what grows with the rows is the slope.

Prints the table, or with `--json` the same as JSON, and exits 1 if a bar is missed: of the openai loop's rows a second
we make 90 %, and 100,000 rows take less than 30 MiB more.

    python benchmarks/speed/labelling.py [--rows 10000] [--repeats 3] [--memory 20000 100000] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import openai
import psutil
from openai.types.chat import ChatCompletion

from stillroom.bench.worker import peak_memory
from stillroom.core.labels import Label
from stillroom.core.targets import TargetStore
from stillroom.teacher.calls import Api
from stillroom.teacher.labelling import Job, label
from stillroom.teacher.prices import price_of
from stillroom.teacher.prompt import Prompt
from stillroom.teacher.testing import Script, ScriptedServer

BARS = {"ratio": 0.9, "memory": 30.0}
CONCURRENCY, LATENCY = 64, 0.02
NEW = 5_000  # rows that are asked in the measurement of memory
SYSTEM = "You read remarks of customers. Say whether the remark is friendly."
MODEL = "scripted"

Row = dict[str, Any]


def rows(count: int) -> Iterator[Row]:
    for number in range(count):
        yield {"row_id": str(number), "text": f"Remark {number}: the parcel came on time and the box was in one piece."}


def job() -> Job:
    prompt = {"system": SYSTEM, "user": "{{ text }}", "output": {"one_of": ["yes", "no"], "tell": False}}
    price = price_of(MODEL, input_usd=0.15, output_usd=0.6)
    return Job(Prompt.read({**prompt, "max_tokens": 8}), MODEL, price, concurrency=CONCURRENCY)


def body(row: Row) -> dict[str, Any]:
    """What `job` sends for a row."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": row["text"]}]
    return {"model": MODEL, "messages": messages, "max_tokens": 8, "temperature": 0.0}


def by_us(server: ScriptedServer, count: int, folder: Path) -> int:
    """Return the bytes of the store."""
    with TargetStore(folder / "teacher.sqlite") as store:
        found = label(rows(count), job(), store, Api(server.base_url))
        assert found.labelled == count, next(found.missing())
    return store.path.stat().st_size


async def all_of(count: int, ask: Callable[[Row], Awaitable[Any]]) -> None:
    """Ask for all rows, `CONCURRENCY` at a time."""
    rest = rows(count)

    async def work() -> None:
        for row in rest:
            await ask(row)

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


def by_openai(make: Callable[[], openai.AsyncOpenAI], count: int, *, post: bool = False) -> None:
    async def run() -> None:
        async with make() as client:

            async def ask(row: Row) -> None:
                if post:
                    completion = await client.post("/chat/completions", cast_to=ChatCompletion, body=body(row))
                else:
                    completion = await client.chat.completions.create(**body(row))
                assert completion.choices[0].message.content == "yes"

            await all_of(count, ask)

    asyncio.run(run())


def by_aiohttp(server: ScriptedServer, count: int) -> None:
    async def run() -> None:
        address = f"{server.base_url}/chat/completions"
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer none"}) as session:

            async def ask(row: Row) -> None:
                async with session.post(address, json=body(row)) as response:
                    assert (await response.json())["choices"][0]["message"]["content"] == "yes"

            await all_of(count, ask)

    asyncio.run(run())


def measure_speed(count: int, repeats: int) -> list[dict[str, Any]]:
    """One row a contender: rows a second, CPU microseconds a row of ours and of the server's, bytes a row."""
    size = 0
    with ScriptedServer(Script(answer="yes", latency=LATENCY)) as server:

        def stillroom() -> None:
            nonlocal size
            with tempfile.TemporaryDirectory() as folder:
                size = by_us(server, count, Path(folder))

        own = partial(openai.AsyncOpenAI, base_url=server.base_url, api_key="none", max_retries=0)
        ways: dict[str, Callable[[], Any]] = {
            "stillroom": stillroom,
            "openai": partial(by_openai, Api(server.base_url).client, count),
            "openai, post": partial(by_openai, Api(server.base_url).client, count, post=True),
            "openai, own transport": partial(by_openai, own, count),
            "aiohttp": partial(by_aiohttp, server, count),
        }
        there = psutil.Process(server.stats()["pid"])
        best: dict[str, list[float]] = {name: [float("inf")] * 3 for name in ways}
        for _ in range(repeats):
            for name, way in ways.items():
                gc.collect()
                before = (time.perf_counter(), time.process_time(), sum(there.cpu_times()[:2]))
                way()
                after = (time.perf_counter(), time.process_time(), sum(there.cpu_times()[:2]))
                spent = [late - early for early, late in zip(before, after, strict=True)]
                best[name] = [min(pair) for pair in zip(best[name], spent, strict=True)]
    return [
        {
            "way": name,
            "rows_per_second": count / wall,
            "cpu_us": own_cpu / count * 1e6,
            "server_us": server_cpu / count * 1e6,
            "ratio": best["openai"][0] / wall,
            "store_bytes": size / count if name == "stillroom" else None,
        }
        for name, (wall, own_cpu, server_cpu) in best.items()
    ]


def measure_memory(sizes: list[int]) -> dict[str, Any]:
    """Peak MiB of jobs of these sizes, each in a fresh process, and how many more 100,000 rows take."""
    peaks = []
    with tempfile.TemporaryDirectory() as place, ScriptedServer(Script(answer="yes")) as server:
        for count in sizes:
            store = Path(place) / f"{count}.sqlite"
            fill(store, count)
            command = [sys.executable, __file__, "--grow", server.base_url, str(store), str(count)]
            peaks.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    slope = (peaks[-1] - peaks[0]) / (sizes[-1] - sizes[0]) * 100_000
    return {"rows": sizes, "peak_mib": peaks, "mib_per_100000": slope}


def fill(path: Path, count: int) -> None:
    """Store the answers to so many rows."""
    with TargetStore(path) as store, store.transaction():
        for question in job().questions(rows(count)):
            request = question.request
            store.put_label(Label(request.key, question.row_id, request.input, "yes", MODEL, finish_reason="stop"))


def grow(base_url: str, path: str, count: str) -> None:
    """Run a job whose first rows are stored, and print the peak of this process in MiB."""
    with TargetStore(path) as store:
        found = label(rows(int(count) + NEW), job(), store, Api(base_url))
        assert (found.stored, found.labelled) == (int(count), int(count) + NEW)
    print(peak_memory() * 1e6 / 2**20)


def main() -> int:
    parser = argparse.ArgumentParser(description="Labelling beside loops that keep nothing, against one local server.")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3, help="turns of each (default 3)")
    parser.add_argument("--memory", type=int, nargs=2, default=[20_000, 100_000], help="rows of the two jobs")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--grow", nargs=3, help=argparse.SUPPRESS)  # this script's own child
    options = parser.parse_args()
    if options.grow:
        grow(*options.grow)
        return 0
    speed = measure_speed(options.rows, options.repeats)
    memory = measure_memory(options.memory)
    ours, _, post, *_ = speed
    passed = ours["ratio"] >= BARS["ratio"] and memory["mib_per_100000"] < BARS["memory"]
    if options.json:
        print(json.dumps({"rows": options.rows, "bars": BARS, "passed": passed, "speed": speed, "memory": memory}))
        return 0 if passed else 1
    print(f"{options.rows} rows, {LATENCY * 1000:.0f} ms a call, {CONCURRENCY} at once; CPU in microseconds a row")
    for row in speed:
        print(
            f"{row['way']:22s} {row['rows_per_second']:7.0f} rows/s  {row['ratio']:5.2f} of openai's  "
            f"CPU {row['cpu_us']:5.0f}, the server's {row['server_us']:5.0f}"
        )
    print(
        f"stillroom makes {ours['ratio']:.2f} of openai's rows a second (bar {BARS['ratio']}); the store costs "
        f"{ours['cpu_us'] - post['cpu_us']:.0f} microseconds of CPU and {ours['store_bytes']:.0f} bytes a row"
    )
    small, large = memory["peak_mib"]
    print(
        f"peak memory of {memory['rows'][0]} and {memory['rows'][1]} rows: {small:.0f} and {large:.0f} MiB, "
        f"{memory['mib_per_100000']:.1f} MiB per 100,000 rows (bar {BARS['memory']:.0f})"
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
