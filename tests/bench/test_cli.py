"""The real command in real processes: results, exit codes, sentences."""

from __future__ import annotations

import json
import os

import pandas as pd
import pytest


def test_your_own_file_is_judged_without_yaml(stillroom, shops, tmp_path):
    out = tmp_path / "out"
    done = stillroom(
        "bench", "run", "--data", shops, "--prediction-length", 6, "--windows", 3, "--item-id", "shop",
        "--timestamp", "month", "--target", "sales", "--model", "auto-theta", "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "seasonal-naive" in done.stdout
    assert "auto-theta" in done.stdout
    scores = pd.read_parquet(out / "scores.parquet").set_index("model")
    assert scores["status"].tolist() == ["ok", "ok"]
    assert scores.loc["seasonal-naive", "MASE"] == pytest.approx(1)  # a trend of one a month, before and after
    assert scores.loc["auto-theta", "MASE"] < 1

    board = stillroom("bench", "leaderboard", out, "--export", tmp_path / "board.csv", "--json")
    models = json.loads(board.stdout)["boards"][0]["models"]
    assert [row["model"] for row in models] == ["auto-theta", "seasonal-naive"]
    assert pd.read_csv(tmp_path / "board.csv")["relative_WQL"].tolist() == pytest.approx(
        [r["relative_WQL"] for r in models]
    )
    assert models[0]["relative_WQL_low"] is None
    shown = stillroom("bench", "leaderboard", out).stdout
    assert "auto-theta" in shown
    assert "one task: there is nothing to resample, so there are no intervals" in shown


def test_json_goes_to_stdout_and_everything_else_to_stderr(stillroom, shops, tmp_path):
    done = stillroom(
        "bench", "run", "--data", shops, "--prediction-length", 6, "--item-id", "shop", "--timestamp", "month",
        "--target", "sales", "--out", tmp_path / "out", "--executor", "in-process", "--json",
    )  # fmt: skip
    rows = json.loads(done.stdout)["rows"]
    assert [(row["task"], row["model"], row["status"]) for row in rows] == [("shops", "seasonal-naive", "ok")]
    assert rows[0]["reason"] is None
    assert "1 to run, 0 done, 0 skipped" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["demo-forcast"], "did you mean 'demo-forecast'"),
        ([], "name one suite"),
        (["none.yaml"], "there is no suite file none.yaml"),
        (["demo-forecast", "--model", "auto-etz"], "did you mean 'auto-ets'"),
        (["demo-forecast", "--out", "SHOPS"], "is a file: --out names a folder"),
        (["demo-forecast", "--executor", "rays"], "there is no executor 'rays'"),
        (["demo-forecast", "--executor", "in-process", "--workers", "2"], "need a process a job"),
        (["--data", "none.csv", "--prediction-length", "3"], "none.csv"),
        (["--data", "SHOPS"], "--data needs --prediction-length"),
        (["--data", "SHOPS", "--prediction-length", "3", "--target", "profit"], "profit"),
        (["--data", "SHOPS", "--prediction-length", "99", "--target", "sales"], "at least 100"),
        (["--data", "EMPTY", "--prediction-length", "3", "--target", "sales"], "there is nothing to forecast"),
    ],
)
def test_a_mistake_ends_with_exit_code_2_and_one_sentence(arguments, sentence, stillroom, shops, tmp_path):
    empty = tmp_path / "EMPTY.csv"
    empty.write_text("shop,month,sales\n")
    names = {"SHOPS": str(shops), "EMPTY": str(empty)}
    columns = ["--item-id", "shop", "--timestamp", "month"] if "--data" in arguments else []
    out = [] if "--out" in arguments else ["--out", tmp_path / "out"]
    done = stillroom("bench", "run", *(names.get(a, a) for a in arguments), *columns, *out)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_dry_run_lists_everything_and_writes_nothing(stillroom, shops, tmp_path):
    suite = tmp_path / "mine.yaml"
    suite.write_text(
        "defaults: {dataset: shops.csv, item_id: shop, timestamp: month, targets: [sales]}\n"
        "tasks: [{id: half, prediction_length: 6}, {id: year, prediction_length: 12},"
        " {id: far, dataset: 'hub:nobody/nothing/none', prediction_length: 2}]\n"
    )
    line = ["bench", "run", suite, "--model", "auto-theta", "--out", tmp_path / "out"]
    offline = {"env": os.environ | {"HF_HUB_OFFLINE": "1"}}
    before = stillroom(*line, "--dry-run", **offline)
    assert before.returncode == 0, before.stderr
    assert "mine: 4 to run, 0 done, 2 skipped; no estimate (unknown until a row is there: auto-theta" in before.stdout
    assert not (tmp_path / "out").exists()

    stillroom(*line, "--max-series", 1, "--executor", "in-process", **offline)
    listed = json.loads(stillroom(*line, "--dry-run", "--json", **offline).stdout)
    assert {cell["state"] for cell in listed["cells"]} == {"to run", "skipped"}  # one series is another task than two
    assert 0 < listed["estimated_seconds"] < 60
    assert listed["no_estimate_for"] == []

    stillroom(*line, "--executor", "in-process", **offline)
    done = stillroom(*line, "--dry-run", **offline).stdout.splitlines()
    assert done[0].split() == ["done", "half", "seasonal-naive"]
    assert done[-1].startswith("mine: 0 to run, 4 done, 2 skipped")
