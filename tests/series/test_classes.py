"""Classification metrics beside scikit-learn's, and their rules one by one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import RecipeError
from stillroom.series.classes import METRICS, evaluate


def make(seed: int, items: int = 40, classes: int = 4, ties: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random truth, probabilities (tenths, if they shall tie) and class names."""
    rng = np.random.default_rng(seed)
    names = np.sort(np.array([f"c{number}" for number in range(classes)]))
    probabilities = rng.dirichlet(np.full(classes, 0.5), items)
    if ties:
        probabilities = rng.multinomial(10, probabilities) / 10
    return names[rng.integers(0, classes, items)], probabilities, names


def by_sklearn(truth, probabilities, names):
    """The same figures from scikit-learn; its area under the curve only where it has one."""
    from sklearn import metrics

    said = names[probabilities.argmax(axis=1)]
    figures = {
        "ACCURACY": metrics.accuracy_score(truth, said),
        "MACRO_F1": metrics.f1_score(truth, said, average="macro", zero_division=0),
        "LOG_LOSS": metrics.log_loss(truth, probabilities, labels=names),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a class is said which is never true
        figures["BALANCED_ACCURACY"] = metrics.balanced_accuracy_score(truth, said)
    if set(truth) == set(names):
        two = len(names) == 2
        figures["AUC"] = metrics.roc_auc_score(
            truth, probabilities[:, 1] if two else probabilities, multi_class="ovr", labels=names
        )
    return figures


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("items", [1, 5, 200])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_metrics_equal_the_sklearn_reference(seed, items, classes, ties):
    data = make(seed, items, classes, ties)
    ours = evaluate(*data)
    assert tuple(ours) == METRICS
    for name, theirs in by_sklearn(*data).items():
        assert ours[name] == pytest.approx(theirs, rel=1e-9), name


@pytest.mark.parametrize("seed", range(3))
def test_certain_answers_equal_the_sklearn_reference(seed):
    truth, probabilities, names = make(seed)
    certain = np.eye(len(names))[probabilities.argmax(axis=1)]
    for name, theirs in by_sklearn(truth, certain, names).items():
        assert evaluate(truth, certain, names)[name] == pytest.approx(theirs, rel=1e-9), name


def test_perfect_answers_are_perfect_in_every_metric():
    names = np.array(["a", "b", "c"])
    totals = evaluate(names[[0, 1, 2, 2]], np.eye(3)[[0, 1, 2, 2]], names)
    assert totals.pop("LOG_LOSS") == pytest.approx(0, abs=1e-15)
    assert set(totals.values()) == {1.0}


def test_of_equally_probable_classes_the_first_is_said():
    assert evaluate(np.array(["a"]), np.array([[0.5, 0.5]]), np.array(["a", "b"]))["ACCURACY"] == 1
    assert evaluate(np.array(["b"]), np.array([[0.5, 0.5]]), np.array(["a", "b"]))["ACCURACY"] == 0


def test_a_class_that_is_neither_true_nor_said_counts_nowhere():
    truth, names = np.array(["a", "b"]), np.array(["a", "b", "c"])
    totals = evaluate(truth, np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]), names)
    assert (totals["MACRO_F1"], totals["BALANCED_ACCURACY"], totals["AUC"]) == (1, 1, 1)


def test_a_class_that_is_said_but_never_true_costs_f1_alone():
    truth, names = np.array(["a", "b", "b"]), np.array(["a", "b", "c"])
    totals = evaluate(truth, np.eye(3)[[0, 1, 2]], names)
    assert totals["MACRO_F1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert totals["BALANCED_ACCURACY"] == pytest.approx((1 + 1 / 2) / 2)


def test_one_certain_mistake_costs_36_in_log_loss():
    totals = evaluate(np.array(["a"]), np.array([[0.0, 1.0]]), np.array(["a", "b"]))
    assert totals["LOG_LOSS"] == pytest.approx(36.04, abs=0.01)


def test_the_area_is_nan_where_only_one_class_is_true():
    assert np.isnan(evaluate(np.array(["a", "a"]), np.full((2, 2), 0.5), np.array(["a", "b"]))["AUC"])


def test_a_guess_without_information_has_half_the_area():
    truth, names = np.array(["a", "b", "c", "a"]), np.array(["a", "b", "c"])
    assert evaluate(truth, np.full((4, 3), 1 / 3), names)["AUC"] == 0.5


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 30))
def test_the_order_of_items_changes_nothing(seed, classes, items):
    truth, probabilities, names = make(seed, items, classes, ties=True)
    order = np.random.default_rng(seed).permutation(items)
    before, after = evaluate(truth, probabilities, names), evaluate(truth[order], probabilities[order], names)
    assert after == pytest.approx(before, nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 30))
def test_shares_stay_between_0_and_1(seed, classes, items):
    totals = evaluate(*make(seed, items, classes, ties=True))
    assert all(0 <= totals[name] <= 1 or np.isnan(totals[name]) for name in METRICS if name != "LOG_LOSS")
    assert totals["LOG_LOSS"] >= 0


@pytest.mark.parametrize(
    ("truth", "probabilities", "sentence"),
    [
        (["a"], np.ones((1, 3)), "do not fit"),
        (["a", "b"], np.ones((1, 2)), "do not fit"),
        ([], np.ones((0, 2)), "do not fit"),
        (["c"], np.ones((1, 2)), "'c' has no column"),
    ],
    ids=["classes", "items", "nothing", "unknown class"],
)
def test_what_does_not_fit_together_is_refused(truth, probabilities, sentence):
    with pytest.raises(RecipeError, match=sentence):
        evaluate(np.array(truth, str), probabilities, np.array(["a", "b"]))
