from __future__ import annotations

import pandas as pd
import pytest

from stillroom.core.errors import DataError, RecipeError
from stillroom.series.writing import check_out, levels_of, write_frame


@pytest.mark.parametrize("name", ["frame.csv", "frame.parquet"])
def test_a_frame_is_written_and_read_back_the_same(tmp_path, name):
    frame = pd.DataFrame({"item_id": ["a", "b"], "0.5": [1.5, float("nan")]})
    write_frame(frame, tmp_path / name)
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    pd.testing.assert_frame_equal(read(tmp_path / name), frame)


def test_what_cannot_be_written_is_refused_beforehand(tmp_path):
    check_out(tmp_path / "new.csv", None, "hub:owner/name/set", tmp_path / "old.csv")
    with pytest.raises(RecipeError, match=r"neither a .csv nor a .parquet"):
        check_out(tmp_path / "new.xlsx")
    with pytest.raises(RecipeError, match="write to another file"):
        check_out(tmp_path / "old.csv", f"{tmp_path}/./old.csv")
    with pytest.raises(DataError, match="no folder"):
        check_out(tmp_path / "nowhere" / "new.csv")


def test_levels_are_read_and_words_refused():
    assert levels_of("0.1, 0.5,0.9") == [0.1, 0.5, 0.9]
    with pytest.raises(RecipeError, match="no quantile levels"):
        levels_of("ten")
