"""Labelled series: where they are found, how they are read, and what is refused in which sentence."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.core.errors import DataError, MissingError
from stillroom.series import labelled
from stillroom.series.labelled import BUNDLED, LabelledSplit, load

# items to learn from, items to judge by, variables, classes: as the archives' own tables say
SHAPES = {
    "ACSF1": (100, 100, 1, 10),
    "ArrowHead": (36, 175, 1, 3),
    "BasicMotions": (40, 40, 6, 4),
    "GunPoint": (50, 150, 1, 2),
    "ItalyPowerDemand": (67, 1029, 1, 2),
    "JapaneseVowels": (270, 370, 12, 9),
    "OSULeaf": (200, 242, 1, 6),
    "PickupGestureWiimoteZ": (50, 50, 1, 10),
}


def split(**changed) -> LabelledSplit:
    """Two variables, lengths 3 and 5, classes a and b; with the arguments changed."""
    parts = {
        "train": [np.zeros((2, 3)), np.ones((2, 5)), np.ones((2, 3))],
        "train_labels": np.array(["a", "b", "a"]),
        "test": [np.ones((2, 4)), np.zeros((2, 3))],
        "test_labels": np.array(["b", "a"]),
    }
    return LabelledSplit(**(parts | changed))


def save(path: Path, **changed) -> Path:
    """An .npz file in the layout of the archive's copies; with the arguments changed, None left out."""
    arrays = {
        "X_train": np.arange(12.0, dtype=np.float32).reshape(3, 1, 4),
        "y_train": np.array(["1", "2", "1"]),
        "X_test": np.ones((2, 1, 4)),
        "y_test": np.array(["2", "1"]),
    }
    np.savez(path, **{name: values for name, values in (arrays | changed).items() if values is not None})
    return path


def write_ts(folder: Path, name: str, header: str, train: str, test: str) -> Path:
    folder.mkdir(exist_ok=True)
    for part, lines in (("TRAIN", train), ("TEST", test)):
        (folder / f"{name}_{part}.ts").write_text(f"@problemName {name}\n{header}\n@data\n{lines}\n")
    return folder


@pytest.mark.parametrize("name", BUNDLED)
def test_a_set_that_comes_with_aeon_has_the_shape_the_archive_says(name, monkeypatch):
    monkeypatch.delenv("STILLROOM_DATA", raising=False)
    data = load(f"ucr:{name}")
    assert (len(data.train), len(data.test), len(data.train[0]), len(data.classes)) == SHAPES[name]
    assert {values.dtype for values in (*data.train, *data.test)} == {np.dtype(np.float64)}


def test_series_of_unequal_length_stay_so(monkeypatch):
    monkeypatch.delenv("STILLROOM_DATA", raising=False)
    lengths = {values.shape[1] for values in load("ucr:JapaneseVowels").train}
    assert (min(lengths), max(lengths)) == (7, 26)


