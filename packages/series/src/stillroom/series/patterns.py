"""Synthetic families beside KernelSynth: clean seasons, exponential smoothing, autoregression, intermittent demand.

KernelSynth's periods repeat exactly only when no other kernel is multiplied in, and a forecaster trained on it alone
does not learn to repeat a season. These families say it plainly: a shape that repeats, with a trend, slow changes
and noise around it. Every function takes a generator and returns (count, length) float64; none knows a model.
"""

from __future__ import annotations

import numpy as np

# Steps in a season, as common frequencies have them, with how often each is drawn: 12 (months), 24 (hours),
# 7 (days), 4 (quarters), 48 (half-hours), 52 (weeks) …
CALENDAR = np.array([12, 24, 7, 4, 48, 52, 5, 6, 8, 10, 13, 14, 18, 20, 26, 28, 30, 36, 60, 72, 96, 144, 168])
_ODDS = np.array([9, 9, 7, 6, 4, 3, 3, 3, 2, 1, 1, 2, 1, 1, 2, 2, 2, 1, 2, 1, 3, 2, 4], dtype=float)
# The longer season that may lie above a shorter one: a week of hours, a year of weeks …
_ABOVE = {4: 12, 5: 20, 6: 12, 7: 28, 8: 24, 10: 50, 12: 60, 24: 168, 48: 336, 96: 672}


