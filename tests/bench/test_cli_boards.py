"""`bench leaderboard` and `bench compare` on a folder of hand-made rows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stillroom.bench.compare import read_published
from stillroom.bench.keys import stem
from stillroom.bench.rows import write_row


def write(folder: Path, scores: pd.DataFrame) -> Path:
    """The rows as a run leaves them."""
    for row in scores.to_dict("records"):
        metrics = {name: row.pop(name) for name in ("WQL", "MASE", "CROSSING") if name in row}
        write_row(folder, stem(row["task"], row["model"]), row | {"metrics": metrics})
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Published rows of five models on Benchmark II, as if run here; one leaks, one failed, and one kind is unknown."""
    published = read_published()
    rows = published[published["suite"] == "chronos-benchmark-ii"].drop(columns="source")
    rows = rows[rows["model"].str.contains("t5-(?:tiny|small|large)|bolt-tiny|naive")]
    rows = rows.assign(dataset=rows["task"], inference_seconds=1234.5)
    leaks = (rows["model"] == "amazon/chronos-t5-large") & (rows["task"] == "ETTh")
    failed = (rows["model"] == "amazon/chronos-t5-tiny") & (rows["task"] == "m5")
    rows["leakage"] = leaks
    rows["CROSSING"] = np.where(leaks, 0.25, 0.0)
    rows.loc[failed, "status"] = "failed"
    rows.loc[failed, ["WQL", "MASE"]] = np.nan
    other = rows[rows["task"] == "ercot"].assign(task="toss", kind="coins", suite="coins")
    return write(tmp_path / "scores", pd.concat([rows, other]))


def test_a_leaderboard_fits_into_80_columns(stillroom, folder):
    done = stillroom("bench", "leaderboard", folder, env=os.environ | {"COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    title, _, *table = done.stdout.split("95 %")[0].splitlines()
    assert title == "forecast: 27 tasks, relative to seasonal-naive (lower is better)"
    assert max(map(len, table)) <= 80
    assert "…" not in done.stdout  # a long name is folded, not cut
    assert "failed on 1" in done.stdout
    assert "trained on 1" in done.stdout
    assert "a failed task counts as the score of seasonal-naive" in done.stdout
    assert "ETTh, amazon/chronos-t5-large: 0.25 of all neighbouring quantiles are in the wrong order" in done.stdout
    assert done.stderr.startswith("left out coins: no installed package brings this kind")


def test_options_say_what_is_compared(stillroom, folder):
    done = stillroom(
        "bench", "leaderboard", folder, "--kind", "forecast", "--leakage", "exclude", "--json", "--resamples", 200,
        "--model", "amazon/chronos-t5-large", "--baseline", "amazon/chronos-bolt-tiny", "--pairwise",
    )  # fmt: skip
    assert done.stderr == ""
    [board] = json.loads(done.stdout)["boards"]
    assert {row["model"] for row in board["models"]} == {
        "amazon/chronos-t5-large",
        "amazon/chronos-bolt-tiny",
        "seasonal-naive",
    }
    assert board["baseline"] == "amazon/chronos-bolt-tiny"
    assert board["excluded"] == ["ETTh"]
    assert len(board["tasks"]) == 26
    assert len(board["pairs"]) == 6
    assert json.loads(done.stdout)["flags"][0]["task"] == "ETTh"


def test_the_table_that_is_shown_is_exported(stillroom, folder, tmp_path):
    models = json.loads(stillroom("bench", "leaderboard", folder, "--json").stdout)["boards"][0]["models"]
    stillroom("bench", "leaderboard", folder, "--export", tmp_path / "board.parquet")
    table = pd.read_parquet(tmp_path / "board.parquet")
    assert table["model"].tolist() == [row["model"] for row in models]
    assert table["relative_WQL"].tolist() == [row["relative_WQL"] for row in models]
    shown = stillroom("bench", "leaderboard", folder, "--pairwise", "--export", tmp_path / "pairs.md").stdout
    assert "amazon/chronos-t5-large" in shown
    assert len((tmp_path / "pairs.md").read_text().splitlines()) == 2 + 5 * 4


def test_a_folder_is_compared_with_published_scores(stillroom, folder, tmp_path):
    done = stillroom("bench", "compare", folder, "--published", "--kind", "forecast", "--export", tmp_path / "x.tex")
    assert done.returncode == 0, done.stderr
    assert "chronos-benchmark-ii: 27 tasks, relative to each table's seasonal-naive" in done.stdout
    assert "https://github.com/amazon-science/chronos-forecasting" in done.stdout
    assert "the scores of seasonal-naive in both tables are equal" in done.stdout
    assert "amazon/chronos-t5-large" in (tmp_path / "x.tex").read_text()
    [comparison] = json.loads(stillroom("bench", "compare", folder, "--published", "--json").stdout)["comparisons"]
    large = [row["relative_WQL"] for row in comparison["models"] if row["model"] == "amazon/chronos-t5-large"]
    assert len(large) == 2
    assert large[0] == large[1]


def test_two_folders_are_compared(stillroom, folder):
    done = stillroom("bench", "compare", folder, folder, "--json", "--kind", "forecast")
    [comparison] = json.loads(done.stdout)["comparisons"]
    assert comparison["difference"] == 0
    assert len(comparison["models"]) == 9


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["leaderboard", "EMPTY"], "holds no scores"),
        (["leaderboard", "DIR", "--kind", "coins"], "no installed package brings this kind"),
        (["leaderboard", "DIR", "--suite", "none"], "no scores of the suite 'none'; there are those of"),
        (["leaderboard", "DIR", "--model", "none"], "no scores of 'none'"),
        (["leaderboard", "DIR", "--baseline", "none"], "no scores of the baseline 'none'"),
        (["leaderboard", "DIR", "--leakage", "ignore"], "use flag, exclude, impute"),
        (["leaderboard", "DIR", "--leakage", "impute", "--impute-from", "amazon/chronos-t5-large"], "leaks itself"),
        (["leaderboard", "DIR", "--export", "board.xlsx"], "must end in .csv, .parquet, .md, .tex"),
        (["compare", "DIR"], "name what to compare with"),
        (["compare", "DIR", "EMPTY"], "holds no scores"),
        (["compare", "DIR", "none.csv", "--published"], "none.csv cannot be read"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, sentence, stillroom, folder, tmp_path):
    names = {"DIR": folder, "EMPTY": tmp_path / "empty"}
    done = stillroom("bench", *(names.get(argument, argument) for argument in arguments))
    assert done.returncode == 2, done.stdout
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
