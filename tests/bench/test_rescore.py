"""Rescoring: the same numbers from kept predictions, no model, and all or nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from stillroom.bench.executor import in_process
from stillroom.bench.keys import stem
from stillroom.bench.rescore import rescore
from stillroom.bench.rows import read_rows
from stillroom.bench.runner import make_plan, run
from stillroom.bench.tasks import read_suite
from stillroom.core.errors import DataError, RecipeError
from stillroom.series import metrics

TASKS = [{"id": f"h{horizon}", "dataset": "months", "prediction_length": horizon} for horizon in (3, 6)]
OWN = '''
def worst(spec, data, predictions):
    """The largest forecast of the median."""
    return predictions["0.5"].max() if spec.id == "h3" else None


def fails(spec, data, predictions):
    return 1 / 0


def words(spec, data, predictions):
    return "many"


def mase(spec, data, predictions):
    return 0.0


number = 1
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's own metrics, in a folder on the path."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "mine.py").write_text(OWN)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return folder


@pytest.fixture
def out(outside, tmp_path) -> Path:
    """A folder with two tasks, two models that answered and one that failed."""
    plan_and_run(tmp_path / "out")
    return tmp_path / "out"


def plan_and_run(folder: Path):
    plan = make_plan(read_suite({"tasks": TASKS}, "mine"), ["last", "raises"], folder)
    return plan, run(plan, executor=in_process)


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit(folder: Path, model: str, task: str = "h3", **changes) -> None:
    """Change what a row says."""
    path = folder / "rows" / f"{stem(task, model)}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def predictions(folder: Path, model: str) -> Path:
    return folder / "predictions" / f"{stem('h3', model)}.parquet"


def test_rescored_metrics_are_those_of_the_run_bit_for_bit(out):
    scores = pd.read_parquet(out / "scores.parquet")
    before = content(out)
    assert rescore(out).empty
    assert content(out) == before

    edit(out, "last", metrics={"MASE": 0.5, "HOUSE": 7.0})
    changed = rescore(out).set_index("metric")
    assert changed.loc["MASE", ["task", "model", "before"]].tolist() == ["h3", "last", 0.5]
    assert "HOUSE" not in changed.index  # not the kind's, so it is left alone
    again = pd.read_parquet(out / "scores.parquet")
    assert again.loc[again["model"] == "last", "HOUSE"].tolist()[0] == 7
    pd.testing.assert_frame_equal(again.drop(columns="HOUSE")[scores.columns], scores, check_exact=True)


def test_after_a_new_version_of_the_metrics_a_rescored_row_is_done(out, monkeypatch):
    monkeypatch.setattr(metrics, "VERSION", "of tomorrow")
    plan = make_plan(read_suite({"tasks": TASKS}, "mine"), ["last"], out)
    assert len(plan.todo) == 4
    assert rescore(out).empty  # the numbers happen to be the same
    plan = make_plan(read_suite({"tasks": TASKS}, "mine"), ["last"], out)
    assert (len(plan.todo), len(plan.done)) == (0, 4)


def test_some_metrics_of_a_new_version_do_not_pass_for_all_of_them(out, monkeypatch):
    monkeypatch.setattr(metrics, "VERSION", "of tomorrow")
    edit(out, "last", metrics={"MASE": 0.5, "WQL": 0.5})
    assert rescore(out, ["mase"])[["model", "metric"]].to_numpy().tolist() == [["last", "MASE"]]
    plan = make_plan(read_suite({"tasks": TASKS}, "mine"), ["last"], out)
    assert [(cell.task.id, cell.model) for cell in plan.todo] == [("h3", "last")]
    assert "WQL" in set(rescore(out)["metric"])
    assert make_plan(read_suite({"tasks": TASKS}, "mine"), ["last"], out).todo == ()


def test_no_model_is_needed(shops, outside, tmp_path):
    columns = {"item_id": "shop", "timestamp": "month", "targets": ["sales"]}
    suite = read_suite({"tasks": [{"id": "h3", "dataset": str(shops), "prediction_length": 3, **columns}]}, "mine")
    run(make_plan(suite, ["last"], tmp_path / "out"), executor=in_process)
    edit(tmp_path / "out", "last", metrics={})
    shutil.rmtree(outside)  # the model's package
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from stillroom.bench.rescore import rescore\n"
        f"print(len(rescore(Path({str(tmp_path / 'out')!r}))))\n"
        "print([name for name in sys.modules if name.startswith(('outside', 'stillroom.bench.baselines', 'torch'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(len(next(iter(read_rows(tmp_path / "out").values()))["metrics"])), "[]"]


def flip(path: Path) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[100] ^= 1  # among the numbers of the first column
    path.write_bytes(damaged)


def shorten(path: Path) -> None:
    pd.read_parquet(path).iloc[:-1].to_parquet(path)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (Path.unlink, "are not there"),
        (flip, "are not those that it was scored by"),
        (shorten, "are not those that it was scored by"),
    ],
    ids=["missing", "flipped", "shortened"],
)
def test_predictions_that_are_not_as_they_were_are_refused_and_nothing_is_written(damage, problem, out):
    edit(out, "last", metrics={"MASE": 0.5})  # would be written
    damage(predictions(out, "seasonal-naive"))
    before = content(out)
    sentence = (
        rf"predictions of seasonal-naive on h3 {problem}: remove .*/h3-seasonal-naive-\w+.json and run mine again"
    )
    with pytest.raises(DataError, match=sentence):
        rescore(out)
    assert content(out) == before


def test_predictions_that_the_kind_no_longer_understands_are_refused(out, monkeypatch):
    def score(self, spec, data, predictions):
        raise KeyError("0.5")

    monkeypatch.setattr("stillroom.bench.forecast.Forecast.score", score)
    with pytest.raises(DataError, match=r"predictions of last on h3 cannot be scored: KeyError: '0.5'"):
        rescore(out)


def test_data_that_has_changed_since_is_refused(out, monkeypatch):
    import outside

    from stillroom.series.panel import Panel

    before = outside.months()
    monkeypatch.setattr(outside, "months", lambda: Panel(before.items, "MS"))
    with pytest.raises(DataError, match=r"the data of h3 has changed since .* run mine again with --out"):
        rescore(out)


def test_a_task_whose_data_cannot_be_had_is_left_and_reported(out, monkeypatch):
    import outside

    edit(out, "last", "h6", metrics={"MASE": 0.5})
    edit(out, "last", "h3", metrics={"MASE": 0.5})
    path = out / "rows" / f"{stem('h6', 'last')}.json"
    spec = json.loads(path.read_text())["spec"]
    edit(out, "last", "h6", spec=spec | {"dataset": "nowhere"})
    left: list[tuple[str, str]] = []
    assert set(rescore(out, on_left=lambda *said: left.append(said))["task"]) == {"h3"}
    assert left == [("h6", "the archive is offline")]
    assert json.loads(path.read_text())["metrics"] == {"MASE": 0.5}

    monkeypatch.setattr(outside, "months", outside.nowhere)
    assert rescore(out, ["MASE"]).empty


@pytest.mark.parametrize("missing", ["spec", "predictions_sha256"])
def test_a_row_of_an_older_version_is_refused(missing, out):
    edit(out, "last", **{missing: None})
    with pytest.raises(DataError, match=r"h3, last was scored by an older version: remove .*\.json and run mine again"):
        rescore(out)


def test_ones_own_metric_joins_the_others(out, own):
    scores = pd.read_parquet(out / "scores.parquet")
    changed = rescore(out, ["mine:worst"])
    assert changed["metric"].unique().tolist() == ["WORST"]
    assert changed["task"].unique().tolist() == ["h3"]  # of the other it says nothing
    again = pd.read_parquet(out / "scores.parquet")
    expected = pd.read_parquet(predictions(out, "last"))["0.5"].max()
    assert again.set_index(["task", "model"]).loc[("h3", "last"), "WORST"] == expected
    pd.testing.assert_frame_equal(again.drop(columns="WORST"), scores)  # keys and all
    assert rescore(out, ["mine:worst"]).empty
    assert len(plan_and_run(out)[0].todo) == 0


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        ("RMSES", "no task here has a metric RMSES; did you mean RMSE"),
        ("beauty", "no task here has a metric BEAUTY; known: "),
        ("mine:fails", "the metric FAILS fails on the task h3: ZeroDivisionError: division by zero"),
        ("mine:words", "the metric WORDS fails on the task h3: ValueError"),
        ("mine:mase", "forecast tasks have a metric MASE already: give your function another name"),
        ("mine:number", "the metric mine:number is no function"),
        ("mine:none", "the metric mine:none cannot be imported: AttributeError"),
        ("yours:none", "the metric yours:none cannot be imported: ModuleNotFoundError"),
        (":", "the metric : cannot be imported"),
    ],
)
def test_a_metric_that_cannot_be_had_is_refused_and_nothing_is_written(metric, sentence, out, own):
    edit(out, "last", metrics={"MASE": 0.5})
    before = content(out)
    with pytest.raises(RecipeError, match=sentence):
        rescore(out, ["MASE", metric])
    assert content(out) == before


def test_the_command_prints_what_changed(out, own, stillroom):
    edit(out, "last", metrics={"MASE": 0.5})
    done = stillroom("bench", "rescore", out, "--metric", "MASE", "--metric", "mine:worst", "--json", cwd=own)
    assert done.returncode == 0, done.stderr
    [value] = [value for value in json.loads(done.stdout)["changed"] if value["metric"] == "MASE"]
    assert (value["task"], value["model"], value["before"]) == ("h3", "last", 0.5)
    assert value["after"] > 0.5
    done = stillroom("bench", "rescore", out)
    assert "RMSSE" in done.stdout
    assert "scores changed" in done.stdout
    assert stillroom("bench", "rescore", out).stdout == "nothing changed\n"
    refused = stillroom("bench", "rescore", out, "--metric", "mine:fails", cwd=own)
    assert refused.returncode == 2
    assert refused.stderr == "error: the metric FAILS fails on the task h3: ZeroDivisionError: division by zero\n"
    assert stillroom("bench", "rescore", own).returncode == 2


def test_data_missing_on_the_command_line_is_said(out, outside, stillroom):
    (outside / "outside.py").write_text((outside / "outside.py").read_text() + "\n\nmonths = nowhere\n")
    done = stillroom("bench", "rescore", out)
    assert (done.returncode, done.stdout) == (0, "nothing changed\n")
    assert "left as it was h3: the archive is offline" in done.stderr


def test_rows_that_failed_stay_as_they_are(out):
    failed = {name: row for name, row in read_rows(out).items() if row["status"] == "failed"}
    rescore(out)
    assert len(failed) == 2
    assert failed.items() <= read_rows(out).items()


def test_a_mistake_in_the_data_is_said_and_not_passed_over(out, outside, monkeypatch):
    def torn():
        raise DataError("the file is torn")

    monkeypatch.setattr(sys.modules["outside"], "months", torn)
    with pytest.raises(DataError, match="the file is torn"):
        rescore(out)
