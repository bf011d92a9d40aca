"""The idx reader is strict: every way to be wrong is one clear line."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivebyfive.model.data import idx
from fivebyfive.model.data.idx import idx_bytes, parse_idx, read_idx
from fivebyfive.support.errors import UserError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 1000))
def test_written_and_read(shape, seed):
    array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    again = parse_idx(idx_bytes(array), "it", len(shape))
    assert again.dtype == np.uint8
    assert np.array_equal(again, array)


def test_the_bytes_are_the_documented_ones():
    assert idx_bytes(np.array([7, 8], np.uint8)) == bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 8])
    with pytest.raises(ValueError, match="uint8"):
        idx_bytes(np.zeros(3))


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_compressed_or_not(tmp_path, compress):
    (tmp_path / "f").write_bytes(compress(idx_bytes(IMAGES)))
    assert np.array_equal(read_idx(tmp_path / "f", 3), IMAGES)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not an idx file"),
        (b"\0\0\x08", "is not an idx file"),
        (b"PK\3\4" * 10, "is not an idx file"),
        (b"\0\0\x0d\3" + bytes(12), "type 0x0d"),
        (b"\0\0\x08\1\0\0\0\0", "1 dimensions instead of 3"),
        (b"\0\0\x08\3\0\0", "truncated within its header"),
        (idx_bytes(IMAGES)[:-1], "is truncated: 23 values, its header says 24"),
        (idx_bytes(IMAGES) + b"x", "bytes after its end: 25 values"),
        (b"\0\0\x08\3" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1), "is truncated"),
        (idx_bytes(IMAGES[:0]), "holds no values, its header says 0 x 3 x 4"),
        (b"\0\0\x08\3" + struct.pack(">3I", 0, 2**32 - 1, 2**32 - 1), "holds no values"),
        (gzip.compress(idx_bytes(IMAGES), mtime=0)[:-9], "damaged or truncated"),
        (gzip.compress(idx_bytes(IMAGES), mtime=0)[:20] + b"garbage" * 5, "damaged or truncated"),
        (b"\x1f\x8b", "damaged or truncated"),
    ],
)
def test_what_is_refused(tmp_path, data, words):
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(UserError) as caught:
        read_idx(tmp_path / "f", 3)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*none: No such file"):
        read_idx(tmp_path / "none", 3)


def test_a_small_file_that_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "MAX_BYTES", 1 << 20)
    (tmp_path / "f").write_bytes(gzip.compress(bytes(2 << 20)))
    with pytest.raises(UserError, match="larger than 1 MiB"):
        read_idx(tmp_path / "f", 3)
