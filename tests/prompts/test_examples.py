from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError
from stillroom.prompts.examples import Example, read, write
from stillroom.prompts.words import split


def example(text: str, **more) -> Example:
    words = split(text)
    keep = np.linspace(0, 1, len(words), dtype=np.float32)
    return Example(text, words.start, words.end, keep, more.pop("source", "here"), **more)


def same(one: Example, other: Example) -> bool:
    spans = all((getattr(one, name) == getattr(other, name)).all() for name in ("start", "end", "keep"))
    names = ("text", "source", "language", "variation_rate", "alignment_gap")
    return spans and all(getattr(one, name) == getattr(other, name) for name in names)


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
@settings(max_examples=15, deadline=None)
@given(st.lists(st.text("ab .,\n中é👩", max_size=20), max_size=4))
def test_examples_come_back_as_they_were(tmp_path_factory, suffix, texts):
    path = tmp_path_factory.mktemp("examples") / f"train{suffix}"
    examples = [example(text, language="en", variation_rate=0.25, alignment_gap=0.0) for text in texts]
    examples.append(example("made by people", source="ami"))
    write(examples, path)
    assert all(same(one, other) for one, other in zip(examples, read(path), strict=True))


def test_words_are_the_labelled_stretches():
    assert example("Stop, now!").words == ["Stop", ",", "now", "!"]


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a \.parquet or \.jsonl file"):
        write([], tmp_path / "train.csv")


@pytest.mark.parametrize(
    "wrong",
    [{"end": [1]}, {"keep": [2, 0]}, {"start": [2, 0]}, {"end": [1, 9]}, {"start": [-1, 2]}, {"keep": [1]}],
)
def test_labels_that_do_not_fit_the_text_are_refused(tmp_path, wrong):
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"text": "a b", "start": [0, 2], "end": [1, 3], "keep": [1, 0]} | wrong))
    with pytest.raises(DataError, match=r"row 1 of .* do not fit"):
        list(read(path))


def test_a_row_without_labels_is_refused(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "a"}')
    with pytest.raises(DataError, match=r"row 1 of .* needs text, start, end and keep"):
        list(read(path))
