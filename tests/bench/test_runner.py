"""The runner: what it computes, what it skips, and that a killed run loses nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from stillroom.bench.executor import in_process
from stillroom.bench.kinds import kind_of
from stillroom.bench.runner import make_plan, run
from stillroom.bench.tasks import load_suite, read_suite
from stillroom.core.errors import DataError, MissingError, ModelError

pytestmark = pytest.mark.usefixtures("outside")


def suite(*horizons: int, **more):
    tasks = [{"id": f"h{horizon}", "dataset": "months", "prediction_length": horizon} for horizon in horizons]
    return read_suite({"tasks": tasks + more.get("tasks", []), "defaults": {"season_length": 12}}, "mine")


def run_here(tasks, models, out: Path, **options) -> pd.DataFrame:
    return run(make_plan(tasks, models, out, **options), executor=in_process)


def calls(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


@pytest.fixture
def called(tmp_path, monkeypatch) -> Path:
    """The file in which the model `last` notes every forecast."""
    path = tmp_path / "calls"
    monkeypatch.setenv("OUTSIDE_CALLS", str(path))
    return path


def test_every_model_has_a_row_for_every_task_and_the_baseline_joins_by_itself(tmp_path):
    scores = run_here(suite(3, 6), ["last"], tmp_path)
    assert list(zip(scores["task"], scores["model"], scores["status"], strict=True)) == [
        ("h3", "last", "ok"),
        ("h3", "seasonal-naive", "ok"),
        ("h6", "last", "ok"),
        ("h6", "seasonal-naive", "ok"),
    ]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "scores.parquet"), scores)
    assert {"MASE", "WQL", "key", "seed", "versions", "inference_seconds", "cost_usd", "tokens"} <= set(scores)


def test_kept_predictions_give_the_score_again(tmp_path):
    tasks = suite(6)
    scores = run_here(tasks, ["last"], tmp_path)
    from stillroom.bench.forecast import kind

    data = kind.load(tasks.tasks[0])
    for row in scores.itertuples():
        again = kind.score(tasks.tasks[0], data, pd.read_parquet(tmp_path / row.predictions))
        assert (again["WQL"], again["MASE"]) == (row.WQL, row.MASE)


def test_done_rows_are_not_computed_again(tmp_path, called):
    first = run_here(suite(3, 6), ["last"], tmp_path)
    second = run_here(suite(3, 6, 9), ["last"], tmp_path)
    assert calls(called) == ["3", "6", "9"]
    pd.testing.assert_frame_equal(second[second["task"] != "h9"].reset_index(drop=True), first)


@pytest.mark.parametrize("change", [{"seed": 1}, {"windows": 2}, {"quantile_levels": [0.5]}, {"max_series": 1}])
def test_a_row_is_computed_again_when_its_key_changes(change, tmp_path, called):
    run_here(suite(3), ["last"], tmp_path)
    options = {"seed": change.pop("seed")} if "seed" in change else {}
    task = {"id": "h3", "dataset": "months", "prediction_length": 3, "season_length": 12, **change}
    scores = run_here(read_suite({"tasks": [task]}, "mine"), ["last"], tmp_path, **options)
    assert len(calls(called)) == 1 + change.get("windows", 1)
    assert len(scores) == 2  # the new row takes the old one's place


def test_a_row_is_computed_again_when_the_data_changes(tmp_path, called, monkeypatch):
    run_here(suite(3), ["last"], tmp_path)
    import outside

    from stillroom.series.panel import Panel

    before = outside.months()
    monkeypatch.setattr(outside, "months", lambda: Panel(before.items, "MS"))
    run_here(suite(3), ["last"], tmp_path)
    assert len(calls(called)) == 2


def test_a_failed_row_has_its_reason_and_the_rest_goes_on(tmp_path):
    scores = run_here(suite(3), ["raises", "last"], tmp_path).set_index("model")
    assert scores.loc["raises", "status"] == "failed"
    assert scores.loc["raises", "reason"] == "ValueError: no luck at all"
    assert pd.isna(scores.loc["raises", "MASE"])
    assert scores.loc["last", "status"] == "ok"


def test_a_failed_row_is_run_again_only_when_asked(tmp_path):
    run_here(suite(3), ["raises"], tmp_path)
    assert make_plan(suite(3), ["raises"], tmp_path).todo == ()
    assert [cell.model for cell in make_plan(suite(3), ["raises"], tmp_path, retry=True).todo] == ["raises"]


def test_data_that_cannot_be_had_is_a_skipped_row_known_before_the_start(tmp_path):
    tasks = suite(3, tasks=[{"id": "far", "dataset": "nowhere", "prediction_length": 3}])
    plan = make_plan(tasks, ["last"], tmp_path)
    assert [(cell.task.id, cell.skip) for cell in plan.skipped][:1] == [("far", "data: the archive is offline")]
    scores = run(plan, executor=in_process)
    assert scores["status"].tolist() == ["skipped", "skipped", "ok", "ok"]
    assert scores["reason"][0] == "data: the archive is offline"


def test_strict_refuses_data_that_cannot_be_had(tmp_path):
    tasks = suite(3, tasks=[{"id": "far", "dataset": "nowhere", "prediction_length": 3}])
    with pytest.raises(MissingError, match="task far: the archive is offline"):
        make_plan(tasks, [], tmp_path, strict=True)


def test_mistakes_are_found_before_anything_is_computed(tmp_path, called):
    with pytest.raises(DataError, match="60 steps"):
        make_plan(suite(3, 100), ["last"], tmp_path)
    with pytest.raises(ModelError, match="did you mean 'last'"):
        make_plan(suite(3), ["lastt"], tmp_path)
    assert calls(called) == []
    assert list(tmp_path.glob("**/*.json")) == []


def test_a_model_that_can_do_no_task_of_the_suite_is_refused(tmp_path, called):
    with pytest.raises(ModelError, match=r"mute can do no task of this suite: it does not forecast \(predict\)"):
        make_plan(suite(3), ["last", "mute"], tmp_path)
    assert calls(called) == []


def test_a_model_takes_part_in_the_tasks_that_it_can_do(tmp_path):
    plan = make_plan(load_suite("demo-all"), ["last"], tmp_path)
    assert {cell.task.kind for cell in plan.todo if cell.model == "last"} == {"forecast"}
    kinds = {cell.task.kind for cell in plan.todo} - {"forecast"}
    assert set(plan.idle) == {("last", kind) for kind in kinds}
    for kind in kinds:
        assert {cell.model for cell in plan.todo if cell.task.kind == kind} == {kind_of(kind).baseline}


def test_limits_become_failed_rows_while_the_rest_goes_on(tmp_path, stillroom):
    (tmp_path / "mine.yaml").write_text("tasks: [{id: a, dataset: months, prediction_length: 3}]")
    done = stillroom(
        "bench", "run", tmp_path / "mine.yaml", "--model", "sleeps", "--model", "eats", "--model", "last",
        "--time-limit", 15, "--memory-limit", 400, "--workers", 2, "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = {row["model"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["sleeps"]["reason"] == "time limit: 15 s"
    assert rows["eats"]["reason"].startswith("memory limit: 400 MB")
    assert rows["last"]["status"] == rows["seasonal-naive"]["status"] == "ok"


def test_ctrl_c_ends_the_children_and_blames_no_model(tmp_path):
    (tmp_path / "mine.yaml").write_text("tasks: [{id: a, dataset: months, prediction_length: 3}]")
    command = [str(Path(sys.executable).with_name("stillroom")), "bench", "run", str(tmp_path / "mine.yaml")]
    process = psutil.Popen([*command, "--model", "sleeps", "--out", str(tmp_path / "out")], stderr=subprocess.DEVNULL)
    rows = tmp_path / "out" / "rows"
    while not list(rows.glob("*.json")) or not process.children():  # until the baseline is done and `sleeps` runs
        assert process.poll() is None
        time.sleep(0.05)
    children = process.children()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert not any(child.is_running() for child in children)
    assert [json.loads(path.read_text())["model"] for path in rows.glob("*.json")] == ["seasonal-naive"]
