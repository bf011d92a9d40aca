"""PyTorch modules as steps: a module in Python, or a ``.pt2`` file of `torch.export.save`.

A ``.pt2`` file is a zip archive: the graph as JSON, the weights as plain bytes. That is all that is read of it.
PyTorch's own loader unpickles what else is in there, so it is never used.
"""

import io
import json
import logging
import warnings
import zipfile
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fivebyfive.model.readers.chain import brief
from fivebyfive.model.readers.pytorch.torch_graph import FLOATS, Graph, Node, Ref, steps_of
from fivebyfive.model.readers.steps import Steps, Unsupported
from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.inputs import as_path, open_limited
from fivebyfive.support.optional import require_torch

if TYPE_CHECKING:
    import torch

__all__ = ["EXPORT", "from_torch", "read_pt2"]

MAX_BYTES = 1 << 30  # of the file, and of all that is unpacked
MAX_GRAPH = 64 << 20  # bytes of JSON
MAX_INTEGERS = 1 << 16  # bytes of counters and the like, which no layer has
MAX_MEMBERS = 20_000
EXPORT = (
    "export it where its code is: model.eval(); x = torch.zeros(1, 1, 28, 28);"
    " torch.onnx.export(model, (x,), 'model.onnx')"
)
DTYPES = {6: "<f2", 7: "<f4", 8: "<f8", 13: "bf16", 1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 12: "u1"}


def from_torch(module: "torch.nn.Module", example: "torch.Tensor | np.ndarray") -> Steps:
    """The steps of a module in evaluation mode, by what it does with ``example``: images (N, C, H, W) of any values.

    Raises UserError where torch.export cannot follow the module, and Unsupported where no layers can be made of it.
    """
    torch = require_torch()
    image = example if isinstance(example, torch.Tensor) else torch.as_tensor(np.asarray(example, np.float32))
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # PyTorch logs and prints at length what it cannot follow
    try:
        with warnings.catch_warnings(action="ignore"), redirect_stderr(io.StringIO()), torch.no_grad():
            graph = graph_of(torch.export.export(module, (image,)))
    except Unsupported:
        raise
    except Exception as error:  # of the module's own code, or whatever export meets in it
        kind, text = type(error).__name__, (str(error).splitlines() or [""])[0]
        raise UserError(f"torch.export cannot follow the module ({kind}: {brief(text)}); {EXPORT}") from error
    finally:
        logging.disable(disabled)
        for part, training in modes:
            part.training = training
    return steps_of(graph)


def graph_of(program: Any) -> Graph:
    """The graph of an exported program."""
    torch = require_torch()
    signature = program.graph_signature
    values = {**program.state_dict, **program.constants}
    constants, labels, inputs = {}, {}, []
    for one in signature.input_specs:
        if one.kind.name == "USER_INPUT":
            inputs.append(one.arg.name)
        elif isinstance(found := values.get(one.target), torch.Tensor):
            constants[one.arg.name] = found.detach().cpu().double().numpy()
            labels[one.arg.name] = one.target
    outputs = [one for one in signature.output_specs if one.kind.name != "USER_INPUT_MUTATION"]
    nodes, shapes = [], {}
    for node in program.graph.nodes:
        if node.op == "call_function":
            names = [one.name for one in node.target._schema.arguments] if hasattr(node.target, "_schema") else []
            given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
            if len(names) < len(node.args):
                given = {str(number): one for number, one in enumerate(node.args)}
            nodes.append(Node(str(node.target), {key: plain(one) for key, one in given.items()}, node.name))
        elif node.op == "placeholder":
            shapes[node.name] = tuple(getattr(node.meta.get("val"), "shape", ()))
    one_input(inputs, outputs)
    return Graph(inputs[0], shapes[inputs[0]], outputs[0].arg.name, tuple(nodes), constants, labels)


def one_input(inputs: list, outputs: list) -> None:
    if len(inputs) != 1 or len(outputs) != 1:
        raise Unsupported(f"the module has {len(inputs)} inputs and {len(outputs)} outputs; one of each can be read")


def plain(value: Any) -> Any:
    """An argument without objects of PyTorch: values by name, types as numbers."""
    if hasattr(value, "op") and hasattr(value, "name"):
        return Ref(value.name)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if type(value).__name__ == "dtype":
        return {"torch.float32": 7, "torch.float64": 8}.get(str(value), -1)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


# .pt2 files


def read_pt2(path: Path) -> Steps:
    """The steps of a ``.pt2`` file. Raises UserError, one line, or Unsupported."""
    path = as_path(path, "model")
    with open_limited(path, MAX_BYTES, "model") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return steps_of(Archive(path, archive).graph())
        except (UserError, Unsupported, OSError):
            raise
        except Exception as error:  # a damaged archive makes zipfile and zlib raise almost anything
            kind = type(error).__name__
            raise UserError(f"{path} is damaged or not a .pt2 file ({kind}); {EXPORT}") from error


