"""A user's frame or file, by the columns that a recipe names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from stillroom.core.errors import DataError
from stillroom.series.reading import Columns, to_panel


@pytest.fixture
def frame() -> pd.DataFrame:
    days = pd.date_range("2024-01-01", periods=4, freq="D")
    return pd.DataFrame({"item_id": "007", "timestamp": days, "target": np.arange(4.0), "price": np.ones(4)})


def test_every_other_column_is_a_covariate_unless_told(frame):
    (item,) = to_panel(frame, Columns())
    assert set(item.past) == {"price"}
    (item,) = to_panel(frame, Columns(covariates=()))
    assert not item.past
    panel = to_panel(frame, Columns(targets=("target", "price")))
    assert panel.targets == ("target", "price")


def test_a_file_says_what_its_frame_says(frame, tmp_path):
    frame.to_csv(tmp_path / "rows.csv", index=False)
    assert to_panel(tmp_path / "rows.csv", Columns()).fingerprint() == to_panel(frame, Columns()).fingerprint()
    pd.DataFrame({"item_id": ["a"], "start": ["2024-01-01"], "target": [[1.0, 2.0]]}).to_json(
        tmp_path / "series.jsonl", orient="records", lines=True
    )
    (item,) = to_panel(tmp_path / "series.jsonl", Columns(freq="D"))
    assert item.target.tolist() == [[1.0, 2.0]]


def test_what_a_future_frame_brings_is_known(frame):
    future = pd.DataFrame(
        {"item_id": "007", "timestamp": pd.date_range("2024-01-05", periods=2, freq="D"), "price": [2.0, 3.0]}
    )
    (item,) = to_panel(frame, Columns(), future)
    assert item.known["price"].tolist() == [1.0, 1.0, 1.0, 1.0, 2.0, 3.0]


def test_a_panel_stays_itself(frame):
    panel = to_panel(frame, Columns())
    assert to_panel(panel, Columns()) is panel


def test_what_cannot_be_read_is_said_in_one_sentence(frame):
    with pytest.raises(DataError, match="no column 'sales'"):
        to_panel(frame, Columns(targets=("sales",)))
    with pytest.raises(DataError, match="no file"):
        to_panel("nowhere.csv", Columns())
    with pytest.raises(ValidationError):
        Columns(target="sales")
