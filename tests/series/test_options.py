import json

import pandas as pd
import pytest

from stillroom.core.errors import RecipeError
from stillroom.series.options import check, give, required

FRAME = pd.DataFrame({"item_id": ["a", "b"], "0.5": [1.0, 2.0]})


def test_without_a_file_the_frame_goes_to_stdout_as_csv(capsys):
    give(FRAME, None, False, "2 series")
    assert capsys.readouterr().out == "item_id,0.5\na,1.0\nb,2.0\n"


def test_with_a_file_a_sentence_says_what_is_in_it(tmp_path, capsys):
    give(FRAME, tmp_path / "out.csv", False, "2 series", series=2)
    assert capsys.readouterr().out == f"2 series: {tmp_path / 'out.csv'}\n"
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out.csv"), FRAME)


def test_as_json_it_is_the_rows_or_what_was_written(tmp_path, capsys):
    give(FRAME, None, True, "2 series")
    assert json.loads(capsys.readouterr().out) == FRAME.to_dict(orient="records")
    give(FRAME, tmp_path / "out.csv", True, "2 series", series=2)
    assert json.loads(capsys.readouterr().out) == {"out": str(tmp_path / "out.csv"), "rows": 2, "series": 2}


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    check(None, "data.csv")
    with pytest.raises(RecipeError, match=r"neither a \.csv nor a \.parquet"):
        check(tmp_path / "out.txt")


def test_what_nothing_says_is_one_sentence():
    assert required({"model": "m"}, model="--model") == {"model": "m"}
    with pytest.raises(RecipeError, match="Nothing says data: give the file to learn from, or a recipe that says it"):
        required({"model": "m"}, model="--model", data="the file to learn from")
