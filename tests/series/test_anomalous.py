"""Series with labelled anomalies: where they are cut, what is refused, and what aeon and TSB-UAD say."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stillroom.core.errors import DataError, MissingError, RecipeError
from stillroom.series import anomalous
from stillroom.series.anomalous import AnomalyItem, AnomalySet, from_frame, load, period
from stillroom.series.overlap import Index

needs_data = pytest.mark.skipif("STILLROOM_DATA" not in os.environ, reason="STILLROOM_DATA is not set")


def table(steps: int = 20, anomalous: slice = slice(15, 17)) -> pd.DataFrame:
    label = np.zeros(steps, dtype=int)
    label[anomalous] = 1
    return pd.DataFrame({"value": np.arange(steps, dtype=float), "label": label})


def test_a_table_is_cut_after_its_training_part():
    (item,) = from_frame(table(), train=5).items
    assert item.train.tolist() == [[0, 1, 2, 3, 4]]
    assert item.test.shape == (1, 15)
    assert np.flatnonzero(item.truth).tolist() == [10, 11]


def test_a_share_or_nothing_can_say_where_to_cut():
    assert from_frame(table(), train=0.5).items[0].train.shape == (1, 10)
    assert from_frame(table()).items[0].train.shape == (1, 3)


def test_items_keep_their_order_and_rows_are_sorted_by_time():
    frame = pd.concat([table().assign(item_id="b"), table(anomalous=slice(18, 20)).assign(item_id="a")])
    frame["timestamp"] = np.tile(pd.date_range("2020-01-01", periods=20, freq="h").astype(str), 2)
    first, second = from_frame(frame.sample(frac=1, random_state=0).sort_values("item_id", ascending=False)).items
    assert (first.item_id, second.item_id) == ("b", "a")
    assert first.train.tolist() == [[0, 1, 2]]
    assert np.flatnonzero(second.truth).tolist() == [15, 16]


def test_times_may_be_numbers():
    frame = table().assign(timestamp=np.arange(20)[::-1])
    assert from_frame(frame).items[0].train.tolist() == [[19, 18, 17]]


def test_missing_values_stay_missing_and_all_other_columns_are_variables():
    frame = table().assign(other=1.0)
    frame.loc[2, "value"] = np.nan
    (item,) = from_frame(frame).items
    assert np.isnan(item.train).tolist() == [[False, False, True], [False, False, False]]


def test_labels_may_be_booleans_and_those_of_the_training_part_do_not_matter():
    frame = table(anomalous=slice(0, 10))
    (item,) = from_frame(frame.assign(label=frame["label"] == 1), train=10).items
    assert not item.truth.any()


def test_files_are_read(tmp_path: Path):
    for name in ("watched.csv", "watched.parquet"):
        table().to_csv(tmp_path / name, index=False) if name.endswith("csv") else table().to_parquet(tmp_path / name)
        assert load(str(tmp_path / name)).fingerprint == from_frame(table()).fingerprint


@pytest.mark.parametrize(
    ("frame", "train", "sentence"),
    [
        (table().drop(columns="label"), None, "no column 'label' in the table"),
        (table().rename(columns={"label": "Labels"}), None, r"did you mean 'Labels'\?"),
        (table().replace({"label": {1: 2}}), None, "'label' must be 0 or 1, but row 15 holds 2"),
        (table().astype(float).replace({"label": {1: np.nan}}), None, "'label' must be 0 or 1, but row 15 holds nan"),
        (table().assign(value="many"), None, "'value' must be numbers, but row 0 holds 'many'"),
        (table()[["label"]], None, "no values"),
        (table().iloc[:0], None, "no values"),
        (table(), 20, "would contain everything"),
        (table(6), None, "would contain nothing"),
    ],
    ids=["no label", "near label", "label 2", "no label in a row", "words", "no values", "no rows", "all", "none"],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(frame: pd.DataFrame, train: int | None, sentence: str):
    with pytest.raises(DataError, match=sentence):
        from_frame(frame, train=train)


def test_the_fingerprint_changes_with_values_labels_and_the_cut():
    prints = [
        from_frame(frame, train=train).fingerprint
        for frame, train in (
            (table(), 5),
            (table(), 6),
            (table(anomalous=slice(15, 18)), 5),
            (table().assign(value=1.0), 5),
            (table().assign(item_id="a"), 5),
        )
    ]
    assert len(set(prints)) == 5
    assert from_frame(table(), train=5).fingerprint == prints[0]


def test_an_index_of_the_same_series_shares_its_windows():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 300))
    data = AnomalySet((AnomalyItem("a", values[:, :100], values[:, 100:], np.zeros(200, bool)),))
    assert data.shared(Index.of(values)) == 1
    assert data.shared(Index.of(values[:1])) == 0.5
    assert data.shared(Index.of(values[:, :100])) == 0  # what every model learns from
    assert data.shared(Index.of([rng.normal(size=300)])) == 0


def test_sets_of_others_are_looked_at():
    values, truth = np.ones((2, 5)), np.zeros(5, bool)
    for train, test in ((values[0], values), (values[:1], values), (values, values[:, :4]), (values[:, :0], values)):
        with pytest.raises(DataError, match="parts of 'a' do not fit together"):
            AnomalyItem("a", train, test, truth)
    with pytest.raises(DataError, match="same name"):
        AnomalySet((AnomalyItem("a", values, values, truth),) * 2)
    with pytest.raises(DataError, match="no series"):
        AnomalySet(())


def test_the_period_is_that_of_the_first_variable_that_varies():
    wave = np.sin(2 * np.pi * np.arange(500) / 24)
    item = AnomalyItem("a", np.stack([np.ones(500), np.full(500, np.nan), wave]), np.ones((3, 1)), np.zeros(1, bool))
    assert item.period == 24
    assert AnomalyItem("a", np.ones((1, 500)), np.ones((1, 1)), np.zeros(1, bool)).period == anomalous.NO_PERIOD


@pytest.mark.parametrize("steps", [1, 3, 5, 6])
def test_short_series_have_no_period(steps: int):
    assert period(np.arange(steps, dtype=float) % 2) == anomalous.NO_PERIOD


def test_missing_values_do_not_hide_the_period():
    wave = np.sin(2 * np.pi * np.arange(500) / 24)
    wave[np.random.default_rng(0).random(500) < 0.2] = np.nan
    assert period(wave) == 24


@pytest.mark.parametrize("seed", range(8))
def test_period_reference(seed: int):
    """The rule as TSB-UAD states it, with statsmodels' autocorrelation and SciPy's local maxima."""
    from scipy.signal import argrelextrema
    from statsmodels.tsa.stattools import acf

    rng = np.random.default_rng(seed)
    length = int(rng.integers(7, 900))
    values = np.sin(2 * np.pi * np.arange(length) / rng.integers(4, 350)) + rng.normal(size=length) * rng.random()
    correlation = acf(values, nlags=min(400, length - 1), fft=True)[3:]
    peaks = argrelextrema(correlation, np.greater)[0]
    best = peaks[np.argmax(correlation[peaks])] if len(peaks) else 0
    assert period(values) == (best + 3 if 3 <= best <= 300 else 125)


def test_bundled_series_reference():
    """The files are read without aeon; aeon's own loaders read the same."""
    from aeon.datasets import load_daphnet_s06r02e0, load_ecg_diff_count_3, load_kdd_tsad_135

    (item,) = load("aeon:KDD-TSAD_135").items
    values, labels = load_kdd_tsad_135()
    learned, _ = load_kdd_tsad_135(split="train")
    assert np.array_equal(item.train[0], learned)
    assert np.array_equal(np.append(item.train, item.test), values)  # what is learned from is not judged by
    assert np.array_equal(item.truth, labels[len(learned) :] == 1)

    (item,) = load("aeon:ecg-diff-count-3").items
    values, labels, learned, _ = load_ecg_diff_count_3("semi-supervised")
    assert np.array_equal(item.train[0], learned)
    assert np.array_equal(item.test[0], values)
    assert np.array_equal(item.truth, labels == 1)

    (item,) = load("aeon:Daphnet_S06R02E0", train=1000).items
    values, _ = load_daphnet_s06r02e0()
    assert np.array_equal(np.concatenate([item.train, item.test], axis=1), values.T)
    assert not item.truth.any()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("nba:realTweets", "'nba:realTweets' is no source of anomalies: use nab:, telemetry:, aeon:"),
        ("aeon:KDD", "no aeon:KDD"),
        ("telemetry:SMAPP", r"did you mean 'SMAP'\?"),
        ("nowhere.csv", "no file 'nowhere.csv'"),
    ],
)
def test_unknown_sources_are_refused_in_a_sentence(source: str, sentence: str):
    with pytest.raises(DataError, match=sentence):
        load(source)


