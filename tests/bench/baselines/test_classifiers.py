"""Classifiers beside the UCR archive's published figures and beside aeon itself."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.bench.baselines import classifiers as baselines
from stillroom.core.errors import MissingError
from stillroom.core.protocols import Classifier
from stillroom.series.classes import evaluate
from stillroom.series.labelled import BUNDLED, load

# Error of the nearest neighbour by Euclidean distance ("ED (w=0)") and by time warping without a window ("DTW (w=100)")
# from DataSummary.csv of the UCR archive (Dau et al., 2018, https://www.cs.ucr.edu/~eamonn/time_series_data_2018/), of
# Chinatown for its later split with 343 test series. All but Chinatown and ACSF1 are normalised in the archive.
PUBLISHED = {
    "ACSF1": (0.4600, 0.3600),
    "Adiac": (0.3887, 0.3964),
    "ArrowHead": (0.2000, 0.2971),
    "Car": (0.2667, 0.2667),
    "Chinatown": (0.0466, 0.0437),
    "ECG200": (0.1200, 0.2300),
    "GunPoint": (0.0867, 0.0933),
    "ItalyPowerDemand": (0.0447, 0.0496),
    "OSULeaf": (0.4793, 0.4091),
    "Symbols": (0.1005, 0.0503),
    "SyntheticControl": (0.1200, 0.0067),
    "Trace": (0.2400, 0.0000),
}
ALL = [baselines.nearest_neighbour, baselines.dtw_1nn, baselines.minirocket]


def error(model: Classifier, name: str) -> float:
    """Share of the test series that the model gets wrong."""
    if name not in BUNDLED and "STILLROOM_DATA" not in os.environ:
        pytest.skip("needs STILLROOM_DATA, the folder of benchmark series")
    data = load(f"ucr:{name}")
    model.fit_classes(data.train, data.train_labels)
    return 1 - evaluate(data.test_labels, model.classify(data.test), data.classes)["ACCURACY"]


def waves(seed: int, lengths: tuple[int, ...] = (30, 40), variables: int = 2, items: int = 12):
    """Slow and fast sines with noise, of unequal length and with gaps."""
    rng = np.random.default_rng(seed)
    labels = np.array(["slow", "fast"])[np.arange(items) % 2]
    series = []
    for label in labels:
        time = np.linspace(0, 6 if label == "slow" else 18, rng.choice(lengths))
        values = np.sin(time + rng.uniform(0, 0.5)) + 0.1 * rng.normal(size=(variables, len(time)))
        values[rng.random(values.shape) < 0.05] = np.nan
        series.append(values)
    return series, labels


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_nearest_neighbour_reproduces_the_published_error(name):
    assert error(baselines.nearest_neighbour(), name) == pytest.approx(PUBLISHED[name][0], abs=5.1e-5)


@pytest.mark.parametrize("name", ["ArrowHead", "Chinatown", "ECG200", "GunPoint", "ItalyPowerDemand", "Trace"])
def test_the_nearest_by_warping_without_a_window_reproduces_the_published_error(name):
    assert error(baselines.NearestByWarping(window=1.0), name) == pytest.approx(PUBLISHED[name][1], abs=5.1e-5)


def test_the_nearest_neighbour_says_what_the_aeon_reference_says():
    from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier

    data = load("ucr:BasicMotions")
    model = baselines.nearest_neighbour()
    model.fit_classes(data.train, data.train_labels)
    reference = KNeighborsTimeSeriesClassifier(distance="euclidean").fit(np.stack(data.train), data.train_labels)
    np.testing.assert_array_equal(model.classify(data.test), reference.predict_proba(np.stack(data.test)))


@pytest.mark.parametrize("name", ["GunPoint", "JapaneseVowels"])
def test_dtw_says_what_the_aeon_reference_says(name):
    from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier

    data = load(f"ucr:{name}").first(10)
    model = baselines.dtw_1nn()
    model.fit_classes(data.train, data.train_labels)
    reference = KNeighborsTimeSeriesClassifier(distance="dtw", distance_params={"window": 0.1})
    train, test = ([baselines.normalised(values[None])[0] for values in part] for part in (data.train, data.test))
    reference.fit(train, data.train_labels)
    np.testing.assert_array_equal(model.classify(data.test), reference.predict_proba(test))


@pytest.mark.parametrize("name", ["GunPoint", "BasicMotions"])
def test_minirocket_finds_most_probable_what_the_aeon_reference_says(name):
    from aeon.classification.convolution_based import MiniRocketClassifier

    data = load(f"ucr:{name}")
    model = baselines.minirocket()
    model.fit_classes(data.train, data.train_labels)
    reference = MiniRocketClassifier(random_state=0).fit(np.stack(data.train), data.train_labels)
    said = data.classes[model.classify(data.test).argmax(axis=1)]
    np.testing.assert_array_equal(said, reference.predict(np.stack(data.test)))


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("lengths", [(30, 40), (3, 5)], ids=["long", "shorter than a kernel"])
def test_unequal_lengths_and_gaps_are_no_obstacle(make, lengths):
    model = make()
    assert isinstance(model, Classifier)
    model.fit_classes(*waves(0, lengths))
    probabilities = model.classify(waves(1, (lengths[0], 2 * lengths[1]))[0])
    assert probabilities.shape == (12, 2)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("make", ALL)
def test_slow_and_fast_waves_are_told_apart(make):
    model = make()
    model.fit_classes(*waves(0, items=20))
    series, labels = waves(1)
    said = np.array(["fast", "slow"])[model.classify(series).argmax(axis=1)]
    assert (said == labels).mean() > 0.9


@pytest.mark.parametrize("make", ALL)
def test_fitting_again_forgets_and_repeats(make):
    first, again = make(), make()
    again.fit_classes(*waves(5, variables=1))
    for model in (first, again):
        model.fit_classes(*waves(0))
    np.testing.assert_array_equal(first.classify(waves(1)[0]), again.classify(waves(1)[0]))


@pytest.mark.parametrize("make", ALL)
def test_the_series_are_not_changed(make):
    series, labels = waves(0)
    copies = [values.copy() for values in series]
    model = make()
    model.fit_classes(series, labels)
    model.classify(series)
    for values, copy in zip(series, copies, strict=True):
        np.testing.assert_array_equal(values, copy)


@pytest.mark.parametrize("make", [baselines.nearest_neighbour, baselines.dtw_1nn])
def test_of_equal_neighbours_the_first_decides(make):
    model = make()
    model.fit_classes([np.zeros((2, 5)), np.ones((2, 5)), np.ones((2, 5))], np.array(["a", "b", "a"]))
    assert model.classify([np.ones((2, 5))]).tolist() == [[0, 1]]


@pytest.mark.parametrize("make", [baselines.nearest_neighbour, baselines.dtw_1nn])
def test_level_and_scale_count_only_among_several_variables(make):
    rising, falling = np.arange(6.0), np.arange(6.0)[::-1]
    for variables, expected in ((1, [1, 0]), (2, [0, 1])):
        model = make()
        model.fit_classes([np.tile(row, (variables, 1)) for row in (rising, 100 + falling)], np.array(["a", "b"]))
        assert model.classify([np.tile(100 + 5 * rising, (variables, 1))]).tolist() == [expected]


def test_a_constant_series_is_normalised_to_zero():
    np.testing.assert_array_equal(baselines.normalised(np.full((1, 1, 7), 0.1)), 0)


def test_a_series_is_resampled_from_its_first_to_its_last_value():
    assert baselines.interpolated(np.array([0.0, 2.0, 4.0]), 5).tolist() == [0, 1, 2, 3, 4]
    assert baselines.interpolated(np.arange(9.0), 3).tolist() == [0, 4, 8]


def test_gaps_are_filled_and_what_was_never_observed_is_zero():
    row = np.array([np.nan, 1, np.nan, 3, np.nan])
    assert baselines.interpolated(row, 5).tolist() == [1, 1, 2, 3, 3]
    assert baselines.interpolated(np.full(3, np.nan), 4).tolist() == [0, 0, 0, 0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.one_of(st.just(np.nan), st.floats(-1e6, 1e6)), min_size=1, max_size=20),
    st.integers(1, 30),
)
def test_interpolation_stays_within_what_was_observed(values, length):
    row = np.array(values)
    observed = row[~np.isnan(row)] if (~np.isnan(row)).any() else np.zeros(1)
    filled = baselines.interpolated(row, length)
    assert filled.shape == (length,)
    assert (filled >= observed.min() - 1e-6).all()
    assert (filled <= observed.max() + 1e-6).all()
    if not np.isnan(row).any() and length == len(row):
        np.testing.assert_array_equal(filled, row)


@pytest.mark.parametrize("make", [baselines.dtw_1nn, baselines.minirocket])
def test_without_aeon_a_baseline_names_what_to_install(make, monkeypatch):
    monkeypatch.setattr(baselines, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"pip install 'stillroom-bench\[baselines\]'"):
        make()
