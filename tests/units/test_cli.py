from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from stillroom.core.errors import DataError, UserError
from stillroom.units.cli import app
from stillroom.units.families import load

RUN = CliRunner()
SHAPE = {
    "patch_size": 4, "d_model": 8, "num_layers": 1, "num_heads": 2, "d_ff": 8, "prompt_tokens": 2, "operator_size": 4,
    "max_length": 128,
}  # fmt: skip


def say(*arguments):
    """What a command prints; an error of its is raised."""
    answer = RUN.invoke(app, [str(argument) for argument in arguments])
    if answer.exception is not None:
        raise answer.exception
    return answer.stdout


def table(text):
    return pd.read_csv(StringIO(text))


@pytest.fixture(scope="module")
def csv(frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "mine.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def speed(make_shapes, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "speed.npz"
    (learn, names), (test, tested) = make_shapes(40, 24), make_shapes(10, 24, seed=1)
    np.savez(path, X_train=np.stack(learn), y_train=names, X_test=np.stack(test), y_test=tested)
    return path


@pytest.fixture(scope="module")
def series_csv(make_shapes, tmp_path_factory):
    """Ten series of two classes in one file, and a table with the labels of the first eight."""
    folder = tmp_path_factory.mktemp("data")
    series, names = make_shapes(10, 24)
    days = pd.date_range("2024-01-01", periods=24, freq="D")
    parts = [pd.DataFrame({"item_id": f"s{k}", "timestamp": days, "target": row[0]}) for k, row in enumerate(series)]
    pd.concat(parts).to_csv(folder / "series.csv", index=False)
    pd.DataFrame({"item_id": [f"s{k}" for k in range(8)], "label": names[:8]}).to_csv(
        folder / "labels.csv", index=False
    )
    return folder / "series.csv"


def test_a_file_is_forecast_to_stdout_as_csv(folder, frame, csv):
    before = csv.read_bytes()
    printed = table(say("forecast", csv, "--model", folder, "-h", 4, "--quantiles", "0.1,0.5,0.9"))
    expected = load(folder).forecast(frame[["item_id", "timestamp", "target"]], 4, [0.1, 0.5, 0.9])
    printed["timestamp"] = pd.to_datetime(printed["timestamp"])
    pd.testing.assert_frame_equal(printed, expected, check_dtype=False, rtol=1e-5)
    assert csv.read_bytes() == before


def test_a_result_is_written_whole_and_summed_up_in_json(folder, csv, tmp_path):
    for name in ("forecast.csv", "forecast.parquet"):
        out = tmp_path / name
        said = json.loads(say("forecast", csv, "--model", folder, "-h", 4, "--out", out, "--json"))
        assert (said["series"], said["rows"], said["out"]) == (3, 12, str(out))
        assert len(pd.read_csv(out) if name.endswith("csv") else pd.read_parquet(out)) == 12
    assert say("forecast", csv, "--model", folder, "-h", 4, "--out", out).startswith("3 series, 4 steps each: ")
    rows = json.loads(say("forecast", csv, "--model", folder, "-h", 4, "--json"))
    assert set(rows[0]) >= {"item_id", "timestamp", "target_name", "predictions", "0.1", "0.9"}


def test_several_columns_are_forecast_together(folder, csv):
    printed = table(say("forecast", csv, "--model", folder, "-h", 2, "--target", "target", "--target", "other"))
    assert printed["target_name"].tolist() == ["target", "target", "other", "other"] * 3


def test_a_labelled_set_teaches_and_its_test_split_is_told(folder, speed, tmp_path):
    printed = table(say("classify", speed, "--model", folder, "--head", "ridge"))
    assert list(printed.columns) == ["item_id", "label", "predicted", "fast", "slow"]
    np.testing.assert_allclose(printed[["fast", "slow"]].sum(axis=1), 1, atol=1e-6)
    out = tmp_path / "told.csv"
    said = json.loads(say("classify", speed, "--model", folder, "--head", "ridge", "--out", out, "--json"))
    assert said["accuracy"] == (printed["label"] == printed["predicted"]).mean() >= 0.9


def test_series_with_labels_teach_the_class_of_those_without(folder, series_csv, make_shapes):
    labels = series_csv.with_name("labels.csv")
    printed = table(say("classify", series_csv, "--model", folder, "--labels", labels, "--head", "ridge"))
    assert printed["item_id"].tolist() == ["s8", "s9"]
    assert "label" not in printed
    (series, names), units = make_shapes(10, 24), load(folder)
    units.fit_classes(series[:8], names[:8], head="ridge")
    np.testing.assert_allclose(printed[["fast", "slow"]], units.classify(series[8:]), atol=1e-4)


def test_a_task_of_the_model_tells_series_without_learning(folder, series_csv):
    printed = table(say("classify", series_csv, "--model", folder, "--task", "gestures"))
    assert list(printed.columns) == ["item_id", "predicted", "left", "right", "still"]
    assert len(printed) == 10


def test_gaps_are_filled_and_the_rest_stays(folder, frame, csv):
    printed = table(say("impute", csv, "--model", folder))
    assert printed["target"].notna().all()
    seen = frame["target"].notna().to_numpy()
    np.testing.assert_allclose(printed["target"][seen], frame["target"][seen])
    assert "3 values filled" in say("impute", csv, "--model", folder, "--out", csv.with_name("filled.csv"))


def test_strange_steps_after_a_normal_start_are_scored(folder, csv, frame):
    printed = table(say("detect", csv, "--model", folder, "--train", 0.5))
    assert printed.groupby("item_id").size().to_dict() == {"a": 30, "b": 15, "c": 3}
    assert list(printed.columns) == ["item_id", "timestamp", "score", "alarm"]
    assert np.isfinite(printed["score"]).all()
    last = frame.groupby("item_id")["timestamp"].max().astype(str)
    assert printed.groupby("item_id")["timestamp"].max().to_dict() == last.to_dict()
    some = table(say("detect", csv, "--model", folder, "--train", 4))
    assert some.groupby("item_id").size().to_dict() == {"a": 56, "b": 26, "c": 1}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["forecast", "DATA", "--model", "nowhere", "-h", 4], "'nowhere'"),
        (["forecast", "nowhere.csv", "--model", "MODEL", "-h", 4], "no file"),
        (["forecast", "DATA", "--model", "MODEL", "-h", 4, "--target", "sales"], "no column 'sales'"),
        (["forecast", "DATA", "--model", "MODEL", "-h", 4, "--quantiles", "ten"], "no quantile levels"),
        (["forecast", "DATA", "--model", "MODEL", "-h", 4, "--quantiles", "0.5,1.5"], "strictly between 0 and 1"),
        (["forecast", "DATA", "--model", "MODEL", "-h", 4, "--out", "DATA"], "write to another file"),
        (["forecast", "DATA", "--model", "MODEL", "-h", 4, "--out", "x.xlsx"], r"neither a .csv nor a .parquet"),
        (["forecast", "DATA", "--model", "MODEL", "-h", 4000], "prediction_length must be between"),
        (["classify", "DATA", "--model", "MODEL"], "no labelled data set"),
        (["classify", "DATA", "--model", "MODEL", "--task", "forecast"], "no classes for the task 'forecast'"),
        (["classify", "DATA", "--model", "MODEL", "--task", "t", "--labels", "DATA"], "not both"),
        (["classify", "DATA", "--model", "MODEL", "--labels", "DATA"], "no column 'label'"),
        (["classify", "DATA", "--model", "MODEL", "--labels", "LABELS"], "a label for none of the series"),
        (["classify", "SPEED", "--model", "MODEL", "--head", "tail"], "head"),
        (["impute", "nowhere.csv", "--model", "MODEL"], "no file"),
        (["detect", "DATA", "--model", "MODEL", "--train", 0.1], "--train 0.1 does not cut in two"),
        (["detect", "DATA", "--model", "MODEL", "--train", 2.5], "neither a share below 1 nor a whole number"),
        (["detect", "DATA", "--model", "MODEL", "--train", 0.5, "--quantile", 2], "strictly between 0 and 1"),
        (["pretrain", "nowhere.yaml", "--out", "x"], "no file nowhere.yaml"),
        (["adapt", "--model", "MODEL"], "Nothing says sources: give --classes or --panel"),
        (["adapt", "--classes", "SPEED"], "Nothing says model: give --model"),
        (["adapt", "--classes", "SPEED", "--model", "MODEL", "--method", "lorra"], "did you mean 'lora'"),
        (["adapt", "--classes", "SPEED", "--model", "MODEL", "--share", 2], "share"),
        (["adapt", "--classes", "SPEED", "--model", "MODEL", "--job", "dream"], "mix.jobs.dream"),
        (["distill", "--panel", "DATA"], "Nothing says teacher: give --teacher"),
    ],
)
def test_each_mistake_has_its_sentence(folder, csv, speed, series_csv, arguments, sentence):
    names = {"DATA": csv, "MODEL": folder, "SPEED": speed, "LABELS": series_csv.with_name("labels.csv")}
    with pytest.raises(UserError, match=sentence) as caught:
        say(*(names.get(argument, argument) for argument in arguments))
    assert "\n" not in str(caught.value)


