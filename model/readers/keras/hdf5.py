"""HDF5 files, read by a child process (`hdf5_child`) that a damaged or hostile file may crash, but not us."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.parent_death import bound_to_parent

__all__ = ["Contents", "read_hdf5"]

LIMIT_S = 60  # of waiting for the child, which may take ten of CPU
MAX_HEADER = 64 << 20  # bytes of its line of JSON
CHILD = Path(__file__).with_name("hdf5_child.py")
ENVIRONMENT = {
    "HDF5_PLUGIN_PRELOAD": "::",  # no filter is loaded from a file
    "OPENBLAS_NUM_THREADS": "1",  # each would reserve memory
}
NEEDED = "a Keras file needs h5py (5 MB to download, 17 MB installed); install it: pip install 'fivebyfive[keras]'"


@dataclass(frozen=True)
class Contents:
    """``attributes``: texts by object and name, "" the file itself; ``arrays``: float32 or float64 by path; ``types``:
    of the arrays that hold no floats, whose values are not read."""

    attributes: dict[str, dict[str, str | list[str]]] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)


def read_hdf5(path: Path, file: BinaryIO) -> Contents:
    """What an open file holds; ``path`` stands in messages. Raises UserError, one line."""
    return judged(path, in_child, file)


def judged(path: Path, run: Callable[[BinaryIO, BinaryIO], str], file: BinaryIO) -> Contents:
    """The same, with whatever runs the child: it writes the answer, and returns why there is none, or ""."""
    try:
        with tempfile.TemporaryFile(prefix="fivebyfive-") as output:
            if wrong := run(file, output):
                raise UserError(f"{path} is damaged: its reader {wrong}; save it again")
            return parsed(path, output)
    except OSError as error:
        raise UserError(f"cannot keep what {path} holds: {error.strerror or error}; set TMPDIR to a folder") from error


def in_child(file: BinaryIO, output: BinaryIO) -> str:
    """Run the child on a file that has a descriptor."""
    if importlib.util.find_spec("h5py") is None:
        raise UserError(NEEDED)
    file.seek(0)
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    command = bound_to_parent([sys.executable, "-P", str(CHILD)])
    environment = {**os.environ, **ENVIRONMENT}
    with subprocess.Popen(
        command, stdin=file, stdout=output, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
    ) as child:
        try:
            code = child.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            return f"took more than {LIMIT_S} seconds"
        finally:
            child.kill()
    return "" if code == 0 else f"ended with {code}"


def parsed(path: Path, answer: BinaryIO) -> Contents:
    """The child's answer. It is not trusted either: a hostile file may have taken it over."""
    try:
        size = answer.seek(0, os.SEEK_END)
        answer.seek(0)
        header = json.loads(answer.readline(MAX_HEADER))
        if (refusal := header.get("refused")) is not None:
            raise UserError(f"{path} {shown(refusal)[:300]}")
        contents = Contents(attributes_of(header["attributes"]))
        for array in header["arrays"]:
            name, shape = text(array["path"]), tuple(map(int, array["shape"]))
            if not array["floats"]:
                contents.types[name] = text(array["type"])
                continue
            dtype = np.dtype({"<f4": "<f4", "<f8": "<f8"}[array["floats"]])
            wanted = prod(shape) * dtype.itemsize
            if min(shape, default=0) < 0 or wanted > size - answer.tell():
                raise ValueError("fewer values than it says")
            contents.arrays[name] = np.frombuffer(answer.read(wanted), dtype).reshape(shape)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged: its reader was cut short; save it again") from error
    return contents


def attributes_of(found: Any) -> dict[str, dict[str, str | list[str]]]:
    return {
        text(path): {text(name): list(map(text, value)) if isinstance(value, list) else text(value)
                     for name, value in values.items()}
        for path, values in found.items()
    }  # fmt: skip


def text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of a text")
    return value
