"""A graph of PyTorch's operators (ATen) as steps, whichever way it was come by.

Every argument of an operator must be asked for: one that nobody asks for, and that is not known to be without effect,
is refused, so that no operator is taken for a simpler one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite, prod
from typing import Any

import numpy as np

from fivebyfive.model.readers.chain import MAX_SIDE, Chain, Shape, as_float, brief, checked_values
from fivebyfive.model.readers.execution import pooled_sizes
from fivebyfive.model.readers.steps import (
    Activation,
    Affine,
    Convolution,
    Dense,
    Padding,
    Pooling,
    Steps,
    Unsupported,
)

__all__ = ["FLOATS", "Graph", "Node", "Ref", "steps_of"]

FLOATS = (7, 8)  # float32 and float64, as numbers of PyTorch's ScalarType
WITHOUT_EFFECT = (
    "momentum",
    "cudnn_enabled",
    "p",
    "threshold",
    "non_blocking",
    "copy",
    "memory_format",
    "layout",
    "device",
    "pin_memory",
)
MAX_NODES = 10_000


@dataclass(frozen=True)
class Ref:
    """A value of the graph, by its name."""

    name: str


@dataclass(frozen=True)
class Node:
    """An operator, such as "aten.conv2d.default", its arguments by name, and the name of what it gives."""

    target: str
    arguments: Mapping[str, Any]
    output: str


@dataclass(frozen=True)
class Graph:
    """``shape``: of the input, the batch in front, None where it may be any. ``constants``: parameters and buffers by
    the names of their values; ``labels``: what the module calls them."""

    input: str
    shape: tuple[int | None, ...]
    output: str
    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]
    labels: Mapping[str, str] = field(default_factory=dict)


class Batch:
    """The number of images, as a value of the graph."""

    def __repr__(self) -> str:
        return "N"


BATCH = Batch()


@dataclass
class Flow:
    """What is known while the graph is followed: ``at`` is the name of what the last step gives, the one value that is
    made of the image."""

    graph: Graph
    chain: Chain
    at: str
    constants: dict[str, np.ndarray]
    others: dict[str, int | Batch] = field(default_factory=dict)
    past: set[str] = field(default_factory=set)  # names of what earlier steps gave, whose batch is the same

    @property
    def batch(self) -> int | None:
        return self.graph.shape[0]


class Operation:
    """A node whose arguments are asked for, and checked: a file may hold anything."""

    def __init__(self, node: Node, flow: Flow):
        self.node, self.flow, self.chain = node, flow, flow.chain
        self.asked = set(WITHOUT_EFFECT)
        self.name = node.target.removeprefix("aten.")

    def refused(self, why: str) -> Unsupported:
        return Unsupported(f"{brief(self.name)} (the value {brief(self.node.output)}) {why}")

    def get(self, key: str, default: object = None) -> Any:
        self.asked.add(key)
        value = self.node.arguments.get(key)
        if isinstance(value, Ref) and value.name in self.flow.others:
            return self.flow.others[value.name]
        if isinstance(value, list):
            return [self.flow.others.get(one.name, one) if isinstance(one, Ref) else one for one in value]
        return default if value is None else value

    def finish(self) -> None:
        """Raise Unsupported where an argument was not asked for."""
        for key, value in self.node.arguments.items():
            if key not in self.asked and value not in (None, False):
                raise self.refused(f"has {brief(key)}={brief(value)}, which cannot be read")

    def is_image(self, key: str) -> bool:
        return self.get(key) == Ref(self.flow.at)

    def image(self, key: str = "self") -> None:
        """The argument must be what the last step gives."""
        if not self.is_image(key):
            raise self.refused("takes something else than the layer before gives: the layers must be a chain")

    def maps(self, key: str = "self") -> tuple[int, int, int]:
        self.image(key)
        if len(self.chain.shape) != 3:
            raise self.refused(f"needs maps, and gets values of shape {list(self.chain.shape)}")
        return self.chain.inner()

    def constant(self, key: str) -> np.ndarray:
        value = self.get(key)
        if isinstance(value, Ref) and value.name in self.flow.constants:
            return self.flow.constants[value.name]
        raise self.refused(f"has a {brief(key)} that is no constant of the module")

    def array(self, key: str, *shape: int) -> np.ndarray:
        """Weights of a shape, -1 where it may be any."""
        found = self.constant(key)
        if found.ndim != len(shape) or any(w not in (-1, n) for n, w in zip(found.shape, shape, strict=True)):
            raise self.refused(f"has {key} of shape {list(found.shape)}, which does not fit the layer")
        if found.size == 0:
            raise self.refused(f"has no values in {key}")
        if wrong := checked_values(found):
            raise self.refused(wrong)
        return found

    def optional(self, key: str, *shape: int) -> np.ndarray | None:
        return None if self.get(key) is None else self.array(key, *shape)

    def number(self, key: str, default: float) -> float:
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(as_float(value)):
            raise self.refused(f"has {key} {brief(value)}, not a number")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.refused(f"has {key} {brief(value)}, not true or false")
        return value

    def whole(self, key: str, default: int | None = None) -> int:
        value = self.get(key, default)
        if type(value) is not int or abs(value) > MAX_SIDE**2:
            raise self.refused(f"has {key} {brief(value)}, not a whole number")
        return value

    def pair(self, key: str, default: object, least: int = 1) -> tuple[int, int]:
        value = self.get(key, default)
        if value == []:
            value = default
        two = [value, value] if isinstance(value, int) else value
        two = two * 2 if isinstance(two, list) and len(two) == 1 else two
        if not isinstance(two, list) or len(two) != 2:
            raise self.refused(f"has {key} {brief(value)}, not one or two numbers")
        if not all(type(n) is int and least <= n <= MAX_SIDE for n in two):
            raise self.refused(f"has {key} {brief(value)}, which cannot be")
        return two[0], two[1]

    def label(self, key: str = "weight") -> str:
        """What the module calls the layer that has these weights."""
        value = self.node.arguments.get(key)
        named = self.flow.graph.labels.get(value.name, value.name) if isinstance(value, Ref) else self.node.output
        return named.removesuffix(f".{key}")


def steps_of(graph: Graph) -> Steps:
    """The steps of a graph that is a chain. Raises Unsupported."""
    _, *sides = graph.shape
    if not 1 <= len(sides) <= 3 or not all(type(n) is int and 0 < n <= MAX_SIDE for n in sides):
        raise Unsupported(f"the input has the shape {brief(list(graph.shape))}; images of a fixed size can be read")
    if len(graph.nodes) > MAX_NODES:
        raise Unsupported(f"the graph has {len(graph.nodes)} operators, more than {MAX_NODES}")
    chain = Chain(tuple(n for n in sides if n is not None), channels_last=False)
    flow = Flow(graph, chain, graph.input, dict(graph.constants))
    for node in graph.nodes:
        follow(node, flow)
    if graph.output != flow.at:
        raise Unsupported("the output is not what the last layer gives: the layers must be a chain")
    return Steps(chain.input, tuple(chain.steps), tuple(chain.remarks))


def follow(node: Node, flow: Flow) -> None:
    name = node.target.removeprefix("aten.").split(".")[0]
    if "_assert" in name:  # of sizes and types; computes nothing
        return
    operation = Operation(node, flow)
    source = node.arguments.get("self")
    if name == "sym_size" and isinstance(source, Ref) and source.name in flow.past | {flow.at}:
        place = operation.whole("dim")
        sizes = [BATCH if flow.batch is None else flow.batch, *flow.chain.shape]
        if not 0 <= place < (len(sizes) if source.name == flow.at else 1):
            raise operation.refused(f"has dim {place}")
        flow.others[node.output] = sizes[place]
        return
    if not any(value == Ref(flow.at) for value in node.arguments.values()):
        flow.constants[node.output] = folded(operation, name)
        operation.finish()
        return
    known = OPERATORS.get(name) or OPERATORS.get(name.removesuffix("_"))
    if known is None:
        raise operation.refused("is an operator that no layer can be made of")
    before, ended = len(flow.chain.steps), flow.chain.ended
    known(operation)
    operation.finish()
    if ended and flow.chain.computes_since(before):
        raise Unsupported(f"{brief(ended)} is a softmax in front of other layers, which no layer computes")
    flow.past.add(flow.at)
    flow.at = node.output


def folded(operation: Operation, name: str) -> np.ndarray:
    """A value that is made of constants alone. Arrays of a size that no image's constants have are not made."""
    simple = {"mul": np.multiply, "add": np.add, "sub": np.subtract, "div": np.divide}
    if name in ("detach", "detach_", "clone", "lift_fresh_copy", "alias", "contiguous"):
        return operation.constant("self")
    if name in ("view", "reshape", "unsqueeze", "squeeze", "flatten", "t"):
        values = operation.constant("self")
        if name == "t":
            return values.T
        shape = reshaped(operation, name, values.shape)
        if prod(shape) != values.size or min(shape, default=1) < 0:
            raise operation.refused(f"makes {brief(list(shape))} of {list(values.shape)}, which cannot be")
        return values.reshape(shape)
    if name in simple:
        operation.number("alpha", 1)
        one, other = (
            operation.constant(key) if isinstance(operation.get(key), Ref) else np.asarray(operation.number(key, 0))
            for key in ("self", "other")
        )
        fits = one.size == 1 or other.size == 1 or one.shape == other.shape
        if operation.number("alpha", 1) == 1 and fits:
            with np.errstate(all="ignore"):
                return np.asarray(simple[name](one, other))
    raise operation.refused("computes with weights, or joins layers that are no chain")


