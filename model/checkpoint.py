"""The integer checkpoint: an .npz of int8 arrays under PyTorch's state_dict names.

``conv1.weight`` (O, 1, 5, 5), ``conv1.bias`` (O,), ``conv2.weight`` (P, O, 5, 5), ``conv2.bias`` (P,),
``fc1.weight`` (F, 16 P), ``fc1.bias`` (F,) and so on to ``fc4``; every code is Q2.6. The shipped one is
20-50-500-10. Without convolutions there are only the latter, and ``fc1.weight`` is (F, 784). Any other network has its
description (`description`) beside its arrays, the text ``network``. Nothing is ever unpickled, and an archive is
refused by its size before it is unpacked.
"""

import shlex
import zipfile
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.files import replacing
from fivebyfive.support.inputs import as_path, open_limited
from fivebyfive.support.npy import MAGIC, read_npy

from .description import describe, parse, written
from .network import Network
from .shape import MAX_FC_LAYERS, PIXELS, LeNetShape, brief_shape, summary

__all__ = ["SHIPPED", "Checkpoint", "load_checkpoint", "read_checkpoint", "save_checkpoint"]

SHIPPED = Path(__file__).parent / "checkpoints" / "lenet.npz"
MAX_BYTES = 64 << 20  # unpacked; the largest shape allowed is far below
MAX_FILE = MAX_BYTES + (1 << 20)  # arrays that cannot be compressed, and the archive around them
DESCRIPTION = "network"  # name of the array that holds a network's description
PACKED_MAGIC = b"5x5p"  # a packed checkpoint begins with it (`compress.packed`)
QUANTIZE_HINT = "quantize it first: fivebyfive quantize MODEL.pt --out F.npz"


