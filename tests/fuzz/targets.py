"""What is fuzzed: everything that reads bytes from outside. A target returns or raises UserError with one line; all
else is a crash.

Where a format has a check-sum that chance never gets right (zip, gzip, PNG, the frames of the serial line), a second
target makes the wrapping good and gives what is inside to the fuzzer.
"""

import gzip
import io
import json
import pickle
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from fivebyfive.commands.read_folder import read_folder
from fivebyfive.host.board import Board, Limits, LinkFailed
from fivebyfive.hw.generate import generate
from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint
from fivebyfive.model.compress.packing.packed import pack, read_packed
from fivebyfive.model.compress.plan import read_plan
from fivebyfive.model.data.idx import idx_bytes, read_idx
from fivebyfive.model.data.images import load_images
from fivebyfive.model.description import describe, parse
from fivebyfive.model.protocol.link import Decoder, Frame, Info, Kind, Missing, Result, encode
from fivebyfive.model.readers.folding import fold
from fivebyfive.model.readers.onnx_constants import FOLDED
from fivebyfive.model.readers.onnx_reader import OPERATORS, read_onnx
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.training.state_dict import read_state
from fivebyfive.support.errors import UserError, user_values

__all__ = ["TARGETS", "Target"]

MEMORY = Path("/dev/shm")  # files in memory: thousands a second
PLACE = Path(tempfile.mkdtemp(prefix="fivebyfive-fuzz-", dir=MEMORY if MEMORY.is_dir() else None))
NETWORK = Checkpoint.random(LeNetShape(1, 2, (3,)), seed=1)
PIXELS = np.arange(784, dtype=np.uint8).reshape(1, 28, 28)
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Target:
    """``run`` takes what the fuzzer made; ``seeds``: good inputs to begin with; ``share``: of all inputs, the quick
    targets get more."""

    run: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    share: int = 1


def written(name: str, data: bytes) -> Path:
    path = PLACE / name
    path.write_bytes(data)
    return path


def joined(parts: list[bytes]) -> bytes:
    """Several parts as one input: each behind its length, two bytes."""
    return b"".join(struct.pack("<H", len(part)) + part for part in parts)


def parts_of(data: bytes) -> list[bytes]:
    """The parts of any input; the last one may be cut."""
    parts = []
    while len(data) >= 2 and len(parts) < 64:
        length = struct.unpack_from("<H", data)[0]
        parts.append(data[2 : 2 + length])
        data = data[2 + length :]
    return parts


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


# checkpoints


def members() -> list[bytes]:
    """Names and .npy files of a checkpoint, for `zipped`."""
    return [part for name, array in NETWORK.arrays.items() for part in (f"{name}.npy".encode(), npy(array))]


