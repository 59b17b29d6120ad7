"""White noise: how far a model's quantiles are from the true ones, and how often the gate keeps an adapter there.

    python benchmarks/white_noise.py [--model forecaster] [--seeds 20]

A model that is not perfect on noise can truly gain by learning that all of it is noise; the first
lines say by how much.
"""

from __future__ import annotations

import argparse
import tempfile
from statistics import NormalDist

import numpy as np

from stillroom.chronos import adapt
from stillroom.chronos.families import find
from stillroom.series.metrics import evaluate
from stillroom.series.panel import Item, Panel
from stillroom.series.windows import cut

LEVELS = np.arange(1, 10) / 10
HORIZON = 12


def noise(count: int, steps: int, seed: int) -> Panel:
    """Independent standard normal series."""
    rng = np.random.default_rng(seed)
    return Panel(tuple(Item(f"s{i}", None, rng.standard_normal((1, steps))) for i in range(count)), "D")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="forecaster")
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    model = find(arguments.model)
    true = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    for steps in (60, 120, 512):
        [(window, truth)] = cut(noise(1500, steps + HORIZON, 5), HORIZON)
        said = model.predict(window, LEVELS)[:, 0]
        known = np.broadcast_to(true, said.shape)
        losses = [evaluate(truth[:, 0], q, LEVELS, window.histories(), 1).totals["WQL"] for q in (said, known)]
        print(
            f"after {steps} steps its WQL is {losses[0] / losses[1] - 1:.1%} above that of the true quantiles",
            flush=True,
        )
    kept = 0
    for seed in range(arguments.seeds):
        recipe = {"prediction_length": HORIZON, "train": {"steps": 100, "seed": seed}}
        with tempfile.TemporaryDirectory() as folder:
            verdict = adapt(model, noise(30, 120, seed), recipe, folder).verdict
        kept += verdict.keep
        print(f"seed {seed}: {verdict.sentence}", flush=True)
    print(f"an adapter was kept in {kept} of {arguments.seeds} seeds")


if __name__ == "__main__":
    main()