@dataclass(frozen=True)
class Checkpoint:
    """A trained, quantized network: its layers and its int8 arrays by name, in state_dict order.

    Raises ValueError unless every array of the network is there with its shape and dtype int8, and no other.
    """

    network: Network
    arrays: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        expected = self.network.arrays
        if list(self.arrays) != list(expected):
            raise ValueError(f"arrays must be {', '.join(expected)}, in this order")
        for name, array in self.arrays.items():
            if array.dtype != np.int8 or array.shape != expected[name]:
                raise ValueError(f"{name} must be int8 {expected[name]}, not {array.dtype} {array.shape}")

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Checkpoint":
        """The checkpoint of arrays in any order: its network is their description, or what they look like without one.
        Raises ValueError likewise."""
        shapes = {name: array.shape for name, array in arrays.items() if name != DESCRIPTION}
        known = DESCRIPTION in arrays
        network = read_description(arrays[DESCRIPTION], shapes) if known else infer_shape(shapes).network
        for name in shapes:
            if name not in network.arrays:
                raise ValueError(f"array {name} does not belong to the network; remove it")
        for name in network.arrays:
            if name not in shapes:
                raise ValueError(f"array {name} is missing")
        return cls(network, {name: arrays[name] for name in network.arrays})

    @classmethod
    def random(cls, network: Network | LeNetShape, seed: int) -> "Checkpoint":
        """Codes drawn evenly over the whole int8 range: nearly every sum of such a network wraps."""
        network = network.network if isinstance(network, LeNetShape) else network
        rng = np.random.default_rng(seed)
        arrays = {n: rng.integers(-128, 128, s, dtype=np.int8) for n, s in network.arrays.items()}
        return cls(network, arrays)

    @cached_property
    def shape(self) -> LeNetShape:
        """The widths of a network of the brief's form. Raises UserError for any other."""
        return brief_shape(self.network)

    @property
    def summary(self) -> str:
        """The network in a few words: 20-50-500-10, or the input and what each layer gives."""
        return summary(self.network)

    def labelled(self, labels: tuple[str, ...]) -> "Checkpoint":
        """The same with a text for each class."""
        return replace(self, network=replace(self.network, labels=labels))

    @property
    def tables(self) -> dict[str, np.ndarray]:
        """The arrays that are tables, by name: part of the machine, not of its weights."""
        return {name: array for name, array in self.arrays.items() if name.endswith(".table")}

    @property
    def description(self) -> str | None:
        """The description of a network that is not of the brief's form, or has labels."""
        return describe(self.network) if self.network.labels or not self.is_brief else None

    @property
    def is_brief(self) -> bool:
        """Whether the network has the brief's form: its arrays say all of what it computes."""
        return LeNetShape.of_network(self.network) is not None

    @property
    def digest(self) -> str:
        """SHA-256 over names, shapes, codes and description: the same for the same network, however it was packed and
        its classes are labelled."""
        digest = sha256(b"" if self.is_brief else written(self.network).encode())
        for name, array in self.arrays.items():
            digest.update(f"{name}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def read_description(text: np.ndarray, shapes: dict[str, tuple[int, ...]]) -> Network:
    """The network that the array ``network`` describes. Raises ValueError."""
    if text.dtype.kind != "U" or text.shape:
        raise ValueError(f"{DESCRIPTION} must be a text, a 0-d array of unicode, not {text.dtype} {text.shape}")
    return parse(str(text), shapes)


def infer_shape(arrays: dict[str, tuple[int, ...]]) -> LeNetShape:
    """The shape of the network whose arrays have these names and shapes.

    Raises ValueError with one line where an array is missing or does not fit the others.
    """
    pixels = arrays.get("fc1.weight", ())[1:] == (PIXELS,) and not any(name.startswith("conv") for name in arrays)
    layers = ["fc1"] if pixels else ["conv1", "conv2", "fc1"]
    layers += [f"fc{i}" for i in range(2, MAX_FC_LAYERS + 1) if f"fc{i}.weight" in arrays or f"fc{i}.bias" in arrays]
    for layer in layers:
        for name, dimensions in (
            (f"{layer}.weight", 4 if layer.startswith("conv") else 2),
            (f"{layer}.bias", 1),
        ):
            if name not in arrays:
                raise ValueError(f"array {name} is missing{without_convolutions(arrays)}")
            if len(arrays[name]) != dimensions:
                raise ValueError(f"{name} must have {dimensions} dimensions, not shape {arrays[name]}")
    widths = [arrays[f"{layer}.weight"][0] for layer in layers]
    shape = LeNetShape.of((PIXELS, *widths) if pixels else (*widths,))
    for name, expected in shape.arrays.items():
        if name not in arrays:
            raise ValueError(f"array {name} is missing")
        if arrays[name] != expected:
            raise ValueError(f"{name} must have shape {expected}, not {arrays[name]} (5x5 kernels, 28x28 images)")
    return shape


def without_convolutions(arrays: dict[str, tuple[int, ...]]) -> str:
    """What is wrong if there shall be no convolutions; empty where there are some."""
    fc1 = arrays.get("fc1.weight", ())
    if len(fc1) != 2 or any(name.startswith("conv") for name in arrays):
        return ""
    return f"; without convolutions, fc1.weight must have {PIXELS} columns, not {fc1[1]}"


def load_checkpoint(path: Path | str = SHIPPED) -> Checkpoint:
    """Read an integer checkpoint. Raises UserError, one line, for anything that is not one."""
    path = as_path(path, "checkpoint")
    with open_limited(path, MAX_FILE, "checkpoint") as file:
        return read_checkpoint(path, file)


def read_checkpoint(path: Path, file: BinaryIO) -> Checkpoint:
    """An integer checkpoint in an open file, which messages call ``path``. Raises UserError likewise."""
    arrays = _read_arrays(path, file)
    for name, array in arrays.items():
        if name == DESCRIPTION:
            continue
        if array.dtype.kind == "f":
            raise UserError(f"{path}: {name} is {array.dtype}, a float network; {QUANTIZE_HINT}")
        if array.dtype != np.int8:
            raise UserError(f"{path}: {name} must be int8 (Q2.6 codes), not {array.dtype}")
    try:
        return Checkpoint.from_arrays(arrays)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def save_checkpoint(path: Path | str, checkpoint: Checkpoint) -> None:
    """Write an integer checkpoint; ``path`` is the old file or the whole new one, never half of it."""
    text = checkpoint.description
    arrays = checkpoint.arrays if text is None else {DESCRIPTION: np.array(text), **checkpoint.arrays}
    with replacing(as_path(path, "checkpoint")) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # a stub takes names for flags


def _read_arrays(path: Path, file: BinaryIO) -> dict[str, np.ndarray]:
    """Every array of an .npz, unpacked only when its declared size is sane. Raises UserError."""
    head = file.read(len(PACKED_MAGIC)) or b""
    if path.suffix in (".pt", ".pth", ".safetensors"):
        raise UserError(f"{path} is a PyTorch state_dict, not an integer checkpoint; {QUANTIZE_HINT}")
    if head == PACKED_MAGIC:
        unpack = shlex.join(["fivebyfive", "unpack", str(path), "--out", f"{path.stem}.npz"])
        raise UserError(f"{path} is a packed checkpoint; unpack it first: {unpack}")
    if head[:2] != b"PK":
        raise UserError(f"{path} is not an .npz file; make one with: fivebyfive train --out F.npz")
    return _unpacked(path, file)


def _unpacked(path: Path, file: BinaryIO) -> dict[str, np.ndarray]:
    """Every array of an archive."""
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(info.file_size for info in archive.infolist())
            if size > MAX_BYTES:
                raise UserError(f"{path} unpacks to {size} bytes; a checkpoint has at most {MAX_BYTES}")
            return {array_name(info): _member(path, archive, info) for info in archive.infolist()}
    except UserError:
        raise
    except Exception as error:  # a damaged archive makes zipfile raise almost anything
        raise UserError(f"{path} is damaged or truncated ({error}); get it again") from error


def array_name(info: zipfile.ZipInfo) -> str:
    return shown(info.filename.removesuffix(".npy"))


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array. Its declared size is known to be sane, and zipfile unpacks no more than that."""
    name = array_name(info)
    with archive.open(info) as file:
        assert isinstance(file, zipfile.ZipExtFile)
        if file.peek(len(MAGIC))[: len(MAGIC)] != MAGIC:
            raise UserError(f"{path} is a zip archive but not an .npz of arrays (a PyTorch file?); {QUANTIZE_HINT}")
        try:
            array = read_npy(file, info.file_size)
        except ValueError as error:
            raise UserError(f"{path} is damaged or truncated ({name}: {error}); get it again") from error
        file.read()  # to the end, where the check-sum is compared
    if array.dtype.hasobject:
        raise UserError(f"{path}: {name} holds Python objects, which are never loaded; store int8 codes")
    return array