def test_no_bundled_or_missing_set_touches_the_network(monkeypatch):
    monkeypatch.delenv("STILLROOM_DATA", raising=False)

    def refuse(*arguments, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    load("ucr:GunPoint")
    with pytest.raises(MissingError):
        load("ucr:FordA")


def test_a_set_that_is_not_here_says_where_it_would_be_looked_for(monkeypatch):
    monkeypatch.delenv("STILLROOM_DATA", raising=False)
    with pytest.raises(MissingError, match=r"ucr:FordA is not here: set STILLROOM_DATA .* classification/FordA.npz"):
        load("ucr:FordA")


def test_without_aeon_a_bundled_set_names_what_to_install(monkeypatch):
    monkeypatch.delenv("STILLROOM_DATA", raising=False)
    monkeypatch.setattr(labelled, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"pip install 'stillroom-series\[aeon\]'"):
        load("ucr:GunPoint")


def test_the_data_folder_comes_before_what_aeon_brings(tmp_path, monkeypatch):
    (tmp_path / "classification").mkdir()
    save(tmp_path / "classification" / "GunPoint.npz")
    monkeypatch.setenv("STILLROOM_DATA", str(tmp_path))
    assert len(load("ucr:GunPoint").train) == 3
    assert len(load("ucr:ArrowHead").train) == 36


@pytest.mark.skipif("STILLROOM_DATA" not in os.environ, reason="needs STILLROOM_DATA, the folder of benchmark series")
@pytest.mark.parametrize("name", ["Adiac", "Car", "Chinatown", "ECG200", "Symbols", "SyntheticControl", "Trace"])
def test_the_copies_in_the_data_folder_load_without_pickle(name):
    data = load(f"ucr:{name}")
    assert len(data.classes) == {"Adiac": 37, "Chinatown": 2, "ECG200": 2, "Symbols": 6, "SyntheticControl": 6}.get(
        name, 4
    )


def test_an_npz_file_gives_back_what_was_saved(tmp_path):
    data = load(save(tmp_path / "mine.npz"))
    np.testing.assert_array_equal(np.stack(data.train), np.arange(12.0).reshape(3, 1, 4))
    assert data.train_labels.tolist() == ["1", "2", "1"]
    assert data.test_labels.tolist() == ["2", "1"]


def test_an_npz_file_of_one_variable_and_whole_labels_will_do(tmp_path):
    data = load(save(tmp_path / "mine.npz", X_train=np.ones((3, 4)), y_train=np.array([1, 2, 1])))
    assert data.train[0].shape == (1, 4)
    assert data.classes.tolist() == ["1", "2"]


def test_missing_values_at_the_end_of_an_npz_series_are_its_end_and_others_stay(tmp_path):
    values = np.array([[[1, np.nan, 3, np.nan], [np.nan, 2, np.nan, np.nan]], np.ones((2, 4)), np.full((2, 4), np.nan)])
    data = load(save(tmp_path / "mine.npz", X_train=values, X_test=np.ones((2, 2, 4))))
    np.testing.assert_array_equal(data.train[0], values[0, :, :3])
    assert [series.shape for series in data.train] == [(2, 3), (2, 4), (2, 4)]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"y_train": None}, "needs the arrays X_train, y_train, X_test and y_test"),
        (
            {"y_train": np.array(["1", "2", "1"], object)},
            "cannot be read .*allow_pickle=False.* save numbers",
        ),
        ({"X_train": np.array([["a"], ["b"], ["c"]])}, "cannot be read"),
        ({"X_train": np.ones((3, 1, 1, 4))}, r"training series 0 has the shape \(1, 1, 4\) instead of"),
        ({"X_train": np.ones((0, 1, 4)), "y_train": np.array([], str)}, "there are no training series"),
    ],
    ids=["no labels", "pickled labels", "text", "four dimensions", "empty"],
)
def test_an_npz_file_of_another_layout_is_refused(changed, sentence, tmp_path):
    with pytest.raises(DataError, match=sentence):
        load(save(tmp_path / "mine.npz", **changed))


@pytest.mark.parametrize("content", ["", "no", "torn", "npy"])
def test_a_file_that_is_no_npz_is_refused(content, tmp_path):
    path = save(tmp_path / "mine.npz")
    whole = path.read_bytes()
    if content == "npy":
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    else:
        path.write_bytes(whole[:200] + bytes(50) + whole[250:] if content == "torn" else content.encode())
    with pytest.raises(DataError, match=r"mine\.npz cannot be read"):
        load(path)


def test_a_pair_of_ts_files_is_read_by_folder_and_by_file(tmp_path):
    header = "@univariate false\n@equalLength false\n@missing true\n@classLabel true up down"
    folder = write_ts(tmp_path / "Moves", "Moves", header, "1,2,3:4,5,6:up\n3,?:2,1:down", "1,1,1,1:0,0,0,0:down")
    for source in (folder, folder / "Moves_TRAIN.ts", str(folder)):
        data = load(source)
        np.testing.assert_array_equal(data.train[0], [[1, 2, 3], [4, 5, 6]])
        np.testing.assert_array_equal(data.train[1], [[3, np.nan], [2, 1]])
        assert data.test[0].shape == (2, 4)
        assert data.train_labels.tolist() == ["up", "down"]


