from __future__ import annotations

import csv
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError
from stillroom.core.labels import COLUMNS, Label
from stillroom.core.tables import rows
from stillroom.teacher.output import writable, write, write_missing

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


def made(number, answer, rationale=None, soft=None):
    return Label(
        f"key {number}", f"r{number}", "in", answer, "m", rationale, soft, "stop", prompt_tokens=3, policy="user 0.5"
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT | st.none()), max_size=5))
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_labels_come_back_as_they_were(tmp_path_factory, suffix, texts):
    path = tmp_path_factory.mktemp("out") / f"labels{suffix}"
    labels = [made(number, *text, soft={"a": 0.5}) for number, text in enumerate(texts)]
    assert write(iter(labels), path) == len(labels)
    back = list(rows(path))
    assert [(row["answer"], row["rationale"]) for row in back] == list(texts)
    assert all(list(row) == list(COLUMNS) for row in back)


def test_a_csv_has_the_same_columns_and_its_texts_survive(tmp_path):
    write([made(0, 'a "b",\nc', soft={"x": 1.0}), made(1, "")], writable(tmp_path / "labels.csv"))
    with (tmp_path / "labels.csv").open(newline="") as file:
        back = list(csv.DictReader(file))
    assert [row["answer"] for row in back] == ['a "b",\nc', ""]
    assert json.loads(back[0]["soft_targets"]) == {"x": 1.0}


def test_many_labels_are_written_group_by_group(tmp_path):
    labels = (made(number, str(number)) for number in range(10_000))
    assert write(labels, tmp_path / "labels.parquet") == 10_000
    assert [row["answer"] for row in rows(tmp_path / "labels.parquet")] == [str(number) for number in range(10_000)]


def test_what_fails_half_way_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text("before")

    def torn():
        yield made(0, "a")
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - any
        write(torn(), path)
    assert [file.name for file in tmp_path.iterdir()] == ["labels.jsonl"]
    assert path.read_text() == "before"


def test_rows_without_a_label_are_listed_until_there_are_none(tmp_path):
    labels = tmp_path / "labels.parquet"
    path = write_missing(iter([("r1", "was refused"), ("r2", "中文")]), labels)
    assert path.name == "labels.unlabelled.jsonl"
    assert list(rows(path)) == [{"row_id": "r1", "reason": "was refused"}, {"row_id": "r2", "reason": "中文"}]
    assert write_missing(iter([]), labels) is None
    assert not path.exists()


def test_where_nothing_can_be_written_is_said_first(tmp_path):
    with pytest.raises(DataError, match=r"end in|ends in"):
        writable(tmp_path / "labels.xlsx")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        writable(tmp_path / "folder.csv")
