"""The .npy format (NumPy enhancement proposal 1), read strictly: the header is judged before anything is allocated."""

import warnings
from io import BufferedIOBase
from math import prod

import numpy as np
from numpy.lib import format as npy_format

__all__ = ["MAGIC", "read_npy"]

MAGIC = b"\x93NUMPY"
# Version 3.0 is 2.0 with names of fields in UTF-8 instead of Latin-1: such an array is no image and no checkpoint.
HEADERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
    (3, 0): npy_format.read_array_header_2_0,
}


def read_npy(file: BufferedIOBase, size: int) -> np.ndarray:
    """The array of a .npy file of ``size`` bytes, at whose beginning ``file`` is.

    An array of Python objects comes back empty, with its dtype: it is never unpickled. Raises ValueError for anything
    else than a whole .npy file, whatever its header promises.
    """
    try:
        header = HEADERS[npy_format.read_magic(file)]
        with warnings.catch_warnings(action="ignore"):  # of a header that Python 2 wrote
            shape, fortran, dtype = header(file)
    except Exception as error:  # NumPy hands the header to Python's parser, which raises almost anything
        raise ValueError(f"no header of a .npy file ({type(error).__name__})") from error
    if dtype.hasobject:
        return np.empty(0, dtype)
    wanted = prod(shape) * dtype.itemsize  # Python integers: no overflow, however wild the header
    if min(shape, default=0) < 0 or dtype.itemsize == 0 or wanted != size - file.tell():
        raise ValueError(f"{size - file.tell()} bytes of values, its header says {wanted}")
    values = bytearray(wanted)
    if file.readinto(values) != wanted:
        raise ValueError("fewer bytes than the file should have")
    return np.frombuffer(values, dtype).reshape(shape, order="F" if fortran else "C")
