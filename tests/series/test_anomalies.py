"""Anomaly metrics: small cases by hand, invariants, and equality with aeon and scikit-learn."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import RecipeError
from stillroom.series.anomalies import METRICS, areas, evaluate, macro, point_adjusted_f1, range_f1, ranges, volumes

FREE = ("VUS_PR", "AUC_PR", "VUS_ROC", "AUC_ROC")


def flags(text: str) -> np.ndarray:
    """`..##.` → booleans."""
    return np.array([sign == "#" for sign in text])


def one(truth: np.ndarray, score: np.ndarray, threshold: float = 0.5, buffer: int = 0) -> dict[str, float]:
    return macro(evaluate([truth], [np.asarray(score, float)], [threshold], [buffer]))


def made(seed: int, steps: int = 400, *, rounded: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Truth with a few ranges, also at the ends and side by side, and scores that know a little of it."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(steps, dtype=bool)
    for _ in range(rng.integers(1, 8)):
        start = rng.integers(0, steps)
        truth[start : start + rng.integers(1, 40)] = True
    truth[rng.integers(0, steps)] = False
    score = rng.normal(size=steps) + truth * rng.uniform(0, 2)
    return truth, np.round(score) if rounded else score


def test_ranges_are_half_open_and_reach_both_ends():
    starts, stops = ranges(flags("##..#.###"))
    assert starts.tolist() == [0, 4, 6]
    assert stops.tolist() == [2, 5, 9]


def test_steps_at_the_threshold_by_hand():
    metrics = one(flags("..####...."), [1, 0, 0, 1, 1, 0, 0, 1, 0, 0])
    assert metrics["PRECISION"] == 2 / 4
    assert metrics["RECALL"] == 2 / 4
    assert metrics["F1"] == 0.5
    assert metrics["FALSE_ALARMS"] == pytest.approx(1000 * 2 / 6)
    assert metrics["EVENT_RECALL"] == 1
    assert metrics["POINT_ADJUSTED_F1"] == pytest.approx(2 * 4 / (4 + 4 + 2))


def test_an_alarm_is_above_the_threshold_not_at_it():
    assert one(flags("#."), [0.5, 0.0])["RECALL"] == 0


def test_range_f1_by_hand():
    # Two alarms: one half inside the anomaly, one outside. The anomaly is met once, in 1 of its 4 steps.
    precision, recall = (0.5 + 0) / 2, 0.5 + 0.5 * 1 / 4
    expected = 2 * precision * recall / (precision + recall)
    assert range_f1(flags("..####...."), flags(".##.....#.")) == pytest.approx(expected)


def test_range_f1_divides_an_anomaly_by_the_alarms_it_is_met_by():
    whole = range_f1(flags("..####.."), flags("..####.."))
    halves = range_f1(flags("..####.."), flags("..#.#..."))
    recall = 0.5 + 0.5 * (2 / 4) / 2
    assert whole == 1
    assert halves == pytest.approx(2 * recall / (1 + recall))


def test_point_adjustment_flatters_random_alarms():
    rng = np.random.default_rng(0)
    truth = np.zeros(10_000, dtype=bool)
    truth[3000:4000] = truth[7000:8000] = True
    alarms = rng.random(len(truth)) < 0.02
    assert one(truth, alarms)["F1"] < 0.05
    assert point_adjusted_f1(truth, alarms) > 0.9


def test_without_alarms_precision_is_zero():
    metrics = one(flags("..##"), [0, 0, 0, 0.1])
    assert (metrics["PRECISION"], metrics["F1"], metrics["RANGE_F1"], metrics["FALSE_ALARMS"]) == (0, 0, 0, 0)


def test_near_misses_are_worth_something_to_the_volumes_alone():
    truth = flags("." * 40 + "#" * 10 + "." * 50)
    near, far = np.zeros(100), np.zeros(100)
    near[52:56] = far[80:84] = 1
    assert areas(truth, near) == areas(truth, far)
    assert volumes(truth, near, 20)[0] > volumes(truth, far, 20)[0] + 0.1


def test_series_without_anomalies_count_in_false_alarms_alone():
    quiet, event = flags("...."), flags("..##")
    items = evaluate([quiet, event], [np.array([0.0, 1, 0, 0]), np.array([0.0, 0, 1, 1])], [0.5, 0.5], [4, 4])
    assert list(items) == list(METRICS)
    assert np.isnan(items["AUC_PR"]).tolist() == [True, False]
    assert items["FALSE_ALARMS"].tolist() == [250, 0]
    assert macro(items)["F1"] == 1
    assert macro(items)["FALSE_ALARMS"] == 125


def test_series_that_are_all_anomaly_count_nowhere():
    metrics = one(flags("###"), [1, 2, 3])
    assert list(metrics) == list(METRICS)
    assert np.isnan(list(metrics.values())).all()


def test_long_series_weigh_no_more_than_short_ones():
    items = evaluate(
        [flags("#" + "." * 9), flags("#" + "." * 999)], [np.eye(10)[0], 1 - np.eye(1000)[0]], [0.5, 0.5], [0, 0]
    )
    assert macro(items)["RECALL"] == 0.5


def test_scores_of_another_length_are_refused():
    with pytest.raises(RecipeError, match=r"do not fit together: truth \(4,\), scores \(3,\)"):
        one(flags("..##"), [0, 1, 1])


def test_perfect_scores_are_worth_one():
    truth, _ = made(1)
    metrics = one(truth, truth.astype(float))
    for name in set(METRICS) - {"FALSE_ALARMS"}:
        assert metrics[name] == pytest.approx(1), name
    assert metrics["FALSE_ALARMS"] == 0


@given(seed=st.integers(0, 10_000), buffer=st.integers(0, 60))
@settings(deadline=None, max_examples=50)
def test_a_rising_transform_leaves_what_needs_no_threshold(seed: int, buffer: int):
    truth, score = made(seed, rounded=seed % 2 == 1)
    before, after = one(truth, score, buffer=buffer), one(truth, np.exp(score) * 7 - 3, buffer=buffer)
    for name in FREE:
        assert after[name] == pytest.approx(before[name], abs=1e-12), name


@given(seed=st.integers(0, 10_000), buffer=st.integers(0, 60), threshold=st.floats(-3, 4))
@settings(deadline=None, max_examples=50)
def test_shares_are_between_zero_and_one(seed: int, buffer: int, threshold: float):
    truth, score = made(seed, rounded=seed % 2 == 1)
    metrics = one(truth, score, threshold, buffer)
    for name in set(METRICS) - {"FALSE_ALARMS"}:
        assert -1e-12 <= metrics[name] <= 1 + 1e-12, name
    assert metrics["F1"] <= metrics["POINT_ADJUSTED_F1"] + 1e-12


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=25)
def test_turning_scores_upside_down_turns_the_roc_curve(seed: int):
    truth, score = made(seed, rounded=seed % 2 == 1)
    assert areas(truth, score)[1] + areas(truth, -score)[1] == pytest.approx(1)


def test_random_scores_are_worth_a_half_of_the_roc_curve_and_the_prevalence_of_precision():
    rng = np.random.default_rng(0)
    truth = np.arange(100_000) % 10 == 0
    precision, roc = areas(truth, rng.random(len(truth)))
    assert roc == pytest.approx(0.5, abs=0.01)
    assert precision == pytest.approx(0.1, abs=0.01)


def test_equal_scores_are_one_threshold_whatever_their_order():
    truth = flags("##........")
    assert areas(truth, np.zeros(10)) == areas(truth[::-1], np.zeros(10)) == (0.2, 0.5)


def test_a_constant_score_says_nothing_to_the_volumes():
    assert volumes(flags("..##.."), np.ones(6), 3) == (0, 0)


@pytest.mark.parametrize("seed", range(12))
def test_areas_reference(seed: int):
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth, score = made(seed, rounded=seed % 2 == 1)
    assert areas(truth, score) == pytest.approx(
        (average_precision_score(truth, score), roc_auc_score(truth, score)), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(6))
def test_step_metrics_reference(seed: int):
    from sklearn.metrics import precision_recall_fscore_support

    truth, score = made(seed)
    expected = precision_recall_fscore_support(truth, score > 0.5, average="binary")
    metrics = one(truth, score)
    assert (metrics["PRECISION"], metrics["RECALL"], metrics["F1"]) == pytest.approx(expected[:3], abs=1e-12)


@pytest.mark.parametrize("buffer", [0, 1, 2, 3, 17, 60])
@pytest.mark.parametrize("seed", range(4))
def test_volumes_reference(seed: int, buffer: int):
    from aeon.benchmarking.metrics.anomaly_detection import range_pr_vus_score, range_roc_vus_score

    truth, score = made(seed, steps=(60, 180, 400)[seed % 3], rounded=seed % 2 == 1)
    whole = truth.astype(int)
    expected = range_pr_vus_score(whole, score, buffer), range_roc_vus_score(whole, score, buffer)
    assert volumes(truth, score, buffer) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_range_f1_reference(seed: int):
    from aeon.benchmarking.metrics.anomaly_detection import range_f_score

    truth, score = made(seed)
    alarms = score > 0.5
    assert range_f1(truth, alarms) == pytest.approx(range_f_score(truth.astype(int), alarms.astype(int)), abs=1e-12)


def test_both_volumes_take_a_small_part_of_the_time_of_one_in_the_reference():
    from aeon.benchmarking.metrics.anomaly_detection import range_pr_vus_score

    truth, score = made(3, steps=4000)
    start = time.perf_counter()
    range_pr_vus_score(truth.astype(int), score, 50)
    theirs = time.perf_counter() - start
    ours = []
    for _ in range(3):  # the least is what a busy machine disturbs least
        start = time.perf_counter()
        volumes(truth, score, 50)
        ours.append(time.perf_counter() - start)
    assert theirs / min(ours) > 20
