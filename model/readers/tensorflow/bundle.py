"""A checkpoint's files: the .index, which lists variables, and the .data files, which hold their values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fivebyfive.model.description import MAX_WEIGHTS
from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.inputs import open_limited, read_limited
from fivebyfive.support.optional import require_torch

from .crc32c import crc32c, masked
from .table import Damaged, Message, read_table
from .variables import Variable, as_layers

if TYPE_CHECKING:
    import torch

__all__ = ["checkpoint_index", "read_checkpoint"]

MAX_INDEX = 16 << 20  # bytes
MAX_DATA = 4 << 30  # bytes of a .data file, of which the weights alone are read
MAX_RANK = 8
MAX_SHARDS = 100_000
VERSION = 1  # of the format
DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 9: "int64", 10: "bool", 14: "bfloat16",
    17: "uint16", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
FILES = re.compile(r"(.+)\.(?:index|meta|data-[0-9]{5}-of-[0-9]{5})", re.S)
OTHERS = b"PK", b"\x80"  # files of torch.save, which may have any suffix
AGAIN = "copy or save the checkpoint again"


@dataclass(frozen=True)
class Entry:
    """Where the values of a variable lie, and its type."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int


def checkpoint_index(path: Path) -> Path | None:
    """The .index of the checkpoint that a path leads to: that file itself, one of its .data files, its .meta, or their
    common stem. None for any other file."""
    found = FILES.fullmatch(path.name)
    if found is None:
        index = path.with_name(f"{path.name}.index") if path.name else path
        return index if path.name and not path.is_file() and index.is_file() else None
    index = path.with_name(f"{found[1]}.index")
    if not index.is_file():
        return index if ".data-" in path.name and not path.name.endswith((".index", ".meta")) else None
    if index == path:
        with open_limited(path, MAX_DATA, "model") as file:
            return None if file.read(2).startswith(OTHERS) else index
    return index


def read_checkpoint(index: Path) -> dict[str, "torch.Tensor"]:
    """The weights of the checkpoint with this .index, under PyTorch's names, in its order of axes and sorted by name,
    as `as_layers` gives them; only their values are read. Raises UserError, one line, for damaged or missing files, a
    partitioned variable, and more values than a network may have."""
    require_torch()
    data = read_limited(index, MAX_INDEX, "checkpoint's index")
    try:
        shards, entries = read_index(data)
        chosen = as_layers({name: (DTYPES.get(one.dtype, ""), one.shape) for name, one in entries.items()})
        values = sum(prod(entries[one.source].shape) for one in chosen)
        if values > MAX_WEIGHTS:
            raise UserError(f"{index} lists {values:,} values; there is room for {MAX_WEIGHTS:,} weights")
        read: dict[str, Any] = {}
        for shard in sorted({entries[one.source].shard for one in chosen}):
            here = {one.source: entries[one.source] for one in chosen if entries[one.source].shard == shard}
            read |= read_shard(index.with_name(f"{index.stem}.data-{shard:05d}-of-{shards:05d}"), here)
    except Damaged as error:
        raise UserError(f"{index} is damaged or no checkpoint of TensorFlow: {shown(error)}; {AGAIN}") from error
    except ValueError as error:
        raise UserError(f"{index}: {shown(error)}") from error
    made = {shown(one.name): arranged(read[one.source], one) for one in chosen}
    if len(made) < len(chosen):
        raise UserError(f"{index} has two variables of the same name; save one of them alone")
    return made


def read_index(data: bytes) -> tuple[int, dict[str, Entry]]:
    """How many .data files there are, and the variables by name, those of type string left out. Raises `Damaged`, and
    ValueError, one line, for what is a checkpoint but not read."""
    table = read_table(data)
    if b"" not in table:
        raise Damaged("it has no header")
    header = Message(table.pop(b""))
    shards = header.number(1)
    if not 1 <= shards <= MAX_SHARDS:
        raise Damaged(f"it says that there are {shards} .data files")
    if header.number(2):
        raise ValueError("its values have their highest byte first; save it on another machine")
    if any(version.number(2) > VERSION for version in header.messages(3)):
        raise ValueError("it needs a newer reader of checkpoints")
    entries: dict[str, Entry] = {}
    for key, value in table.items():
        name = key.decode("utf-8", "replace")
        if name in entries:
            raise Damaged("two variables have the same name")
        if (one := read_entry(name, Message(value), shards)) is not None:
            entries[name] = one
    return shards, entries


def read_entry(name: str, message: Message, shards: int) -> Entry | None:
    """What is said of a variable; None of strings, such as the object graph of TensorFlow 2."""
    if message.number(1) == 7:
        return None
    if 7 in message.fields:
        raise ValueError(f"{name[:60]} is partitioned, of several slices; save it without a partitioner")
    shape = []
    for said in message.messages(2):
        if said.number(3):
            raise Damaged("a variable has no rank")
        shape += [one.number(1) for one in said.messages(2)]
    one = Entry(message.number(1), tuple(shape), *map(message.number, (3, 4, 5, 6)))
    if len(shape) > MAX_RANK:
        raise Damaged(f"a variable has {len(shape)} axes")
    if one.shard >= shards:
        raise Damaged("a variable lies in a .data file that there is not")
    return one


def read_shard(path: Path, entries: Mapping[str, Entry]) -> dict[str, "torch.Tensor"]:
    """The values of variables that lie in a .data file. Raises UserError, one line."""
    torch = require_torch()
    made = {}
    with open_limited(path, MAX_DATA, "checkpoint's .data file") as file:
        size = file.seek(0, 2)
        for name, one in entries.items():
            what = f"{path}: {shown(name)[:60]}"
            dtype = getattr(torch, DTYPES.get(one.dtype, ""), None)
            if dtype is None:
                raise UserError(f"{what} is of TensorFlow's type {one.dtype}; save it in float32")
            if one.size != prod(one.shape) * dtype.itemsize:
                raise UserError(f"{what} has {one.size} bytes for the shape {one.shape}; the index is damaged; {AGAIN}")
            if not one.size:  # its other sizes may be too large for a tensor
                raise UserError(f"{what}, of shape {one.shape}, has no values; save the checkpoint again")
            if one.offset + one.size > size:
                raise UserError(f"{what} lies behind the file's end, at {one.offset}; it was cut; {AGAIN}")
            file.seek(one.offset)
            data = file.read(one.size)
            if len(data) != one.size or masked(crc32c(data)) != one.crc:
                raise UserError(f"{what} has another check-sum than the index says; {AGAIN}")
            made[name] = torch.frombuffer(bytearray(data), dtype=dtype).reshape(one.shape)
    return made


def arranged(tensor: "torch.Tensor", one: Variable) -> "torch.Tensor":
    """A variable with PyTorch's axes."""
    tensor = tensor.permute(one.axes)
    return tensor.reshape(-1, 1, *tensor.shape[2:]) if one.depthwise else tensor
