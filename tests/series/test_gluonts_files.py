import json

import numpy as np
import pandas as pd
import pytest

from stillroom.core.errors import DataError, RecipeError
from stillroom.series.intake import load


def entries():
    rng = np.random.default_rng(0)
    for name, length in (("a", 30), ("b", 21), ("a", 33)):
        target = rng.normal(size=length)
        target[3] = np.nan
        yield {
            "item_id": name, "start": "2020-01-05", "target": target, "feat_static_cat": [len(name)],
            "feat_dynamic_real": rng.normal(size=(2, length + 4)),
        }  # fmt: skip


def save(folder, writer, **more):
    """As GluonTS saves a training and a test split."""
    from gluonts.dataset.common import ListDataset, MetaData, TrainDatasets

    test = ListDataset(list(entries()), freq="W")
    train = [{**entry, "target": entry["target"][:-4]} for entry in test]
    data = TrainDatasets(metadata=MetaData(freq="W", prediction_length=4), train=train, test=test, **more)
    data.save(str(folder), writer)
    return test


def writers():
    arrow, jsonl = (pytest.importorskip(f"gluonts.dataset.{name}") for name in ("arrow", "jsonl"))
    return {
        "lines": jsonl.JsonLinesWriter(use_gzip=False),
        "gzip": jsonl.JsonLinesWriter(),
        "arrow": arrow.ArrowWriter(),
        "stream": arrow.ArrowWriter(stream=True, compression="zstd"),
        "parquet": arrow.ParquetWriter(),
        "parquet, arrays as lists": arrow.ParquetWriter(flatten_arrays=False),
    }


@pytest.mark.parametrize("kind", ["lines", "gzip", "arrow", "stream", "parquet", "parquet, arrays as lists"])
def test_the_test_split_of_a_saved_data_set_is_that_of_the_gluonts_reference(tmp_path, kind):
    expected = save(tmp_path / "set", writers()[kind])
    panel = load(tmp_path / "set")
    assert panel.freq == "W"
    assert [item.item_id for item in panel] == ["a", "b", "a#2"]
    for item, entry in zip(panel, expected, strict=True):
        assert item.start.to_period("W") == entry["start"]
        np.testing.assert_allclose(item.target[0], entry["target"], rtol=1e-6)
        real = [item.known[f"feat_dynamic_real_{row}"] for row in range(2)]
        np.testing.assert_allclose(real, entry["feat_dynamic_real"], rtol=1e-6)
        assert item.static["feat_static_cat_0"] == entry["feat_static_cat"][0]


def test_without_a_test_split_the_train_split_is_read(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "data.json").write_text('{"start": "2020-01-01", "target": [1, 2]}\n')
    (tmp_path / "metadata.json").write_text('{"freq": "1H"}')
    panel = load(tmp_path)
    assert (panel.freq, panel.items[0].target.tolist()) == ("1H", [[1, 2]])


def test_metadata_may_lie_in_a_folder_as_gluonts_ships_it(tmp_path):
    for name in ("metadata", "test"):
        (tmp_path / name).mkdir()
    (tmp_path / "metadata" / "metadata.json").write_text('{"freq": "D"}')
    (tmp_path / "test" / "data.json").write_text('{"start": "2020-01-01", "target": [1, 2]}\n')
    assert load(tmp_path).freq == "D"
    assert load(tmp_path, freq="2D").freq == "2D"


@pytest.mark.parametrize(
    ("metadata", "name", "content", "sentence"),
    [
        ("{}", "data.txt", "", "has no .json, .json.gz"),
        ("[]", "data.json", '{"target": [1]}', "metadata.json' is not the metadata of a data set"),
        ("{", "data.json", '{"target": [1]}', "metadata.json' is not the metadata of a data set"),
        ("{}", "data.parquet", "PAR1 and no more", "cannot be read as a table"),
        ("{}", "data.arrow", "nothing at all", "cannot be read as a table"),
    ],
)
def test_folders_that_are_not_whole_are_refused(tmp_path, metadata, name, content, sentence):
    (tmp_path / "metadata.json").write_text(metadata)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / name).write_text(content)
    with pytest.raises(DataError, match=sentence):
        load(tmp_path)


def test_columns_cannot_be_named_of_a_saved_data_set(tmp_path):
    (tmp_path / "test").mkdir()
    (tmp_path / "metadata.json").write_text(json.dumps({"freq": "D"}))
    with pytest.raises(RecipeError, match="targets can only be given for"):
        load(tmp_path, targets=["a"])


def test_other_folders_with_metadata_are_still_pools_of_files(tmp_path):
    (tmp_path / "metadata.json").write_text("{}")
    frame = pd.DataFrame({"timestamp": pd.date_range("2020-01-01", periods=3), "target": [1.0, 2, 3]})
    frame.to_csv(tmp_path / "sales.csv", index=False)
    assert len(load(tmp_path)) == 1
