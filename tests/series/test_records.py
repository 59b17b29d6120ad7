import gzip
import json

import numpy as np
import pandas as pd
import pytest

from stillroom.core.errors import DataError
from stillroom.series.records import from_records, read_records


def test_records_become_items_with_missing_values_kept():
    panel = from_records([{"item_id": "a", "freq": "M", "start": "2020-01-01", "target": [1, None, 3.5, float("nan")]}])
    item = panel.items[0]
    assert (item.item_id, panel.freq, item.start) == ("a", "M", pd.Timestamp("2020-01-01"))
    np.testing.assert_array_equal(item.target, [[1, np.nan, 3.5, np.nan]])


def test_a_start_may_be_null_or_missing():
    panel = from_records([{"target": [1, 2], "start": None}, {"target": [3]}])
    assert [item.start for item in panel] == [None, None]
    assert [item.item_id for item in panel] == ["0", "1"]


def test_an_id_that_comes_again_gets_its_count():
    panel = from_records([{"target": [1], "item_id": name} for name in "abaa"])
    assert [item.item_id for item in panel] == ["a", "b", "a#2", "a#3"]


def test_times_written_as_in_the_monash_archive_are_read():
    panel = from_records([{"target": [1], "start": "2012-01-01 13-30-00"}])
    assert panel.items[0].start == pd.Timestamp("2012-01-01 13:30")


def test_gluonts_entries_bring_their_frequency_and_features():
    entry = {
        "target": np.zeros((2, 4), np.float32), "start": pd.Period("2020-01", "M"), "item_id": "x",
        "feat_dynamic_real": np.ones((1, 6)), "feat_dynamic_cat": np.ones((2, 6)),
        "past_feat_dynamic_real": np.ones((1, 4)), "feat_static_cat": [3],
    }  # fmt: skip
    panel = from_records([entry])
    item = panel.items[0]
    assert panel.freq == "M"
    assert panel.targets == ("target_0", "target_1")
    assert {name: len(values) for name, values in item.known.items()} == {
        "feat_dynamic_real_0": 6, "feat_dynamic_cat_0": 6, "feat_dynamic_cat_1": 6,
    }  # fmt: skip
    assert len(item.past["past_feat_dynamic_real_0"]) == 4
    assert item.static == {"feat_static_cat_0": 3}


def test_a_gluonts_data_set_is_a_reference_source():
    from gluonts.dataset.common import ListDataset

    data = ListDataset([{"start": "2021-01-01", "target": [1.0, 2.0, 3.0]}], freq="D")
    panel = from_records(data)
    assert panel.freq == "D"
    assert list(panel.timestamps(panel.items[0])) == list(pd.date_range("2021-01-01", periods=3))


def test_several_frequencies_are_none_with_a_warning():
    with pytest.warns(UserWarning, match=r"several frequencies \(D, unknown\)"):
        assert from_records([{"target": [1], "freq": "D"}, {"target": [1]}]).freq is None
    assert from_records([{"target": [1], "freq": "D"}, {"target": [1]}], freq="W").freq == "W"


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "no series"),
        ([{"values": [1]}], "no 'target' in series 0"),
        ([{"target": [1]}, {"target": ["x"]}], "must be a list of numbers.* series 1"),
        ([{"target": 3}], "must be a list of numbers"),
        ([{"target": [1], "start": "soon"}], "start 'soon' of series 0"),
        ([[1, 2]], "no 'target'"),
        ([{"target": [1, 2], "feat_dynamic_real": [[1]]}], "shorter than its target"),
    ],
)
def test_records_that_are_no_series_are_refused(records, message):
    with pytest.raises(DataError, match=message):
        from_records(records)


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_lines_are_read_gzipped_or_not_and_empty_ones_skipped(tmp_path, name):
    text = json.dumps({"target": [1]}) + "\n\n" + json.dumps({"target": [2]}) + "\n"
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    assert [record["target"] for record in read_records(tmp_path / name)] == [[1], [2]]


def test_a_line_that_is_not_json_is_refused_with_its_number(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"target": [1]}\n{oops}\n')
    with pytest.raises(DataError, match=r"Line 2 of .*x\.jsonl' is not JSON"):
        list(read_records(tmp_path / "x.jsonl"))


WHOLE = gzip.compress(b'{"target": [1]}\n' * 999, mtime=0)


@pytest.mark.parametrize("content", [b"no gzip at all", WHOLE[:-20], WHOLE[:20] + b"\xff" * 20 + WHOLE[40:]])
def test_a_broken_gzip_file_is_refused(tmp_path, content):
    (tmp_path / "x.jsonl.gz").write_bytes(content)
    with pytest.raises(DataError, match="is not whole"):
        list(read_records(tmp_path / "x.jsonl.gz"))
