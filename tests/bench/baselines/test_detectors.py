"""Baseline detectors: they look where they say, forgive gaps and constants, and answer the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.bench.baselines import detectors
from stillroom.core.errors import MissingError
from stillroom.core.protocols import Detector

BOTH = pytest.mark.parametrize(
    "make", [detectors.moving_z_score, detectors.isolation_forest], ids=["moving-z-score", "isolation-forest"]
)


def wave(steps: int, seed: int = 0, variables: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.sin(2 * np.pi * np.arange(steps) / 24) + 0.1 * rng.normal(size=(variables, steps))


@BOTH
@pytest.mark.parametrize("variables", [1, 3])
def test_a_jump_in_one_variable_scores_highest(make, variables: int):
    series = wave(600, variables=variables)
    series[-1, 400:412] += 4
    model = make()
    model.fit_normal(wave(300, seed=1, variables=variables), 24)
    assert isinstance(model, Detector)
    assert 390 <= model.detect(series).argmax() <= 420


@BOTH
def test_answers_are_the_same_every_time(make):
    answers = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002 — the global generator must not matter
        model = make()
        model.fit_normal(wave(300), 24)
        answers.append(model.detect(wave(200, seed=3)))
    assert np.array_equal(*answers)


@BOTH
def test_what_was_learned_before_is_forgotten(make):
    model, fresh = make(), make()
    model.fit_normal(100 * wave(300, seed=5), 50)
    for detector in (model, fresh):
        detector.fit_normal(wave(300), 24)
    assert np.array_equal(model.detect(wave(200)), fresh.detect(wave(200)))


@BOTH
@given(
    steps=st.integers(1, 120),
    learned=st.integers(1, 120),
    season=st.integers(1, 130),
    gaps=st.sampled_from([0.0, 0.3, 1.0]),
    shape=st.sampled_from(["wave", "constant", "zero", "large"]),
    seed=st.integers(0, 100),
)
@settings(deadline=None, max_examples=15)
def test_scores_are_finite_whatever_the_series(make, steps, learned, season, gaps, shape, seed):
    rng = np.random.default_rng(seed)

    def series(length: int) -> np.ndarray:
        values = {"wave": wave(length, seed, 2), "large": 1e12 + wave(length, seed, 2)}.get(shape)
        values = np.full((2, length), 7.0 if shape == "constant" else 0.0) if values is None else values
        values[rng.random(values.shape) < gaps] = np.nan
        return values

    model = make()
    model.fit_normal(series(learned), season)
    scores = model.detect(series(steps))
    assert scores.shape == (steps,)
    assert np.isfinite(scores).all()


def test_the_z_score_looks_back_only():
    model = detectors.moving_z_score()
    model.fit_normal(wave(300), 24)
    series = wave(400)
    before = model.detect(series)
    series[0, 200:] += 50
    assert np.array_equal(model.detect(series)[:200], before[:200])


def test_the_z_score_by_hand():
    model = detectors.moving_z_score()
    model.fit_normal(wave(300), 1)
    window = wave(detectors.SHORTEST)[0]
    scores = model.detect(np.append(window, 3.0)[None])
    assert scores[-1] == pytest.approx((3 - window.mean()) / window.std())


def test_the_start_is_measured_by_the_training_part():
    learned = wave(300)
    model = detectors.moving_z_score()
    model.fit_normal(learned, 24)
    assert model.detect(np.array([[5.0]]))[0] == pytest.approx((5 - learned.mean()) / learned.std())


def test_a_flat_stretch_makes_no_alarm_of_the_last_digit():
    learned = wave(300)
    model = detectors.moving_z_score()
    model.fit_normal(learned, 24)
    flat = np.full((1, 100), 0.5)
    flat[0, 90] += 1e-3
    assert model.detect(flat)[90] == pytest.approx(1e-3 / (detectors.QUIET * learned.std()))
    assert model.detect(flat)[60:90].tolist() == [0] * 30


def test_a_missing_value_is_no_alarm_in_its_variable():
    model = detectors.moving_z_score()
    model.fit_normal(wave(300), 24)
    series = wave(100)
    series[0, 50] = np.nan
    assert model.detect(series)[50] == 0


def test_the_forest_scores_the_mean_over_the_windows_of_a_step():
    model = detectors.isolation_forest()
    model.fit_normal(wave(300), 24)
    series = wave(100, seed=2)
    windows = np.lib.stride_tricks.sliding_window_view(series[0].astype(np.float32), 24)
    odd = -model.forest.score_samples(windows)
    expected = [odd[max(step - 23, 0) : step + 1].mean() for step in range(100)]
    assert model.detect(series) == pytest.approx(expected)


def test_large_series_are_scored_in_parts(monkeypatch: pytest.MonkeyPatch):
    model = detectors.isolation_forest()
    model.fit_normal(wave(300), 24)
    whole = model.detect(wave(400, seed=2))
    monkeypatch.setattr(detectors, "CHUNK", 50)
    assert model.detect(wave(400, seed=2)) == pytest.approx(whole)


def test_the_forest_names_the_extra_it_needs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detectors, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"pip install 'stillroom-bench\[baselines\]'"):
        detectors.isolation_forest()