def test_ts_files_that_are_no_labelled_pair_are_refused(tmp_path):
    with pytest.raises(DataError, match="is no labelled data set"):
        load(tmp_path)
    lonely = tmp_path / "Lonely_TRAIN.ts"
    lonely.write_text("@data\n")
    with pytest.raises(DataError, match="is no labelled data set"):
        load(lonely)
    header = "@univariate true\n@equalLength true\n@targetLabel true"
    with pytest.raises(DataError, match="has no classes"):
        load(write_ts(tmp_path / "Level", "Level", header, "1,2:0.5\n2,3:1.5", "1,2:0.5"))
    with pytest.raises(DataError, match="cannot be read by aeon"):
        load(write_ts(tmp_path / "Bad", "Bad", "@classLabel true a b", "1,x:a", "1,2:b"))


def test_a_registered_data_set_without_classes_is_refused(outside_panel):
    with pytest.raises(DataError, match="'plain' has no classes: it is a list"):
        load("plain")


@pytest.fixture
def outside_panel(monkeypatch):
    monkeypatch.setattr(labelled.registry, "names", lambda group: ["mine", "plain"])
    monkeypatch.setattr(labelled.registry, "get", lambda group, name: {"mine": split, "plain": list}[name])


def test_a_registered_data_set_is_called(outside_panel):
    assert load("mine").fingerprint() == split().fingerprint()


def test_a_name_that_nothing_answers_to_is_refused():
    with pytest.raises(DataError, match="there is no labelled data set 'GunPiont': write ucr:NAME"):
        load("GunPiont")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"train": [], "train_labels": np.array([], str)}, "there are no training series"),
        ({"test": [], "test_labels": np.array([], str)}, "there are no test series"),
        ({"test_labels": np.array(["a"])}, "2 test series have 1 labels"),
        ({"train_labels": np.array([1, 2, 1])}, "training labels must be an array"),
        ({"train_labels": np.array([["a"], ["b"], ["a"]])}, "training labels must be an array"),
        ({"train_labels": np.array(["a", "a", "a"])}, "all training series are of the one class 'a'"),
        ({"test_labels": np.array(["c", "d"])}, "of the classes 'c', 'd', which test series have"),
        ({"test": [np.ones((2, 4)), np.ones((3, 4))]}, "test series 1 has 3 variables, but the first has 2"),
        ({"test": [np.ones((2, 4)), np.ones(4)]}, r"test series 1 has the shape \(4,\) instead of"),
        ({"test": [np.ones((2, 4)), np.ones((2, 0))]}, r"test series 1 has the shape \(2, 0\) instead of"),
        ({"test": [np.ones((2, 4)), np.full((2, 3), np.inf)]}, "test series 1 has infinite values"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_learnt_or_judged_is_refused(changed, sentence):
    with pytest.raises(DataError, match=sentence):
        split(**changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"train": [np.zeros((2, 3)), np.ones((2, 5)), np.full((2, 3), 1.5)]},
        {"train": [np.zeros((2, 3)), np.ones((2, 5)), np.full((2, 3), np.nan)]},
        {"train_labels": np.array(["a", "b", "b"])},
        {"test_labels": np.array(["a", "b"])},
        {"test": [np.ones((2, 3)), np.zeros((2, 4))]},
    ],
    ids=["value", "missing", "training label", "test label", "length"],
)
def test_any_change_of_content_changes_the_fingerprint(changed):
    assert split(**changed).fingerprint() != split().fingerprint()


def test_the_name_and_the_kind_of_nan_do_not_change_the_fingerprint():
    other_nan = np.frombuffer(np.uint64(0x7FF8000000000001).tobytes(), dtype=np.float64)[0]
    one, other = ([np.full((2, 3), nan), np.zeros((2, 3))] for nan in (np.nan, other_nan))
    assert split(test=one).fingerprint() == split(test=other, name="x").fingerprint()


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.integers(1, 5))
def test_the_first_of_every_class_are_kept_in_their_order(labels, most):
    train_labels = np.array(["a", "b", "c", *labels])
    series = [np.full((1, 2), float(number)) for number in range(len(train_labels))]
    small = LabelledSplit(series, train_labels, series, train_labels).first(most)
    assert small.classes.tolist() == ["a", "b", "c"]
    kept = [int(values[0, 0]) for values in small.train]
    assert kept == sorted(kept)
    assert train_labels[kept].tolist() == small.train_labels.tolist()
    for label in "abc":
        assert [place for place in kept if train_labels[place] == label] == [
            place for place, name in enumerate(train_labels) if name == label
        ][:most]
