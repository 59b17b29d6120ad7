"""Suites and task specs: what is accepted, and the sentence when it is not."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from stillroom.bench.tasks import load_suite, read_suite
from stillroom.core.errors import DataError, RecipeError

TASK = {"id": "a", "dataset": "m4_hourly", "prediction_length": 4}


def test_defaults_are_merged_into_every_task_and_can_be_overruled():
    suite = read_suite({"defaults": {"windows": 3}, "tasks": [TASK, {**TASK, "id": "b", "windows": 2}]}, "mine")
    assert [task.windows for task in suite.tasks] == [3, 2]


def test_an_unknown_key_is_refused_with_the_nearest_known_one():
    with pytest.raises(RecipeError, match=r"mine: task a: unknown key 'predicton_length'; did you mean 'prediction_le"):
        read_suite({"tasks": [{**TASK, "predicton_length": 4}]}, "mine")


def test_an_unknown_key_of_the_suite_is_refused():
    with pytest.raises(RecipeError, match=r"suite mine: unknown key 'task'; did you mean 'tasks'"):
        read_suite({"tasks": [TASK], "task": []}, "mine")


def test_a_missing_key_is_named():
    with pytest.raises(RecipeError, match="task a: the key 'prediction_length' is missing"):
        read_suite({"tasks": [{"id": "a", "dataset": "m4_hourly"}]}, "mine")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prediction_length": 0}, "prediction_length: Input should be greater than 0"),
        ({"offset": "yesterday"}, "offset: must be a number of steps, or a time such as 2024-01-31"),
        ({"windows": "many"}, "windows: Input should be a valid integer"),
        ({"quantile_levels": [0.1, 0.9]}, "must ascend between 0 and 1 and include 0.5"),
        ({"quantile_levels": [0.5, 1.0]}, "must ascend between 0 and 1 and include 0.5"),
        ({"quantile_levels": []}, "must ascend between 0 and 1 and include 0.5"),
        ({"kind": "forcast"}, "did you mean 'forecast'"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(change, sentence):
    with pytest.raises(RecipeError, match=sentence):
        read_suite({"tasks": [{**TASK, **change}]}, "mine")


def test_two_tasks_with_one_id_are_refused():
    with pytest.raises(RecipeError, match="two tasks have the id 'a'"):
        read_suite({"tasks": [TASK, TASK]}, "mine")


@pytest.mark.parametrize("content", [None, [], {"tasks": []}, {"description": "nothing"}, {"tasks": ["m4_hourly"]}])
def test_a_suite_without_tasks_is_refused(content):
    with pytest.raises(RecipeError, match="suite mine"):
        read_suite(content, "mine")


def test_an_unknown_suite_is_refused_with_the_nearest_known_one():
    with pytest.raises(RecipeError, match="did you mean 'demo-forecast'"):
        load_suite("demo-forcast")


def test_a_suite_file_that_is_missing_or_broken_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no suite file"):
        load_suite(str(tmp_path / "none.yaml"))
    (tmp_path / "broken.yaml").write_text("tasks: [")
    with pytest.raises(RecipeError, match="is not YAML"):
        load_suite(str(tmp_path / "broken.yaml"))


def test_a_relative_data_file_is_looked_for_beside_the_suite(tmp_path):
    (tmp_path / "mine.yaml").write_text("tasks: [{id: a, dataset: sales.csv, prediction_length: 4}]")
    assert load_suite(str(tmp_path / "mine.yaml")).tasks[0].dataset == str((tmp_path / "sales.csv").resolve())


@pytest.mark.parametrize(("name", "size"), [("chronos-benchmark-i", 15), ("chronos-benchmark-ii", 27)])
def test_the_chronos_suites_are_the_published_ones(name, size):
    if "STILLROOM_DATA" not in os.environ:
        pytest.skip("STILLROOM_DATA is not set: the published configurations are in the data folder")
    with (Path(os.environ["STILLROOM_DATA"]) / "forecasting" / "published" / "tasks.csv").open() as lines:
        published = {row["dataset"]: row for row in csv.DictReader(lines) if row["suite"] == name}
    tasks = load_suite(name).tasks
    assert len(tasks) == size
    assert {task.dataset for task in tasks} == set(published)
    for task in tasks:
        row = published[task.dataset]
        assert task.prediction_length == int(row["prediction_length"])
        assert (task.offset or -task.prediction_length) == int(row["offset"])
        assert task.windows == int(row["num_rolls"])
