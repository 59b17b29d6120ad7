import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from stillroom.core.errors import DataError, MissingError, RecipeError
from stillroom.series.intake import load, load_named, read_frame


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "item_id": np.repeat(["001", "002"], 5),
            "timestamp": np.tile(pd.date_range("2024-01-01", periods=5), 2),
            "target": np.arange(10.0),
            "price": np.arange(10.0) * 2,
        }
    )


def write_lines(path, *records):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(text) if path.name.endswith(".gz") else text)


def test_csv_parquet_and_frame_are_the_same_panel(tmp_path, frame):
    frame.to_csv(tmp_path / "x.csv", index=False)
    frame.to_csv(tmp_path / "x.csv.gz", index=False)
    frame.to_parquet(tmp_path / "x.parquet")
    expected = load(frame, past_covariates=["price"]).fingerprint()
    for name in ("x.csv", "x.csv.gz", "x.parquet"):
        assert load(tmp_path / name, past_covariates=["price"]).fingerprint() == expected
        assert load(str(tmp_path / name), past_covariates=["price"]).fingerprint() == expected


def test_read_frame_keeps_leading_zeros_of_ids(tmp_path, frame):
    frame.to_csv(tmp_path / "x.csv", index=False)
    assert read_frame(tmp_path / "x.csv").item_id.tolist() == frame.item_id.tolist()


def test_json_lines_are_read(tmp_path):
    write_lines(tmp_path / "x.jsonl.gz", {"item_id": "a", "freq": "M", "start": None, "target": [1, None]})
    panel = load(tmp_path / "x.jsonl.gz")
    assert panel.freq == "M"
    np.testing.assert_array_equal(panel.items[0].target, [[1, np.nan]])


def test_a_folder_pools_its_files_under_their_names(tmp_path, frame):
    write_lines(tmp_path / "one.jsonl.gz", {"item_id": "a", "freq": "D", "target": [1]})
    frame.to_csv(tmp_path / "two.v2.csv", index=False)
    panel = load(tmp_path)
    assert panel.freq == "D"
    assert [item.item_id for item in panel] == ["one/a", "two.v2/001", "two.v2/002"]


def test_a_folder_of_several_frequencies_has_none_and_says_so(tmp_path):
    write_lines(tmp_path / "one.jsonl", {"freq": "D", "target": [1]})
    write_lines(tmp_path / "two.jsonl", {"freq": "M", "target": [1]})
    with pytest.warns(UserWarning, match=r"several frequencies \(D, M\)"):
        assert load(tmp_path).freq is None


def test_what_the_datasets_library_loaded_or_saved_is_read(tmp_path, frame):
    import datasets

    stamps = frame.timestamp[:5].tolist()
    data = datasets.Dataset.from_dict({"id": ["a"], "timestamp": [stamps], "target": [[1.0, 2.0, 3.0, 4.0, 5.0]]})
    data.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict({"train": data}).save_to_disk(tmp_path / "split")
    data.to_parquet(tmp_path / "rows.parquet")
    expected = load(data).fingerprint()
    for name in ("saved", "split", "rows.parquet"):
        assert load(tmp_path / name).fingerprint() == expected
    assert load(data).freq == "D"


def test_columns_of_tables_with_lists_can_be_named_whatever_they_come_from(tmp_path, frame):
    import datasets

    columns = {"shop": ["a"], "day": [frame.timestamp[:3].tolist()], "sold": [[1.0, 2, 3]], "price": [[9.0, 8, 7]]}
    data = datasets.Dataset.from_dict(columns)
    data.to_parquet(tmp_path / "rows.parquet")
    data.save_to_disk(tmp_path / "saved")
    for source in (data, tmp_path / "rows.parquet", tmp_path / "saved"):
        panel = load(source, item_id="shop", timestamp="day", targets="sold", known_covariates=["price"])
        assert (panel.targets, panel.items[0].item_id) == (("sold",), "a")
        assert panel.items[0].known["price"].tolist() == [9, 8, 7]


def test_statsmodels_sets_go_by_name():
    panel = load("statsmodels:nile")
    assert (len(panel), panel.freq) == (1, "YS")


def test_a_frequency_can_be_given_for_any_source():
    assert load("statsmodels:nile", freq="YE").freq == "YE"
    assert load([{"target": [1.0, 2.0]}], freq="h").freq == "h"


def test_columns_are_refused_for_what_has_none():
    with pytest.raises(RecipeError, match="targets can only be given for frames"):
        load("statsmodels:nile", targets=["volume"])


def test_a_panel_stays_itself(frame):
    panel = load(frame)
    assert load(panel).fingerprint() == panel.fingerprint()


def refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(tmp_path / name)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    refused(tmp_path, "empty.csv", b"", "is empty: it needs a header")
    refused(tmp_path, "header.csv", b"item_id,timestamp,target\n", "no rows")
    refused(tmp_path, "odd.csv", b'a,b\n1,2\n"3,4\n', "cannot be read as a table")
    refused(tmp_path, "latin.csv", b"timestamp,target\n\xe9,1\n", "cannot be read as a table")
    refused(tmp_path, "odd.parquet", b"nothing", "cannot be read as a table")
    refused(tmp_path, "x.xlsx", b"nothing", r"of a kind that cannot be read: use one of \.csv")
    refused(tmp_path, "x.jsonl", b"", "no series")


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        load(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="no series in"):
        load(tmp_path)
    with pytest.raises(DataError, match="cannot be read from 'int'"):
        load(3)


def test_load_named_prefers_the_data_folder(tmp_path, monkeypatch):
    write_lines(tmp_path / "forecasting" / "chronos" / "toy.jsonl.gz", {"item_id": "a", "freq": "Q", "target": [1]})
    monkeypatch.setenv("STILLROOM_DATA", str(tmp_path))
    assert load_named("toy").freq == "Q"


def test_load_named_says_what_to_set_when_there_is_no_network():
    script = "from stillroom.series.intake import load_named\nload_named('ETTm')"
    environment = {name: value for name, value in os.environ.items() if name != "STILLROOM_DATA"}
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True
    )
    assert MissingError.__name__ in ended.stderr
    assert "hub:autogluon/chronos_datasets_extra/ETTm cannot be had here" in ended.stderr
    assert "forecasting/chronos/ETTm.jsonl.gz" in ended.stderr


@pytest.mark.skipif("STILLROOM_DATA" not in os.environ, reason="needs STILLROOM_DATA, the folder of benchmark series")
@pytest.mark.parametrize(("name", "items", "freq"), [("ETTh", 14, "h"), ("monash_m1_monthly", 617, "M")])
def test_load_named_reads_benchmark_series(name, items, freq):
    panel = load_named(name)
    assert (len(panel), panel.freq) == (items, freq)
    assert len(panel.to_frame()) == sum(item.length for item in panel)


def test_importing_the_intake_brings_no_torch_and_no_datasets():
    script = (
        "import sys, stillroom.series.intake\nprint({'torch', 'datasets', 'gluonts', 'statsmodels'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "set()"
