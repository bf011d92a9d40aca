"""A checkpoint as a small file, and back: exactly the same arrays. What `fivebyfive pack` and `unpack` do.

    4 bytes   magic, "5x5p"
    1 byte    version, 1 for a network of the brief's form, 2 for any other
    numbers   (LEB128) 1: how many widths, and the widths: conv1, conv2, fc1, ... or 784, fc1, ...
              2: how many bytes the network's description has, and these bytes (`description.describe`, in ASCII)
    1 byte    for each array in the order of `Network.arrays`: the form it has (`Form`)
    numbers   for each array that is not RANGE: bytes of its payload
    payloads  of those arrays; then one stream of a range coder that holds all RANGE arrays
    4 bytes   CRC-32 of the arrays' codes
    4 bytes   CRC-32 of everything before it

Numbers of more than a byte are little-endian. Each array takes the form that is smallest for it. The same arrays give
the same bytes, always.
"""

import zlib
from dataclasses import dataclass
from enum import IntEnum
from math import ceil
from pathlib import Path

import numpy as np

from fivebyfive.model.checkpoint import MAX_BYTES, Checkpoint
from fivebyfive.model.checkpoint import PACKED_MAGIC as MAGIC
from fivebyfive.model.description import MAX_CHARACTERS, parse
from fivebyfive.model.network import Network
from fivebyfive.model.shape import MAX_FC_LAYERS, MAX_WIDTH, LeNetShape
from fivebyfive.support.errors import UserError
from fivebyfive.support.files import replacing
from fivebyfive.support.inputs import read_limited
from fivebyfive.support.progress import Progress, silent

from . import huffman
from .ranges import Reader, Recorder, library
from .varint import Parts, number

__all__ = ["Form", "Packed", "pack", "read_packed", "unpack", "write_packed"]

WIDTHS, DESCRIPTION = VERSIONS = 1, 2
MAX_FILE = MAX_BYTES + (1 << 16)  # an array that cannot be coded any smaller is stored as it is


class Form(IntEnum):
    """How an array is coded: as it is, by Huffman codes (dense or sparse), or in the range coder's stream."""

    RAW = 0
    DENSE = 1
    SPARSE = 2
    RANGE = 3


@dataclass(frozen=True)
class Packed:
    """``data``: the file. ``forms``: array name to its form. ``sizes``: array name to its bytes, those of the range
    coder's stream rounded up. ``huffman_bytes``: what the file would have without the range coder."""

    data: bytes
    forms: dict[str, Form]
    sizes: dict[str, int]
    huffman_bytes: int

    @property
    def bytes(self) -> int:
        """Bytes stored."""
        return len(self.data)


def pack(checkpoint: Checkpoint, progress: Progress = silent) -> Packed:
    """The packed form of a checkpoint; 431,080 weights take some seconds, more where few are zero. ``progress``
    counts codes. Raises UserError without the packages of the extra ``compress``.
    """
    library()  # before any work
    plain = {name: _smallest(array) for name, array in checkpoint.arrays.items()}
    forms, sizes, recorder, done = {}, {}, Recorder(), 0
    total = sum(array.size for array in checkpoint.arrays.values())
    for name, array in checkpoint.arrays.items():
        progress(done, total, f"packing {name}")
        one = Recorder()
        one.write(array)
        form, payload = plain[name]
        forms[name], sizes[name] = form, len(payload)
        if one.bytes < len(payload):
            recorder.extend(one)
            forms[name], sizes[name] = Form.RANGE, ceil(one.bytes)
        done += array.size
    progress(done, total, "packing")
    data = _file(checkpoint, forms, {name: payload for name, (_, payload) in plain.items()}, recorder)
    without = _file(checkpoint, {n: f for n, (f, _) in plain.items()}, {n: p for n, (_, p) in plain.items()}, None)
    return Packed(data, forms, sizes, len(without))


def _smallest(array: np.ndarray) -> tuple[Form, bytes]:
    """The best form without the range coder."""
    codes = array.tobytes()
    found = (Form.DENSE, huffman.encode(array, False)), (Form.SPARSE, huffman.encode(array, True))
    return min(((Form.RAW, codes), *found), key=lambda choice: (len(choice[1]), choice[0]))


