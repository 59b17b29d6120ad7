"""Files that hold what the table holds, and text that stays text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stillroom.bench.export import check_ending, texts, write_table
from stillroom.core.errors import DataError, RecipeError

COLUMNS = {"model": ("model", ""), "relative WQL": ("relative_WQL", ".3f"), "win rate": ("win_rate", ".0%")}


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": ["a_b%c&d#e|f", "seasonal-naive"],
            "relative_WQL": [1 / 3, 1.0],
            "relative_WQL_low": [0.1 + 0.2, 1.0],
            "relative_WQL_high": [2 / 3, 1.0],
            "win_rate": [1.0, np.nan],
            "failures": [3, 0],
        }
    )


def test_numbers_come_back_as_they_were(table, tmp_path):
    for ending in (".csv", ".parquet"):
        write_table(table, COLUMNS, tmp_path / f"board{ending}")
    numbers = pd.read_csv(tmp_path / "board.csv", float_precision="round_trip")
    pd.testing.assert_frame_equal(numbers, table, check_exact=True)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "board.parquet"), table, check_exact=True)


def test_markdown_is_a_table_with_pipes_escaped(table, tmp_path):
    path = tmp_path / "board.md"
    write_table(table, COLUMNS, path)
    assert path.read_text(encoding="utf-8").splitlines() == [
        "| model | relative WQL | win rate |",
        "| --- | ---: | ---: |",
        "| a_b%c&d#e\\|f | 0.333 (0.300–0.667) | 100% |",
        "| seasonal-naive | 1.000 |  |",
    ]


def test_latex_is_a_booktabs_table_with_special_characters_escaped(table, tmp_path):
    path = tmp_path / "board.tex"
    write_table(table.rename(columns={"relative_WQL": "x", "win_rate": "y"}), {"a_b": ("model", "")}, path)
    assert "a\\_b \\\\\n" in path.read_text(encoding="utf-8")
    write_table(table, COLUMNS, path)
    assert path.read_text(encoding="utf-8").splitlines() == [
        "\\begin{tabular}{lrr}",
        "\\toprule",
        "model & relative WQL & win rate \\\\",
        "\\midrule",
        "a\\_b\\%c\\&d\\#e|f & 0.333 (0.300--0.667) & 100\\% \\\\",
        "seasonal-naive & 1.000 &  \\\\",
        "\\bottomrule",
        "\\end{tabular}",
    ]


def test_a_value_without_a_real_interval_stands_alone(table):
    assert texts(table, COLUMNS) == [
        [("a_b%c&d#e|f", ""), ("0.333", "0.300–0.667"), ("100%", "")],
        [("seasonal-naive", ""), ("1.000", ""), ("", "")],
    ]


def test_another_ending_is_refused_and_an_unwritable_place_is_said(table, tmp_path):
    with pytest.raises(RecipeError, match=r"board.xlsx must end in .csv, .parquet, .md, .tex"):
        check_ending(tmp_path / "board.xlsx")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_table(table, COLUMNS, tmp_path / "file" / "board.csv")