def periods(rng: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Draw season lengths (count,): mostly calendar ones, a tenth anywhere; at least 1.5 seasons fit in `length`."""
    longest = max(length / 1.5, 4.0)
    odds = np.where(longest >= CALENDAR, _ODDS, 0.0)
    calendar = rng.choice(CALENDAR, count, p=odds / odds.sum()).astype(float)
    anywhere = np.round(np.exp(rng.uniform(np.log(2.0), np.log(longest), count)))
    return np.where(rng.random(count) < 0.9, calendar, np.maximum(anywhere, 2.0))


def _standardise(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=1, keepdims=True)
    scaled: np.ndarray = centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-9)
    return scaled


def shapes(rng: np.random.Generator, period: np.ndarray, length: int) -> np.ndarray:
    """Repeat one random shape a row with its `period` (count,); returns (count, length), mean 0 and variance 1.

    Half are smooth (harmonics with decaying amplitude), half are tables of one value a step of the season: noise
    smoothed a little, or a few spikes, or a plateau, as working hours and weekends give.
    """
    count = len(period)
    time = np.arange(length) + rng.integers(0, 10_000, (count, 1))
    phase = np.mod(time, period[:, None]) / period[:, None]
    out = np.empty((count, length))

    harmonics = 10
    order = np.arange(1, harmonics + 1)
    amplitude = rng.standard_normal((count, harmonics)) * order ** -rng.uniform(0.3, 2.5, (count, 1))
    amplitude *= order <= np.maximum(np.minimum(period[:, None] / 2, rng.integers(1, harmonics + 1, (count, 1))), 1)
    shift = rng.uniform(0, 2 * np.pi, (count, harmonics))
    smooth = rng.random(count) < 0.5
    for row in np.flatnonzero(smooth):
        out[row] = amplitude[row] @ np.cos(2 * np.pi * np.outer(order, phase[row]) + shift[row][:, None])

    for row in np.flatnonzero(~smooth):
        steps = max(int(period[row]), 2)
        kind = rng.random()
        if kind < 0.55:
            rough = rng.standard_normal(steps)
            width = int(rng.integers(1, max(steps // 3, 1) + 1))
            table = np.convolve(np.tile(rough, 3), np.ones(width) / width, "same")[steps : 2 * steps]
        elif kind < 0.75:
            table = rng.standard_normal(steps) * 0.05
            table[rng.integers(0, steps, int(rng.integers(1, 4)))] += rng.choice([-1.0, 1.0]) * rng.uniform(1, 3)
        else:
            table = np.zeros(steps)
            table[: int(rng.integers(1, steps))] = 1.0
            table = np.roll(table, int(rng.integers(0, steps))) + 0.1 * rng.standard_normal(steps)
        out[row] = table[np.minimum((phase[row] * steps).astype(int), steps - 1)]
    return _standardise(out)


def trends(rng: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Draw slow movements (count, length): none, lines, bends, saturation, growth, random walks; about unit range."""
    time = np.linspace(0.0, 1.0, length)
    slope = rng.standard_normal((count, 1))
    bend = np.maximum(time - rng.uniform(0.1, 0.9, (count, 1)), 0.0) * rng.standard_normal((count, 1)) * 2
    growth = rng.uniform(0.5, 3.0, (count, 1))
    walk = np.cumsum(rng.standard_normal((count, length)), axis=1) / np.sqrt(length)
    smooth_walk = np.cumsum(walk, axis=1) / length * 3
    kinds = np.stack(
        [
            np.zeros((count, length)),
            slope * time,
            slope * time + bend,
            slope / (1.0 + np.exp(-12.0 * (time - rng.uniform(0.1, 0.9, (count, 1))))),
            slope * np.expm1(growth * time) / np.expm1(growth),
            walk,
            smooth_walk,
        ]
    )
    kind = rng.choice(len(kinds), count, p=[0.22, 0.2, 0.13, 0.08, 0.12, 0.15, 0.1])
    chosen: np.ndarray = kinds[kind, np.arange(count)]
    return chosen


def noise(rng: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Draw noise (count, length) of unit variance: white, autocorrelated, or heavy-tailed."""
    white = rng.standard_normal((count, length))
    heavy = np.clip(rng.standard_t(3, (count, length)) / np.sqrt(3), -6, 6)
    coloured = _autoregress(white, rng.uniform(0.2, 0.95, count))
    kind = rng.choice(3, count, p=[0.55, 0.25, 0.2])
    chosen: np.ndarray = np.stack([white, coloured, heavy])[kind, np.arange(count)]
    return chosen


def _autoregress(shocks: np.ndarray, coefficient: np.ndarray) -> np.ndarray:
    """Run x[t] = c x[t-1] + shock[t], scaled to the variance of the shocks."""
    out = np.empty_like(shocks)
    state = shocks[:, 0]
    scale = np.sqrt(1.0 - coefficient**2)
    for step in range(shocks.shape[1]):
        state = coefficient * state + scale * shocks[:, step]
        out[:, step] = state
    return out


def seasonal(rng: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Draw seasonal series: one or two seasons, slowly changing amplitude, trend, noise; additive or multiplicative."""
    period = periods(rng, count, length)
    season = shapes(rng, period, length)
    longer = np.array([_ABOVE.get(int(p), 7 * p) for p in period], dtype=float)
    second = shapes(rng, np.minimum(longer, length / 1.5), length) * rng.uniform(0.1, 1.0, (count, 1))
    has_second = (rng.random((count, 1)) < 0.4) & (longer[:, None] * 1.5 <= length)
    together = rng.random((count, 1)) < 0.5  # the longer season scales the shorter one, or is added to it
    season = np.where(has_second, np.where(together, season * (1 + 0.5 * second) + second, season + second), season)

    drift = np.cumsum(rng.standard_normal((count, length)), axis=1) / np.sqrt(length)
    amplitude = np.exp(drift * np.where(rng.random((count, 1)) < 0.4, rng.uniform(0.05, 0.8, (count, 1)), 0.0))
    season = season * amplitude
    trend = trends(rng, count, length) * np.exp(rng.uniform(np.log(0.1), np.log(10), (count, 1)))
    level = np.exp(rng.uniform(np.log(0.01), np.log(1.0), (count, 1)))
    series = season + trend + level * noise(rng, count, length) * np.where(rng.random((count, 1)) < 0.2, amplitude, 1)

    # A third is multiplicative: positive, with amplitude and noise that grow with the level.
    strength = rng.uniform(0.05, 0.7, (count, 1))
    spread = np.maximum(series.std(axis=1, keepdims=True), 1e-9)
    return np.where(rng.random((count, 1)) < 0.35, np.exp(np.clip(strength * series / spread, -20, 20)), series)


def smoothing(rng: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Simulate exponential smoothing in state-space form: level, damped trend and a season that itself evolves.

    Hyndman et al. 2008, "Forecasting with Exponential Smoothing", chapter 4 (ETS, additive errors); half of the
    rows are exponentiated, which makes them multiplicative.
    """
    period = np.where(rng.random(count) < 0.3, 1, periods(rng, count, length)).astype(int)
    alpha = rng.beta(1.0, 2.0, count)
    beta = np.where(rng.random(count) < 0.5, 0.0, alpha * rng.beta(1.0, 6.0, count) * 0.3)
    gamma = np.where(rng.random(count) < 0.5, 0.0, (1 - alpha) * rng.beta(1.0, 5.0, count))
    damping = rng.choice([0.9, 0.98, 1.0], count)
    strength = np.where(period > 1, np.exp(rng.uniform(np.log(0.3), np.log(8), count)), 0.0)
    season = np.zeros((count, int(period.max())))
    for row in range(count):
        season[row, : period[row]] = shapes(rng, period[row : row + 1].astype(float), max(period[row], 2))[0][
            : period[row]
        ]
    season *= strength[:, None]
    level = np.zeros(count)
    slope = rng.standard_normal(count) * np.exp(rng.uniform(np.log(0.001), np.log(0.3), count))
    slope = np.where(rng.random(count) < 0.4, 0.0, slope)
    shocks = rng.standard_normal((count, length))
    out, rows = np.empty((count, length)), np.arange(count)
    for step in range(length):
        column = step % period
        shock = shocks[:, step]
        out[:, step] = level + slope + season[rows, column] + shock
        level = level + slope + alpha * shock
        slope = damping * slope + beta * shock
        season[rows, column] += gamma * shock
    spread = np.maximum(out.std(axis=1, keepdims=True), 1e-9)
    strength = rng.uniform(0.02, 0.6, (count, 1))
    return np.where(rng.random((count, 1)) < 0.5, np.exp(np.clip(strength * out / spread, -20, 20)), out)


def autoregressive(rng: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Draw autoregressions of order two with stable roots, a third of them integrated once (random walks, prices)."""
    radius, angle = np.sqrt(rng.uniform(0.0, 0.998, count)), rng.uniform(0, np.pi, count)
    real = rng.random(count) < 0.5
    first = np.where(real, radius * rng.choice([1.0, 1.0, -1.0], count), 2 * radius * np.cos(angle))
    second = np.where(real, 0.0, -(radius**2))
    shocks = noise(rng, count, length)
    out = np.empty((count, length))
    one, two = np.zeros(count), np.zeros(count)
    for step in range(length):
        one, two = first * one + second * two + shocks[:, step], one
        out[:, step] = one
    out = _standardise(out)
    drift = rng.standard_normal((count, 1)) * 0.05
    return np.where(rng.random((count, 1)) < 0.35, np.cumsum(out + drift, axis=1), out)


def intermittent(rng: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Draw count data: Poisson demand around a slowly moving, sometimes seasonal, often small rate."""
    rate = np.exp(rng.uniform(np.log(0.1), np.log(30.0), (count, 1)))
    period = periods(rng, count, length)
    season = np.where(rng.random((count, 1)) < 0.4, rng.uniform(0.2, 1.0, (count, 1)) * shapes(rng, period, length), 0)
    walk = np.cumsum(rng.standard_normal((count, length)), axis=1) / np.sqrt(length)
    walk = walk * np.where(rng.random((count, 1)) < 0.5, rng.uniform(0.1, 1.5, (count, 1)), 0.0)
    overdispersion = np.where(
        rng.random((count, 1)) < 0.3, rng.gamma(1.5, 1 / 1.5, (count, length)), np.ones((count, length))
    )
    demand: np.ndarray = rng.poisson(np.clip(rate * np.exp(season + walk) * overdispersion, 0, 1e6))
    return demand.astype(float)


FAMILIES = {
    "seasonal": seasonal,
    "smoothing": smoothing,
    "autoregressive": autoregressive,
    "intermittent": intermittent,
}
