"""An ONNX file as a plain graph: nodes, their attributes, constants. It is hostile input: nothing of it is trusted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.inputs import as_path, open_limited, read_limited
from fivebyfive.support.optional import require

from ..steps import Unsupported

__all__ = ["MAX_VALUES", "Graph", "Node", "read_graph", "text"]

MAX_BYTES = 256 << 20  # of the file, and of each file of weights beside it
MAX_VALUES = 1 << 24  # of an array; the largest layer allowed has 4,096 x 4,096
MAX_NODES = 4000
MAX_TEXT = 80  # characters of a name in a message
OLDEST = 7  # opset
PLAIN = ("", "ai.onnx")
DOMAINS = (*PLAIN, "qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
NUMBERS = "FLOAT FLOAT16 BFLOAT16 DOUBLE BOOL INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64".split()
HINT = "export the network again"


@dataclass(frozen=True)
class Node:
    """``inputs`` and ``outputs`` are names of values, "" for one that is left out. ``label``: for messages."""

    operator: str
    label: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Graph:
    """``nodes`` that the output needs, in order. ``constants``: by name. ``input`` and ``output``: names of the only
    ones; ``dimensions`` of the input, None where the file leaves one open. ``opset``: of the standard operators."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]
    input: str
    dimensions: tuple[int | None, ...]
    output: str
    opset: int


def read_graph(path: Path) -> Graph:
    """The graph of a file. Raises UserError, one line, for what is none, and `Unsupported` for what has no layers."""
    path = as_path(path, "model")
    onnx = require("onnx", "reading ONNX files needs", "the package onnx (36 MB with what it needs)", "onnx")
    data = read_limited(path, MAX_BYTES, "model")
    try:
        model = onnx.ModelProto.FromString(data)
        if not model.graph.node:
            raise ValueError("no nodes")
    except Exception as error:  # protobuf's DecodeError, and what else its versions raise
        raise UserError(f"{path} is damaged or not an ONNX file; {HINT}") from error
    return checked(path, onnx, model)


def checked(path: Path, onnx: Any, model: Any) -> Graph:
    graph = model.graph
    opset = next((one.version for one in model.opset_import if one.domain in PLAIN), 0)
    if not OLDEST <= opset <= onnx.defs.onnx_opset_version():
        newest = onnx.defs.onnx_opset_version()
        raise Unsupported(f"it has opset {opset}; opsets {OLDEST} to {newest} are read; export it with one of them")
    if graph.sparse_initializer:
        raise Unsupported("it has sparse initializers; export it with dense ones")
    tensors = Tensors(path, onnx)
    outputs = [one.name for one in graph.output]
    if len(outputs) != 1:
        raise Unsupported(f"it has {len(outputs)} outputs; a network here has one, the scores of the classes")
    nodes = list(needed(graph.node, outputs[0]))
    used = {name for node in nodes for name in node.input} | set(outputs)
    constants = {one.name: tensors.array(one) for one in graph.initializer if one.name in used}
    inputs = [one for one in graph.input if one.name in used and one.name not in constants]
    if len(inputs) != 1:
        raise Unsupported(f"it has {len(inputs)} inputs that its output needs; a network here has one, the images")
    sizes = inputs[0].type.tensor_type.shape.dim
    dimensions = tuple(one.dim_value if one.dim_value > 0 else None for one in sizes)
    read = tuple(map(tensors.node, nodes))
    return Graph(read, constants, inputs[0].name, dimensions, outputs[0], opset)


def needed(nodes: Iterable[Any], output: str) -> Iterable[Any]:
    """The nodes that a value depends on, in the order of the file."""
    every = list(nodes)
    if len(every) > MAX_NODES:
        raise Unsupported(f"it has {len(every):,} nodes; at most {MAX_NODES:,} are read")
    wanted, taken = {output}, []
    for node in reversed(every):
        if not wanted.isdisjoint(node.output):
            taken.append(node)
            wanted.update(name for name in node.input if name)
    return reversed(taken)


class Tensors:
    """Arrays of a file, and of files in its folder."""

    def __init__(self, path: Path, onnx: Any) -> None:
        self.path, self.onnx = path, onnx
        self.left = 2 * MAX_VALUES

    def node(self, node: Any) -> Node:
        name = text(node.name) or text(next(iter(node.output), ""))
        if node.domain not in DOMAINS:
            raise Unsupported(f"the operator {text(node.op_type)} of {text(node.domain)} ({name}) is not supported")
        attributes = {one.name: self.attribute(one) for one in node.attribute}
        return Node(node.op_type, name, tuple(node.input), tuple(node.output), attributes)

    def attribute(self, attribute: Any) -> Any:
        """The value of an attribute; None for one of a kind that no operator here has."""
        kinds = self.onnx.AttributeProto
        kind = attribute.type
        if kind == kinds.TENSOR:
            return self.array(attribute.t)
        if kind == kinds.STRING:
            return attribute.s.decode("utf-8", "replace")
        fields = {kinds.INT: "i", kinds.FLOAT: "f", kinds.INTS: "ints", kinds.FLOATS: "floats"}
        value: Any = getattr(attribute, fields[kind]) if kind in fields else None
        return list(value) if kind in (kinds.INTS, kinds.FLOATS) else value

    def array(self, tensor: Any) -> np.ndarray:
        """The values of a tensor: floats as float64, whole numbers as they are."""
        name, kinds = text(tensor.name), self.onnx.TensorProto
        shape = tuple(tensor.dims)
        if min(shape, default=0) < 0 or (size := prod(shape)) > MAX_VALUES or size > self.left:
            raise Unsupported(f"the array {name} has the shape {shape}; at most {MAX_VALUES:,} values are read")
        self.left -= size
        if tensor.data_type not in (getattr(kinds, kind) for kind in NUMBERS):
            raise Unsupported(f"the array {name} does not hold numbers")
        if tensor.data_location == kinds.EXTERNAL:
            tensor = self.loaded(tensor, size, name)
        try:
            array = self.onnx.numpy_helper.to_array(tensor)
            if array.shape != shape:
                raise ValueError(f"it has {array.shape}")
            whole = array.dtype.kind in "iub"
            return array if whole else array.astype(np.float64)
        except Exception as error:  # fewer values than its shape has, and whatever else damage leads to
            raise UserError(f"{self.path}: the array {name} is damaged; {HINT}") from error

    def loaded(self, tensor: Any, size: int, name: str) -> Any:
        """The tensor with the bytes that it says lie in a file of the same folder."""
        entries = {one.key: one.value for one in tensor.external_data}
        location = entries.get("location", "")
        offset, length = (number(entries.get(key, "0")) for key in ("offset", "length"))
        if not location or Path(location).is_absolute() or ".." in Path(location).parts or offset is None:
            raise Unsupported(f"the array {name} lies in a file that is not in the model's folder")
        whole = size * self.onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        if "length" in entries and length != whole:
            raise Unsupported(f"the array {name} of {size} values has {whole} bytes, not {length}")
        place = self.path.parent / location
        with open_limited(place, MAX_BYTES, "file of weights", self.path.parent) as file:
            file.seek(offset)
            data = file.read(whole)
        filled = self.onnx.TensorProto()
        filled.CopyFrom(tensor)
        filled.ClearField("external_data")
        filled.data_location = self.onnx.TensorProto.DEFAULT
        filled.raw_data = data
        return filled


def number(value: str) -> int | None:
    """A size in bytes; None for what is none."""
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None


def text(name: str) -> str:
    """A name of the file's in a message."""
    return shown(name)[:MAX_TEXT]
