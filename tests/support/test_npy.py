"""The .npy reader: what NumPy writes comes back, everything else is a ValueError before anything is allocated."""

import contextlib
import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.lib import format as npy_format

from fivebyfive.support.npy import read_npy


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def read(data: bytes) -> np.ndarray:
    return read_npy(io.BytesIO(data), len(data))


@given(arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, min_side=0)), st.booleans())
def test_what_numpy_writes(array: np.ndarray, fortran: bool) -> None:
    array = np.asfortranarray(array) if fortran else array
    found = read(saved(array))
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()
    assert found.flags.writeable


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_header(version: tuple[int, int]) -> None:
    file, array = io.BytesIO(), np.arange(9, dtype=np.int8)
    npy_format.write_array(file, array, version=version)
    np.testing.assert_array_equal(read(file.getvalue()), array)


def test_names_of_fields_in_utf_8() -> None:
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):  # that it is of version 3.0
        np.save(file, np.zeros(2, [("größe µ Ω", np.uint8)]))
    assert file.getvalue()[6:8] == b"\3\0"
    assert read(file.getvalue()).nbytes == 2


def test_a_header_of_python_2() -> None:
    """NumPy warns of its long integers; here nobody would know what to do."""
    data = saved(np.arange(9, dtype=np.int8)).replace(b"(9,), } ", b"(9L,), }")
    assert list(read(data)) == list(range(9))


@given(st.integers(0, 95), st.integers(1, 255))
def test_a_changed_byte_gives_an_array_or_a_value_error(where: int, change: int) -> None:
    data = bytearray(saved(np.arange(9, dtype=np.int8)))
    data[where] ^= change
    with contextlib.suppress(ValueError):
        assert read(bytes(data)).nbytes <= 9


@pytest.mark.parametrize("length", range(0, 137, 8))
def test_a_file_cut_anywhere(length: int) -> None:
    with pytest.raises(ValueError, match="header"):
        read(saved(np.arange(9, dtype=np.int8))[:length])


@pytest.mark.parametrize("shape", ["(1099511627776,)", "(-1,)", "(1048576, 1048576, 1048576)", "(8,)", "(10,)"])
def test_a_header_that_promises_something_else(shape: str) -> None:
    data = saved(np.arange(9, dtype=np.int8)).replace(b"(9,), }".ljust(40), f"{shape}, }}".encode().ljust(40))
    assert shape.encode() in data
    with pytest.raises(ValueError, match="9 bytes of values"):
        read(data)


@pytest.mark.parametrize("text", ["{'descr': '|i1', (", "[" * 9000, "{'descr': '|i1'\0", "1", "\xff"])
def test_a_header_that_is_no_python(text: str) -> None:
    """NumPy's parser raises SyntaxError, TokenError, MemoryError and others; a caller sees one kind."""
    head = text.encode("latin-1").ljust(9500)
    with pytest.raises(ValueError, match=r"no header of a \.npy file"):
        read(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)


def test_objects_are_not_loaded() -> None:
    file = io.BytesIO()
    np.save(file, np.array([print], dtype=object), allow_pickle=True)
    found = read(file.getvalue())
    assert found.dtype.hasobject
    assert found.size == 0
