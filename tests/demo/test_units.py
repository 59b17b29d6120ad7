from base64 import b64encode
from dataclasses import replace

import numpy as np
import pytest
import torch

from stillroom.core.errors import ModelError
from stillroom.demo import report, units, units_pictures
from stillroom.demo.tour import Tour
from stillroom.series import anomalous, bundled, labelled
from stillroom.series.anomalies import ranges
from stillroom.units.config import UnitsConfig
from stillroom.units.model import UnitsModel
from stillroom.units.units import Units


@pytest.fixture(scope="module")
def untaught(tmp_path_factory):
    """A tiny UniTS that has learned nothing."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "untaught"
    sizes = {"d_model": 16, "num_layers": 1, "num_heads": 2, "d_ff": 16, "prompt_tokens": 2, "operator_size": 4}
    UnitsModel(UnitsConfig(**sizes, max_length=1024)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def loaded(untaught):
    return Units.load(untaught)


@pytest.fixture(scope="module")
def done(loaded):
    """What each job brought back, and the weights' hash before."""
    before = loaded.fingerprint()
    jobs = {job.__name__: job(loaded) for job in (units.forecast, units.impute, units.classify, units.detect)}
    return {"before": before, **jobs}


@pytest.fixture(scope="module")
def found(tiny, untaught, tmp_path_factory):
    """A tour, and what the chapter found on it."""
    tour = Tour.of(str(tiny), tmp_path_factory.mktemp("out"))
    return tour, units.run(tour, str(untaught))


def test_no_weight_moves(done, loaded):
    assert loaded.fingerprint() == done["before"]


def test_the_forecast_is_of_the_last_two_years_and_sees_the_ten_before(done):
    ahead = done["forecast"]
    whole = bundled.load("co2").items[0].target[0]
    np.testing.assert_array_equal(ahead.truth, whole[-units.HORIZON :])
    np.testing.assert_array_equal(
        ahead.window.past.items[0].target[0], whole[-units.HORIZON - units.CONTEXT : -units.HORIZON]
    )
    np.testing.assert_array_equal(ahead.naive[: units.YEAR], whole[-units.HORIZON - units.YEAR : -units.HORIZON])


def test_mase_is_the_error_in_units_of_that_of_the_last_year_again(done):
    ahead = done["forecast"]
    [history] = ahead.window.histories()
    unit = np.abs(history[units.YEAR :] - history[: -units.YEAR]).mean()
    median = ahead.quantiles[:, units.LEVELS.index(0.5)]
    for name, point in (("units", median), ("seasonal naive", ahead.naive)):
        assert ahead.scores[name]["MASE"] == pytest.approx(np.abs(ahead.truth - point).mean() / unit, rel=1e-6)


def test_a_quarter_of_every_variable_is_hidden_in_gaps_and_the_rest_stays(done):
    filled = done["impute"]
    assert filled.hidden.mean(axis=(0, 2)) == pytest.approx(units.SHARE, abs=0.005)
    starts, stops = ranges(np.pad(filled.hidden, ((0, 0), (0, 0), (0, 1))).ravel())
    assert ((stops - starts) % units.GAP == 0).all()
    for own in (filled.filled, filled.lines):
        np.testing.assert_array_equal(own[~filled.hidden], filled.truth[~filled.hidden])
        assert np.isfinite(own).all()


def test_the_error_of_fillings_is_of_hidden_values_in_units_of_the_training_part(done):
    filled = done["impute"]
    deviation = np.concatenate(labelled.load(units.MOTIONS).train, axis=1).std(axis=1)
    for name, own in (("units", filled.filled), ("straight lines", filled.lines)):
        error = ((own - filled.truth) / deviation[:, None])[filled.hidden]
        assert filled.mse[name] == pytest.approx(np.square(error).mean())


def test_classes_are_told_on_the_archives_own_test_part(done):
    told, split = done["classify"], labelled.load(units.HANDS)
    assert told.split.fingerprint() == split.fingerprint()
    assert told.accuracy["units"] == np.mean(told.said == split.test_labels)
    assert told.accuracy["1-NN DTW"] == pytest.approx(0.94)


