"""Named arrays as bytes, in the safetensors format: equal arrays give equal bytes, so that they can be hashed.

Written here in a few lines because the store must not bring torch or safetensors along; the real library reads it.
Layout: eight bytes with the header's length, a JSON header (name → dtype, shape, offsets), the data, little-endian and
in C order (https://huggingface.co/docs/safetensors). It does not know what the arrays are for.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from stillroom.core.errors import CorruptError, DataError

_NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bool": "BOOL",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8",
}  # fmt: skip
_DTYPES = {name: np.dtype(dtype).newbyteorder("<") for dtype, name in _NAMES.items()}


def pack(tensors: Mapping[str, Any]) -> bytes:
    """Return numpy arrays or torch tensors (any device) as bytes; bfloat16 stays two bytes a number.

    Raises
    ------
    DataError
        An array of text, objects, dates or complex numbers.
    """
    arrays = {name: _plain_array(name, tensor) for name, tensor in tensors.items()}
    # Wide numbers first, so that each array starts at a multiple of its item size.
    order = sorted(arrays, key=lambda name: (-arrays[name][1].itemsize, name))
    header: dict[str, Any] = {}
    offset = 0
    for name in order:
        dtype, array = arrays[name]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *(arrays[name][1].tobytes() for name in order)])


def unpack(data: bytes) -> dict[str, np.ndarray]:
    """Return the arrays by name, in order of name; bfloat16, which numpy lacks, comes back as float32, value for value.

    Raises
    ------
    CorruptError
        The bytes are not such a file, or end too early.
    """
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        return {name: _read(data, 8 + length, header[name]) for name in sorted(header) if name != "__metadata__"}
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptError(f"a tensor file is damaged: {error}") from error


def _plain_array(name: str, tensor: Any) -> tuple[str, np.ndarray]:
    """The format's name of the dtype, and the array as it is written."""
    dtype = None
    if hasattr(tensor, "detach"):  # torch, without importing it
        tensor = tensor.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            import torch

            tensor, dtype = tensor.contiguous().view(torch.int16), "BF16"
        tensor = tensor.numpy()
    array = np.asarray(tensor)
    dtype = dtype or _NAMES.get(array.dtype.name)
    if dtype is None:
        raise DataError(f"the tensor {name!r} has dtype {array.dtype}: only real numbers and booleans can be stored")
    return dtype, array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)


def _read(data: bytes, start: int, entry: Mapping[str, Any]) -> np.ndarray:
    begin, end = entry["data_offsets"]
    half = entry["dtype"] == "BF16"
    dtype = np.dtype("<u2") if half else _DTYPES[entry["dtype"]]
    array = np.frombuffer(data[start + begin : start + end], dtype).reshape(entry["shape"])
    # A bfloat16 is the upper half of a float32. The copy makes the array writable.
    return (array.astype("<u4") << 16).view("<f4") if half else array.copy()