def reshaped(operation: Operation, name: str, shape: Shape) -> Shape:
    """The whole shape that comes of a whole shape, by the operators that leave the values where they are."""
    rank = len(shape)
    if name in ("view", "reshape", "_unsafe_view"):
        target = operation.get("size") if operation.node.arguments.get("size") is not None else operation.get("shape")
        if not isinstance(target, list) or len(target) > 8 or not all(type(n) is int for n in target):
            raise operation.refused(f"has the size {brief(target)}, not numbers")
        if target.count(-1) == 1 and (rest := -prod(target)) > 0:
            target = [prod(shape) // rest if n == -1 else n for n in target]
        return tuple(target)
    if name == "flatten":
        start, end = (operation.whole(key, default) for key, default in (("start_dim", 0), ("end_dim", -1)))
        start, end = (n + rank if n < 0 else n for n in (start, end))
        if not 0 <= start <= end < rank:
            raise operation.refused("flattens dimensions that are not there")
        return (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :])
    found = operation.get("dim")
    places = [found] if isinstance(found, int) else found
    if not isinstance(places, list) or not all(type(n) is int and abs(n) <= 8 for n in places):
        raise operation.refused(f"has dim {brief(found)}")
    if name == "unsqueeze":
        place = places[0] + rank + 1 if places[0] < 0 else places[0]
        if not 0 <= place <= rank:
            raise operation.refused(f"has dim {brief(found)}")
        return (*shape[:place], 1, *shape[place:])
    dropped = {n + rank if n < 0 else n for n in places}
    return tuple(n for number, n in enumerate(shape) if number not in dropped or n != 1)


