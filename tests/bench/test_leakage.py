"""Who was trained on a task's data: told by name, or found by the windows of the training series."""

from __future__ import annotations

import numpy as np
import pytest

from stillroom.bench.lineage import INDEX, trace
from stillroom.bench.runner import leaks
from stillroom.bench.tasks import kind_of, read_suite
from stillroom.core.registry import ResolvedModel
from stillroom.series.overlap import Index


@pytest.fixture
def task():
    (task,) = read_suite({"tasks": [{"id": "nile", "dataset": "statsmodels:nile", "prediction_length": 6}]}, "t").tasks
    return task


def trained_on(series, folder, every=1):
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    Index.of(series, every=every).save(folder / INDEX)
    return trace(ResolvedModel(str(folder), str(folder), lambda: None))


def test_a_model_that_learnt_a_copy_of_the_series_is_flagged(task, tmp_path):
    data = kind_of("forecast").load(task)
    copied = 3.0 * data.panel.items[0].target[0] + 100.0  # other units
    assert leaks(task, data, trained_on([copied], tmp_path / "copied"))


def test_a_model_that_learnt_other_series_is_not(task, tmp_path):
    data = kind_of("forecast").load(task)
    other = np.random.default_rng(0).standard_normal(10_000).cumsum()
    assert not leaks(task, data, trained_on([other], tmp_path / "other"))


def test_a_model_that_names_the_data_set_is_flagged(task, tmp_path):
    data = kind_of("forecast").load(task)
    named = tmp_path / "named"
    named.mkdir()
    (named / "README.md").write_text("---\ntrained_on: ['statsmodels:nile']\n---\n")
    assert leaks(task, data, trace(ResolvedModel(str(named), str(named), lambda: None)))
