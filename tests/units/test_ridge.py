"""A ridge classifier that chooses its strength and its certainty by leaving one out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.units import ridge


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    labels = np.arange(18) % 3
    rows = rng.normal(size=(18, 12))
    rows[:, 0] += labels
    rows[:, 1] -= 2 * (labels == 1)
    return rows, labels


def test_its_regression_is_scikit_learns_reference(rows):
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    values, labels = rows
    found = ridge.fit(values, labels, 3)
    scaled = StandardScaler().fit(values)
    truth = np.where(np.arange(3) == labels[:, None], 1.0, -1.0)
    ours = (values - found.mean) / found.deviation @ found.weights + found.intercept
    (alpha,) = [a for a in ridge.ALPHAS if _same(Ridge(a).fit(scaled.transform(values), truth), scaled, values, ours)]
    # the strength is the one under which what is left out is likeliest
    scores = {a: _left_out(a, scaled.transform(values), truth, labels) for a in ridge.ALPHAS}
    assert max(scores, key=scores.get) == alpha


def _same(regression, scaled, values, ours):
    return np.allclose(regression.predict(scaled.transform(values)), ours, atol=1e-8)


def _left_out(alpha, values, truth, labels):
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import LeaveOneOut, cross_val_predict

    scores = cross_val_predict(Ridge(alpha), values, truth, cv=LeaveOneOut())
    return ridge.calibrated(scores, labels)[1]


def test_a_temperature_is_the_likeliest_of_those_there_are():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=200)
    scores = np.where(labels[:, None] == np.arange(2), 1.0, -1.0) + 2.0 * rng.normal(size=(200, 2))
    temperature, likelihood = ridge.calibrated(scores, labels)
    others = [np.log(ridge.softmax(scores / t)[np.arange(200), labels]).mean() for t in (0.5, 1.0, 2.0, 5.0)]
    assert likelihood >= max(others) - 1e-3
    assert 0.5 < temperature < 5


@given(classes=st.integers(2, 5), items=st.integers(2, 12), seed=st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_few_items_and_idle_features_give_probabilities(classes, items, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(items) % classes
    values = np.concatenate([rng.normal(size=(items, 4)), np.full((items, 2), 7.0)], axis=1)
    found = ridge.fit(values, labels, classes).probabilities(values + 1e3 * rng.normal(size=values.shape))
    assert found.shape == (items, classes)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
