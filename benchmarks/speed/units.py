"""What a UniTS network costs: samples a second and peak memory, over variables and steps, and how both grow.

A sample is a series of so many variables and steps, of which the next 24 steps are forecast by `Units.forecast`: alone,
and 32 at a time, or as many of them as the API puts into one batch. Cost does not depend on what the weights are:
unless `--model` names a folder, they are random and the sizes the default ones. Every cell is measured in a process of
its own, so that its peak of resident memory is its own. A cell of which one sample would take more than `--memory`
beside the network is skipped, and named. CPU seconds of one thread, the least of a few turns, so that what else the
machine does counts little.

- growth: the exponent a of time ~ size^a and of memory ~ size^a over the cells of one row or column of the table, as a
  least-squares fit of logarithms, and between the two largest alone; of one sample at a time, and of the memory beyond
  what the loaded network takes, where that is 8 MB or more: less drowns in what the allocator keeps;
- batches: 32 series at once and one by one, of equal and of unequal sizes, with gaps; the largest difference between
  what the network says, divided by the standard deviation of what it says;
- beside it, series of one variable: as many forecasts of the next 64 steps by the mini `forecaster`, a Chronos-Bolt of
  1.4 million parameters that reads the last 512 steps, both as `stillroom bench` asks them.

Prints the tables, or with `--json` the same as JSON, and exits 1 if a difference between batches is above 1e-4 or a
cell fails.

    python benchmarks/speed/units.py [--model FOLDER] [--memory 4] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import numpy as np

from stillroom import minis
from stillroom.core.memory import peak_memory
from stillroom.core.progress import progress

BAR = 1e-4
VARIABLES, STEPS = (1, 8, 32, 128, 512), (96, 512, 2048)
QUICK = ((1, 8, 32), (96, 512))
HORIZON, PEER_HORIZON = 24, 64
TOGETHER = 32  # samples of a batch, at most
TURNS, ENOUGH = (2, 20), 1.0  # of a measurement: at least and at most so many, and no more after so many seconds
LEAST = 8.0  # MB: memory whose growth can be told
SERIES = 256  # forecast by both models
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

Row = dict[str, Any]


def series(rows: int, variables: int, steps: int, seed: int = 0) -> np.ndarray:
    """Random walks around a daily season, (rows, variables, steps)."""
    rng = np.random.default_rng([seed, rows, variables, steps])
    walks = rng.normal(0, 0.3, (rows, variables, steps)).cumsum(axis=-1)
    return 10 + walks + 2 * np.sin(np.arange(steps) * 2 * np.pi / 24)


def needed(config: Any, variables: int, steps: int) -> float:
    """At most about how many GB the activations of a sample take: where a block is widest, in its feed-forward part.

    There each token has the stream, what is normed of it, what is added to it, and four inner layers; as much again
    for what the allocator keeps, which is less in large samples.
    """
    patches = -(-steps // config.patch_size) + -(-HORIZON // config.patch_size)
    tokens = variables * (patches + config.prompt_tokens)
    return float(2 * 4 * tokens * (3 * config.d_model + 4 * config.d_ff) / 1e9)


def least(run: Callable[[], Any]) -> float:
    """CPU seconds of the quickest of some turns."""
    found: list[float] = []
    while len(found) < TURNS[0] or (len(found) < TURNS[1] and sum(found) < ENOUGH):
        started = time.process_time()
        run()
        found.append(time.process_time() - started)
    return min(found)


def load(model: str) -> Any:
    """Load a model by any name that the registry knows, on one thread."""
    import torch

    from stillroom.core.progress import without_bars
    from stillroom.core.registry import resolve_model

    torch.set_num_threads(1)
    with without_bars():
        return resolve_model(model).load()


def cell(model: str, variables: int, steps: int) -> Row:
    """Measure one cell; the memory of one sample first, as a peak never falls."""
    from stillroom.units.arrays import CELLS

    units = load(model)
    units.forecast(series(1, 1, 96), HORIZON)  # what is imported and allocated once is no cell's
    before = peak_memory()
    one = series(1, variables, steps)
    alone = least(lambda: units.forecast(one, HORIZON))
    added = peak_memory() - before
    together = max(1, min(TOGETHER, CELLS // (variables * (steps + HORIZON))))
    many, batch = series(together, variables, steps), alone
    if together > 1:
        batch = least(lambda: units.forecast(many, HORIZON))
    return {
        "variables": variables,
        "steps": steps,
        "batch": together,
        "samples_per_second": together / batch,
        "seconds_alone": alone,
        "added_mb_alone": added,
        "peak_mb": peak_memory(),
    }


def beside(model: str, steps: int) -> Row:
    """Forecast many series of one variable, as the benchmark asks a forecaster."""
    from stillroom.series.panel import Item, Panel
    from stillroom.series.windows import Window

    forecaster = load(model)
    items = tuple(Item(number, None, own) for number, own in enumerate(series(SERIES, 1, steps)))
    window = Window(Panel(items, None), PEER_HORIZON, 1)
    seconds = least(lambda: forecaster.predict(window, LEVELS))
    return {"steps": steps, "series_per_second": SERIES / seconds, "peak_mb": peak_memory()}


def batches(model: str) -> list[Row]:
    """Ask the network about 32 series at once and one by one."""
    import torch

    from stillroom.units.arrays import pad

    units, rng = load(model), np.random.default_rng(0)
    equal = list(series(TOGETHER, 3, 512))
    unequal = [series(1, int(rng.integers(1, 9)), int(rng.integers(20, 513)), seed)[0] for seed in range(TOGETHER)]
    found = []
    for name, own in (("equal sizes", equal), ("1 to 8 variables, 20 to 512 steps", unequal)):
        given = [np.where(rng.random(one.shape) < 0.05, np.nan, one) for one in own]
        with torch.no_grad():
            at_once = said(units.model, *pad(given))
            apart, differences = [], []
            for row, one in enumerate(given):
                values = said(units.model, *pad([one]))[0]
                variables, steps = values.shape[:2]
                differences.append(np.abs(at_once[row, :variables, -steps:] - values).max())
                apart.append(values.ravel())
        scale = float(np.concatenate(apart).std())
        found.append({"series": name, "difference": float(max(differences)) / scale})
    return found


def said(network: Any, values: Any, present: Any) -> np.ndarray:
    """Quantiles and values that the network gives, normalised: (rows, variables, steps, levels + 1)."""
    answer = network(values=values, present=present, horizon=HORIZON, task="forecast")
    return np.concatenate([answer.quantiles.numpy(), answer.values[..., None].numpy()], axis=-1)


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process that has imported torch and done nothing else; None if it dies."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("forkserver")) as pool:
        try:
            return pool.submit(silently, function, *arguments).result()
        except BrokenProcessPool:  # such as killed for its memory
            return None


def silently(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function without the progress of what it calls."""
    with redirect_stderr(StringIO()):
        return function(*arguments)


