from __future__ import annotations

import json
import os
import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

from stillroom.chronos.cli import app
from stillroom.chronos.families import load
from stillroom.chronos.forecast import forecast
from stillroom.core.errors import DataError, UserError

RUN = CliRunner()


def stillroom(*arguments, **environment) -> subprocess.CompletedProcess:
    """The real command in a real process."""
    code = "from stillroom.core.cli import main; main()"
    command = [sys.executable, "-c", code, "chronos", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)


@pytest.fixture(scope="module")
def csv(frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "mine.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def season_csv(season_panel, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "seasons.csv"
    season_panel.to_frame().to_csv(path, index=False)
    return path


def test_a_file_is_forecast_to_stdout_as_csv(folders, frame, csv):
    from io import StringIO

    before = csv.read_bytes()
    answer = stillroom(
        "forecast", csv, "--model", folders["bolt"], "--prediction-length", 4, "--quantiles", "0.1,0.5,0.9"
    )
    assert answer.returncode == 0, answer.stderr
    printed = pd.read_csv(StringIO(answer.stdout), parse_dates=["timestamp"])
    expected = forecast(folders["bolt"], frame, 4, [0.1, 0.5, 0.9])
    pd.testing.assert_frame_equal(printed, expected, check_dtype=False, rtol=1e-5)
    assert csv.read_bytes() == before


def test_what_the_user_did_wrong_is_one_sentence_and_exit_code_2(folders, csv, tmp_path):
    """One real process for the whole way from mistake to exit code; the sentences themselves follow below."""
    answer = stillroom("forecast", tmp_path / "gone.csv", "--model", folders["bolt"], "-h", 4)
    assert (answer.returncode, answer.stdout) == (2, "")
    (line,) = [line for line in answer.stderr.splitlines() if line.startswith("error:")]
    assert "There is no file" in line
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["DATA", "--model", "nowhere"], "no model 'nowhere'"),
        (["DATA", "--model", "BOLT", "--target", "sales"], "no column 'sales'"),
        (["DATA", "--model", "BOLT", "--quantiles", "ten"], "no quantile levels"),
        (["DATA", "--model", "BOLT", "--quantiles", "0.5,1.5"], "strictly between 0 and 1"),
        (["DATA", "--model", "BOLT", "--out", "DATA"], "write to another file"),
        (["DATA", "--model", "BOLT", "--out", "x.xlsx"], "neither a .csv nor a .parquet"),
        (["DATA", "--model", "BOLT", "--out", "nowhere/x.csv"], "no folder nowhere"),
        (["DATA", "--model", "BOLT", "--future", "gone.csv"], "There is no file"),
        (["EMPTY", "--model", "BOLT"], "no rows"),
    ],
)
def test_each_mistake_has_its_sentence(folders, csv, tmp_path, arguments, sentence):
    empty = tmp_path / "empty.csv"
    empty.write_text("item_id,timestamp,target\n")
    names = {"DATA": str(csv), "BOLT": str(folders["bolt"]), "EMPTY": str(empty)}
    answer = RUN.invoke(app, ["forecast", *(names.get(a, a) for a in arguments), "--prediction-length", "4"])
    assert isinstance(answer.exception, UserError)
    assert sentence in str(answer.exception)


def test_a_forecast_is_written_whole_and_summed_up_in_json(folders, csv, tmp_path):
    for name in ("forecast.csv", "forecast.parquet"):
        out = tmp_path / name
        answer = RUN.invoke(
            app, ["forecast", str(csv), "--model", str(folders["bolt"]), "-h", "4", "--out", str(out), "--json"]
        )
        assert answer.exit_code == 0, answer.output
        assert json.loads(answer.stdout)["rows"] == 12
        read = pd.read_csv(out) if name.endswith("csv") else pd.read_parquet(out)
        assert len(read) == 12


