"""Reads HDF5 in a process of its own: the file is standard input, the answer goes to standard output.

HDF5 is a large format, and its library is written in C. So this process opens nothing but what it is given, may take
so much memory and time and no more, writes no file beyond a size, and answers with a line of JSON and plain numbers.
`hdf5` starts it and judges what it answers.
"""

import codecs
import json
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

import h5py
import numpy as np

__all__ = ["MAX_BYTES", "answer"]

MAX_BYTES = 1 << 30  # of all arrays, and of the answer
MAX_RATIO = 1_100  # of the arrays to the file: deflate packs zeros 1,032 to 1, and Keras packs nothing
MAX_MEMORY = 4 << 30  # of address space: the arrays, HDF5's copy of one, and what Python and NumPy reserve
MAX_CPU_S = 10  # a gigabyte takes two; damaged files keep HDF5 in a loop
MAX_TEXT = 16 << 20  # bytes of an attribute; HDF5 keeps long ones outside the object's header
MAX_OBJECTS = 20_000
MAX_DEPTH = 16
LEAST_BYTES = 1 << 20  # of arrays that any file may have
ROOTS = ("layers", "_layer_checkpoint_dependencies", "model_weights")  # of weights; the optimizer's are not read
ATTRIBUTES = ("model_config", "keras_version", "name", "dtype", "weight_names", "layer_names")
FLOATS = {2: "<f4", 4: "<f4", 8: "<f8"}  # how floats of so many bytes are answered


class Refused(Exception):  # noqa: N818 (an answer)
    """What is in the file is not read; the message is the end of a line that begins with the file's name."""


def limit() -> None:
    """Bound this process, whatever the file makes the library do. No more file can be opened, so all that Python
    imports when it is first needed must be there."""
    for encoding in ("ascii", "utf-8", "latin-1"):
        codecs.lookup(encoding)
    limits = [
        (resource.RLIMIT_AS, MAX_MEMORY), (resource.RLIMIT_CPU, MAX_CPU_S), (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, MAX_BYTES + MAX_TEXT), (resource.RLIMIT_NOFILE, 3),
    ]  # fmt: skip
    for which, most in limits:
        with suppress(OSError, ValueError):  # a system may not have it, or a lower one is set
            _, hard = resource.getrlimit(which)
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(which, (most, most))


def answer(source: BinaryIO, output: BinaryIO, size: int) -> None:
    """Write what a file of ``size`` bytes holds, or why it is refused. Whatever HDF5 raises is a refusal."""
    try:
        with h5py.File(source, "r") as file:
            header, arrays = contents(file, size)
            output.write(json.dumps(header).encode() + b"\n")
            for array in arrays:
                output.write(np.ascontiguousarray(array).data)
    except Refused as refusal:
        output.write(json.dumps({"refused": str(refusal)}).encode() + b"\n")
    except Exception as error:  # of a damaged file: OSError, RuntimeError, KeyError, ValueError, MemoryError, ...
        kind = type(error).__name__
        output.write(json.dumps({"refused": f"is damaged or not HDF5 ({kind}); save it again"}).encode() + b"\n")


def contents(file: h5py.File, size: int) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The header of the answer, and the arrays of floats that follow it."""
    attributes = {"": texts(file)}
    arrays: list[dict[str, Any]] = []
    values: list[np.ndarray] = []
    left = min(MAX_BYTES, max(LEAST_BYTES, MAX_RATIO * size))
    for path, found in objects(file, size):
        attributes[path] = texts(found)
        if isinstance(found, h5py.Group):
            continue
        if not isinstance(found, h5py.Dataset) or found.shape is None:
            raise Refused(f"holds {brief(path)}, which is no array; save it with Keras")
        left -= found.id.get_type().get_size() * int(np.prod(found.shape, dtype=object))
        if left < 0:
            raise Refused(f"declares more than {min(MAX_BYTES, max(LEAST_BYTES, MAX_RATIO * size))} bytes of arrays")
        if found.external:
            raise Refused(f"keeps {brief(path)} in another file (external storage); save it with Keras")
        if found.is_virtual:
            raise Refused(f"makes {brief(path)} of other arrays (a virtual dataset); save it with Keras")
        array = floats(found, attributes[path].get("dtype"))
        kind = "" if array is None else array.dtype.str
        arrays.append({"path": path, "shape": list(found.shape), "floats": kind, "type": str(found.dtype)[:40]})
        values += [] if array is None else [array]
    return {"attributes": {path: found for path, found in attributes.items() if found}, "arrays": arrays}, values


def objects(file: h5py.File, size: int) -> Iterator[tuple[str, Any]]:
    """Paths and objects of the groups that hold weights, none by way of a link that leads elsewhere."""
    left = min(MAX_OBJECTS, 1_000 + size // 16)  # an object takes more than 16 bytes, but groups can be in a circle

    def inside(group: h5py.Group, prefix: str, depth: int, wanted: tuple[str, ...] | None) -> Iterator[tuple[str, Any]]:
        nonlocal left
        for name in group:
            if wanted is not None and name.split("\\")[0] not in wanted:
                continue
            path = f"{prefix}/{name}" if prefix else name
            left -= 1
            if left < 0 or depth > MAX_DEPTH:
                raise Refused("has too many groups, or too deep ones; save it with Keras")
            if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
                raise Refused(f"holds {brief(path)}, a link that may lead elsewhere; save it with Keras")
            found = group[name]
            yield path, found
            if isinstance(found, h5py.Group):
                yield from inside(found, path, depth + 1, None)

    return inside(file, "", 0, ROOTS)


def texts(found: Any) -> dict[str, str | list[str]]:
    """The attributes that Keras needs, as text."""
    kept: dict[str, str | list[str]] = {}
    for name in found.attrs:
        if name.rstrip("0123456789") not in ATTRIBUTES:
            continue
        attribute = h5py.h5a.open(found.id, name.encode())
        if attribute.get_type().get_size() * int(np.prod(attribute.shape, dtype=object)) > MAX_TEXT:
            raise Refused(f"has an attribute of more than {MAX_TEXT} bytes")
        value = found.attrs[name]
        if isinstance(value, np.ndarray):
            kept[name] = [text(one) for one in value.reshape(-1)]
        else:
            kept[name] = text(value)
    return kept


def text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def floats(dataset: h5py.Dataset, named: object) -> np.ndarray | None:
    """The values, None where they are no floats. Keras keeps bfloat16 as two opaque bytes and an attribute."""
    dtype = dataset.dtype
    if dtype.kind == "f" and dtype.itemsize in FLOATS:
        return dataset[()].astype(FLOATS[dtype.itemsize])
    if dtype.kind == "V" and dtype.itemsize == 2 and dtype.fields is None and named == "bfloat16":
        upper = np.frombuffer(np.ascontiguousarray(dataset[()]).tobytes(), "<u2")
        return (upper.astype("<u4") << 16).view("<f4").reshape(dataset.shape)
    return None


def brief(path: str) -> str:
    """A path for a message."""
    return json.dumps(path[:80])


def main() -> None:
    limit()
    source = sys.stdin.buffer
    size = source.seek(0, 2)
    source.seek(0)
    answer(source, sys.stdout.buffer, size)
    sys.stdout.buffer.flush()
    os._exit(0)  # nothing is left to do, and no file can be opened any more


if __name__ == "__main__":
    main()
