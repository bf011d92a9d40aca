"""What is fuzzed: everything that reads bytes from outside. A target returns or raises UserError with one line; all
else is a crash.

Where a format has a check-sum that chance never gets right (zip, gzip, PNG, the frames of the serial line), a second
target makes the wrapping good and gives what is inside to the fuzzer.
"""

import gzip
import importlib.util
import io
import json
import os
import pickle
import resource
import signal
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np
from PIL import Image

from fivebyfive.commands.folders.read_folder import read_folder
from fivebyfive.host.board import Board, Limits, LinkFailed
from fivebyfive.hw.generate import generate
from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint
from fivebyfive.model.compress.packing.packed import pack, read_packed
from fivebyfive.model.compress.plan import read_plan
from fivebyfive.model.data.archives import read_members
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.data.idx import idx_bytes, read_idx
from fivebyfive.model.data.images import load_images
from fivebyfive.model.data.named_sets import NAMED_SETS
from fivebyfive.model.description import describe, parse
from fivebyfive.model.protocol.link import Decoder, Frame, Info, Kind, Missing, Result, encode
from fivebyfive.model.readers.folding import fold
from fivebyfive.model.readers.keras import hdf5, hdf5_child, keras_reader
from fivebyfive.model.readers.onnx.onnx_constants import FOLDED
from fivebyfive.model.readers.onnx.onnx_reader import OPERATORS, read_onnx
from fivebyfive.model.readers.pytorch.torch_reader import read_pt2
from fivebyfive.model.readers.state_dict.described import described_steps
from fivebyfive.model.readers.state_dict.reading import find_reading
from fivebyfive.model.readers.state_dict.weights import Weights
from fivebyfive.model.shape import LeNetShape
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


FLOATS = [Weights("c", np.ones((2, 1, 5, 5))), Weights("f", np.ones((3, 288)))]


def float_description(data: bytes) -> object:
    """A reading of a state_dict that is said in full."""
    with user_values():
        return described_steps(data.decode("utf-8", "replace"), FLOATS)


def float_descriptions() -> list[bytes]:
    conv = {"name": "c", "kind": "conv", "then": [{"function": "clip", "low": 0, "high": 6}, {"max": 2}]}
    named = {"name": "f", "kind": "fc", "then": [{"function": "tanh"}, {"function": "leaky-relu", "alpha": 0.1}]}
    return [json.dumps({"input": [1, 28, 28], "layers": [conv, named]}).encode()]


def safetensors_file() -> bytes:
    from safetensors.torch import save

    torch = __import__("torch")
    return save({name: torch.zeros(shape) for name, shape in NETWORK.shape.arrays.items()})