class Archive:
    """The parts of a ``.pt2`` file that are JSON or plain bytes."""

    def __init__(self, path: Path, archive: zipfile.ZipFile):
        self.path, self.archive, self.left = path, archive, MAX_BYTES
        found = archive.infolist()
        self.members = {info.filename.partition("/")[2]: info for info in found}
        if len(self.members) != len(found) or len(found) > MAX_MEMBERS:
            raise UserError(f"{path} has parts of the same name, or too many; save it again")
        if "models/model.json" not in self.members:
            raise UserError(f"{path} keeps its weights as pickles, which are never loaded; {EXPORT}")
        if self.read("byteorder", 16).strip() != b"little":
            raise UserError(f"{path} has its bytes in another order than little-endian; {EXPORT}")

    def read(self, name: str, limit: int) -> bytes:
        if name not in self.members:
            raise UserError(f"{self.path} has no {brief(name)}; {EXPORT}")
        info = self.members[name]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(f"{self.path} is packed in a way that PyTorch does not use; {EXPORT}")
        limit = min(limit, self.left)
        with self.archive.open(info) as part:
            data = part.read(limit + 1)
        if len(data) > limit:
            raise UserError(f"{self.path} unpacks to more than {limit} bytes of {brief(name)}; a model has less")
        self.left -= len(data)
        return data

    def graph(self) -> Graph:
        model = json.loads(self.read("models/model.json", MAX_GRAPH))
        inner, signature = model["graph_module"]["graph"], model["graph_module"]["signature"]
        tables = {
            kind: json.loads(self.read(f"data/{kind}/model_{kind}_config.json", MAX_GRAPH))["config"]
            for kind in ("weights", "constants")
        }
        constants, labels, inputs = {}, {}, []
        for one in signature["input_specs"]:
            match one:
                case {"user_input": {"arg": {"as_tensor": {"name": str(name)}}}}:
                    inputs.append(name)
                case (
                    {"parameter": {"arg": {"name": str(name)}, "parameter_name": str(label)}}
                    | {"buffer": {"arg": {"name": str(name)}, "buffer_name": str(label)}}
                    | {"tensor_constant": {"arg": {"name": str(name)}, "tensor_constant_name": str(label)}}
                ):
                    constants[name], labels[name] = self.tensor(label, tables), label
                case _:
                    raise Unsupported(f"the file has an input that cannot be read, {brief(list(one))}")
        outputs = signature["output_specs"]
        one_input(inputs, outputs)
        match outputs[0]:
            case {"user_output": {"arg": {"as_tensor": {"name": str(output)}}}}:
                pass
            case _:
                raise Unsupported("the output of the file is no tensor")
        sizes = inner["tensor_values"][inputs[0]]["sizes"]
        shape = tuple(size.get("as_int") for size in sizes)
        nodes = tuple(node_of(node) for node in inner["nodes"])
        return Graph(inputs[0], shape, output, nodes, constants, labels)

    def tensor(self, label: str, tables: dict[str, Any]) -> np.ndarray:
        """A parameter, a buffer or a constant, by what the module calls it."""
        folder = next((folder for folder, table in tables.items() if label in table), None)
        if folder is None:
            raise UserError(f"{self.path} has no values of {brief(label)}; {EXPORT}")
        entry = tables[folder][label]
        meta = entry["tensor_meta"]
        if entry["use_pickle"] is not False:
            raise UserError(f"{self.path} keeps {brief(label)} as a pickle, which is never loaded; {EXPORT}")
        if (kind := DTYPES.get(meta["dtype"])) is None:
            raise Unsupported(f"{brief(label)} has a type that cannot be read; save it in float32")
        limit = MAX_BYTES if kind in ("bf16", "<f2", "<f4", "<f8") else MAX_INTEGERS
        data = self.read(f"data/{folder}/{entry['path_name']}", limit)
        if kind == "bf16":
            values = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
        else:
            values = np.frombuffer(data, kind)
        shape = [whole(one) for one in meta["sizes"]]
        strides = [whole(one) for one in meta["strides"]]
        first = whole(meta["storage_offset"])
        last = first + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        size = int(np.prod(shape, dtype=object))
        if size > values.size or (size and last >= values.size):
            raise UserError(f"{self.path} is damaged: {brief(label)} has fewer values than it says; save it again")
        if not size:
            return np.zeros(shape)
        step = [s * values.itemsize for s in strides]
        return np.lib.stride_tricks.as_strided(values[first:], shape, step, writeable=False).astype(np.float64)


def whole(size: Any) -> int:
    """A size or a stride: a number from 0 on."""
    value = size["as_int"]
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise ValueError(f"{value} is no size")
    return value


def node_of(node: Any) -> Node:
    """A node of the JSON."""
    name = shown(node["target"]).removeprefix("torch.ops.")
    arguments = {str(one["name"]): argument(one["arg"]) for one in node["inputs"]}
    match node["outputs"]:
        case [{"as_tensor": {"name": str(output)}} | {"as_sym_int": {"as_name": str(output)}}]:
            pass
        case _:
            output = str(node.get("name", ""))
    return Node(name, arguments, output)


def argument(value: Any) -> Any:
    """An argument of the JSON: a value by name, a number, a text, or a list of them."""
    match value:
        case {"as_none": _}:
            return None
        case {"as_tensor": {"name": str(name)}} | {"as_sym_int": {"as_name": str(name)}}:
            return Ref(name)
        case {"as_optional_tensor": dict(inner)} | {"as_sym_int": dict(inner)}:
            return argument(inner)
        case {"as_int": found} | {"as_float": found} | {"as_string": found} | {"as_bool": found}:
            return found
        case {"as_ints": list(found)} | {"as_floats": list(found)}:
            return found
        case {"as_sym_ints": list(found)}:
            return [Ref(str(one["as_name"])) if "as_name" in one else one["as_int"] for one in found]
        case {"as_scalar_type": found}:
            return found if found in FLOATS else -1
        case {"as_memory_format": _} | {"as_layout": _} | {"as_device": _}:
            return str(value)
    return brief(value)