def exponent(sizes: list[int], costs: list[float]) -> tuple[float, float] | None:
    """Slope of log cost over log size: of all, and between the two largest; None of fewer than two."""
    if len(sizes) < 2:
        return None
    x, y = np.log(sizes), np.log(costs)
    return float(np.polyfit(x, y, 1)[0]), float((y[-1] - y[-2]) / (x[-1] - x[-2]))


def growth(cells: list[Row], over: str, fixed: str) -> list[Row]:
    """How time and memory of one sample grow over one of `variables` and `steps`, for every value of the other."""
    found = []
    for value in sorted({row[fixed] for row in cells}):
        rows = sorted((row for row in cells if row[fixed] == value), key=lambda row: row[over])
        large = [row for row in rows if row["added_mb_alone"] >= LEAST]
        found.append(
            {
                "over": over,
                "fixed": fixed,
                "value": value,
                "time": exponent([row[over] for row in rows], [row["seconds_alone"] for row in rows]),
                "memory": exponent([row[over] for row in large], [row["added_mb_alone"] for row in large]),
            }
        )
    return found


def random_model(folder: Path) -> str:
    """Save a network of the default sizes with random weights."""
    import torch

    from stillroom.core.progress import without_bars
    from stillroom.units.config import UnitsConfig
    from stillroom.units.model import UnitsModel

    torch.manual_seed(0)
    with without_bars():
        UnitsModel(UnitsConfig()).save_pretrained(folder)
    return str(folder)


def measure_cells(model: str, memory: float, grid: tuple[tuple[int, ...], tuple[int, ...]]) -> list[Row]:
    """One row a cell, measured, or with the reason why it is `left_out` or `failed`; `memory` in GB."""
    from stillroom.core.registry import resolve_model
    from stillroom.units.config import UnitsConfig

    config = UnitsConfig.from_pretrained(resolve_model(model).source)
    places = [(variables, steps) for variables in grid[0] for steps in grid[1]]
    rows: list[Row] = []
    with progress("measuring cells", total=len(places)) as advance:
        for variables, steps in places:
            row: Row = {"variables": variables, "steps": steps}
            if (about := needed(config, variables, steps)) > memory:
                rows.append({**row, "left_out": f"would take some {about:.1f} GB, more than {memory:g}"})
            else:
                rows.append(apart(cell, model, variables, steps) or {**row, "failed": "its process died"})
            advance()
    return rows


