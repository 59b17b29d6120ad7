"""KernelSynth: series drawn from Gaussian processes whose kernels are composed at random.

Ansari et al. 2024, "Chronos: Learning the Language of Time Series", section 4.2 and appendix A. The cost of such a
series is the factorisation of its covariance matrix, so a kernel is factorised once (Cholesky with jitter, where
scikit-learn takes an SVD) and `draws` series are taken from it. This room knows kernels and nothing of other families.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

DRAWS_PER_KERNEL = 16
"""Series drawn from one random kernel. They share its periods and smoothness, so more draws cost diversity;
16 brings the factorisation down to a small share of the whole."""

MAX_KERNELS = 5

# One entry a period that common sampling frequencies have, in steps (the bank of the paper's KernelSynth).
PERIODS = (4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 26, 28, 30, 40, 48, 52, 60, 90, 96, 120, 144, 168, 288, 336, 365)


@dataclass(frozen=True)
class Kernel:
    """One base kernel on inputs scaled to [0, 1]: its kind and its one parameter."""

    kind: str  # constant | white | linear | rbf | rational_quadratic | periodic
    parameter: float


@dataclass(frozen=True)
class Composition:
    """Base kernels folded from the left: ``((k0 op k1) op k2) …`` with each op ``+`` or ``*``."""

    kernels: tuple[Kernel, ...]
    operations: tuple[str, ...]


def bank(length: int) -> tuple[Kernel, ...]:
    """List the base kernels for series of `length` steps; periods are given as a share of the length."""
    periodic = tuple(Kernel("periodic", period / length) for period in PERIODS if 2 * period <= max(length, 8))
    return (
        *periodic,
        *(Kernel("linear", sigma) for sigma in (0.0, 1.0, 10.0)),
        *(Kernel("white", variance) for variance in (0.1, 1.0)),
        *(Kernel("rbf", scale) for scale in (0.1, 1.0, 10.0)),
        *(Kernel("rational_quadratic", alpha) for alpha in (0.1, 1.0, 10.0)),
        Kernel("constant", 1.0),
    )


def compose(rng: np.random.Generator, length: int, max_kernels: int = MAX_KERNELS) -> Composition:
    """Draw 1 … `max_kernels` base kernels with replacement and the operations that join them."""
    choices = bank(length)
    count = int(rng.integers(1, max_kernels + 1))
    kernels = tuple(choices[i] for i in rng.integers(0, len(choices), count))
    return Composition(kernels, tuple("+*"[i] for i in rng.integers(0, 2, count - 1)))


def covariance(composition: Composition, length: int) -> np.ndarray:
    """Evaluate a composition on `length` equidistant points of [0, 1]; returns (length, length) float64.

    All kernels but the linear one depend on the distance alone, so they are evaluated on `length` distances
    and spread over the matrix only when a linear kernel joins, or at the end.
    """
    points = np.linspace(0.0, 1.0, length)
    folded = _evaluate(composition.kernels[0], points)
    for operation, kernel in zip(composition.operations, composition.kernels[1:], strict=True):
        term = _evaluate(kernel, points)
        if folded.ndim != term.ndim:
            folded, term = _spread(folded), _spread(term)
        folded = folded + term if operation == "+" else folded * term
    return _spread(folded)


def _evaluate(kernel: Kernel, distance: np.ndarray) -> np.ndarray:
    """Return (length,) values by distance, or for the linear kernel the (length, length) matrix itself."""
    match kernel.kind:
        case "constant":
            return np.full_like(distance, kernel.parameter)
        case "white":
            return np.where(distance == 0.0, kernel.parameter, 0.0)
        case "linear":  # the points are the distances from the first one
            return kernel.parameter**2 + np.outer(distance, distance)
        case "rbf":
            return np.exp(-0.5 * (distance / kernel.parameter) ** 2)
        case "rational_quadratic":  # length scale 1
            return (1.0 + distance**2 / (2.0 * kernel.parameter)) ** -kernel.parameter
        case "periodic":  # length scale 1
            return np.exp(-2.0 * np.sin(np.pi * distance / kernel.parameter) ** 2)
    raise ValueError(f"unknown kernel {kernel.kind!r}")


def _spread(values: np.ndarray) -> np.ndarray:
    """Turn values by distance into their symmetric Toeplitz matrix; leave a matrix as it is."""
    if values.ndim == 2:
        return values
    both_ways = np.concatenate([values[:0:-1], values])
    windows = np.lib.stride_tricks.sliding_window_view(both_ways, len(values))
    return np.ascontiguousarray(windows[::-1])


def draw(composition: Composition, length: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `draws` series of `length` steps from the Gaussian process prior; returns (draws, length) float64.

    Smooth and periodic kernels are singular to machine precision, so a jitter of 1e-7 of the mean variance is
    added to the diagonal, ten times more after each failed factorisation (seen: never above 1e-5).
    """
    matrix = covariance(composition, length)
    variance = float(np.mean(np.diagonal(matrix))) or 1.0
    diagonal = matrix.reshape(-1)[:: length + 1]  # a view: the jitter is added in place
    jitter, added = 1e-7 * variance, 0.0
    while True:
        diagonal += jitter - added
        added = jitter
        try:
            factor = np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            jitter *= 10.0
            continue
        return rng.standard_normal((draws, length)) @ factor.T


def kernel_synth(
    count: int,
    length: int = 1024,
    *,
    draws: int = DRAWS_PER_KERNEL,
    max_kernels: int = MAX_KERNELS,
    seed: int | tuple[int, ...] = 0,
) -> Iterator[np.ndarray]:
    """Stream `count` KernelSynth series of `length` steps, each a (length,) float64 array.

    Parameters
    ----------
    draws : series taken from one random kernel (see `DRAWS_PER_KERNEL`).
    max_kernels : base kernels in a composition at most (5 in the paper).
    seed : the same seed gives the same series; no global random state is touched.
    """
    rng = np.random.default_rng(seed)
    left = count
    while left > 0:
        batch = draw(compose(rng, length, max_kernels), length, min(draws, left), rng)
        left -= len(batch)
        yield from batch
