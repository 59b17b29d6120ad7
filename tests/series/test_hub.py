import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillroom.core.errors import DataError, MissingError
from stillroom.series import hub
from stillroom.series.hub import fetch, from_lists


def table(lengths=(5, 7), freq="MS", **columns):
    stamps = [pd.date_range("2020-01-01", periods=n, freq=freq).to_numpy().astype("M8[ms]").tolist() for n in lengths]
    values = [np.arange(float(n)) + 10 * i for i, n in enumerate(lengths)]
    content = {
        "id": [f"T{i}" for i in range(len(lengths))],
        "timestamp": pa.array(stamps, pa.list_(pa.timestamp("ms"))),
        "target": pa.array(values, pa.list_(pa.float64())),
    }
    return pa.table(content | columns)


def test_rows_of_lists_become_items():
    panel = from_lists(table())
    assert panel.freq == "MS"
    assert [item.item_id for item in panel] == ["T0", "T1"]
    assert panel.items[1].start == pd.Timestamp("2020-01-01")
    np.testing.assert_array_equal(panel.items[1].target, [np.arange(10.0, 17.0)])


def test_each_list_of_numbers_is_a_series_of_its_own():
    other = pa.array([[1] * 5, [2] * 7], pa.list_(pa.int64()))
    panel = from_lists(table(other=other, colour=["red", "blue"]))
    assert [item.item_id for item in panel] == ["T0_target", "T0_other", "T1_target", "T1_other"]
    assert panel.items[3].target.tolist() == [[2.0] * 7]
    assert panel.items[3].static == {"colour": "blue"}


def test_nulls_are_missing_values():
    panel = from_lists(table((3,)).set_column(2, "target", pa.array([[1.0, None, 3.0]])))
    np.testing.assert_array_equal(panel.items[0].target, [[1, np.nan, 3]])


def rich():
    """Two targets, a covariate of words, one of numbers, and two columns with one value a series."""
    words = pa.array([["a", "b", None, "a", "b"], list("abcdefg")], pa.list_(pa.string()))
    lists = {"other": pa.array([[1] * 5, [2] * 7]), "price": pa.array([[1.5] * 5, [2.5] * 7]), "word": words}
    return table(colour=["red", "blue"], size=[1, 2], **lists)


def test_named_columns_alone_are_read():
    panel = from_lists(rich(), targets=["other", "target"], past_covariates=["word"], known_covariates=["price"])
    assert panel.targets == ("other", "target")
    first = panel.items[0]
    assert (first.item_id, first.static) == ("T0", {})
    np.testing.assert_array_equal(first.target, [[1.0] * 5, np.arange(5.0)])
    assert first.past["word"].tolist() == ["a", "b", None, "a", "b"]
    assert first.known["price"].tolist() == [1.5] * 5


def test_static_covariates_are_read_where_they_are_named():
    assert from_lists(rich(), targets="target", static_covariates=["size"]).items[1].static == {"size": 2}


def test_what_is_a_covariate_is_no_target():
    panel = from_lists(rich(), known_covariates=["price", "other"])
    assert panel.targets == ("target",)
    assert [item.item_id for item in panel] == ["T0", "T1"]
    assert panel.items[1].static == {"colour": "blue", "size": 2}


def test_other_names_of_ids_and_times_can_be_given():
    renamed = table().rename_columns(["shop", "day", "target"]).append_column("id", pa.array([7, 7]))
    panel = from_lists(renamed, item_id="shop", timestamp="day", targets="target")
    assert [item.item_id for item in panel] == ["T0", "T1"]
    assert panel.freq == "MS"


def test_covariates_do_without_timestamps_too():
    panel = from_lists(rich().drop_columns("timestamp"), targets="target", past_covariates=["word"])
    assert panel.items[1].past["word"].tolist() == list("abcdefg")
    assert (panel.items[1].start, panel.freq) == (None, None)


def test_tables_without_timestamps_have_no_starts():
    panel = from_lists(table().drop_columns("timestamp"))
    assert panel.freq is None
    assert [item.start for item in panel] == [None, None]
    assert [item.length for item in panel] == [5, 7]


def test_long_tables_are_read_in_pieces_of_the_same_content(monkeypatch):
    lengths = [3, 9, 4, 2, 12, 5, 1]
    whole = from_lists(table(lengths))
    monkeypatch.setattr(hub, "_CHUNK", 2)
    assert from_lists(table(lengths)).fingerprint() == whole.fingerprint()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"target": pa.array([[1.0], [2.0]])}, "lists 'target' and 'timestamp' of item 'T0' have different lengths"),
        ({"id": ["same", "same"]}, "same 'id'"),
        ({"target": ["a", "b"]}, "lists of numbers"),
    ],
)
def test_tables_that_are_no_series_are_refused(columns, message):
    with pytest.raises(DataError, match=message):
        from_lists(table(**columns))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"targets": "taget"}, "no column 'taget' in the table .did you mean 'target'"),
        ({"targets": "size"}, "'size' must hold a list over time"),
        ({"targets": "word"}, "'word' must be numbers"),
        ({"item_id": "shop"}, "no column 'shop'"),
    ],
)
def test_columns_that_cannot_be_meant_are_refused(columns, message):
    with pytest.raises(DataError, match=message):
        from_lists(rich(), **columns)


def test_a_table_without_rows_is_refused():
    with pytest.raises(DataError, match="no rows"):
        from_lists(table().slice(0, 0))


def test_duplicate_timestamps_are_refused_by_item():
    stamps = pa.array(
        [pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-02"]).tolist()], pa.list_(pa.timestamp("ms"))
    )
    with pytest.raises(DataError, match="item 'T0' have the same timestamp"):
        from_lists(table((3,)).set_column(1, "timestamp", stamps))


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """A folder laid out like the hub's repository, where the datasets library finds it, and no network."""
    import datasets

    repository = tmp_path / "autogluon" / "chronos_datasets"
    (repository / "toy").mkdir(parents=True)
    pq.write_table(table(), repository / "toy" / "train-00000-of-00001.parquet")
    configs = "configs:\n- config_name: toy\n  data_files:\n  - split: train\n    path: toy/train-*\n"
    (repository / "README.md").write_text(f"---\n{configs}---\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_a_data_set_of_the_published_form_comes_through_the_datasets_library(offline):
    data = fetch("autogluon/chronos_datasets/toy")
    assert from_lists(data.with_format("arrow")[:]).fingerprint() == from_lists(table()).fingerprint()


def test_an_unknown_configuration_is_refused_with_those_there_are(offline):
    with pytest.raises(DataError, match=r"'nope' not found. Available: \['toy'\]"):
        fetch("autogluon/chronos_datasets/nope")


def test_offline_it_says_what_to_set(offline):
    with pytest.raises(MissingError, match=r"HF_HUB_OFFLINE unset, or set STILLROOM_DATA .*chronos/m5\.jsonl\.gz"):
        fetch("someone/else/m5")


def test_a_name_without_a_repository_is_refused():
    with pytest.raises(DataError, match="hub:OWNER/REPOSITORY/NAME"):
        fetch("m5")


def test_where_the_hub_does_not_answer_it_is_asked_once_and_not_for_half_a_minute(tmp_path):
    code = """
import time
from stillroom.core.errors import MissingError
from stillroom.series.hub import fetch
import datasets
start = time.monotonic()
for name in ("m5", "ercot", "nn5"):
    try:
        fetch(f"autogluon/chronos_datasets/{name}")
    except MissingError:
        print("missing")
assert time.monotonic() - start < 20, "it retried"
"""
    nowhere = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=nowhere, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["missing"] * 3, done.stderr