def zipped(parts: list[bytes]) -> bytes:
    """A zip archive of names and contents; the first bit of a content's length says whether it is compressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        seen: set[str] = set()
        for name, content in zip(parts[::2], parts[1::2], strict=False):
            text = name.decode("latin-1")
            if text not in seen:
                method = zipfile.ZIP_DEFLATED if len(content) & 1 else zipfile.ZIP_STORED
                archive.writestr(zipfile.ZipInfo(text), content, method)
            seen.add(text)
    return file.getvalue()


PLAN = b"""
seed = 1
[[step]]
method = "magnitude"
keep = { conv1 = 0.6, fc1 = 0.02 }
schedule = "gradual"
[[step]]
method = "kmeans"
bits = { conv1 = 5, conv2 = 4 }
"""


# float models


def torch_file() -> bytes:
    torch = __import__("torch")
    file = io.BytesIO()
    state = {name: torch.zeros(shape) for name, shape in NETWORK.shape.arrays.items()}
    torch.save(state, file)
    return file.getvalue()


def torch_members() -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(torch_file())) as archive:
        return [part for name in archive.namelist() for part in (name.encode(), archive.read(name))]


def safetensors_file() -> bytes:
    from safetensors.torch import save

    torch = __import__("torch")
    return save({name: torch.zeros(shape) for name, shape in NETWORK.shape.arrays.items()})


def onnx_file(nodes: list, arrays: dict[str, np.ndarray], last: str) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    arrays = {"w": np.ones((2, 1, 3, 3), np.float32), "v": np.ones((288, 3), np.float32), **arrays}
    sizes: tuple = ("x", ["n", 1, 12, 12]), (last, None)
    inputs, outputs = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, size)] for name, size in sizes)
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()


NUMBERS = {"s": [0, -1], "one": [1], "axes": [2, 3], "four": [0, 1, 1, 2]}
CONSTANTS = {name: np.array(values, np.int64) for name, values in NUMBERS.items()} | {"half": np.array(0.5, np.float32)}
NAMES = ["x", *CONSTANTS, "w", "v", "", "a0"]
ATTRIBUTES: list[dict] = [
    {}, {"axis": 1}, {"axis": 0}, {"perm": [0, 2, 3, 1]}, {"perm": [0, 3, 1, 2]}, {"keepdims": 0}, {"axes": [2, 3]},
    {"kernel_shape": [2, 2], "strides": [2, 2]}, {"auto_pad": "SAME_UPPER", "kernel_shape": [3, 3]}, {"group": 2},
    {"pads": [1, 1, 1, 1]}, {"dilations": [2, 1]}, {"alpha": 0.5}, {"value_ints": [1, 2]}, {"to": 7}, {"to": 1},
]  # fmt: skip


def onnx_operators(data: bytes) -> bytes:
    """A network of operators that the fuzzer chose: each five bytes say which one, of what, with which attributes."""
    from onnx import helper

    every = sorted({*OPERATORS, *FOLDED})
    nodes, names = [helper.make_node("Conv", ["x", "w"], ["a0"], pads=[1, 1, 1, 1])], list(NAMES)
    for start in range(0, min(len(data) - 4, 100), 5):
        kind, count, *places = data[start : start + 5]
        inputs = [names[place % len(names)] for place in places[: 1 + count % 3]]
        inputs[0] = names[-1] if count < 192 else inputs[0]  # mostly what was made last
        attributes = ATTRIBUTES[count // 3 % len(ATTRIBUTES)]
        names.append(f"a{len(nodes)}")
        nodes.append(helper.make_node(every[kind % len(every)], inputs, [names[-1]], **attributes))
    end = [("Flatten", []), ("MatMul", ["v"])] if len(data) % 2 else []
    for operator, others in end:
        nodes.append(helper.make_node(operator, [names[-1], *others], [f"a{len(nodes)}"]))
        names.append(f"a{len(nodes) - 1}")
    return onnx_file(nodes, CONSTANTS, names[-1])


def chosen_operators() -> list[bytes]:
    every = sorted({*OPERATORS, *FOLDED})
    seeds = [
        ["Relu", "MaxPool"],
        ["Tanh", "Reshape"],
        ["Erf", "Add", "Mul"],
        ["Transpose", "Transpose"],
        ["Shape", "Gather"],
    ]
    return [bytes(byte for name in seed for byte in (every.index(name), 22, 9, 1, 2)) + b"x" for seed in seeds] + [b"x"]


def read_onnx_layers(data: bytes) -> object:
    with user_values():
        return fold(read_onnx(written("a.onnx", data)))


def evil_pickles() -> list[bytes]:
    """Pickles that would do something: none may ever run."""
    return [pickle.dumps(print), pickle.dumps(Path("/")), b"cos\nsystem\n(S'false'\ntR."]


# pictures


def picture(kind: str, mode: str = "L", size: tuple[int, int] = (40, 30)) -> bytes:
    file = io.BytesIO()
    image = Image.new("L", size, 255)
    image.paste(0, (17, 5, 21, 25))  # a 1
    image.convert(mode).save(file, kind)
    return file.getvalue()


def png_chunks(data: bytes) -> list[bytes]:
    """Kinds and contents of a PNG's chunks, that of the pixels unpacked."""
    parts, at = [], len(PNG)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        parts += [kind, zlib.decompress(content) if kind == b"IDAT" else content]
        at += 12 + length
    return parts


def png_of(parts: list[bytes]) -> bytes:
    """A PNG whose chunks have the right lengths and check-sums."""
    chunks = [PNG]
    for kind, content in zip(parts[::2], parts[1::2], strict=False):
        kind = kind[:4].ljust(4, b"a")
        body = kind + (zlib.compress(content, 1) if kind == b"IDAT" else content)
        chunks.append(struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))
    return b"".join(chunks)


# the serial line

ANSWERS = [
    Frame(Kind.INFO, 0, Info(2, 3, (1, 28, 28), b"12345678").pack()),
    Frame(Kind.MISSING, 1, bytes([0xFE, 0xFF, 0xFF, 0xFF, 0, 0x40, 0])),
    Frame(Kind.BUSY, 1),
    Frame(Kind.RESULT, 1, bytes([0, 2, 1, 2, 3, 0, 250, 3, 9])),
]


class FuzzedPort:
    """A line on which the fuzzer answers: a part to each reading, then nothing. An answer gets the sequence number of
    the question where its highest bit is set, since chance would never find it."""

    def __init__(self, parts: list[bytes]):
        self.parts = list(reversed(parts))
        self.sequence = 0

    def write(self, data: bytes) -> None:
        for frame in Decoder().feed(data):
            self.sequence = frame.sequence

    def read(self, timeout_s: float) -> bytes:
        if not timeout_s or not self.parts:
            return b""
        part = self.parts.pop()
        if part[:1] < b"\x80":
            return part
        kind, payload = part[1:2].ljust(1, b"\0")[0], part[2:250]
        return encode(Frame(kind, self.sequence, payload))


def talk(data: bytes) -> None:
    limits = Limits(answer_s=1e-4, silence_s=1e-3, image_s=2e-3)
    try:
        Board(FuzzedPort(parts_of(data)), limits).classify(PIXELS[0])
    except LinkFailed as error:
        raise UserError(str(error)) from error


def frames(data: bytes) -> None:
    for frame in Decoder().feed(data):
        for kind in (Info, Missing, Result):
            try:
                kind.unpack(frame.payload)
            except ValueError:
                pass


