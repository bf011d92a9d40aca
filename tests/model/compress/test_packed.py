"""Packed checkpoints: every array comes back, the same bytes each time, and whatever is no such file is refused."""

import zlib
from functools import cache
from hashlib import sha256
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as array_of

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.errors import UserError

pytest.importorskip("constriction")

from fivebyfive.model.compress.packing import huffman
from fivebyfive.model.compress.packing.mixing import ONE, squash_table, stretch_table
from fivebyfive.model.compress.packing.packed import MAGIC, Form, Packed, pack, read_packed, unpack, write_packed
from fivebyfive.model.compress.packing.ranges import Reader, Recorder
from fivebyfive.model.compress.packing.varint import Parts, number

from ..random_descriptions import random_checkpoint

GOLDEN = (2238, "11a921879abb2c41")  # bytes and SHA-256 of the packed `sparse_checkpoint`, its beginning
SHAPES = (LeNetShape(2, 3, (7, 10)), LeNetShape(1, 1, (10,)), LeNetShape(3, 2, (4, 5, 6, 3)))


@st.composite
def checkpoints(draw) -> Checkpoint:
    """Arrays as pruning, sharing and nothing at all leave them."""
    shape = draw(st.sampled_from(SHAPES))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = {}
    for name, dimensions in shape.arrays.items():
        book = rng.integers(-128, 128, draw(st.sampled_from((1, 2, 3, 15, 255))))
        kept = rng.random(dimensions) < draw(st.sampled_from((0.0, 0.02, 0.3, 1.0)))
        made[name] = (rng.choice(book, dimensions) * kept).astype(np.int8)
    return Checkpoint(shape.network, made)


def sparse_checkpoint() -> Checkpoint:
    """8-16-64-10 with a tenth of its weights, of 15 values."""
    rng = np.random.default_rng(4)
    shape = LeNetShape(8, 16, (64, 10))
    kept = {name: rng.random(dimensions) < 0.1 for name, dimensions in shape.arrays.items()}
    codes = {name: 4 * rng.integers(-7, 8, mask.shape) * mask for name, mask in kept.items()}
    return Checkpoint(shape.network, {name: array.astype(np.int8) for name, array in codes.items()})


@cache
def packed_once() -> Packed:
    return pack(sparse_checkpoint())


@settings(max_examples=20)
@given(checkpoints())
def test_every_checkpoint_comes_back(checkpoint: Checkpoint) -> None:
    packed = pack(checkpoint)
    again = unpack(packed.data)
    assert again.shape == checkpoint.shape
    for name, array in checkpoint.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
    assert packed.data == pack(checkpoint).data
    assert packed.bytes <= packed.huffman_bytes + 16 <= sum(a.size for a in checkpoint.arrays.values()) + 64


@pytest.mark.parametrize("seed", range(6))
def test_a_network_of_any_layers_comes_back(seed: int) -> None:
    """Its description is in the file, and tables are arrays like others."""
    checkpoint, _ = random_checkpoint(seed)
    packed = pack(checkpoint)
    again = unpack(packed.data)
    assert packed.data[4] == 2
    assert (again.network, again.digest) == (checkpoint.network, checkpoint.digest)


@pytest.mark.parametrize("text", [b"{}", b'{"input": [1, 28, 28], "layers": []}', bytes([200]) * 9, b"[" * 4000])
def test_descriptions_that_are_none(text: bytes) -> None:
    data = b"5x5p" + bytes([2]) + number(len(text)) + text + bytes(4)
    with pytest.raises(ValueError, match="damaged") as error:
        unpack(data + zlib.crc32(data).to_bytes(4, "little"))
    assert "\n" not in str(error.value)


@settings(max_examples=60)
@given(array_of(np.int8, st.sampled_from([(3, 1, 5, 5), (2, 4, 5, 5), (9, 41), (1, 1), (30,), (0,)])))
def test_every_array_comes_back_in_every_form(array: np.ndarray) -> None:
    for sparse in (False, True):
        payload = huffman.encode(array, sparse)
        np.testing.assert_array_equal(huffman.decode(payload, array.size, sparse), array.ravel())
    if array.size:
        recorder = Recorder()
        recorder.write(array)
        recorder.write(array[:1])
        payload = recorder.payload
        assert abs(len(payload) - recorder.bytes) < 10
        reader = Reader(payload)
        np.testing.assert_array_equal(reader.read(array.shape), array)
        np.testing.assert_array_equal(reader.read(array[:1].shape), array[:1])


def test_gaps_longer_than_a_symbol() -> None:
    array = np.zeros(2000, np.int8)
    for places in ([255], [254], [256], [510], [511], [0, 1999], [1999]):
        array[:] = 0
        array[places] = -5
        np.testing.assert_array_equal(huffman.decode(huffman.encode(array, True), 2000, True), array)


def test_few_and_shared_weights_take_few_bytes() -> None:
    """Entropy of positions and of values, each drawn independently: no coder can be much below, ours is not above."""
    checkpoint = sparse_checkpoint()
    size = sum(array.size for array in checkpoint.arrays.values())
    held = sum(np.count_nonzero(array) for array in checkpoint.arrays.values())
    share = held / size
    entropy = size * -(share * np.log2(share) + (1 - share) * np.log2(1 - share)) + held * np.log2(14)
    packed = packed_once()
    assert packed.bytes < 1.12 * entropy / 8
    assert packed.bytes < packed.huffman_bytes
    assert packed.forms["fc1.weight"] == Form.RANGE
    assert sum(packed.sizes.values()) < packed.bytes < sum(packed.sizes.values()) + 60


