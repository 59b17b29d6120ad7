from __future__ import annotations

import gzip
import json
import random

import numpy as np
import pytest

from stillroom.core.errors import DataError, MissingError
from stillroom.series.corpus import SHORTEST, Corpus, RealSeries, read


def rows(count=200, length=100, source="shops"):
    """Series that say who they are: constant at their own number."""
    return [{"source": source, "item_id": str(k), "target": [float(k)] * length} for k in range(count)]


@pytest.fixture
def write(tmp_path):
    def write(*parts, **options):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl.gz"
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in parts).encode()))
        return Corpus(path=str(path), name="corpus", **{"factors": (1,), **options})

    return write


def numbers(series):
    return {int(values[0]) for values in series}


def test_series_are_held_out_whole_and_about_as_many_as_asked_for(write):
    real = read(write(*rows(1000), held_out=0.2))
    assert numbers(real.train) | numbers(real.held_out) == set(range(1000))
    assert not numbers(real.train) & numbers(real.held_out)
    assert 160 < len(real.held_out) < 240
    assert {len(values) for values in (*real.train, *real.held_out)} == {100}


def test_a_longer_file_in_another_order_holds_out_the_same_series(write):
    short, long = rows(100), rows(150)
    random.Random(0).shuffle(long)
    first, second = (numbers(read(write(*part)).held_out) for part in (short, long))
    assert first
    assert first == {number for number in second if number < 100}


def test_a_larger_share_holds_out_more_of_the_same(write):
    some, more = (numbers(read(write(*rows(), held_out=share)).held_out) for share in (0.1, 0.3))
    assert some < more


def test_reading_twice_gives_the_same(write):
    corpus = write(*rows(50), factors=(1, 2))
    one, again = read(corpus), read(corpus)
    assert one.sources == again.sources
    for first, second in zip((*one.train, *one.held_out), (*again.train, *again.held_out), strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_same_item_of_another_source_is_another_series(write):
    held_out = [numbers(read(write(*rows(source=source))).held_out) for source in ("shops", "weather")]
    assert held_out[0] != held_out[1]


def test_an_excluded_series_is_neither_trained_on_nor_held_out(write):
    real = read(write(*rows(length=2 * SHORTEST), factors=(1, 2), exclude=("3", "17")))
    everything = numbers(real.train) | numbers(real.held_out)
    assert everything == set(range(200)) - {3, 17}


def test_coarser_versions_stand_beside_each_series_when_they_are_long_enough(write):
    real = read(write({"source": "a", "item_id": "b", "target": list(range(2 * SHORTEST + 1))}, factors=(1, 2, 3)))
    assert [len(values) for values in real.train] == [2 * SHORTEST + 1, SHORTEST]
    assert real.train[1][:2].tolist() == [1.5, 3.5]
    assert real.sources == ["a", "a"]


def test_a_series_that_is_too_short_is_left_out(write):
    real = read(write(*rows(20, SHORTEST - 1)))
    assert real.train == []


def test_missing_values_stay_missing_in_single_precision(write):
    target = [None, 1.0, float("nan")] + [2.0] * 97
    real = read(write({"source": "a", "item_id": "b", "target": target}))
    (values,) = real.train
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values[:4], [np.nan, 1.0, np.nan, 2.0])


def test_weights_grow_with_the_root_of_length_and_of_a_source():
    lengths, sources = [100] * 16 + [400], ["many"] * 16 + ["one"]
    weights = RealSeries([np.zeros(length) for length in lengths], sources, [], []).weights()
    assert weights.sum() == pytest.approx(1.0)
    many, one = weights[:16], weights[16]
    assert np.ptp(many) == 0
    assert many.sum() / one == pytest.approx(np.sqrt(16 * 10 / 20))
    longer = RealSeries([np.zeros(100), np.zeros(400)], ["a", "a"], [], []).weights()
    assert longer[1] / longer[0] == pytest.approx(2.0)


def test_an_excluded_series_that_is_not_there_is_named(write):
    with pytest.raises(DataError, match=r"has no series 'air' to exclude: correct the recipe"):
        read(write(*rows(5), exclude=("3", "air")))


def test_an_unset_variable_is_asked_for(monkeypatch):
    monkeypatch.delenv("STILLROOM_DATA", raising=False)
    with pytest.raises(MissingError, match=r"\$STILLROOM_DATA/x.jsonl.gz needs an environment variable"):
        read(Corpus(path="$STILLROOM_DATA/x.jsonl.gz", name="x"))


def test_a_set_variable_is_filled_in(write, tmp_path, monkeypatch):
    corpus = write(*rows(30))
    monkeypatch.setenv("STILLROOM_DATA", str(tmp_path))
    named = corpus.model_copy(update={"path": corpus.path.replace(str(tmp_path), "$STILLROOM_DATA")})
    assert numbers(read(named).train) == numbers(read(corpus).train)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"There is no corpus .*none.jsonl.gz: correct its path"):
        read(Corpus(path=str(tmp_path / "none.jsonl.gz"), name="x"))


@pytest.mark.parametrize(
    "damage", [lambda content: content[: len(content) // 2], lambda content: b"no gzip"], ids=["cut", "no gzip"]
)
def test_a_damaged_file_is_named(damage, write, tmp_path):
    corpus = write(*rows())
    path = tmp_path / "0.jsonl.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"0.jsonl.gz.* is not whole"):
        read(corpus)


@pytest.mark.parametrize(
    "row",
    ["no object", ["a"], {"source": "a", "target": [1.0]}, {"source": "a", "item_id": "b", "target": ["x"]},
     {"source": "a", "item_id": "b", "target": 3}],
    ids=["text", "list", "no item_id", "no numbers", "no list"],
)  # fmt: skip
def test_a_line_that_is_no_series_is_refused(write, row):
    with pytest.raises(DataError, match="is no corpus: each line needs source, item_id and target"):
        read(write(*rows(2), row))


def test_a_line_that_is_not_json_is_refused(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b"{half"))
    with pytest.raises(DataError, match=r"Line 1 of .*x.jsonl.gz.* is not JSON"):
        read(Corpus(path=str(path), name="x"))