# folders of `generate`


@cache
def manifest_text() -> str:
    return json.dumps(generate(NETWORK).manifest)


def manifest() -> dict:
    return json.loads(manifest_text())


def altered(parts: list[bytes]) -> bytes:
    """A manifest with some values replaced: parts say, in turn, which way to go down and what to put there."""
    whole = manifest()
    for way, text in zip(parts[::2], parts[1::2], strict=False):
        place, last = {"": whole}, ""
        for step in way:
            inner = place[last]
            if not isinstance(inner, dict | list) or not inner:
                break
            keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            place, last = inner, keys[step % len(keys)]
        try:
            place[last] = json.loads(text)
        except (ValueError, RecursionError):
            place[last] = text.decode("latin-1")
    return json.dumps(whole).encode()


def folder(data: bytes) -> object:
    place = PLACE / "folder"
    place.mkdir(exist_ok=True)
    (place / "manifest.json").write_bytes(data)
    (place / "lenet.v").write_bytes(b"module lenet; endmodule\n")
    return read_folder(place)


def described(data: bytes) -> object:
    """A checkpoint's network of any description."""
    with user_values():
        return parse(data.decode("utf-8", "replace"), NETWORK.network.arrays)


def descriptions() -> list[bytes]:
    """The brief's form, and a network with all that a description may say."""
    conv = {"name": "conv1", "kind": "conv", "outputs": 1, "kernel": 5, "stride": 2, "padding": [1, 2, 3, 4]}
    conv |= {"fill": [17], "groups": 1, "then": ["table", {"average": 3, "stride": 2}, "relu"]}
    pooled = {"name": "c.2", "kind": "conv", "outputs": 2, "kernel": 3, "padding": 1, "then": [{"max": 2}]}
    layers = [conv, pooled, {"name": "fc1", "kind": "fc", "then": ["relu"]}]
    whole = {"input": [1, 28, 28], "layers": layers}
    return [describe(NETWORK.network).encode(), json.dumps(whole).encode()]


TARGETS = {
    "description": Target(described, descriptions, 20),
    "checkpoint": Target(lambda data: load_checkpoint(written("a.npz", data)), lambda: [npz(NETWORK.arrays)], 8),
    "checkpoint-members": Target(
        lambda data: load_checkpoint(written("b.npz", zipped(parts_of(data)))), lambda: [joined(members())], 8
    ),
    "packed": Target(lambda data: read_packed(written("a.bin", data)), lambda: [pack(NETWORK).data], 8),
    "plan": Target(lambda data: read_plan(written("a.toml", data)), lambda: [PLAN], 8),
    "float-model": Target(
        lambda data: read_state(written("a.pt", data)), lambda: [torch_file(), *evil_pickles()], 2
    ),
    "float-model-members": Target(
        lambda data: read_state(written("b.pt", zipped(parts_of(data)))), lambda: [joined(torch_members())], 2
    ),
    "safetensors": Target(lambda data: read_state(written("a.safetensors", data)), lambda: [safetensors_file()], 4),
    "onnx": Target(read_onnx_layers, lambda: [onnx_operators(seed) for seed in chosen_operators()], 3),
    "onnx-members": Target(lambda data: read_onnx_layers(onnx_operators(data)), chosen_operators, 3),
    "npy": Target(lambda data: load_images(written("a.npy", data)), lambda: [npy(PIXELS)], 10),
    "idx": Target(
        lambda data: read_idx(written("a", data), 3),
        lambda: [idx_bytes(PIXELS), gzip.compress(idx_bytes(PIXELS), mtime=0)], 20,
    ),
    "png": Target(
        lambda data: load_images(written("a.png", data)),
        lambda: [picture("PNG"), picture("PNG", "RGBA"), picture("PNG", "P"), picture("PNG", "1")], 6,
    ),
    "png-chunks": Target(
        lambda data: load_images(written("b.png", png_of(parts_of(data)))),
        lambda: [joined(png_chunks(picture("PNG", mode))) for mode in ("L", "RGBA", "P", "1", "I;16")], 6,
    ),
    "jpeg": Target(
        lambda data: load_images(written("a.jpg", data)), lambda: [picture("JPEG"), picture("JPEG", "RGB")], 6
    ),
    "other-pictures": Target(
        lambda data: load_images(written("a.tif", data)),
        lambda: [picture(kind) for kind in ("GIF", "WEBP", "BMP", "TIFF", "PPM")], 6
    ),
    "frames": Target(frames, lambda: [encode(frame) for frame in ANSWERS], 40),
    "answers": Target(
        talk, lambda: [joined([bytes([0x80, frame.kind]) + frame.payload for frame in ANSWERS])], 3
    ),
    "folder": Target(folder, lambda: [json.dumps(manifest()).encode()], 10),
    "folder-values": Target(
        lambda data: folder(altered(parts_of(data))),
        lambda: [joined([bytes([way, 0]), text]) for way in range(12) for text in (b"1", b"[[]]", b'"../a"')], 10,
    ),
}  # fmt: skip