@pytest.mark.parametrize("source", ["telemetry:SMAP", "aeon:KDD-TSAD_135"])
def test_a_source_with_its_own_training_part_is_not_cut_again(source: str):
    with pytest.raises(RecipeError, match="brings its own training part"):
        load(source, train=100)


@pytest.mark.parametrize(("source", "file"), [("nab:", "nab.jsonl.gz"), ("telemetry:MSL", "MSL.labels.json")])
def test_missing_data_say_what_to_set(source: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("STILLROOM_DATA", raising=False)
    with pytest.raises(MissingError, match=f"set STILLROOM_DATA to a folder that has anomaly/{file}"):
        load(source)
    monkeypatch.setenv("STILLROOM_DATA", str(tmp_path))
    with pytest.raises(MissingError, match="set STILLROOM_DATA"):
        load(source)


def test_aeon_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(anomalous, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"pip install 'stillroom-series\[aeon\]'"):
        load("aeon:KDD-TSAD_135")


@needs_data
def test_nab_has_58_series_cut_after_their_probation():
    items = {item.item_id: item for item in load("nab:").items}
    assert len(items) == 58
    assert sum(item.truth.any() for item in items.values()) == 52
    taxi = items["realKnownCause/nyc_taxi.csv"]
    assert taxi.train.shape == (1, 750)
    assert np.flatnonzero(taxi.truth)[0] == 5839 - 750  # the first window of the file, both ends in it
    assert taxi.truth.sum() == 5 * 207
    assert items["realTraffic/TravelTime_387.csv"].train.shape == (1, 375)


@needs_data
def test_a_category_of_nab_can_be_taken_alone():
    assert len(load("nab:realTweets").items) == 10
    with pytest.raises(DataError, match=r"no nab:realTweet \(did you mean 'realTweets'\?\)"):
        load("nab:realTweet")


@needs_data
@pytest.mark.parametrize(("name", "channels", "variables"), [("SMAP", 54, 25), ("MSL", 27, 55)])
def test_telemetry_has_all_channels(name: str, channels: int, variables: int):
    data = load(f"telemetry:{name}")
    assert len(data.items) == channels
    for item in data.items:
        assert len(item.train) == len(item.test) == variables
        assert item.test.shape[1] == len(item.truth)
        assert 0 < item.truth.sum() < len(item.truth)
