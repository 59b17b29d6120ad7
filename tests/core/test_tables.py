from __future__ import annotations

import io
import json
import sys

import pytest

from stillroom.core.errors import DataError, MissingError
from stillroom.core.tables import rows


def test_the_same_rows_come_out_of_every_kind_of_file(tmp_path):
    import pandas as pd

    table = [{"text": "one, two\nthree", "n": "1"}, {"text": "中文", "n": "2"}]
    frame = pd.DataFrame(table)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    for name in ("t.parquet", "t.csv", "t.jsonl"):
        assert list(rows(tmp_path / name)) == table


def test_a_dash_is_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": 1}\n\n{"a": 2}\n'))
    assert list(rows("-")) == [{"a": 1}, {"a": 2}]


def test_a_csv_cell_may_be_long(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("text\n" + "x" * 300_000 + "\n")
    assert len(next(rows(path))["text"]) == 300_000


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t.jsonl", b'{"a": 1}\n{"a":\n', "line 2 of .* is no JSON"),
        ("t.jsonl", b"[1]\n", "line 1 of .* one JSON object"),
        ("t.jsonl", b"\xff\xfe", "cannot be read"),
        ("t.parquet", b"no parquet", "cannot be read as Parquet"),
        ("t.txt", b"text", "should be Parquet"),
        (None, b"", "there is no file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, sentence):
    path = tmp_path / (name or "nothing.csv")
    if name:
        path.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        list(rows(path))


def test_rows_come_one_by_one(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"a": 1}) + "\nbroken\n")
    assert next(rows(path)) == {"a": 1}


def test_without_pyarrow_it_is_named(tmp_path, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingError, match="pip install pyarrow"):
        list(rows(tmp_path / "t.parquet"))