@cache
def tensorflow_files():
    """The writer of checkpoints of TensorFlow, of the tests of their reader."""
    place = Path(__file__).parents[1] / "model" / "readers" / "tensorflow_files.py"
    spec = importlib.util.spec_from_file_location("tensorflow_files", place)
    assert spec
    assert spec.loader
    module = sys.modules["tensorflow_files"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def tensorflow_checkpoint() -> tuple[bytes, bytes]:
    """The .index and the .data file of a small one."""
    arrays = {name.replace(".", "/"): np.ones(shape, np.float32) for name, shape in NETWORK.shape.arrays.items()}
    files = tensorflow_files().checkpoint(tensorflow_files().with_slots(arrays), block_size=200)
    return files.index, files.data[0]


def tensorflow(data: bytes) -> object:
    """An .index of any bytes, beside values of the right check-sums."""
    written("t.ckpt.data-00000-of-00001", tensorflow_checkpoint()[1])
    return find_reading(written("t.ckpt.index", data), None)


def tensorflow_entries() -> list[bytes]:
    """Keys and values of the table, for `tensorflow_table`."""
    from fivebyfive.model.readers.tensorflow.table import read_table

    return [joined([part for pair in read_table(tensorflow_checkpoint()[0]).items() for part in pair])]


def tensorflow_table(data: bytes) -> object:
    """A table whose blocks have the right check-sums."""
    parts = parts_of(data)
    return tensorflow(tensorflow_files().table(dict(zip(parts[::2], parts[1::2], strict=False)), 200))


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


# models of Keras


def keras_layers() -> list[dict]:
    """One of each kind, functional models' nodes among them."""
    conv = {"filters": 2, "kernel_size": [3, 3], "strides": [2, 2], "padding": "same", "activation": "relu"}
    layers = [
        ("InputLayer", {"batch_shape": [None, 8, 8, 1]}), ("Rescaling", {"scale": 0.5, "offset": [0.1]}),
        ("Normalization", {"axis": -1, "mean": [0.1], "variance": [0.2]}), ("Conv2D", conv),
        ("BatchNormalization", {"axis": [3]}), ("ZeroPadding2D", {"padding": [[0, 1], [1, 0]]}),
        ("MaxPooling2D", {"pool_size": [2, 2], "padding": "same"}), ("LeakyReLU", {"alpha": 0.1}),
        ("AveragePooling2D", {"pool_size": [2, 2], "strides": [1, 1]}), ("Reshape", {"target_shape": [-1]}),
        ("Dropout", {"rate": 0.5}), ("Flatten", {}), ("Dense", {"units": 3, "activation": "softmax"}),
    ]  # fmt: skip
    return [
        {"class_name": kind, "name": f"l{n}", "config": {"name": f"l{n}", **config},
         "inbound_nodes": [[[f"l{n - 1}", 0, 0, {}]]] if n else []}
        for n, (kind, config) in enumerate(layers)
    ]  # fmt: skip


def keras_configs() -> list[bytes]:
    layers = keras_layers()
    ends = {"input_layers": [["l0", 0, 0]], "output_layers": [[f"l{len(layers) - 1}", 0, 0]]}
    inner = {"class_name": "Sequential", "config": {"name": "inner", "layers": layers[3:4]}}
    models = [
        {"class_name": "Model", "config": {"name": "m", "layers": layers, **ends}},
        {"class_name": "Sequential", "config": {"layers": [layers[0], inner, *layers[10:]]}},
    ]
    return [json.dumps(model).encode() for model in models]


KERAS_WEIGHTS = {
    "l3/kernel": np.ones((3, 3, 1, 2)), "l3/bias": np.ones(2), "l4/gamma": np.ones(2), "l4/beta": np.ones(2),
    "l4/moving_mean": np.ones(2), "l4/moving_variance": np.ones(2), "l12/kernel": np.ones((4, 3)),
    "l12/bias": np.ones(3),
}  # fmt: skip


def keras_contents() -> hdf5.Contents:
    attributes: dict[str, dict[str, str | list[str]]] = {"": {"model_config": ""}}
    for name in KERAS_WEIGHTS:
        group = attributes.setdefault(f"model_weights/{name.split('/')[0]}", {"weight_names": []})
        group["weight_names"] = [*group["weight_names"], name]
    arrays = {f"model_weights/{name.split('/')[0]}/{name}": array for name, array in KERAS_WEIGHTS.items()}
    return hdf5.Contents(attributes, arrays)


def keras_config(data: bytes) -> object:
    """A configuration with values replaced, and weights that fit the first one."""
    config = json.loads(keras_configs()[data[:1] > b"\x80"])
    with user_values():
        try:
            return keras_reader.steps_of(json.loads(altered(config, parts_of(data[1:]))), "2.15.0", keras_contents())
        except RecursionError as error:  # of models inside models: `read_keras` has a line for it
            raise UserError("too deep") from error


def keras_files() -> list[bytes]:
    """An .h5 file, one with links, and a .keras file whose weights are not packed."""
    config = keras_configs()[0]
    files = []
    for linked in (False, True):
        whole = io.BytesIO()
        with h5py.File(whole, "w") as file:
            file.attrs["model_config"], file.attrs["keras_version"] = config.decode(), "2.15.0"
            for path, array in keras_contents().arrays.items():
                file[path] = array.astype(np.float32)
                group = file[f"model_weights/{path.split('/')[1]}"]
                group.attrs["weight_names"] = keras_contents().attributes[group.name[1:]]["weight_names"]
            if linked:
                file["model_weights/out"] = h5py.ExternalLink("/dev/shm/other.h5", "/x")
                file["model_weights/l3/packed"] = h5py.SoftLink("/model_weights")
                file.create_dataset("model_weights/z", (64, 64), "f4", chunks=(8, 8), compression="gzip")
        files.append(whole.getvalue())
    weights, archive = io.BytesIO(), io.BytesIO()
    with h5py.File(weights, "w") as file:
        file["layers/conv2d/vars/0"] = np.ones((3, 3, 1, 2), np.float32)
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("metadata.json", '{"keras_version": "3.0.0"}')
        members.writestr("config.json", config)
        members.writestr("model.weights.h5", weights.getvalue())
    return [*files, archive.getvalue()]


def forked(file: BinaryIO, output: BinaryIO) -> str:
    """The reader of HDF5 in a process of its own, as always, but a fork of this one: that is much quicker."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return f"ended with {status}" if status else ""
    for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE):
        signal.signal(number, signal.SIG_DFL)  # libFuzzer's would write a report
    status = 1
    try:
        hdf5_child.limit()
        resource.setrlimit(resource.RLIMIT_CPU, (2, 2))  # damaged files keep HDF5 in a loop
        size = file.seek(0, 2)
        file.seek(0)
        hdf5_child.answer(file, output, size)
        output.flush()
        status = 0
    finally:
        os._exit(status)


def keras_file(data: bytes) -> object:
    keras_reader.read_hdf5 = lambda path, file: hdf5.judged(path, forked, file)
    with user_values():
        return keras_reader.read_keras(written("a.keras", data))


def keras_answers() -> list[bytes]:
    """What the child says of the seeds."""
    answers = []
    for data in keras_files()[:2]:
        output = io.BytesIO()
        hdf5_child.answer(io.BytesIO(data), output, len(data))
        answers.append(output.getvalue())
    return answers


@cache
def exported() -> bytes:
    """A .pt2 file, without the example that PyTorch keeps in it."""
    torch = __import__("torch")
    nn = torch.nn
    layers = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3)
    program = torch.export.export(nn.Sequential(*layers).eval(), (torch.zeros(1, 1, 8, 8),))
    whole, smaller = io.BytesIO(), io.BytesIO()
    torch.export.save(program, whole)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(smaller, "w") as kept:
        for name in archive.namelist():
            if "sample_inputs" not in name:
                kept.writestr(name, archive.read(name))
    return smaller.getvalue()


def pt2_values(data: bytes) -> object:
    """A .pt2 file whose graph has values replaced."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(exported())) as archive, zipfile.ZipFile(changed, "w") as new:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith("models/model.json"):
                content = altered(json.loads(content), parts_of(data))
            new.writestr(name, content)
    return pt2(changed.getvalue())


def pt2(data: bytes) -> object:
    with user_values():
        return read_pt2(written("a.pt2", data))


def replacements(longest: int) -> bytes:
    """Parts for `altered` that go down in many ways."""
    ways = [bytes([(7 * n + k) % 251 for k in range(1 + n % longest)]) for n in range(24)]
    texts = (b"1", b"[[]]", b'"relu"', b"null", b"-1", b"[2, 2]", b"{}", b"1e999")
    return joined([part for n, way in enumerate(ways) for part in (way, texts[n % len(texts)])])


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


# data sets


def dataset_members() -> list[bytes]:
    """Names and .npy files of a data set of Keras's form, in colour."""
    arrays = {"x_test": np.resize(PIXELS, (2, 5, 6, 3)), "y_test": np.array([[1], [2]])}
    return [part for name, array in arrays.items() for part in (f"{name}.npy".encode(), npy(array))]


def archives() -> list[bytes]:
    """A .zip, a .tar and a .tar.gz file of two members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("a", "b"):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    whole = file.getvalue()
    return [zipped([b"a", b"abc", b"b", b"abcd"]), whole, gzip.compress(whole, mtime=0)]


def named_set(data: bytes) -> object:
    """A published set whose files hold the parts."""
    parts = [*parts_of(data[1:]), *[b""] * 6]
    known = list(NAMED_SETS.values())[data[0] % len(NAMED_SETS) if data else 0]
    return known.read("test", lambda names, archive: parts[: len(names)])


def named_files() -> list[bytes]:
    wide = b"\0\0\x0c\x02" + struct.pack(">4I", 1, 2, 5, 0)
    narrow = idx_bytes(np.ones(1, np.uint8))
    seeds = {"emnist-letters": [idx_bytes(PIXELS), narrow], "qmnist": [idx_bytes(PIXELS), wide],
             "cifar-10": [bytes(2 * 3073)], "cifar-100": [bytes(3074)]}  # fmt: skip
    return [bytes([list(NAMED_SETS).index(name)]) + joined(parts) for name, parts in seeds.items()]


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
        board = Board(FuzzedPort(parts_of(data)), limits)
        board.classify(np.resize(PIXELS, board.info.input))
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


def altered(whole: dict, parts: list[bytes]) -> bytes:
    """JSON with some values replaced: parts say, in turn, which way to go down and what to put there."""
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
        lambda data: find_reading(written("a.pt", data), None), lambda: [torch_file(), *evil_pickles()], 2
    ),
    "float-model-members": Target(
        lambda data: find_reading(written("b.pt", zipped(parts_of(data))), None), lambda: [joined(torch_members())], 2
    ),
    "safetensors": Target(lambda data: find_reading(written("a", data), None), lambda: [safetensors_file()], 4),
    "tensorflow": Target(tensorflow, lambda: [tensorflow_checkpoint()[0]], 4),
    "tensorflow-members": Target(tensorflow_table, tensorflow_entries, 4),
    "float-description": Target(float_description, float_descriptions, 10),
    "onnx": Target(read_onnx_layers, lambda: [onnx_operators(seed) for seed in chosen_operators()], 3),
    "onnx-members": Target(lambda data: read_onnx_layers(onnx_operators(data)), chosen_operators, 3),
    "keras": Target(keras_file, keras_files, 2),
    "keras-values": Target(keras_config, lambda: [b"\0" + replacements(7), b"\xff" + replacements(9)], 10),
    "keras-answer-values": Target(
        lambda data: hdf5.parsed(Path("a"), io.BytesIO(data)), keras_answers, 10
    ),
    "pt2": Target(pt2, lambda: [exported()], 4),
    "pt2-values": Target(pt2_values, lambda: [replacements(12)], 4),
    "npy": Target(lambda data: load_images(written("a.npy", data)), lambda: [npy(PIXELS)], 10),
    "idx": Target(
        lambda data: read_idx(written("a", data), 3),
        lambda: [idx_bytes(PIXELS), gzip.compress(idx_bytes(PIXELS), mtime=0)], 20,
    ),
    "dataset": Target(
        lambda data: load_dataset(written("d.npz", data)), lambda: [zipped(dataset_members())], 8
    ),
    "dataset-members": Target(
        lambda data: load_dataset(written("e.npz", zipped(parts_of(data)))), lambda: [joined(dataset_members())], 8
    ),
    "archive": Target(lambda data: read_members(data, ["b", "a"], "a.tar.gz", 1 << 20), archives, 10),
    "named-set-members": Target(named_set, named_files, 10),
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
        lambda data: folder(altered(manifest(), parts_of(data))),
        lambda: [joined([bytes([way, 0]), text]) for way in range(12) for text in (b"1", b"[[]]", b'"../a"')], 10,
    ),
}  # fmt: skip
