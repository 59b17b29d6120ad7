"""What a KernelSynth series costs, ours beside scikit-learn's `GaussianProcessRegressor.sample_y` on the same kernels.

CPU seconds of one thread a series of 1024 steps, at 1 and at 64 draws a kernel. Prints the table, or with `--json` the
same as JSON, and exits 1 if a row is less than 8 times cheaper than scikit-learn's.

    python benchmarks/speed/kernel_synth.py [--kernels 12] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from functools import reduce

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor, kernels
from threadpoolctl import threadpool_limits

from stillroom.series.synthetic import Composition, Kernel, compose, draw

BAR = 8.0
LENGTH = 1024
DRAWS = (1, 64)


def peer(kernel: Kernel) -> kernels.Kernel:
    """Say one base kernel in scikit-learn's words; its inputs are scaled to [0, 1] as ours are."""
    match kernel.kind:
        case "constant":
            return kernels.ConstantKernel(kernel.parameter)
        case "white":
            return kernels.WhiteKernel(kernel.parameter)
        case "linear":
            return kernels.DotProduct(sigma_0=kernel.parameter)
        case "rbf":
            return kernels.RBF(length_scale=kernel.parameter)
        case "rational_quadratic":
            return kernels.RationalQuadratic(length_scale=1.0, alpha=kernel.parameter)
        case "periodic":
            return kernels.ExpSineSquared(length_scale=1.0, periodicity=kernel.parameter)
    raise ValueError(f"unknown kernel {kernel.kind!r}")


def peer_composition(composition: Composition) -> kernels.Kernel:
    """Fold the base kernels from the left, as ours are."""
    joined = zip(composition.operations, map(peer, composition.kernels[1:]), strict=True)
    return reduce(lambda left, op: left + op[1] if op[0] == "+" else left * op[1], joined, peer(composition.kernels[0]))


def peer_draw(composition: Composition, draws: int, seed: int) -> np.ndarray:
    """Draw (length, draws) series from the prior with scikit-learn, as the authors of Chronos do."""
    regressor = GaussianProcessRegressor(peer_composition(composition))
    series: np.ndarray = regressor.sample_y(np.linspace(0.0, 1.0, LENGTH)[:, None], n_samples=draws, random_state=seed)
    return series


def our_draw(composition: Composition, draws: int, seed: int) -> np.ndarray:
    """Draw (draws, length) series with Stillroom."""
    return draw(composition, LENGTH, draws, np.random.default_rng(seed))


def cpu_seconds(
    drawing: Callable[[Composition, int, int], np.ndarray], compositions: list[Composition], draws: int, seed: int
) -> float:
    """CPU seconds a series, on average over the compositions; a first call warms up and does not count."""
    drawing(compositions[0], draws, seed)
    started = time.process_time()
    for composition in compositions:
        drawing(composition, draws, seed)
    return (time.process_time() - started) / (len(compositions) * draws)


def measure(count: int, seed: int) -> list[dict[str, float]]:
    """One row a number of draws: CPU seconds a series of both, and how many times less ours takes."""
    compositions = [compose(np.random.default_rng((seed, number)), LENGTH) for number in range(count)]
    rows = []
    for draws in DRAWS:
        ours = cpu_seconds(our_draw, compositions, draws, seed)
        theirs = cpu_seconds(peer_draw, compositions, draws, seed)
        rows.append({"draws": draws, "stillroom": ours, "scikit-learn": theirs, "ratio": theirs / ours})
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="KernelSynth beside scikit-learn: CPU seconds a series of 1024 steps.")
    parser.add_argument("--kernels", type=int, default=12, help="random kernels measured (default 12)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of covariances that are singular to machine precision
        rows = measure(options.kernels, options.seed)
    passed = all(row["ratio"] >= BAR for row in rows)
    if options.json:
        print(json.dumps({"length": LENGTH, "kernels": options.kernels, "bar": BAR, "passed": passed, "rows": rows}))
    else:
        print(f"CPU seconds a series of {LENGTH} steps, mean of {options.kernels} random kernels, one thread")
        for row in rows:
            print(
                f"{row['draws']:3.0f} draws a kernel: stillroom {row['stillroom']:.5f}, "
                f"scikit-learn {row['scikit-learn']:.5f}, {row['ratio']:.1f}x less (bar {BAR:.0f}x)"
            )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
