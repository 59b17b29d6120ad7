"""The model in hand: frames and arrays in, frames and arrays out."""

from __future__ import annotations

import subprocess
import sys
import warnings
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.protocols import Classifier, Detector, Forecaster, Imputer
from stillroom.series.panel import Item, Panel
from stillroom.series.reading import Columns
from stillroom.series.windows import Window, cut
from stillroom.units.units import Units
from stillroom.units.windows import few_of_each

NAN = np.nan
ALONE = Columns(covariates=())
BOTH = Columns(targets=("target", "other"))


def test_it_has_the_protocols_of_the_four_jobs(units):
    for protocol in (Forecaster, Classifier, Imputer, Detector):
        assert isinstance(units, protocol)


def test_importing_the_package_brings_no_torch():
    code = (
        "import sys, stillroom.units, stillroom.units.units, stillroom.units.families, stillroom.units.bench;"
        "sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_of_the_package_are_found_when_they_are_used():
    import stillroom.units as package

    assert package.Units is Units
    assert package.UnitsClassifier.__name__ == "UnitsClassifier"
    import_module("stillroom.units.adapt")  # which would bind the module to the name
    assert callable(package.adapt)
    assert callable(package.pretrain)
    assert set(package.__all__) >= {"Units", "UnitsModel", "UnitsForecaster", "load"}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


# Forecasts


def test_a_window_is_forecast_as_the_arrays_in_it(units, make_walk):
    items = tuple(Item(str(seed), None, make_walk(seed, 2, 40 + seed)) for seed in range(3))
    ((window, truth),) = cut(Panel(items, "D", ("a", "b")), 5)
    found = units.predict(window, [0.1, 0.5, 0.9])
    assert found.shape == (*truth.shape, 3)
    arrays = units.forecast([item.target for item in window.past], 5, [0.1, 0.5, 0.9])
    np.testing.assert_allclose(found, arrays)


def test_a_frame_is_forecast_in_the_columns_of_predict_df(units, frame):
    found = units.forecast(frame, 4, [0.1, 0.9], ALONE)
    assert list(found.columns) == ["item_id", "timestamp", "target_name", "predictions", "0.1", "0.9"]
    assert found["item_id"].tolist() == ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    assert found["timestamp"].iloc[0] == pd.Timestamp("2024-03-01")
    history = [group["target"].to_numpy() for _, group in frame.groupby("item_id")]
    arrays = units.forecast(history, 4, [0.1, 0.5, 0.9])
    np.testing.assert_allclose(found["predictions"], arrays[:, 0, :, 1].ravel())
    np.testing.assert_allclose(found["0.9"], arrays[:, 0, :, 2].ravel())
    named = frame.rename(columns={"item_id": "shop", "timestamp": "day", "target": "sold"})
    columns = Columns(item_id="shop", timestamp="day", targets=("sold",), covariates=())
    assert list(units.forecast(named, 4, [0.5], columns).columns[:2]) == ["shop", "day"]


def test_a_file_is_forecast_as_its_frame(units, frame, tmp_path):
    frame.to_csv(tmp_path / "rows.csv", index=False)
    from_file = units.forecast(tmp_path / "rows.csv", 3, columns=ALONE)
    pd.testing.assert_frame_equal(from_file, units.forecast(frame, 3, columns=ALONE), atol=1e-6)


def test_covariates_are_ignored_and_one_sentence_says_so(units, frame):
    with pytest.warns(UserWarning, match="looks at no covariates: other are ignored") as said:
        with_other = units.forecast(frame, 4)
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pd.testing.assert_frame_equal(with_other, units.forecast(frame, 4, columns=ALONE))
        both = units.forecast(frame, 4, columns=BOTH)
    assert both["target_name"].tolist()[:8] == ["target"] * 4 + ["other"] * 4


def test_an_empty_history_and_an_empty_panel_are_no_errors_of_a_window(units):
    items = (Item("a", None, np.empty((1, 0))), Item("b", None, np.array([[1.0, 2.0]])))
    found = units.predict(Window(Panel(items, "D"), 3, 1), [0.5])
    assert found[0].ravel().tolist() == [0.0] * 3
    assert units.predict(Window(Panel((), "D"), 3, 1), [0.5]).shape == (0, 1, 3, 1)


# Classes


def test_classes_of_arrays_are_learned_and_told(units, make_shapes):
    series, labels = make_shapes(12, 40)
    units.fit_classes(np.stack(series), labels, head="ridge")
    found = units.classify(np.stack(series)[:, 0])
    assert found.shape == (12, 2)
    assert (np.array(["fast", "slow"])[found.argmax(axis=1)] == labels).all()
    units.fit_classes(series[:3], [1, 2, 3], head="ridge")  # what was learned before is forgotten
    assert units.classify(series).shape == (12, 3)


def test_classes_of_a_frame_are_learned_by_item(units, frame):
    for labels in ({"a": "x", "b": "y", "c": "x"}, pd.Series({"c": "x", "b": "y", "a": "x"}), ["x", "y", "x"]):
        units.fit_classes(frame, labels, ALONE, head="ridge")
        found = units.classify(frame, ALONE)
        assert list(found.columns) == ["item_id", "x", "y"]
        assert found["item_id"].tolist() == ["a", "b", "c"]
    with pytest.raises(DataError, match="Item 'c' has no label"):
        units.fit_classes(frame, {"a": "x", "b": "y"}, ALONE)


def test_a_task_that_the_model_was_trained_for_needs_no_learning(units, frame, make_walk):
    assert units.tasks["gestures"] == ["left", "right", "still"]
    assert units.classify([make_walk(0, 1, 20)], task="gestures").shape == (1, 3)
    assert list(units.classify(frame, ALONE, task="gestures").columns) == ["item_id", "left", "right", "still"]


def test_a_lesson_of_its_own_is_how_it_learns_unless_told(network, make_shapes):
    series, labels = make_shapes(8, 24)
    few = Units(network, lesson={"head": "ridge", "share": 0.25})
    few.fit_classes(series, labels)
    plain = Units(network)
    plain.fit_classes(
        [series[place] for place in few_of_each(np.arange(8) % 2, 0.25, 0)], ["fast", "slow"], head="ridge"
    )
    np.testing.assert_array_equal(few.classify(series), plain.classify(series))
    few.fit_classes(series, labels, share=1.0)
    plain.fit_classes(series, labels, head="ridge")
    np.testing.assert_array_equal(few.classify(series), plain.classify(series))
    assert few.fresh().lesson == few.lesson


def test_a_data_set_that_it_met_is_answered_by_the_task_of_its_name(network, make_walk):
    series = [make_walk(seed, 1, 20) for seed in range(3)]
    names = ["left", "right", "still"]
    known = Units(network, lesson={"head": "known"})
    for dataset in ("ucr:gestures", "some/where/gestures.npz"):
        known.meet(dataset)
        known.fit_classes(series, names)
        np.testing.assert_array_equal(known.classify(series), known.classify(series, task="gestures"))
    known.meet("ucr:GunPoint")
    with pytest.raises(RecipeError, match="no classes for the task 'GunPoint': those with classes are gestures"):
        known.fit_classes(series, names)
    known.fit_classes(series, names, task="gestures")  # what is said is what counts
    with pytest.raises(RecipeError, match="Nothing names a task"):
        Units(network, lesson={"head": "known"}).fit_classes(series, names)


# Gaps


def test_gaps_of_arrays_are_filled(units, make_walk):
    series = [make_walk(0, 2, 30, 0.3), make_walk(1, 1, 12, 0.3)]
    found = units.impute(series, 12)
    assert [one.shape for one in found] == [(2, 30), (1, 12)]
    assert np.isfinite(np.concatenate([one.ravel() for one in found])).all()


def test_gaps_of_a_frame_are_filled_also_where_rows_are_not_there(units, frame):
    holed = frame.drop(index=[10, 11])
    with pytest.warns(UserWarning, match="2 missing rows"):
        found = units.impute(holed, columns=BOTH)
    assert list(found.columns) == ["item_id", "timestamp", "target", "other"]
    assert len(found) == len(frame)
    assert found[["target", "other"]].notna().all(axis=None)
    seen = frame["target"].notna() & ~frame.index.isin([10, 11])
    np.testing.assert_array_equal(found["target"][seen], frame["target"][seen])
    assert frame["target"].isna().any()  # what was given is as it was


# Anomalies


def test_a_record_gets_a_score_a_step_and_many_a_list(units, make_walk):
    units.fit_normal(make_walk(0, 2, 60), 7)
    record = make_walk(1, 2, 30)
    found = units.detect(record)
    assert found.shape == (30,)
    np.testing.assert_array_equal(units.detect([record, record])[1], found)
    assert np.isfinite(units.threshold(0.9))
    units.fit_normal(make_walk(0, 1, 60)[0])
    assert units.detect(record[0]).shape == (30,)


def test_a_frame_gets_a_score_a_row(units, frame):
    units.fit_normal(frame[frame["item_id"] == "a"], columns=ALONE)
    found = units.detect(frame, ALONE)
    assert list(found.columns) == ["item_id", "timestamp", "score"]
    pd.testing.assert_frame_equal(found[["item_id", "timestamp"]], frame[["item_id", "timestamp"]])
    assert np.isfinite(found["score"]).all()


# All


def test_a_fresh_one_has_the_same_weights_and_has_learned_nothing(units, make_walk):
    units.fit_normal(make_walk(0, 1, 30))
    fresh = units.fresh()
    assert fresh.model is units.model
    assert fresh.normal is None
    assert fresh.fingerprint() == units.fingerprint()


def test_what_was_not_learned_is_said_in_one_sentence(units, make_walk):
    series = [make_walk(0, 1, 9)]
    with pytest.raises(ModelError, match="learned no classes"):
        units.classify(series)
    with pytest.raises(ModelError, match="not learned what is normal"):
        units.detect(series[0])
    with pytest.raises(ModelError, match="not learned what is normal"):
        units.threshold()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "no series"),
        (np.empty((2, 0, 5)), "no variable"),
        (np.empty((2, 1, 0)), "no step"),
        ([np.array([1.0, np.inf])], "infinite"),
        ([["a", "b"]], "not made of numbers"),
        (np.zeros((1, 1, 1, 1)), "shape"),
        (5, "not as a int"),
    ],
)
def test_bad_arrays_are_refused_in_one_sentence_by_every_job(units, data, message):
    for job in (
        lambda: units.forecast(data, 3),
        lambda: units.impute(data),
        lambda: units.fit_classes(data, ["a"]),
        lambda: units.classify(data, task="gestures"),
    ):
        with pytest.raises(DataError, match=message):
            job()


def test_bad_frames_and_options_are_refused_in_one_sentence(units, frame, make_walk):
    for job in (lambda data: units.forecast(data, 3), units.impute, units.fit_normal):
        with pytest.raises(DataError, match="no rows"):
            job(frame.iloc[:0])
        with pytest.raises(DataError, match="no file"):
            job("nowhere.csv")
        with pytest.raises(DataError, match="no series"):
            job(Panel((), "D"))
    with pytest.raises(RecipeError, match="prediction_length"):
        units.forecast(frame, 0)
    with pytest.raises(RecipeError, match="did you mean 'steps'"):
        units.fit_classes([make_walk(0, 1, 9)], ["a"], stepz=3)
    with pytest.raises(DataError, match="different numbers of variables"):
        units.forecast([make_walk(0, 1, 9), make_walk(0, 2, 9)], 3)
