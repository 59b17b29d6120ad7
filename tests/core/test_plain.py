from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.plain import to_plain

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(deadline=None, max_examples=50)
@given(JSON)
def test_what_is_plain_already_stays_as_it_is(value):
    assert to_plain(value) == value


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats()))
def test_the_result_is_always_strict_json(values):
    text = json.dumps(to_plain({"list": values, "array": np.array(values)}), allow_nan=False)
    finite = [value if np.isfinite(value) else None for value in values]
    assert json.loads(text) == {"list": finite, "array": finite}


def test_what_our_results_are_made_of_becomes_plain():
    @dataclass
    class Score:
        wql: np.float32
        at: date

    class Spec(pydantic.BaseModel):
        name: str

    value = {"score": Score(np.float32(0.5), date(2024, 1, 2)), 3: Spec(name="a"), "path": Path("a/b"), "set": {2, 1}}
    assert to_plain(value) == {
        "score": {"wql": 0.5, "at": "2024-01-02"},
        "3": {"name": "a"},
        "path": "a/b",
        "set": [1, 2],
    }


@pytest.mark.parametrize("value", [object(), int, {"deep": [lambda: 0]}])
def test_what_has_no_plain_form_is_refused(value):
    with pytest.raises(TypeError, match="no plain JSON form"):
        to_plain(value)