def test_labels_for_every_series_leave_none_to_tell(folder, series_csv, tmp_path):
    labels = tmp_path / "all.csv"
    pd.DataFrame({"item_id": [f"s{k}" for k in range(10)], "label": "x"}).to_csv(labels, index=False)
    with pytest.raises(DataError, match="none left to be told"):
        say("classify", series_csv, "--model", folder, "--labels", labels)


def test_a_model_is_pretrained_adapted_and_distilled_from_the_shell(speed, csv, tmp_path):
    train = {"steps": 4, "batch_size": 8, "learning_rate": 0.01, "eval_every": 2}
    mix = {"context_lengths": [16, 32], "horizons": [4, 8], "cells": 600}
    recipe = {"model": SHAPE, "sources": {"synthetic": {"shares": {"seasonal": 1.0}}}, "mix": mix, "train": train}
    (tmp_path / "pretrain.yaml").write_text(yaml.safe_dump(recipe))
    said = json.loads(say("pretrain", tmp_path / "pretrain.yaml", "--out", tmp_path / "model", "--json"))
    assert said["run"] == str(tmp_path / "model")

    (tmp_path / "adapt.yaml").write_text(yaml.safe_dump({"mix": mix, "train": train}))
    adapt = ["adapt", "--model", tmp_path / "model", "--recipe", tmp_path / "adapt.yaml", "--out", tmp_path / "adapted"]
    said = json.loads(say(*adapt, "--classes", speed, "--share", 0.5, "--steps", 2, "--json"))
    assert said["items"] == {"classify/speed": 4}
    again = say(*adapt, "--classes", speed, "--share", 0.5, "--steps", 2)
    assert said["verdict"]["sentence"] in again
    assert "accuracy/speed: " in again
    assert load(tmp_path / "adapted").tasks["speed"] == ["fast", "slow"]

    recipe = {"mix": {**mix, "jobs": {"forecast": 1.0}}, "train": train, "student": SHAPE}
    (tmp_path / "distill.yaml").write_text(yaml.safe_dump(recipe))
    out = ["--recipe", tmp_path / "distill.yaml", "--out", tmp_path / "student"]
    printed = say("distill", "--teacher", tmp_path / "model", "--panel", csv, "--steps", 2, *out)
    assert "forecast/mine: " in printed
    assert "(teacher)" in printed
    assert load(tmp_path / "student").model.config.d_model == 8


def test_help_imports_no_torch():
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom stillroom.units.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\nassert 'torch' not in sys.modules\n"
        "import stillroom.units.units\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
