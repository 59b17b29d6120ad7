"""The detection task: what a detector is asked, what is kept of its answers, and what the pictures show."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stillroom.bench.detect import SHOWN, DetectTask, kind
from stillroom.bench.kinds import Stopwatch
from stillroom.bench.tasks import load_suite, read_suite
from stillroom.core import registry
from stillroom.core.errors import DataError, ModelError, RecipeError


class Distance:
    """Scores the distance from the training mean, and remembers what it was told."""

    def __init__(self) -> None:
        self.seasons: list[int] = []

    def fit_normal(self, series: np.ndarray, season_length: int) -> None:
        self.mean = np.nanmean(series)
        self.seasons.append(season_length)

    def detect(self, series: np.ndarray) -> np.ndarray:
        return np.nan_to_num(np.abs(series - self.mean)).max(axis=0)


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    """A CSV with three series of 2,000 steps around 0; two have an anomaly, in one of them it stands out."""
    rng = np.random.default_rng(0)
    frames = []
    for name, begin, height in (("loud", 1200, 9.0), ("faint", 1500, 0.5), ("quiet", 0, 0.0)):
        frame = pd.DataFrame({"item_id": name, "value": rng.normal(size=2000), "label": 0})
        if begin:
            frame.loc[begin : begin + 19, "label"] = 1
            frame.loc[begin : begin + 19, "value"] += height
        frames.append(frame)
    path = tmp_path / "watched.csv"
    pd.concat(frames).to_csv(path, index=False)
    return path


def asked(path: Path, model: object | None = None, **keys):
    spec = DetectTask(id="watched", dataset=str(path), **keys)
    data = kind.load(spec)
    return spec, data, kind.predict(model or Distance(), spec, data, Stopwatch())


def test_one_row_a_step_and_no_label(watched: Path):
    _, data, predictions = asked(watched, train=500)
    assert list(predictions) == ["item_id", "step", "score", "threshold"]
    assert len(predictions) == data.size == 3 * 1500
    assert predictions.groupby("item_id")["threshold"].nunique().eq(1).all()


def test_the_threshold_comes_from_the_training_part(watched: Path):
    _, data, predictions = asked(watched, train=500, alarm_quantile=0.9)
    model = Distance()
    for item in data.items:
        model.fit_normal(item.train, 1)
        learned = model.detect(item.train)
        threshold = predictions.loc[predictions["item_id"] == item.item_id, "threshold"].iloc[0]
        assert (learned > threshold).sum() == 49  # the quantile lies between two scores: the higher one
        assert threshold in learned


def test_labels_do_not_reach_model_or_threshold(watched: Path, tmp_path: Path):
    frame = pd.read_csv(watched)
    other = tmp_path / "other.csv"
    frame.assign(label=1 - frame["label"]).to_csv(other, index=False)
    pd.testing.assert_frame_equal(asked(watched)[2], asked(other)[2])


def test_learning_is_timed_by_itself(watched: Path):
    fitting = Stopwatch()
    spec = DetectTask(id="watched", dataset=str(watched))
    kind.predict(Distance(), spec, kind.load(spec), fitting)
    assert fitting.seconds > 0


def test_the_season_is_found_or_told(watched: Path):
    found, told = Distance(), Distance()
    _, data, _ = asked(watched, found)
    asked(watched, told, season_length=7)
    assert found.seasons == [item.period for item in data.items]
    assert told.seasons == [7, 7, 7]


def test_scores_are_means_over_the_series_that_have_an_anomaly(watched: Path):
    spec, data, predictions = asked(watched, train=500, season_length=10)
    scores = kind.score(spec, data, predictions)
    alone = [
        kind.score(spec, type(data)((item,)), predictions[predictions["item_id"] == item.item_id])
        for item in data.items
    ]
    assert scores["VUS_PR"] == pytest.approx(np.mean([alone[0]["VUS_PR"], alone[1]["VUS_PR"]]))
    assert scores["FALSE_ALARMS"] == pytest.approx(np.mean([own["FALSE_ALARMS"] for own in alone]))
    assert alone[0]["AUC_PR"] > 0.99 > 0.5 > alone[1]["AUC_PR"]


def test_scores_survive_the_order_of_rows_and_the_file(watched: Path, tmp_path: Path):
    spec, data, predictions = asked(watched)
    predictions.sample(frac=1, random_state=0).to_parquet(tmp_path / "kept.parquet", index=False)
    assert kind.score(spec, data, pd.read_parquet(tmp_path / "kept.parquet")) == kind.score(spec, data, predictions)


def test_predictions_of_other_series_are_refused(watched: Path):
    spec, data, predictions = asked(watched)
    for others in (predictions.iloc[1:], predictions.replace({"item_id": {"loud": "louder"}})):
        with pytest.raises(DataError, match="run the task again"):
            kind.score(spec, data, others)


def test_only_the_first_series_are_taken_when_told(watched: Path):
    assert [item.item_id for item in asked(watched, max_series=2)[1].items] == ["loud", "faint"]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda series: series, "have the shape"),
        (lambda series: np.full(series.shape[1], np.nan), "scores of the training part of loud are not finite numbers"),
    ],
    ids=["shape", "finite"],
)
def test_answers_that_are_no_scores_fail_in_a_sentence(watched: Path, answer, sentence: str):
    model = Distance()
    model.detect = answer  # type: ignore[method-assign]
    with pytest.raises(ModelError, match=sentence):
        asked(watched, model)


@pytest.mark.parametrize("train", [0, -3, 0.0, 1.0, 1.5, True, "half"])
def test_a_training_part_that_cannot_be_meant_is_refused(train: object):
    with pytest.raises(RecipeError, match="train: must be a number of steps, such as 500, or a share"):
        read_suite({"tasks": [{"id": "a", "kind": "detect", "dataset": "nab:", "train": train}]}, "mine")


def test_a_task_survives_its_way_to_another_process():
    for train in (500, 0.25, None):
        spec = DetectTask(id="a", dataset="nab:", train=train)
        assert DetectTask.model_validate_json(spec.model_dump_json()) == spec


def test_registered_data_sets_must_have_anomalies(outside: Path):
    with pytest.raises(DataError, match="'months' has no anomalies: it is a Panel"):
        kind.load(DetectTask(id="a", dataset="months"))


def test_examples_show_the_best_and_the_worst_series_around_their_first_anomaly(watched: Path):
    spec, data, predictions = asked(watched, train=500)
    best, worst = kind.examples(spec, data, predictions)
    assert [(best.rank, best.item), (worst.rank, worst.item)] == [("best", "loud"), ("worst", "faint")]
    assert [line.role for line in best.lines] == ["history", "score", "threshold"]
    assert {len(line.x) for line in best.lines} == {SHOWN}
    (span,) = best.spans
    assert (span.start, span.end) == (1200 - 500, 1219 - 500)
    assert best.lines[0].x[0] <= span.start <= span.end <= best.lines[0].x[-1]
    kept = predictions[predictions["item_id"] == "loud"].set_index("step")["score"]
    assert np.array_equal(best.lines[1].y, kept.loc[best.lines[1].x])


def test_series_without_anomalies_have_no_pictures(watched: Path):
    frame = pd.read_csv(watched)
    frame[frame["item_id"] == "quiet"].to_csv(watched, index=False)
    spec, data, predictions = asked(watched)
    assert kind.examples(spec, data, predictions) == []
    scores = kind.score(spec, data, predictions)
    assert scores["FALSE_ALARMS"] >= 0
    assert np.isnan(scores["VUS_PR"])


def test_a_series_shorter_than_the_picture_is_shown_whole(tmp_path: Path):
    frame = pd.DataFrame({"a": np.arange(100.0), "b": 1.0, "c": 1.0, "d": 1.0, "label": [0] * 98 + [1] * 2})
    frame.to_csv(tmp_path / "short.csv", index=False)
    (example,) = kind.examples(*asked(tmp_path / "short.csv", train=20))
    assert len(example.lines[0].x) == 80
    assert [line.name for line in example.lines if line.role == "history"] == ["variable 1", "variable 2", "variable 3"]


def test_point_adjustment_is_never_a_headline():
    assert kind.metrics == ("VUS_PR", "AUC_PR")
    assert "POINT_ADJUSTED_F1" in kind.higher


def test_the_suites_name_every_category_and_spacecraft():
    assert len(load_suite("nab").tasks) == 7
    assert [task.id for task in load_suite("telemetry").tasks] == ["SMAP", "MSL"]
    for name in ("nab", "telemetry", "demo-detect"):
        assert {task.kind for task in load_suite(name).tasks} == {"detect"}


@pytest.mark.skipif("STILLROOM_DATA" not in os.environ, reason="STILLROOM_DATA is not set")
def test_the_categories_of_the_suite_are_all_of_nab():
    from stillroom.series.anomalous import load

    parts = [item.item_id for task in load_suite("nab").tasks for item in kind.load(task).items]
    assert sorted(parts) == sorted(item.item_id for item in load("nab:").items)


def test_the_demo_runs_offline_with_both_baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from stillroom.bench.executor import in_process
    from stillroom.bench.runner import make_plan, run

    monkeypatch.delenv("STILLROOM_DATA", raising=False)
    scores = run(make_plan(load_suite("demo-detect"), ["isolation-forest"], tmp_path), executor=in_process)
    assert (scores["status"] == "ok").all()
    assert set(scores["model"]) == {kind.baseline, "isolation-forest"}
    assert scores.loc[scores["task"] != "daphnet", "VUS_PR"].between(0, 1).all()


def test_both_baselines_are_registered():
    for name in (kind.baseline, "isolation-forest"):
        assert isinstance(registry.resolve_model(name).load(), kind.protocol)
