from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from stillroom.core.errors import CorruptError, DataError
from stillroom.core.tensors import pack, unpack

NUMBERS = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?", ">f8", ">i4"]
DTYPES = st.sampled_from(NUMBERS).map(np.dtype)
ARRAYS = DTYPES.flatmap(lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, min_side=0, max_side=4)))
TENSORS = st.dictionaries(st.text(st.characters(codec="utf-8")).filter(lambda name: name != "__metadata__"), ARRAYS)


@settings(deadline=None, max_examples=50)
@given(TENSORS)
def test_arrays_come_back_bit_for_bit(tensors):
    back = unpack(pack(tensors))
    assert sorted(back) == sorted(tensors)
    for name, array in tensors.items():
        assert back[name].shape == array.shape
        assert back[name].dtype == array.dtype.newbyteorder("<")
        assert back[name].tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()


@settings(deadline=None, max_examples=50)
@given(TENSORS)
def test_the_bytes_do_not_depend_on_the_order_of_names_or_of_memory(tensors):
    turned = {name: np.array(array, order="F") for name, array in reversed(tensors.items())}
    assert pack(turned) == pack(tensors)


@settings(deadline=None, max_examples=50)
@given(TENSORS)
def test_the_safetensors_reference_reads_what_we_write(tensors):
    reference = pytest.importorskip("safetensors.numpy")
    back = reference.load(pack(tensors))
    assert sorted(back) == sorted(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(back[name], array)


@settings(deadline=None, max_examples=50)
@given(TENSORS.filter(len))
def test_we_read_what_the_safetensors_reference_writes(tensors):
    reference = pytest.importorskip("safetensors.numpy")
    little = {name: array.astype(array.dtype.newbyteorder("<")) for name, array in tensors.items()}
    back = unpack(reference.save(little, metadata={"made by": "the reference"}))
    for name, array in tensors.items():
        np.testing.assert_array_equal(back[name], array)


def test_torch_tensors_are_stored_as_their_numpy_selves():
    torch = pytest.importorskip("torch")
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = torch.tensor(array, requires_grad=True)
    assert pack({"x": tensor.T}) == pack({"x": array.T})


def test_bfloat16_takes_two_bytes_and_comes_back_as_float32():
    torch = pytest.importorskip("torch")
    tensor = torch.randn(100, 3).to(torch.bfloat16)
    data = pack({"x": tensor})
    assert len(data) < 600 + 100
    np.testing.assert_array_equal(unpack(data)["x"], tensor.float().numpy())


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.array([1j]), np.array([None]), np.array(["2024-01-01"], "M8[D]")]
)
def test_what_is_not_a_number_is_refused_by_name(array):
    with pytest.raises(DataError, match="the tensor 'x' has dtype"):
        pack({"x": array})


def test_bytes_that_end_too_early_are_found_out():
    data = pack({"x": np.arange(10.0)})
    for end in range(len(data)):
        with pytest.raises(CorruptError, match="damaged"):
            unpack(data[:end])
