from __future__ import annotations

import time

import numpy as np
import pytest

from stillroom.core.errors import DataError, RecipeError
from stillroom.language.intervals import bounds, difference, interval, joint, resampled
from stillroom.language.scored import Scored, mean


def some(n: int, share: float, seed: int = 0) -> Scored:
    return mean((np.random.default_rng(seed).random(n) < share).tolist())


def test_a_resample_is_rows_drawn_with_replacement():
    scored = mean(np.random.default_rng(0).random(9).tolist())
    drawn = np.random.default_rng(4).integers(0, 9, (5, 9))
    expected = scored.parts[:, 0][drawn].mean(1)
    np.testing.assert_allclose(resampled([scored], 5, seed=4)[:, 0], expected)


def test_draws_do_not_depend_on_how_many_fit_into_memory(monkeypatch):
    scored = some(50, 0.4)
    at_once = resampled([scored], 40, seed=1)
    monkeypatch.setattr("stillroom.language.intervals.CELLS", 170)
    np.testing.assert_array_equal(resampled([scored], 40, seed=1), at_once)


def test_the_interval_of_a_mean_is_that_of_the_textbook():
    scored = some(2000, 0.3)
    found = interval(scored, seed=1)
    p = scored.value
    half = 1.96 * np.sqrt(p * (1 - p) / 2000)
    assert found.value == p
    assert found.n == 2000
    assert found.low == pytest.approx(p - half, abs=0.15 * half)
    assert found.high == pytest.approx(p + half, abs=0.15 * half)


def test_an_interval_holds_the_truth_as_often_as_it_says():
    held = [
        found.low <= 0.6 <= found.high
        for seed in range(200)
        if (found := interval(some(150, 0.6, seed), resamples=400, seed=seed))
    ]
    assert 0.9 <= np.mean(held) <= 0.99


def test_what_two_systems_share_cancels():
    rng = np.random.default_rng(0)
    hard = rng.random(400) < 0.5
    better = rng.random(400) < 0.1
    base, student = mean((~hard).tolist()), mean((~hard | better).tolist())
    paired = difference(student, base)
    assert paired.value == pytest.approx(student.value - base.value)
    assert paired.low > 0
    assert interval(student).low < interval(base).high  # apart, they would not be told apart
    backwards = difference(base, student)
    assert (backwards.low, backwards.high) == pytest.approx((-paired.high, -paired.low))


def test_a_system_does_not_differ_from_itself():
    scored = some(30, 0.5)
    assert (difference(scored, scored).low, difference(scored, scored).high) == (0, 0)


def test_anything_made_of_metrics_has_an_interval():
    a, b = some(300, 0.8, 1), some(300, 0.4, 2)
    ratio = joint([a, b], np.divide)
    assert ratio.value == pytest.approx(a.value / b.value)
    assert ratio.low < ratio.value < ratio.high


def test_a_seed_decides():
    scored = some(100, 0.5)
    assert interval(scored, seed=1) == interval(scored, seed=1) != interval(scored, seed=2)


def test_one_row_bounds_nothing():
    found = interval(mean([1.0]))
    assert found.value == 1
    assert np.isnan([found.low, found.high]).all()


def test_what_is_not_defined_in_every_resample_has_no_bounds():
    assert np.isnan(bounds(np.array([1.0, np.nan]), 10)).all()


def test_faults_are_sentences():
    with pytest.raises(DataError, match="3, 4 rows cannot be compared"):
        resampled([some(3, 0.5), some(4, 0.5)])
    with pytest.raises(RecipeError, match=r"confidence 1\.5 cannot be"):
        interval(some(5, 0.5), confidence=1.5)


def test_twenty_thousand_rows_take_less_than_two_seconds():
    wide = Scored(np.random.default_rng(0).random((20_000, 18)), lambda sums: sums[..., 0] / sums[..., 1])
    began = time.process_time()
    interval(wide)
    assert time.process_time() - began < 2
