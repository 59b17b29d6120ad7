"""The four estimators as scikit-learn wants them, and with aeon's data."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks as checks

from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.units.estimators import UnitsClassifier, UnitsDetector, UnitsForecaster, UnitsImputer
from stillroom.units.units import Units

NAN = np.nan
ALL = [UnitsForecaster, UnitsClassifier, UnitsImputer, UnitsDetector]

FOR_ALL = [
    checks.check_no_attributes_set_in_init,
    checks.check_parameters_default_constructible,
    checks.check_estimator_cloneable,
    checks.check_estimator_repr,
    checks.check_estimator_tags_renamed,
    checks.check_valid_tag_types,
    checks.check_get_params_invariance,
    checks.check_set_params,
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_dont_overwrite_parameters,
    checks.check_mixin_order,
    checks.check_estimators_fit_returns_self,
    checks.check_estimators_overwrite_params,
    checks.check_dict_unchanged,
    checks.check_estimators_pickle,
    checks.check_estimators_unfitted,
    checks.check_fit_idempotent,
    checks.check_readonly_memmap_input,
]
"""Those of scikit-learn that hold for series: rows of X are series of one variable, columns are steps."""
FOR_CLASSIFIERS = [
    checks.check_classifiers_one_label,
    checks.check_classifiers_classes,
    checks.check_decision_proba_consistency,
    checks.check_methods_subset_invariance,
]


@pytest.fixture
def ready(units):
    """The estimators as one has them at hand, with a model in memory."""
    return {
        UnitsForecaster: UnitsForecaster(units, prediction_length=3),
        UnitsClassifier: UnitsClassifier(units, head="ridge"),
        UnitsImputer: UnitsImputer(units),
        UnitsDetector: UnitsDetector(units),
    }


@pytest.mark.parametrize("check", FOR_ALL, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", ALL)
def test_scikit_learns_own_checks_hold(ready, folder, kind, check):
    check(kind.__name__, ready[kind].set_params(model=str(folder)))


@pytest.mark.parametrize("check", FOR_CLASSIFIERS, ids=lambda check: check.__name__)
def test_scikit_learns_own_checks_of_classifiers_hold(ready, folder, check):
    check("UnitsClassifier", ready[UnitsClassifier].set_params(model=str(folder)))


@pytest.mark.parametrize("kind", ALL)
def test_a_clone_shares_the_weights_and_nothing_learned(ready, kind, make_shapes):
    series, labels = make_shapes(4, 24)
    fitted = ready[kind].fit(series, labels)
    copy = clone(fitted)
    assert copy.model.model is fitted.model.model
    assert not hasattr(copy, "units_")
    assert fitted.model.learned is None
    assert fitted.model.normal is None


@pytest.mark.parametrize("kind", ALL)
def test_what_is_not_fitted_says_so(ready, kind):
    for name in ("predict", "predict_proba", "transform", "score_samples", "predict_quantiles"):
        if hasattr(kind, name):
            with pytest.raises(NotFittedError):
                getattr(ready[kind], name)([np.zeros((1, 9))])


def test_a_folder_is_opened_once_for_all_fits(folder, make_walk):
    series = [make_walk(0, 1, 20)]
    first, second = (UnitsImputer(str(folder)).fit(series) for _ in range(2))
    assert first.units_.model is second.units_.model
    with pytest.raises(ModelError, match="nowhere"):
        UnitsImputer("nowhere").fit(series)


@pytest.mark.parametrize("form", ["items, variables, time", "items, time", "a list", "a list of rows"])
def test_what_comes_back_has_the_form_of_what_was_given(ready, make_walk, form):
    series = np.stack([make_walk(seed, 1, 30, 0.2) for seed in range(3)])
    given = {
        "items, variables, time": series,
        "items, time": series[:, 0],
        "a list": [one[:, : 20 + 5 * number] for number, one in enumerate(series)],
        "a list of rows": [one[0, : 20 + 5 * number] for number, one in enumerate(series)],
    }[form]
    filled = ready[UnitsImputer].fit(given).transform(given)
    flags = ready[UnitsDetector].fit(given).predict(given)
    assert type(filled) is type(flags) is type(given)
    for before, after, own in zip(given, filled, flags, strict=True):
        assert after.shape == before.shape
        assert np.isfinite(after).all()
        assert own.shape == before.shape[-1:]
        assert set(own) <= {-1, 1}
    rows = "rows" in form or form == "items, time"
    forecaster = ready[UnitsForecaster].fit(given)
    assert forecaster.predict(given).shape == ((3, 3) if rows else (3, 1, 3))
    assert forecaster.predict_quantiles(given).shape == ((3, 3, 9) if rows else (3, 1, 3, 9))


def test_a_classifier_learns_aeons_data_and_scores_itself(units):
    from aeon.datasets import load_basic_motions, load_italy_power_demand

    for loader in (load_basic_motions, load_italy_power_demand):  # six variables, and one
        X, y = loader(split="train")
        some = np.random.default_rng(0).permutation(len(X))[:16]
        classifier = UnitsClassifier(units, head="ridge").fit(X[some], y[some])
        assert classifier.score(X[some], y[some]) > 0.9
        assert set(classifier.predict(X[:3])) <= set(y)
        np.testing.assert_allclose(classifier.predict_proba(X[:3]).sum(axis=1), 1.0)


def test_aeons_unequal_series_are_learned(units):
    from aeon.datasets import load_japanese_vowels

    X, y = load_japanese_vowels(split="train")
    assert len({one.shape for one in X[:30]}) > 1
    classifier = UnitsClassifier(units, head="ridge").fit(X[::9], y[::9])
    assert classifier.predict_proba(X[:2]).shape == (2, len(np.unique(y[::9])))


def test_a_grid_search_finds_the_better_context(units, make_walk):
    series = np.stack([make_walk(seed, 1, 60) for seed in range(6)])
    search = GridSearchCV(UnitsForecaster(units, prediction_length=4), {"context_length": [4, 40]}, cv=2)
    search.fit(series[:, :, :-4], series[:, :, -4:])
    scores = search.cv_results_["mean_test_score"]
    assert (scores < 0).all()
    assert scores[0] != scores[1]
    assert search.best_params_["context_length"] == (4 if scores[0] > scores[1] else 40)


def test_a_pipeline_fills_gaps_and_then_classifies(units, make_shapes):
    series, labels = make_shapes(12, 30)
    holed = np.stack(series)
    holed[:, :, 5:8] = NAN
    pipeline = make_pipeline(UnitsImputer(units), UnitsClassifier(units, head="ridge"))
    assert cross_val_score(pipeline, holed, labels, cv=3).mean() > 0.9
    search = GridSearchCV(pipeline, {"unitsclassifier__head": ["ridge"]}, cv=2).fit(holed, labels)
    assert search.best_score_ > 0.9


def test_a_list_of_unequal_series_is_cross_validated(units, make_shapes):
    series, labels = make_shapes(24, 40)
    series = [one[:, : 40 - number // 2] for number, one in enumerate(series)]
    assert cross_val_score(UnitsClassifier(units, head="ridge"), series, labels, cv=3).mean() > 0.8


def test_a_fitted_one_is_pickled_whole(units, make_shapes):
    series, labels = make_shapes(8, 30)
    fitted = UnitsClassifier(units, head="tokens", steps=2, batch_size=4).fit(series, labels)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(series), fitted.predict_proba(series))


def test_a_detectors_threshold_comes_from_what_it_learned(units, make_walk):
    train = np.stack([make_walk(seed, 2, 80) for seed in range(2)])
    detector = UnitsDetector(units, quantile=0.9).fit(train)
    assert np.mean(detector.predict(train) == -1) <= 0.1
    spiked = train.copy()
    spiked[0, 0, 40] += 1e3
    assert detector.predict(spiked)[0, 40] == -1
    np.testing.assert_allclose(detector.decision_function(train), detector.score_samples(train) - detector.offset_)


def test_bad_input_is_one_sentence(units, make_walk):
    with pytest.raises(DataError, match="has the shape"):
        UnitsForecaster(units, prediction_length=3).fit([make_walk(0, 1, 9)]).score([make_walk(0, 1, 9)], [[1.0]])
    with pytest.raises(RecipeError, match="head"):
        UnitsClassifier(units, head="forest").fit([make_walk(0, 1, 9)], ["a"])
    with pytest.raises(DataError, match="put a single series into a list"):
        UnitsImputer(units).fit(np.zeros(9))
    assert isinstance(units, Units)
