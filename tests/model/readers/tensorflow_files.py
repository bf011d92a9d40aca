"""Checkpoints of TensorFlow, as its writer makes them: a table of sorted names in blocks, prefixes left out but at
restarts, and the bytes of the variables one behind the other."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fivebyfive.model.readers.tensorflow.crc32c import crc32c

MAGIC = 0xDB4775248B80FB57
RESTART = 16  # entries
MUCH = 10_000  # bytes
DTYPES = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "int64": 9, "bool": 10, "bfloat16": 14,
    "float16": 19,
}  # fmt: skip
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def plain_crc(data: bytes) -> int:
    """CRC-32C, byte by byte."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked_crc(data: bytes) -> int:
    """CRC-32C behind its mask; of much data the reader's, which a test compares."""
    crc = plain_crc(data) if len(data) < MUCH else crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ 0x82F63B78 * (value & 1)
    return value


TABLE = [of_byte(value) for value in range(256)]


def varint(value: int) -> bytes:
    made = b""
    while value > 127:
        made, value = made + bytes([value & 127 | 128]), value >> 7
    return made + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    """A field of a message; none where a number is 0."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value) if value else b""


def header(shards: int = 1, endianness: int = 0, version: bytes = field(1, 1)) -> bytes:
    return field(1, shards) + field(2, endianness) + field(3, version)


def shape_message(shape: tuple[int, ...]) -> bytes:
    return b"".join(field(2, field(1, size)) for size in shape)


def entry(dtype: int, shape: tuple[int, ...], shard: int, offset: int, size: int, crc: int) -> bytes:
    """An entry of a variable; ``crc`` behind its mask."""
    numbers = field(3, shard) + field(4, offset) + field(5, size)
    return field(1, dtype) + field(2, shape_message(shape)) + numbers + b"\x35" + struct.pack("<I", crc)


def block(pairs: list[tuple[bytes, bytes]], restart: int = RESTART) -> bytes:
    made, restarts, last = b"", [0], b""
    for place, (key, value) in enumerate(pairs):
        shared = 0
        if place % restart:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        elif place:
            restarts.append(len(made))
        made += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return made + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def table(pairs: Mapping[bytes, bytes], block_size: int = 1 << 18, compression: int = 0) -> bytes:
    """A whole .index file; ``compression``: what its blocks say, none being applied."""
    made = b""

    def add(content: bytes) -> bytes:
        """A block with its trailer; its handle."""
        nonlocal made
        found = varint(len(made)) + varint(len(content))
        kind = bytes([compression])
        made += content + kind + struct.pack("<I", masked_crc(content + kind))
        return found

    handles: list[tuple[bytes, bytes]] = []
    waiting: list[tuple[bytes, bytes]] = []
    size = 0
    for key, value in sorted(pairs.items()):
        waiting.append((key, value))
        size += len(key) + len(value)
        if size >= block_size:
            handles.append((key, add(block(waiting))))
            waiting, size = [], 0
    if waiting:
        handles.append((waiting[-1][0], add(block(waiting))))
    footer = add(block([])) + add(block(handles, 1))
    return made + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


@dataclass(frozen=True)
class Files:
    """The .index and the .data files of a checkpoint."""

    index: bytes
    data: tuple[bytes, ...]

    def write(self, stem: Path) -> Path:
        """Both, beside each other; the stem, which is what a person names."""
        stem.with_name(f"{stem.name}.index").write_bytes(self.index)
        for number, data in enumerate(self.data):
            stem.with_name(f"{stem.name}.data-{number:05d}-of-{len(self.data):05d}").write_bytes(data)
        return stem


def checkpoint(variables: Mapping[str, np.ndarray | torch.Tensor], shards: int = 1, block_size: int = 1 << 18) -> Files:
    """A checkpoint of variables, NumPy arrays or, for bfloat16, tensors of PyTorch, dealt to ``shards`` in turn."""
    entries = {b"": header(shards)}
    data = [b""] * shards
    for number, name in enumerate(sorted(variables)):
        tensor = torch.as_tensor(variables[name]).contiguous()
        kind = DTYPES[str(tensor.dtype).removeprefix("torch.")]
        values = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        shard = number % shards
        place = kind, tuple(tensor.shape), shard, len(data[shard]), len(values), masked_crc(values)
        entries[name.encode()] = entry(*place)
        data[shard] += values
    return Files(table(entries, block_size), tuple(data))


def with_slots(variables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same as tf.train.Saver keeps them beside what Adam needs."""
    made = dict(variables)
    for name, value in variables.items():
        made |= {f"{name}/Adam": np.ones_like(value), f"{name}/Adam_1": np.ones_like(value)}
    rates = {f"beta{number}_power": np.float32(0.5) for number in (1, 2)}
    return made | {name: np.array(value) for name, value in rates.items()} | {"global_step": np.array(7, np.int64)}


def variables_of(net: nn.Sequential, size: tuple[int, int, int], names: str = "named") -> dict[str, np.ndarray]:
    """The layers as TensorFlow has them, channels last. ``names``: "named", as tf.layers does; "unnamed", Variable and
    Variable_1 as they are made, each weight in front of its bias; "weights first"."""
    layers: list[tuple[str, np.ndarray, np.ndarray]] = []
    x, flattened = torch.zeros(1, *size), ()
    for name, part in net.named_children():
        shape, x = tuple(x.shape[1:]), part.eval()(x)
        if isinstance(part, nn.Flatten):
            flattened = shape
        if not isinstance(part, nn.Conv2d | nn.Linear):
            continue
        weight = part.weight.detach().numpy()
        if weight.ndim == 4:
            weight = weight.transpose(2, 3, 1, 0)
        else:
            if flattened:
                weight = weight.reshape(len(weight), *flattened).transpose(0, 2, 3, 1).reshape(len(weight), -1)
                flattened = ()
            weight = weight.T
        layers.append((name, weight, part.bias.detach().numpy()))
    if names == "named":
        return {
            f"{name}/{part}": value
            for name, weight, bias in layers
            for part, value in (("kernel", weight), ("bias", bias))
        }
    arrays = [array for _, *both in layers for array in both]
    if names == "weights first":
        arrays = [weight for _, weight, _ in layers] + [bias for _, _, bias in layers]
    return {f"Variable_{number}" if number else "Variable": array for number, array in enumerate(arrays)}
