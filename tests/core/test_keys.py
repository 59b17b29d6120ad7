from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from stillroom.core.errors import DataError
from stillroom.core.keys import key

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
PARTS = st.dictionaries(
    st.text(min_size=1),
    st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10),
)


def reverse(value):
    """The same value, every mapping in the opposite order and every list a tuple."""
    if isinstance(value, dict):
        return {name: reverse(item) for name, item in reversed(value.items())}
    return tuple(map(reverse, value)) if isinstance(value, list) else value


@settings(deadline=None, max_examples=50)
@given(PARTS)
def test_a_key_does_not_depend_on_the_order_of_names(parts):
    assert key(**parts) == key(**reverse(parts))
    assert len(key(**parts)) == 64


@settings(deadline=None, max_examples=50)
@given(PARTS, PARTS)
def test_different_parts_have_different_keys(first, second):
    assume(repr(first) != repr(second) and first != second)
    assert key(**first) != key(**second)


def test_kinds_that_python_calls_equal_are_told_apart():
    values = [1, 1.0, True, "1", b"1", [1], {"1": 1}, {"1": None}, None, 0, 0.0, False, "", b"", [], {}, [[]], "None"]
    values += [float("nan"), float("inf"), "NaN", np.array(1), np.array([1]), np.array([1.0]), np.array([[1]])]
    values += [["list", [1]], ["mapping", []], ["bytes", "1"]]
    assert len({key(value=value) for value in values}) == len(values)


def test_a_nan_equals_a_nan():
    assert key(value=float("nan")) == key(value=-float("nan")) == key(value=np.float32("nan"))


def test_numpy_scalars_count_as_pythons():
    assert key(a=np.int64(3), b=np.float64(0.1), c=np.bool_(True)) == key(a=3, b=0.1, c=True)


@settings(deadline=None, max_examples=50)
@given(npst.arrays(np.dtype("f4"), npst.array_shapes(max_dims=3, max_side=3)))
def test_arrays_count_by_dtype_shape_and_content(array):
    torch = pytest.importorskip("torch")
    assert key(x=array) == key(x=np.array(array, order="F")) == key(x=torch.tensor(array)) == key(x=array.astype(">f4"))
    assert key(x=array) != key(x=array.astype("f8"))
    assert key(x=array) != key(x=array[None])
    assert key(x=array) != key(x=array.tolist())
    changed = array.copy()
    changed.flat[-1] = 1 if changed.flat[-1] != 1 else 2
    assert key(x=array) != key(x=changed)


def test_a_key_is_the_same_in_another_process():
    code = "from stillroom.core.keys import key; print(key(b={'z': 1, 'a': 'é'}, a=[0.1, None]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == key(a=(0.1, None), b={"a": "é", "z": 1})


def test_a_key_stays_what_it_has_always_been():
    # Stored targets are found by it for ever: if this fails, the change must not be made.
    assert key(teacher="t", options={"temperature": 0.5, "n": 1}, x=np.arange(3.0)) == (
        "8e31176592f4ff71e7976f49b47fadaedafeba46977ad7524ad808d1545cb24c"
    )


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, np.array(["a"]), {1: "a"}])
def test_what_has_no_definite_content_is_refused(value):
    with pytest.raises((TypeError, DataError), match=r"key|dtype"):
        key(value=value)