def test_banks_of_equal_size_are_noticed() -> None:
    """One weight in each lane of every output: log2(40) bits say which, where 1 in 40 anywhere needs 6.8."""
    rng = np.random.default_rng(1)
    banks = np.zeros((500, 40, 20), np.int8)
    np.put_along_axis(banks, rng.integers(0, 40, (500, 1, 20)), 1, axis=1)
    recorder = Recorder()
    recorder.write(banks.reshape(500, 800))
    bits = 8 * recorder.bytes / np.count_nonzero(banks)
    assert np.log2(40) < bits < np.log2(40) + 0.4


def test_the_bytes_never_change() -> None:
    """Files of today are read by whatever comes later."""
    packed = packed_once()
    assert (packed.bytes, sha256(packed.data).hexdigest()[:16]) == GOLDEN


def test_progress_counts_codes() -> None:
    calls: list[tuple[int, int, str]] = []
    checkpoint = Checkpoint.random(SHAPES[0], 1)
    pack(checkpoint, lambda *call: calls.append(call))
    size = sum(array.size for array in checkpoint.arrays.values())
    assert [total for _, total, _ in calls] == [size] * 9
    assert calls[0] == (0, size, "packing conv1.weight")
    assert calls[-1] == (size, size, "packing")


def test_damage_is_found(tmp_path) -> None:
    data = packed_once().data
    path = tmp_path / "bad.bin"
    write_packed(path, packed_once())
    assert path.read_bytes() == data
    for length in (0, 1, 3, 4, 12, 13, 100, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(UserError, match=r"bad\.bin is (not a packed checkpoint|damaged or truncated)") as caught:
            read_packed(path)
        assert "\n" not in str(caught.value)
    for place in range(0, len(data), 101):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(UserError):
            read_packed(path)
    with pytest.raises(UserError, match=r"cannot read packed checkpoint .*: it is a folder"):
        read_packed(tmp_path)


def sealed(content: bytes) -> bytes:
    """A file whose CRC is right, whatever is in it."""
    return content + zlib.crc32(content).to_bytes(4, "little")


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_nonsense_with_a_right_crc_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"damaged|arrays"):
        unpack(sealed(MAGIC + b"\1" + content + b"crc4"))


@settings(max_examples=40)
@given(st.dictionaries(st.integers(5, GOLDEN[0] - 5), st.integers(1, 255), min_size=1, max_size=3))
def test_changed_files_with_a_right_crc_are_refused(changes: dict[int, int]) -> None:
    changed = bytearray(packed_once().data[:-4])
    for place, change in changes.items():
        changed[place] ^= change
    with pytest.raises(ValueError, match=r"damaged|arrays"):
        unpack(sealed(bytes(changed)))


def test_sizes_are_checked_before_anything_is_made() -> None:
    def header(*widths: int) -> bytes:
        return MAGIC + b"\1" + number(len(widths)) + b"".join(map(number, widths))

    with patch("numpy.zeros", side_effect=AssertionError("made an array")):
        for widths, said in (
            ((256, 256, 4096, 4096, 4096, 64), "it ends too soon"),
            ((257, 1, 10), "conv1 must have 1 to 256"),
            ((1, 1, 65), "1 to 64 classes"),
            ((1, 1, 5000, 10), "beyond 4096"),
            ((1, 1), "too few layers"),
            ((1,) * 7, "beyond 6"),
        ):
            with pytest.raises(ValueError, match=said):
                unpack(sealed(header(*widths) + bytes(16)))
    with pytest.raises(ValueError, match="version 3 of the format, this is for version 2"):
        unpack(sealed(MAGIC + b"\3" + bytes(16)))


@given(st.lists(st.integers(0, 2**40)))
def test_numbers(values: list[int]) -> None:
    parts = Parts(b"".join(map(number, values)))
    assert [parts.number(2**40) for _ in values] == values
    parts.finish()


def test_numbers_that_are_none() -> None:
    cases = (b"", "ends too soon"), (b"\x81", "ends too soon"), (b"\x80" * 20, "no end"), (b"\x05", "beyond 4")
    for data, said in cases:
        with pytest.raises(ValueError, match=said):
            Parts(data).number(4)


def test_logistic_tables() -> None:
    squash, stretch = squash_table(), stretch_table()
    assert len(stretch) == ONE + 1
    assert list(squash) == sorted(squash)
    middle = len(squash) // 2
    assert (squash[middle], stretch[ONE // 2]) == (ONE // 2, 0)
    assert squash[middle + 256] == int(ONE / (1 + np.exp(-1)))
    for logit in range(-500, 500):
        assert abs(stretch[squash[middle + logit]] - logit) <= 1


def test_without_the_packages(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "constriction", None)
    with pytest.raises(UserError, match=r"pip install 'fivebyfive\[compress\]'"):
        pack(sparse_checkpoint())
