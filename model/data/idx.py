"""The idx format of MNIST and its relatives: strict in reading, byte for byte the original in writing.

Two zero bytes, a type (0x08: unsigned byte; 0x0C: int32, for QMNIST's labels alone), the number of dimensions, each
dimension as a big-endian 32-bit number, then the values. After Y. LeCun, C. Cortes, C. Burges, The MNIST
database of handwritten digits.
"""

import gzip
import io
import struct
import zlib
from pathlib import Path

import numpy as np

from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import read_limited

__all__ = ["INT", "MAX_BYTES", "UBYTE", "idx_bytes", "parse_idx", "read_idx", "unpacked"]

MAX_BYTES = 256 << 20  # unpacked: five times the MNIST training images
UBYTE, INT = 0x08, 0x0C
TYPES: dict[int, np.dtype] = {UBYTE: np.dtype(np.uint8), INT: np.dtype(">i4")}
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path | str, dimensions: int) -> np.ndarray:
    """The uint8 array of that many dimensions in an idx file, gzip-compressed or not. Raises UserError."""
    data = read_limited(path, MAX_BYTES, "data set")
    return parse_idx(unpacked(data, str(path)), str(path), dimensions)


def unpacked(data: bytes, name: str, limit: int | None = None) -> bytes:
    """``data`` without a gzip wrapping. Raises UserError where it is damaged, or longer than ``limit`` bytes, by
    default `MAX_BYTES`."""
    limit = MAX_BYTES if limit is None else limit
    if data[:2] == GZIP_MAGIC:
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(limit + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{name} is damaged or truncated ({error}); get it again") from error
    if len(data) > limit:
        raise UserError(f"{name} is larger than {limit >> 20} MiB unpacked; no data set is read that is")
    return data


def parse_idx(data: bytes, name: str, dimensions: int, kind: int = UBYTE) -> np.ndarray:
    """The array in the bytes of an idx file that must have that many dimensions and be of type ``kind``: uint8, or
    big-endian int32. Raises UserError."""
    if len(data) < 4 or data[:2] != b"\0\0":
        raise UserError(f"{name} is not an idx file; give the files of MNIST or of a set in its format")
    if data[2] != kind:
        wanted = "only unsigned bytes (0x08) can be pixels or labels" if kind == UBYTE else f"it should be 0x{kind:02x}"
        raise UserError(f"{name} holds idx type 0x{data[2]:02x}; {wanted}")
    if data[3] != dimensions:
        raise UserError(f"{name} has {data[3]} dimensions instead of {dimensions}; are images and labels swapped?")
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise UserError(f"{name} is truncated within its header; get it again")
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    count = 1
    for size in shape:
        count *= size  # Python integers: no overflow, however wild the header
    if not count:  # its other sizes may be too large for an array
        raise UserError(f"{name} holds no values, its header says {' x '.join(map(str, shape))}; get it again")
    have, rest = divmod(len(data) - start, TYPES[kind].itemsize)
    if have != count or rest:
        problem = "is truncated" if have < count else "has bytes after its end"
        raise UserError(f"{name} {problem}: {have} values, its header says {count}; get it again")
    return np.frombuffer(data, TYPES[kind], offset=start).reshape(shape)


def idx_bytes(array: np.ndarray) -> bytes:
    """The idx file of a uint8 array."""
    if array.dtype != np.uint8:
        raise ValueError(f"idx files hold uint8 here, not {array.dtype}")
    return bytes([0, 0, UBYTE, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