def measure_beside(model: str, steps: tuple[int, ...]) -> list[Row]:
    """Both models on the same series, with how many times as many series ours forecasts; none without the mini."""
    rows: list[Row] = []
    if not (minis.forecaster / "config.json").is_file():
        return rows
    for length in steps:
        both = [apart(beside, name, length) for name in (model, "forecaster")]
        if None in both:
            rows.append({"steps": length, "failed": "a process died"})
            continue
        ours, theirs = both
        ratio = ours["series_per_second"] / theirs["series_per_second"]
        rows.append({"steps": length, "units": ours, "forecaster": theirs, "ratio": ratio})
    return rows


def show(found: Row) -> None:
    """Print what was measured."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console() if sys.stdout.isatty() else Console(width=110)  # a pipe has no width

    def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
        printed = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
        for column in columns:
            printed.add_column(column, justify="right")
        for row in rows:
            printed.add_row(*row)
        console.print(printed)

    cells = [row for row in found["cells"] if "samples_per_second" in row]
    table(
        f"{found['model']}: {HORIZON} steps forecast of a sample; CPU of one thread, memory of a process a cell",
        ["variables", "steps", "batch", "samples/s", "peak MB", "ms alone", "MB alone, beside the network"],
        [
            [
                f"{row['variables']:,}", f"{row['steps']:,}", str(row["batch"]), f"{row['samples_per_second']:,.2f}",
                f"{row['peak_mb']:,.0f}", f"{1000 * row['seconds_alone']:,.1f}", f"{row['added_mb_alone']:,.0f}",
            ]
            for row in cells
        ],
    )  # fmt: skip
    for row in found["cells"]:
        if reason := row.get("left_out") or row.get("failed"):
            console.print(f"{row['variables']:,} variables, {row['steps']:,} steps: not measured, {reason}")

    def slopes(both: tuple[float, float] | None) -> str:
        return "" if both is None else f"{both[0]:.2f} ({both[1]:.2f})"

    table(
        "Growth of one sample alone: the exponent, and in brackets that between the two largest",
        ["over", "at", "time", "memory"],
        [
            [row["over"], f"{row['value']:,} {row['fixed']}", slopes(row["time"]), slopes(row["memory"])]
            for row in found["growth"]
        ],
    )
    table(
        f"{SERIES} series of one variable, {PEER_HORIZON} steps ahead, beside the mini forecaster",
        ["steps", "units, series/s", "forecaster, series/s", "ratio", "units, peak MB", "forecaster, peak MB"],
        [
            [
                f"{row['steps']:,}",
                *(f"{row[name]['series_per_second']:,.1f}" for name in ("units", "forecaster")),
                f"{row['ratio']:.2f}",
                *(f"{row[name]['peak_mb']:,.0f}" for name in ("units", "forecaster")),
            ]
            for row in found["beside"]
            if "ratio" in row
        ],
    )
    for row in found["beside"]:
        if reason := row.get("failed"):
            console.print(f"{row['steps']:,} steps: not measured, {reason}")
    if not found["beside"]:
        console.print("not measured: the weights of the mini forecaster are not here")
    for row in found["batches"]:
        console.print(
            f"{TOGETHER} series at once and one by one, {row['series']}: answers differ by at most "
            f"{row['difference']:.1e} of their standard deviation (bar {BAR:.0e})"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="What a UniTS network costs, over variables and steps.")
    parser.add_argument("--model", help="a folder or a registered name (default: random weights, default sizes)")
    parser.add_argument("--memory", type=float, default=4.0, help="GB that a sample may take, about (default 4)")
    parser.add_argument("--quick", action="store_true", help="the small cells alone")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    multiprocessing.get_context("forkserver").set_forkserver_preload(["stillroom.units.units", "stillroom.units.model"])
    grid = QUICK if options.quick else (VARIABLES, STEPS)
    with tempfile.TemporaryDirectory() as place:
        model = options.model or random_model(Path(place))
        found: Row = {"model": options.model or "random weights", "memory_gb": options.memory, "bar": BAR}
        found["cells"] = measure_cells(model, options.memory, grid)
        found["beside"] = measure_beside(model, grid[1])
        found["batches"] = apart(batches, model) or []
    cells = [row for row in found["cells"] if "samples_per_second" in row]
    found["growth"] = growth(cells, "variables", "steps") + growth(cells, "steps", "variables")
    differences = [row["difference"] for row in found["batches"]]
    failed = any("failed" in row for row in [*found["cells"], *found["beside"]])
    found["passed"] = bool(differences) and max(differences) <= BAR and not failed
    if options.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0 if found["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