def test_json_on_stdout_is_one_record_a_row(folders, csv):
    answer = RUN.invoke(app, ["forecast", str(csv), "--model", str(folders["bolt"]), "-h", "4", "--json"])
    rows = json.loads(answer.stdout)
    assert len(rows) == 12
    assert set(rows[0]) >= {"item_id", "timestamp", "target_name", "predictions", "0.1", "0.9"}


def test_the_future_of_covariates_reaches_chronos2(folders, frame, tmp_path):
    last = frame.groupby("item_id", sort=False)["timestamp"].max()
    future = pd.concat(
        pd.DataFrame({"item_id": i, "timestamp": pd.date_range(t, periods=5, freq="h")[1:], "price": 2.0})
        for i, t in last.items()
    )
    frame.assign(price=1.0).to_csv(tmp_path / "past.csv", index=False)
    future.to_csv(tmp_path / "future.csv", index=False)
    arguments = ["forecast", str(tmp_path / "past.csv"), "-h", "4", "--future", str(tmp_path / "future.csv"), "--json"]
    answer = RUN.invoke(app, [*arguments, "--model", str(folders["chronos2"])])
    assert len(json.loads(answer.stdout)) == 12
    refused = RUN.invoke(app, [*arguments, "--model", str(folders["bolt"])])
    assert "takes no covariates" in str(refused.exception)


def test_adapting_prints_the_verdict_and_its_run_forecasts(folders, season_csv, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("prediction_length: 8\ntrain: {batch_size: 8, eval_every: 5, steps: 500}\n")
    out = tmp_path / "run"
    arguments = ["adapt", str(season_csv), "--model", str(folders["bolt"]), "--recipe", str(recipe), "--steps", "5"]
    answer = RUN.invoke(app, [*arguments, "--method", "ia3", "--out", str(out), "--json"])
    assert answer.exit_code == 0, answer.output
    said = json.loads(answer.stdout)
    assert said["verdict"]["n"] == 24
    assert json.loads((out / "run.json").read_text())["recipe"]["adapter"]["method"] == "ia3"
    again = RUN.invoke(app, [*arguments, "--method", "ia3", "--out", str(out)])
    assert said["verdict"]["sentence"] in again.output
    assert load(out).kind == "bolt"


def test_distilling_prints_teacher_and_student(folders, season_csv, tmp_path):
    arguments = ["distill", str(season_csv), "--teacher", str(folders["bolt"]), "--student", "0.5", "-h", "8"]
    answer = RUN.invoke(app, [*arguments, "--steps", "2", "--targets", "stored", "--out", str(tmp_path / "run")])
    assert answer.exit_code == 0, answer.output
    assert "teacher: 10,880 parameters" in answer.output
    assert load(tmp_path / "run").kind == "bolt"


def test_a_verb_without_data_model_or_horizon_says_which(season_csv):
    for arguments, missing in (
        ([], "data"),
        ([str(season_csv)], "model"),
        ([str(season_csv), "--model", "x"], "prediction_length"),
    ):
        answer = RUN.invoke(app, ["adapt", *arguments])
        assert f"Nothing says {missing}" in str(answer.exception)


def test_merging_what_is_no_adapter_is_refused(folders, tmp_path):
    answer = RUN.invoke(app, ["merge", str(folders["bolt"]), str(tmp_path / "out")])
    assert "nothing to merge" in str(answer.exception)


def test_no_network_is_said_as_such(csv, tmp_path):
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    answer = stillroom("forecast", csv, "--model", "amazon/chronos-bolt-nano", "-h", 4, **offline)
    assert answer.returncode == 2
    assert "cannot be reached" in answer.stderr


def test_help_imports_no_torch():
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom stillroom.chronos.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_of_functions_hide_modules_of_the_same_name():
    import stillroom.chronos.adapt
    from stillroom.chronos import adapt, distill, forecast

    assert callable(adapt)
    assert callable(distill)
    assert callable(forecast)
    assert not issubclass(DataError, AttributeError)
    with pytest.raises(AttributeError, match="no attribute 'adopt'"):
        stillroom.chronos.adopt  # noqa: B018
