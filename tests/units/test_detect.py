"""Scores of strangeness: finite always, told against the training part alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError, RecipeError
from stillroom.units import detect

NAN = np.nan


@pytest.fixture(scope="module")
def daily():
    """Two variables of a daily pattern, 24 days of 12 steps, and noise."""
    rng = np.random.default_rng(0)
    time = np.arange(24 * 12)
    waves = np.stack([np.sin(2 * np.pi * time / 12), np.cos(2 * np.pi * time / 12)])
    return 10 + waves + 0.05 * rng.normal(size=waves.shape)


@pytest.fixture(scope="module")
def normal(network, daily):
    return detect.fit(network, [daily[:, :192]], 12)


def test_a_surprise_is_the_logarithm_of_how_rare_something_is():
    learned = np.arange(1.0, 100.0)
    found = detect.surprise(learned, np.array([0.5, 1.0, 50.0, 99.0, NAN]))
    np.testing.assert_allclose(found, [0.0, 0.0, np.log(100 / 51), np.log(50), 0.0])
    beyond = detect.surprise(learned, np.array([99.0, 110.0, 200.0, 1e300]))
    assert (np.diff(beyond) > 0).all()
    assert np.isfinite(beyond).all()
    assert detect.surprise(np.empty(0), np.ones(3)).tolist() == [0.0] * 3


@given(values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), window=st.integers(1, 12))
def test_smoothing_is_a_centred_mean_reference(values, window):
    found = detect.smoothed(np.array(values), window)
    for place in range(len(values)):
        around = values[max(place - window // 2, 0) : place + (window + 1) // 2]
        assert found[place] == pytest.approx(np.mean(around), abs=1e-9)


def test_spikes_level_shifts_and_flat_stretches_are_stranger_than_the_rest(network, normal, daily):
    test = daily[:, 192:].copy()
    test[0, 30] += 4
    test[1, 60:66] -= 3
    found = detect.scores(network, normal, [test])[0]
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    strange = np.zeros(len(found), dtype=bool)
    strange[[30, *range(60, 66)]] = True
    assert found[strange].min() > np.quantile(found[~strange], 0.8)
    assert found[30] == found[20:41].max()


def test_more_of_the_same_is_not_stranger_than_the_training_part(network, normal, daily):
    learned, later = normal.scores[0], detect.scores(network, normal, [daily[:, 192:]])[0]
    assert np.median(later) < np.quantile(learned, 0.9)


def test_the_threshold_is_a_quantile_of_the_training_scores_and_no_test_moves_it(network, normal, daily):
    (learned,) = normal.scores
    before = normal.threshold(0.95)
    assert (learned > before).mean() <= 0.05
    assert before in learned
    detect.scores(network, normal, [100 * daily])[0]
    assert normal.threshold(0.95) == before
    assert normal.threshold(0.99) >= before
    with pytest.raises(RecipeError, match="strictly between 0 and 1"):
        normal.threshold(1.0)


def test_the_training_part_is_scored_as_it_was_in_learning(network, normal, daily):
    again = detect.scores(network, normal, [daily[:, :192].copy()])[0]
    np.testing.assert_array_equal(again, normal.scores[0])
    again[:] = 0  # what is handed out is a copy
    assert normal.scores[0].any()


def test_scaling_and_shifting_all_there_is_changes_no_score(network, normal, daily):
    moved = detect.fit(network, [1e4 * daily[:, :192] - 1e6], 12)
    np.testing.assert_allclose(moved.scores[0], normal.scores[0], rtol=0.02, atol=0.02)


HARD = {
    "a constant": np.full((1, 40), 3.0),
    "nothing observed": np.full((1, 40), NAN),
    "one step": np.array([[1.0]]),
    "shorter than a patch": np.array([[1.0, 2.0, 4.0]]),
    "one observation": np.array([[NAN] * 20 + [1.0] + [NAN] * 20]),
    "half missing": np.where(np.arange(50) % 2, NAN, np.sin(np.arange(50.0)))[None],
    "large": 1e30 * np.sin(np.arange(50.0))[None],
}


@pytest.mark.parametrize("train", HARD.values(), ids=HARD)
def test_scores_are_finite_whatever_was_learned_and_whatever_comes(network, train):
    normal = detect.fit(network, [train])
    assert np.isfinite(normal.threshold())
    for test in HARD.values():
        found = detect.scores(network, normal, [test])[0]
        assert found.shape == test.shape[1:]
        assert np.isfinite(found).all()


def test_a_variable_that_never_moved_is_strange_when_it_moves(network, daily):
    idle = np.zeros((1, 192))
    normal = detect.fit(network, [np.concatenate([daily[:1, :192], idle])], 12)
    test = np.concatenate([daily[:1, 192:], np.zeros((1, 96))])
    quiet = detect.scores(network, normal, [test])[0]
    test[1, 50] = 1.0
    found = detect.scores(network, normal, [test])[0]
    assert found[50] > max(normal.threshold(0.9), quiet[50] + 5)
    far = np.abs(np.arange(96) - 50) > 12  # what else happens then is as strange as before
    np.testing.assert_allclose(found[far], quiet[far], atol=1e-9)


def test_an_idle_variable_changes_no_score_of_the_others(network, normal, daily):
    idle = np.full((1, daily.shape[1]), 4.0)
    both = np.concatenate([daily, idle])
    with_idle = detect.fit(network, [both[:, :192]], 12)
    np.testing.assert_allclose(
        detect.scores(network, with_idle, [both[:, 192:]])[0],
        detect.scores(network, normal, [daily[:, 192:]])[0],
        atol=1e-6,
    )


def test_several_records_are_learned_together(network, daily):
    normal = detect.fit(network, [daily[:, :96], daily[:, 96:192], daily[:, 192:196]], 12)
    assert [len(own) for own in normal.scores] == [96, 96, 4]
    assert len(normal.errors[0]) == 196


def test_what_cannot_be_learned_is_said_in_one_sentence(network, normal, daily):
    with pytest.raises(DataError, match="different numbers of variables"):
        detect.fit(network, [daily, daily[:1]])
    with pytest.raises(DataError, match="has 1 variables, but what is normal was learned of 2"):
        detect.scores(network, normal, [daily[:1]])[0]
    with pytest.raises(RecipeError, match="season_length"):
        detect.fit(network, [daily], 0)


@given(season=st.integers(1, 1000))
@settings(max_examples=5, deadline=None)
def test_a_score_is_averaged_over_a_season_within_limits(network, season):
    normal = detect.fit(network, [np.sin(np.arange(24.0))[None]], season)
    assert network.config.patch_size <= normal.window <= detect.LONGEST