def _file(
    checkpoint: Checkpoint, forms: dict[str, Form], payloads: dict[str, bytes], recorder: Recorder | None
) -> bytes:
    own = [payloads[name] for name in forms if forms[name] != Form.RANGE]
    parts = [MAGIC, *_head(checkpoint), bytes(forms.values())]
    parts += [number(len(payload)) for payload in own] + own
    if Form.RANGE in forms.values() and recorder is not None:
        parts.append(recorder.payload)
    data = b"".join(parts) + _crc(b"".join(array.tobytes() for array in checkpoint.arrays.values()))
    return data + _crc(data)


def _head(checkpoint: Checkpoint) -> list[bytes]:
    """Version and network."""
    if (text := checkpoint.description) is not None:
        return [bytes([DESCRIPTION]), number(len(text)), text.encode("ascii")]
    widths = checkpoint.shape.numbers
    return [bytes([WIDTHS]), number(len(widths)), *map(number, widths)]


def unpack(data: bytes) -> Checkpoint:
    """The checkpoint in the bytes of a packed file. Raises ValueError, one line, where they are none."""
    if data[:4] != MAGIC:
        raise ValueError("is not a packed checkpoint; make one with: fivebyfive pack F.npz --out F.bin")
    if len(data) < 13 or _crc(data[:-4]) != data[-4:]:
        raise ValueError("is damaged or truncated (its CRC-32 differs); get it again")
    if data[4] not in VERSIONS:
        raise ValueError(f"has version {data[4]} of the format, this is for version {DESCRIPTION}; upgrade fivebyfive")
    try:
        checkpoint = _arrays(Parts(data[5:-8]), data[4])
    except (ValueError, AssertionError, OverflowError) as error:
        raise ValueError(f"is damaged ({error}); get it again") from error
    if _crc(b"".join(array.tobytes() for array in checkpoint.arrays.values())) != data[-8:-4]:
        raise ValueError("does not give the arrays that were packed; get it again, or install constriction 0.5")
    return checkpoint


def _network(parts: Parts, version: int) -> Network:
    """What comes after the version."""
    if version == WIDTHS:
        widths = [parts.number(MAX_WIDTH) for _ in range(parts.number(2 + MAX_FC_LAYERS))]
        return LeNetShape.of(tuple(widths)).network
    return parse(parts.take(parts.number(MAX_CHARACTERS)).decode("ascii"))


def _arrays(parts: Parts, version: int) -> Checkpoint:
    """What comes after the version. The network is checked before any array is made; the largest has 52 MB."""
    network = _network(parts, version)
    sizes = {name: int(np.prod(dimensions)) for name, dimensions in network.arrays.items()}
    forms = {name: Form(form) for name, form in zip(sizes, parts.take(len(sizes)), strict=True)}
    lengths = {name: parts.number(sizes[name]) for name, form in forms.items() if form != Form.RANGE}
    payloads = {name: parts.take(length) for name, length in lengths.items()}
    reader = Reader(parts.rest()) if Form.RANGE in forms.values() else None
    parts.finish()
    arrays = {}
    for name, dimensions in network.arrays.items():
        if forms[name] == Form.RANGE and reader is not None:
            arrays[name] = reader.read(dimensions)
        else:
            arrays[name] = _plain(forms[name], payloads[name], sizes[name]).reshape(dimensions)
    return Checkpoint(network, arrays)


def _plain(form: Form, payload: bytes, count: int) -> np.ndarray:
    """Codes, int8 (count,), that are not in the range coder's stream."""
    if form != Form.RAW:
        return huffman.decode(payload, count, sparse=form == Form.SPARSE)
    if len(payload) != count:
        raise ValueError("an array has another length")
    return np.frombuffer(payload, np.int8).copy()


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")


def write_packed(path: Path | str, packed: Packed) -> None:
    """Write the file: the old one or the whole new one."""
    with replacing(Path(path)) as file:
        file.write(packed.data)


def read_packed(path: Path | str) -> Checkpoint:
    """The checkpoint in a packed file. Raises UserError, one line, for anything that is not one."""
    data = read_limited(path, MAX_FILE, "packed checkpoint")
    try:
        return unpack(data)
    except ValueError as error:
        raise UserError(f"{path} {error}") from error