def test_the_threshold_comes_from_the_training_part_alone(done, loaded):
    watched = done["detect"]
    learned = loaded.fresh()
    learned.fit_normal(watched.item.train, watched.item.period)
    assert watched.threshold == learned.threshold(units.ALARM)
    assert np.mean(learned.detect(watched.item.train) > watched.threshold) <= 1 - units.ALARM


def test_the_record_has_one_labelled_anomaly_after_its_training_part(done):
    watched = done["detect"]
    [item] = anomalous.load(units.PATIENT).items
    assert len(ranges(item.truth)[0]) == 1
    assert watched.scores.shape == item.truth.shape
    false = np.mean(watched.scores[~item.truth] > watched.threshold)
    assert watched.metrics["units"]["FALSE_ALARMS"] == pytest.approx(1000 * false)


def test_every_figure_in_print_is_one_of_the_numbers(found, untaught):
    _, result = found
    [table] = result.tables
    assert table.columns[1] == untaught.name
    numbers = result.numbers
    mase, wql, mse, accuracy, area, more, alarms, _ = table.rows
    for row, own, other, form in (
        (mase, numbers["forecast"]["units"]["MASE"], numbers["forecast"]["seasonal naive"]["MASE"], ".2f"),
        (wql, numbers["forecast"]["units"]["WQL"], numbers["forecast"]["seasonal naive"]["WQL"], ".4f"),
        (mse, numbers["impute"]["units"], numbers["impute"]["straight lines"], ".2f"),
        (accuracy, numbers["classify"]["units"], numbers["classify"]["1-NN DTW"], ".1%"),
        (area, numbers["detect"]["units"]["AUC_PR"], numbers["detect"]["moving z-score"]["AUC_PR"], ".3f"),
        (alarms, *(numbers["detect"][name]["FALSE_ALARMS"] for name in ("units", "moving z-score")), ".1f"),
    ):
        assert (row[1], row[3]) == (format(own, form), format(other, form))
    assert more[:3] == ["", "", "isolation forest"]


def test_what_is_said_follows_from_the_numbers(found):
    _, result = found
    _, ahead, filled, told, watched = result.sentences
    mase = {name: scores["MASE"] for name, scores in result.numbers["forecast"].items()}
    assert ("below" if mase["units"] < mase["seasonal naive"] else "above") + " seasonal naive" in ahead
    mse = result.numbers["impute"]
    assert f"{'below' if mse['units'] < mse['straight lines'] else 'above'} the {mse['straight lines']:.2f}" in filled
    assert f"{result.numbers['classify']['units']:.1%} are told right" in told
    met = round(12 * result.numbers["detect"]["units"]["RECALL"])
    assert f"{met} steps of the anomaly are alarms" in watched


def test_the_page_holds_a_picture_of_each_job(found):
    tour, result = found
    assert [name.rpartition("/")[2] for name in result.pictures] == [
        "forecast.png", "impute.png", "classify.png", "detect.png",
    ]  # fmt: skip
    page = report.page(tour, [result], b"")
    for name in result.pictures:
        picture = (tour.out / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert b64encode(picture).decode() in page


def test_pictures_can_be_drawn_where_nothing_is_wrong_and_nothing_is_an_alarm(done):
    told, watched = done["classify"], done["detect"]
    perfect = units_pictures.classify(replace(told, said=told.split.test_labels))
    silent = units_pictures.detect(replace(watched, threshold=float("inf")))
    assert perfect != units_pictures.classify(replace(told, said=np.roll(told.split.test_labels, 1)))
    assert silent.startswith(b"\x89PNG")


def test_a_model_that_was_trained_on_one_of_the_sets_is_said_to_be(untaught, tmp_path):
    assert units._trained_on(str(untaught)) == ""
    folder = tmp_path / "taught"
    folder.mkdir()
    (folder / "config.json").write_text((untaught / "config.json").read_text())
    (folder / "README.md").write_text("---\ntrained_on:\n- ucr:GunPoint\n- ucr:Adiac\n---\n# A card\n")
    assert units._trained_on(str(folder)) == " It was trained on parts of ucr:GunPoint."


def test_a_model_that_is_not_there_is_one_plain_sentence(found):
    tour, _ = found
    with pytest.raises(ModelError, match="there is no model 'no-such-model'"):
        units.run(tour, "no-such-model")
