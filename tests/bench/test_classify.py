"""The kind `classify`: what a task asks of a model, what is kept, how it is scored, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stillroom.bench.executor import in_process
from stillroom.bench.kinds import Stopwatch, kind_of
from stillroom.bench.leaderboard import boards
from stillroom.bench.runner import make_plan, run
from stillroom.bench.tasks import load_suite, read_suite
from stillroom.core.errors import DataError, MissingError, ModelError, RecipeError
from stillroom.series.labelled import BUNDLED
from stillroom.series.overlap import Index


class Says:
    """A classifier that answers what it was given."""

    def __init__(self, probabilities: object) -> None:
        self.probabilities = probabilities

    def fit_classes(self, series, labels):
        self.learnt = len(series), labels

    def classify(self, series):
        return self.probabilities


@pytest.fixture
def labelled(tmp_path):
    """A file of bumps, rises and falls, twice to learn from and, in another order, to judge by."""
    shapes = {"bump": 20 * np.sin(np.linspace(0, np.pi, 20)), "fall": np.arange(20.0)[::-1], "rise": np.arange(20.0)}
    parts = {"train": ["bump", "bump", "fall", "fall", "rise", "rise"], "test": ["rise", "bump", "fall"]}
    rng = np.random.default_rng(0)
    arrays = {f"y_{part}": np.array(names) for part, names in parts.items()}
    for part, names in parts.items():
        arrays[f"X_{part}"] = np.stack([[shapes[name] + rng.normal(size=20)] for name in names])
    path = tmp_path / "shapes.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def task(labelled):
    (spec,) = read_suite({"tasks": [{"id": "shapes", "kind": "classify", "dataset": str(labelled)}]}, "mine").tasks
    kind = kind_of("classify")
    return kind, spec, kind.load(spec)


def test_a_run_scores_every_model_and_the_leaderboard_takes_it(labelled, tmp_path):
    suite = read_suite(
        {"defaults": {"kind": "classify"}, "tasks": [{"id": "shapes", "dataset": "shapes.npz"}]},
        "mine",
        folder=tmp_path,
    )
    plan = make_plan(suite, ["dtw-1nn", "minirocket"], tmp_path / "out")
    scores = run(plan, executor=in_process).set_index("model")
    assert scores["status"].to_dict() == dict.fromkeys(["dtw-1nn", "minirocket", "nearest-neighbour"], "ok")
    assert scores.loc["nearest-neighbour", ["ACCURACY", "MACRO_F1", "BALANCED_ACCURACY", "AUC"]].tolist() == [1.0] * 4
    assert scores["size"].unique().tolist() == [3]
    (board,) = boards(scores.reset_index())
    assert board.baseline == "nearest-neighbour"
    assert board.metrics == ("ACCURACY", "MACRO_F1")
    assert not make_plan(suite, ["dtw-1nn", "minirocket"], tmp_path / "out").todo


def test_the_predictions_are_a_row_a_series_and_hold_no_truth(task):
    kind, spec, data = task
    model = Says([[0.2, 0.2, 0.6], [1, 0, 0], [0.1, 0.8, 0.1]])
    fitting = Stopwatch()
    frame = kind.predict(model, spec, data, fitting)
    assert list(frame) == ["item_id", "probability_bump", "probability_fall", "probability_rise"]
    assert frame["item_id"].tolist() == [0, 1, 2]
    assert model.learnt[0] == 6
    assert fitting.seconds > 0
    assert kind.score(spec, data, frame)["ACCURACY"] == 1


def test_a_model_that_asks_for_it_is_told_the_data_set_before_it_learns(task):
    kind, spec, data = task

    class Meets(Says):
        heard: str | None = None

        def meet(self, dataset):
            self.heard = dataset

        def fit_classes(self, series, labels):
            assert self.heard == spec.dataset

    kind.predict(Meets(np.full((3, 3), 1 / 3)), spec, data, Stopwatch())


def test_scores_go_by_the_series_and_not_by_the_order_of_rows(task):
    kind, spec, data = task
    frame = kind.predict(Says(np.random.default_rng(1).dirichlet([1, 1, 1], 3)), spec, data, Stopwatch())
    shuffled = frame.sample(frac=1, random_state=3)[frame.columns[::-1]]
    assert kind.score(spec, data, shuffled) == kind.score(spec, data, frame)


def test_predictions_of_other_series_are_refused(task):
    kind, spec, data = task
    frame = kind.predict(Says(np.full((3, 3), 1 / 3)), spec, data, Stopwatch())
    for other in (frame.iloc[1:], frame.rename(columns={"probability_bump": "probability_level"})):
        with pytest.raises(DataError, match="of other series or classes"):
            kind.score(spec, data, other)


@pytest.mark.parametrize(
    ("probabilities", "sentence"),
    [
        (np.full((3, 2), 0.5), r"the shape \(3, 2\) instead of \(3, 3\)"),
        ([0, 1, 2], r"the shape \(3,\) instead of \(3, 3\)"),
        ([[1, 0, 0], [np.nan, 0, 0], [np.inf, 0, 0]], "2 of 9 probabilities are not finite"),
        ([[1, 0, 0], [2, -1, 0], [1, 0, 0]], "2 of 9 probabilities are not between 0 and 1"),
        ([[1, 0, 0], [0.5, 0, 0], [1, 0, 0]], "of 1 of 3 series sum to 0.5 instead of 1"),
    ],
    ids=["classes", "labels", "finite", "range", "sum"],
)
def test_an_answer_that_is_no_probabilities_is_refused(probabilities, sentence, task):
    with pytest.raises(ModelError, match=sentence):
        task[0].predict(Says(probabilities), task[1], task[2], Stopwatch())


def test_half_precision_probabilities_are_accepted(task):
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], 3).astype(np.float16)
    assert len(task[0].predict(Says(probabilities), task[1], task[2], Stopwatch())) == 3


def test_max_series_keeps_every_class(task):
    kind, spec, whole = task
    small = kind.load(spec.model_copy(update={"max_series": 1}))
    assert small.split.train_labels.tolist() == ["bump", "fall", "rise"]
    assert small.size == whole.size == 3
    assert small.fingerprint != whole.fingerprint


def test_the_best_the_median_and_the_worst_series_are_shown_with_what_was_said(task):
    kind, spec, data = task
    frame = kind.predict(Says([[0.1, 0.7, 0.2], [0.9, 0.1, 0.0], [0.3, 0.6, 0.1]]), spec, data, Stopwatch())
    examples = kind.examples(spec, data, frame)
    assert [(example.rank, example.item, example.value) for example in examples] == [
        ("best", "series 1: is bump, was said to be bump", 0.9),
        ("median", "series 2: is fall, was said to be fall", 0.6),
        ("worst", "series 0: is rise, was said to be fall", 0.2),
    ]
    (line,) = examples[2].lines
    np.testing.assert_array_equal(line.y, data.split.test[0][0])
    assert (line.name, line.role, line.x[-1]) == ("value", "history", 19)


def test_every_variable_is_a_line():
    kind = kind_of("classify")
    (spec,) = read_suite({"tasks": [{"id": "m", "kind": "classify", "dataset": "ucr:BasicMotions"}]}, "t").tasks
    data = kind.load(spec)
    frame = kind.predict(Says(np.full((40, 4), 0.25)), spec, data, Stopwatch())
    example = kind.examples(spec, data, frame)[0]
    assert [line.name for line in example.lines] == [f"variable {number}" for number in range(1, 7)]


def test_the_share_of_test_series_that_an_index_holds_is_told(task):
    _, _, data = task
    rows = [series[0] for series in data.split.test]
    assert data.shared(Index.of(rows)) == 1
    assert 0.2 < data.shared(Index.of(rows[:1])) < 0.5
    assert data.shared(Index.of([series[0] for series in data.split.train])) == 0


@pytest.mark.parametrize("name", ["demo-classify", "ucr-small"])
def test_the_suites_name_tasks_of_the_kind(name):
    tasks = load_suite(name).tasks
    assert {task.kind for task in tasks} == {"classify"}
    assert all(task.dataset == f"ucr:{task.id}" for task in tasks)
    assert len(tasks) == {"demo-classify": 2, "ucr-small": 14}[name]


def test_the_demo_needs_nothing_but_aeon():
    assert all(task.id in BUNDLED for task in load_suite("demo-classify").tasks)


def test_without_a_data_folder_the_bundled_half_of_ucr_small_runs_and_the_rest_is_skipped(monkeypatch, tmp_path):
    monkeypatch.delenv("STILLROOM_DATA", raising=False)
    plan = make_plan(load_suite("ucr-small"), [], tmp_path)
    assert {cell.task.id for cell in plan.todo} == set(BUNDLED) - {"PickupGestureWiimoteZ"}
    assert len(plan.skipped) == 7
    assert all("set STILLROOM_DATA" in cell.skip for cell in plan.skipped)
    with pytest.raises(MissingError, match="task Adiac: ucr:Adiac is not here"):
        make_plan(load_suite("ucr-small"), [], tmp_path, strict=True)


def test_a_model_that_cannot_classify_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"auto-theta can do no task of this suite: it does not classify"):
        make_plan(load_suite("demo-classify"), ["auto-theta"], tmp_path)


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ({"datasets": "x"}, "unknown key 'datasets'; did you mean 'dataset'"),
        ({}, "the key 'dataset' is missing"),
        ({"dataset": "x", "prediction_length": 3}, "unknown key 'prediction_length'"),
        ({"dataset": "x", "max_series": 0}, "max_series: "),
    ],
    ids=["misspelt", "missing", "of a forecast", "zero"],
)
def test_a_task_that_cannot_be_meant_is_refused(task, sentence):
    with pytest.raises(RecipeError, match=sentence):
        read_suite({"tasks": [{"id": "t", "kind": "classify", **task}]}, "mine")


def test_the_command_judges_a_users_own_series(stillroom, labelled, tmp_path):
    suite = tmp_path / "mine.yaml"
    suite.write_text(
        "defaults: {kind: classify}\ntasks: [{id: shapes, dataset: shapes.npz}, {id: none, dataset: 'ucr:None'}]"
    )
    done = stillroom("bench", "run", suite, "--out", tmp_path / "out", "--executor", "in-process")
    assert done.returncode == 0, done.stderr
    assert "skipped none: data: ucr:None is not here" in done.stderr
    scores = pd.read_parquet(tmp_path / "out" / "scores.parquet").set_index("task")
    assert scores["status"].to_dict() == {"none": "skipped", "shapes": "ok"}
    assert scores.loc["shapes", "ACCURACY"] == 1