# operators


def convolution(op: Operation) -> None:
    channels, rows, columns = op.maps("input")
    weight = op.array("weight", -1, -1, -1, -1)
    outputs, inputs, *size = weight.shape
    stride, groups = op.pair("stride", 1), op.whole("groups", 1)
    if op.pair("dilation", 1) != (1, 1):
        raise op.refused("has dilated kernels, which no layer of the machine has")
    if groups < 1 or channels != inputs * groups or outputs % groups:
        raise op.refused(f"has weights of shape {list(weight.shape)} for {channels} maps in {groups} groups")
    padding = op.get("padding", 0)
    if padding == "same":  # the odd one goes to the bottom and to the right
        if stride != (1, 1):
            raise op.refused("has padding same and a stride")
        sides = ((size[0] - 1) // 2, (size[1] - 1) // 2, size[0] // 2, size[1] // 2)
    else:
        high, wide = (0, 0) if padding == "valid" else op.pair("padding", 0, least=0)
        sides = (high, wide, high, wide)
    bias = op.optional("bias", outputs)
    extent = [rows + sides[0] + sides[2] - size[0], columns + sides[1] + sides[3] - size[1]]
    if min(extent) < 0:
        raise op.refused(f"has kernels of {size[0]}x{size[1]}, larger than its maps of {rows}x{columns}")
    op.chain.add(Convolution(op.label(), weight, bias, stride, sides, groups))
    op.chain.set_maps(outputs, extent[0] // stride[0] + 1, extent[1] // stride[1] + 1)


def linear(op: Operation) -> None:
    op.image("input")
    weight = op.array("weight", -1, op.chain.shape[-1])
    dense(op, op.label(), weight, op.optional("bias", len(weight)))


def multiplied(op: Operation) -> None:
    """x @ w, of matmul, mm and addmm."""
    if op.name.startswith("addmm"):
        op.image("mat1")
        weight = op.array("mat2", op.chain.shape[-1], -1)
        if (op.number("beta", 1), op.number("alpha", 1)) != (1, 1):
            raise op.refused("has beta or alpha")
        dense(op, op.label("mat2"), weight.T, op.array("self", weight.shape[1]))
        return
    op.image()
    other = "mat2" if "mat2" in op.node.arguments else "other"
    dense(op, op.label(other), op.array(other, op.chain.shape[-1], -1).T, None)


def dense(op: Operation, name: str, weight: np.ndarray, bias: np.ndarray | None) -> None:
    if len(op.chain.shape) != 1:
        raise op.refused(f"gets values of shape {list(op.chain.shape)}, not a vector; flatten them first")
    op.chain.flattened()
    op.chain.add(Dense(name, weight, bias))
    op.chain.shape = (len(weight),)


def batch_norm(op: Operation) -> None:
    op.image("input")
    if op.flag("training", False) or len(op.chain.shape) == 2:
        raise op.refused("uses the statistics of the batch; export the module after module.eval()")
    width = op.chain.channels
    mean, variance = op.array("running_mean", width), op.array("running_var", width)
    weight, bias = op.optional("weight", width), op.optional("bias", width)
    spread = variance + op.number("eps", 1e-5)
    if spread.min() <= 0:
        raise op.refused("has a variance that is not positive")
    if len(op.chain.shape) == 1:
        op.chain.flattened()
    op.chain.add(Affine.batch_norm(mean, spread, 1.0 if weight is None else weight, 0.0 if bias is None else bias))


def pooling(op: Operation) -> None:
    channels, rows, columns = op.maps()
    kind = "max" if op.name.startswith("max") else "average"
    size = op.pair("kernel_size", None)
    stride, padding = op.pair("stride", list(size)), op.pair("padding", 0, least=0)
    ceil = op.flag("ceil_mode", False)
    counts = op.flag("count_include_pad", True) if kind == "average" else True
    if kind == "max" and op.pair("dilation", 1) != (1, 1):
        raise op.refused("is dilated, which no layer of the machine is")
    for n, k, p in zip((rows, columns), size, padding, strict=True):
        if 2 * p > k or n + 2 * p < k:
            raise op.refused(f"has a window of {k} and padding {p} for maps of {n}")
    step = Pooling(kind, size, stride, (*padding, *padding), ceil, counts)
    op.chain.add(step)
    op.chain.set_maps(channels, *pooled_sizes(step, (rows, columns)))


def adaptive(op: Operation) -> None:
    channels, rows, columns = op.maps()
    high, wide = op.pair("output_size", None)
    if (high, wide) == (rows, columns):
        return
    if rows % high or columns % wide:
        raise op.refused(f"makes maps of {high}x{wide} of {rows}x{columns}, with windows of several sizes")
    size = (rows // high, columns // wide)
    op.chain.add(Pooling("average", None) if (high, wide) == (1, 1) else Pooling("average", size, size))
    op.chain.set_maps(channels, high, wide)


def mean(op: Operation) -> None:
    channels, _, _ = op.maps()
    found = op.get("dim")
    if not isinstance(found, list) or {n % 4 for n in found if type(n) is int} != {2, 3} or len(found) != 2:
        raise op.refused(f"is over {brief(found)}; rows and columns can be read")
    op.chain.add(Pooling("average", None))
    op.chain.set_maps(channels, 1, 1)
    if not op.flag("keepdim", False):
        op.chain.flatten()


def shape(op: Operation) -> None:
    """view, reshape, flatten, squeeze, unsqueeze: the batch must stay what it is."""
    op.image()
    name = op.name.split(".")[0].removesuffix("_")
    inner, any_batch = op.chain.shape, op.flow.batch is None
    whole = (op.flow.batch or MAX_SIDE * 2 + 1, *inner)  # where it may be any: a number that no size is
    if name in ("view", "reshape", "_unsafe_view"):
        key = "size" if op.node.arguments.get("size") is not None else "shape"
        target = op.get(key)
        if isinstance(target, list) and target and target.count(-1) == 1 and target[0] == -1:
            rest = target[1:]
            found: Shape = (whole[0], *rest) if all(type(n) is int for n in rest) else ()
        else:
            sizes = [whole[0] if one is BATCH else one for one in target] if isinstance(target, list) else target
            copy = Node(op.node.target, {**op.node.arguments, key: sizes}, op.node.output)
            found = reshaped(Operation(copy, op.flow), name, whole)
    else:
        found = reshaped(op, name, whole)
    wanted = found[1:]
    if not found or found[0] != whole[0] or min(wanted, default=0) < 1 or prod(wanted) != prod(inner):
        raise op.refused(f"makes {brief(['N' if any_batch else whole[0], *wanted])} of {['N', *inner]}: "
                         "the images of a batch must stay apart")  # fmt: skip
    if len(inner) == 3 and wanted == (inner[0], 1):  # of squeeze, one dimension after the other
        wanted = inner[:1]
    if not op.chain.reshape(wanted):
        raise op.refused(f"makes {list(wanted)} of {list(inner)}; only an input can be reshaped so")


def pad(op: Operation) -> None:
    op.image()
    sides = op.get("pad")
    if op.get("mode", "constant") != "constant":
        raise op.refused(f"pads by {brief(op.get('mode'))}; constants can be read")
    value = op.number("value", 0)
    if not isinstance(sides, list) or not all(type(n) is int and 0 <= n <= MAX_SIDE for n in sides):
        raise op.refused(f"has pad {brief(sides)}, not numbers from 0 on")
    if not any(sides):
        return
    if len(sides) % 2 or len(sides) < 2 or any(sides[4:]):
        raise op.refused(f"has pad {brief(sides)}, more than of rows and columns")
    channels, rows, columns = op.maps()
    left, right, top, bottom = (*sides, 0, 0)[:4]
    op.chain.add(Padding((top, left, bottom, right), value))
    op.chain.set_maps(channels, rows + top + bottom, columns + left + right)


def softmax(op: Operation) -> None:
    """Left out at the end, where it does not change which class is largest."""
    op.image()
    op.get("dtype")
    op.get("half_to_float")
    dim = op.whole("dim", -1)
    rank = len(op.chain.shape) + 1
    if not -rank <= dim < rank or dim % rank == 0 or op.chain.shape[dim % rank - 1] != prod(op.chain.shape):
        raise op.refused("is a softmax of something else than classes")
    op.chain.end(op.node.output)


def arithmetic(op: Operation) -> None:
    """x + c, x - c, c - x, x * c, x / c: c a number, or one for each channel."""
    name = op.name.split(".")[0].removesuffix("_")
    turned = not op.is_image("self")
    op.image("other" if turned else "self")
    key = "self" if turned else "other"
    value = op.get(key)
    if isinstance(value, Ref) and value.name in op.flow.past | {op.flow.at}:
        raise op.refused("joins two layers; the layers must be a chain")
    if value is None:
        raise op.refused(f"has no {key}")
    constant = per_channel(op, op.constant(key) if isinstance(value, Ref) else np.asarray(op.number(key, 0)))
    alpha = op.number("alpha", 1) if name in ("add", "sub", "rsub") else 1.0
    one, zero = np.asarray(1.0), np.asarray(0.0)
    if name == "add":
        scale, shift = (alpha * one, constant) if turned else (one, alpha * constant)
    elif name in ("sub", "rsub"):
        reverse = turned != (name == "rsub")  # c - x; alpha belongs to what is subtracted
        scale, shift = (-alpha * one, constant) if reverse else (one, -alpha * constant)
    elif name == "mul":
        scale, shift = constant, zero
    elif turned or not np.all(constant):
        raise op.refused("divides by values of the image" if turned else "divides by zero")
    else:
        scale, shift = 1 / constant, zero
    if wrong := checked_values(scale) or checked_values(shift):
        raise op.refused(wrong)
    op.chain.add(Affine(np.asarray(scale), np.asarray(shift)))


def per_channel(op: Operation, values: np.ndarray) -> np.ndarray:
    """A constant that is broadcast over images, as a number or as (C,)."""
    inner = op.chain.shape
    if values.size == 1:
        return values.reshape(())
    width = op.chain.channels
    wanted = (width, *(1,) * (len(inner) - 1))
    if len(inner) == 2 or values.shape not in (wanted, (1, *wanted)):
        raise op.refused(f"has a constant of shape {list(values.shape)}, not one or one for each of {width} channels")
    if len(inner) == 1:
        op.chain.flattened()
    return values.reshape(width)


def negated(op: Operation) -> None:
    op.image()
    op.chain.add(Affine(np.asarray(-1.0), np.asarray(0.0)))


def function(name: str, **parameters: tuple[str, float]) -> Callable[[Operation], None]:
    """An activation whose parameters are arguments with these names and defaults."""

    def add(op: Operation) -> None:
        op.image("input" if "input" in op.node.arguments else "self")
        given = {key: op.number(argument, default) for key, (argument, default) in parameters.items()}
        op.chain.add(Activation(name, given))

    return add


def gelu(op: Operation) -> None:
    op.image()
    how = op.get("approximate", "none")
    if how not in ("none", "tanh"):
        raise op.refused(f"has approximate {brief(how)}")
    op.chain.add(Activation("gelu" if how == "none" else "gelu-tanh"))


def clamp(op: Operation) -> None:
    op.image()
    given = {key: op.number(argument, 0) for key, argument in (("low", "min"), ("high", "max"))
             if op.get(argument) is not None}  # fmt: skip
    op.chain.add(Activation("relu") if given == {"low": 0.0} else Activation("clip", given))


def fixed(name: str, **parameters: float) -> Callable[[Operation], None]:
    def add(op: Operation) -> None:
        op.image()
        op.chain.add(Activation(name, parameters))

    return add


def elu(op: Operation) -> None:
    op.image()
    if (op.number("scale", 1), op.number("input_scale", 1)) != (1, 1):
        raise op.refused("has a scale")
    op.chain.add(Activation("elu", {"alpha": op.number("alpha", 1)}))


def softplus(op: Operation) -> None:
    op.image()
    if op.number("beta", 1) != 1:
        raise op.refused("has a beta other than 1")
    op.chain.add(Activation("softplus"))


def dropout(op: Operation) -> None:
    op.image("input")
    if op.flag("train", False):
        raise op.refused("drops values; export the module after module.eval()")
    op.chain.left_out("Dropout")


def unchanged(op: Operation) -> None:
    op.image("input" if "input" in op.node.arguments else "self")
    if (kind := op.get("dtype")) is not None and kind not in FLOATS:
        raise op.refused("makes the values another type than float32 or float64")


OPERATORS: dict[str, Callable[[Operation], None]] = {
    "conv2d": convolution,
    "linear": linear,
    **dict.fromkeys(("matmul", "mm", "addmm"), multiplied),
    "batch_norm": batch_norm,
    **dict.fromkeys(("max_pool2d", "avg_pool2d"), pooling),
    "adaptive_avg_pool2d": adaptive,
    "mean": mean,
    **dict.fromkeys(("view", "reshape", "_unsafe_view", "flatten", "squeeze", "unsqueeze"), shape),
    **dict.fromkeys(("pad", "constant_pad_nd"), pad),
    **dict.fromkeys(("softmax", "log_softmax", "_softmax", "_log_softmax"), softmax),
    **dict.fromkeys(("add", "sub", "rsub", "mul", "div"), arithmetic),
    "neg": negated,
    **{name: fixed(name) for name in ("relu", "tanh", "sigmoid", "selu", "abs", "floor")},
    "relu6": fixed("clip", low=0.0, high=6.0),
    "silu": fixed("swish"),
    "hardswish": fixed("hard-swish"),
    "hardsigmoid": fixed("hard-sigmoid", alpha=1 / 6, beta=0.5),
    "leaky_relu": function("leaky-relu", alpha=("negative_slope", 0.01)),
    "hardtanh": function("clip", low=("min_val", -1.0), high=("max_val", 1.0)),
    "gelu": gelu,
    "clamp": clamp,
    "elu": elu,
    "softplus": softplus,
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), dropout),
    **dict.fromkeys(("contiguous", "clone", "detach", "alias", "to", "_to_copy", "identity"), unchanged),
}
