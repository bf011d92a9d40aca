"""ONNX files become steps. Nothing is executed: each operator is followed with what is known of its inputs.

A value is either known (weights, and the shapes that a file computes) or a `Signal`, which comes from the image: the
steps that lead to it, and which axis of the file's tensor is which.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf, prod
from pathlib import Path

import numpy as np

from fivebyfive.model.network import dims
from fivebyfive.support.errors import UserError

from ..execution import FUNCTIONS, pooled_sizes
from ..formulas import Formula, composed, recognized
from ..steps import (
    Activation,
    Affine,
    Convolution,
    Dense,
    Flatten,
    Padding,
    Pooling,
    Quantizer,
    Sides,
    Step,
    Steps,
    Unsupported,
)
from .onnx_constants import (
    FOLDED,
    attribute,
    axes_of,
    bipolar_quantizer,
    numbers,
    quantizer,
    slices,
    truncation,
    wide,
)
from .onnx_file import Graph, Node, read_graph, text

__all__ = ["read_onnx"]

BATCH = 1_000_003  # images, where the file leaves it open: no other size of a network is that
MAPS = "chw"
CHANNELS_FIRST, CHANNELS_LAST = "chw", "hwc"
SCALES = "it has a scale a channel of what comes from the image; one for all is supported"
MAX_SIDE = 4096  # rows and columns of an input or a padding
WRONG = (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, TypeError, ValueError)


def read_onnx(path: Path | str) -> Steps:
    """The steps of an ONNX file. Raises UserError for a file that cannot be read, and `Unsupported`, both with one
    line, for what it holds that no step stands for."""
    graph = read_graph(Path(path))
    layouts = [CHANNELS_FIRST, CHANNELS_LAST]
    sizes = graph.dimensions
    if len(sizes) == 4 and sizes[3] in (1, 3) and sizes[1] not in (1, 3):
        layouts.reverse()
    refusal: Unsupported | None = None
    for layout in layouts[: 2 if len(sizes) == 4 else 1]:
        try:
            with np.errstate(all="ignore"):  # what is not finite in the end is refused
                return Reader(path, graph, layout).steps()
        except Unsupported as error:
            refusal = refusal or error
    assert refusal
    raise refusal


@dataclass(frozen=True)
class Signal:
    """A value that comes from the image. ``size``: (channels, rows, columns), or (width,), of what ``steps`` give;
    ``axes``: what each axis of the file's tensor is, "n" images, "c", "h", "w", "f" places of a vector, "1" nothing.
    ``formula``: a function of each value, behind the steps. ``picked``: the channels it is made of, where not of all.
    ``scores``: whether a Softmax was left out behind it."""

    steps: tuple[Step, ...]
    size: tuple[int, ...]
    axes: tuple[str, ...]
    formula: Formula | None = None
    picked: tuple[int, ...] | None = None
    scores: bool = False

    def dimensions(self, batch: int) -> tuple[int, ...]:
        """Of the file's tensor."""
        names = MAPS if len(self.size) == 3 else "f"
        sizes = dict(zip(names, self.size, strict=True)) | {"n": batch, "1": 1}
        if self.picked is not None:
            sizes["c"] = len(self.picked)
        return tuple(sizes[axis] for axis in self.axes)

    def then(self, *steps: Step, size: tuple[int, ...] | None = None, axes: Sequence[str] | None = None) -> "Signal":
        """More steps behind a signal without a formula."""
        size = size or self.size
        return replace(self, steps=self.steps + steps, size=size, axes=named(axes or self.axes, size))


def named(axes: Iterable[str], size: tuple[int, ...]) -> tuple[str, ...]:
    """Axes, of which those of size 1 may be anything."""
    single = {axis for axis, one in zip(MAPS if len(size) == 3 else "f", size, strict=True) if one == 1}
    return tuple("1" if axis in single else axis for axis in axes)


class Reader:
    """Follows a graph, node by node. ``layout``: the axes of an image of four dimensions."""

    def __init__(self, path: Path | str, graph: Graph, layout: str) -> None:
        self.path, self.graph, self.layout = path, graph, layout
        self.remarks: list[str] = []
        self.origins: dict[str, str] = {}  # constant to the one that it was made of, by quantizers and the like
        self.batch = (graph.dimensions[0] if graph.dimensions else None) or BATCH
        self.input, first = self.first()
        self.values: dict[str, np.ndarray | Signal | None] = {**graph.constants, graph.input: first, "": None}

    def first(self) -> tuple[tuple[int, int, int], Signal]:
        """The size of an image, and the signal that it is."""
        sizes = self.graph.dimensions[1:]
        known = [size for size in sizes if size is not None]
        if len(known) != len(sizes) or max(known, default=0) > MAX_SIDE**2:
            raise Unsupported(
                f"it does not say how large its images are, but {self.graph.dimensions}; export it with a fixed size"
            )
        if len(known) == 1:
            side = int(known[0] ** 0.5)
            if side**2 != known[0]:
                raise Unsupported(f"its input has {known[0]} values an image, which is no square")
            return (1, side, side), Signal((Flatten(),), (known[0],), named("nf", (known[0],)))
        if len(known) not in (2, 3):
            raise Unsupported(f"its input has {len(known) + 1} dimensions; images have four: {self.graph.dimensions}")
        layout = self.layout if len(known) == 3 else "hw"
        by_axis = dict(zip(layout, known, strict=True))
        size = by_axis.get("c", 1), by_axis["h"], by_axis["w"]
        return size, Signal((), size, named(["n", *layout], size))

    def steps(self) -> Steps:
        for node in self.graph.nodes:
            what = f"{text(node.operator)[:40]} {node.label}"
            try:
                self.take(node)
            except Unsupported as error:
                raise Unsupported(f"{what}: {error}") from error
            except UserError:
                raise
            except WRONG as error:
                kind = type(error).__name__
                raise Unsupported(f"{what}: it is not as ONNX says ({kind})") from error
        last = self.values.get(self.graph.output)
        if not isinstance(last, Signal):
            raise Unsupported("its output does not depend on its input")
        return Steps(self.input, whole(resolved(last)).steps, tuple(dict.fromkeys(self.remarks)))

    def take(self, node: Node) -> None:
        """Follow one node."""
        for name in node.inputs:
            if name not in self.values:
                raise Unsupported(f"nothing makes its input {name[:60]!a}")
        values = [self.values[name] for name in node.inputs]
        if any(isinstance(value, Signal) for value in values):
            if node.operator not in OPERATORS:
                raise Unsupported("this operator is not supported")
            if any(isinstance(value, Signal) and value.scores for value in values) and node.operator not in HARMLESS:
                raise Unsupported("it stands behind a Softmax, which must be the end")
            made: object = OPERATORS[node.operator](self, node, values)
        else:
            if node.operator not in FOLDED:
                raise Unsupported("this operator is not supported")
            made = FOLDED[node.operator](node, [value for value in values if not isinstance(value, Signal)])
            self.origins |= dict.fromkeys(node.outputs, self.origin(node.inputs[0]) if node.inputs else "")
        several: list = made if isinstance(made, list) else [made]
        self.values.update(zip(node.outputs, several, strict=False))

    def origin(self, name: str) -> str:
        return self.origins.get(name) or name

    # layers

    def convolution(self, node: Node, values: list) -> Signal:
        x = maps(values[0])
        weight = known(values[1], "weights")
        bias = known(values[2], "bias").reshape(-1) if len(values) > 2 and values[2] is not None else None
        groups = int(node.attributes.get("group", 1))
        if weight.ndim != 4:
            raise Unsupported(f"its kernels have {weight.ndim - 2} dimensions; images have 2")
        channels = x.size[0] if x.picked is None else len(x.picked)
        if not 1 <= groups <= channels or weight.shape[1] * groups != channels or len(weight) % groups:
            raise Unsupported(f"its weights {dims(weight.shape)} do not fit {channels} channels in {groups} groups")
        if bias is not None and len(bias) != len(weight):
            raise Unsupported(f"its bias has {len(bias)} values for {len(weight)} outputs")
        weight = dilated(weight, pair(node, "dilations", 1))
        if x.picked is not None:
            weight, groups = spread(weight, x.picked, x.size[0], groups), 1
        stride = pair(node, "strides", 1)
        padding = around(node, x.size[1:], weight.shape[2:], stride)
        sizes = [
            (size + padding[axis] + padding[axis + 2] - weight.shape[2 + axis]) // stride[axis] + 1
            for axis, size in enumerate(x.size[1:])
        ]
        if min(sizes) < 1:
            raise Unsupported(f"nothing is left of its maps; a kernel does not fit in {dims(x.size[1:])}")
        step = Convolution(layer_name(node, self.origin(node.inputs[1])), weight, bias, stride, padding, groups)
        return replace(x, picked=None).then(step, size=(len(weight), sizes[0], sizes[1]), axes="nchw")

    def gemm(self, node: Node, values: list) -> Signal:
        get = node.attributes.get
        weight = known(values[1], "weights") * get("alpha", 1.0)
        bias = known(values[2], "bias") * get("beta", 1.0) if len(values) > 2 and values[2] is not None else None
        if get("transA", 0):
            raise Unsupported("it transposes what comes from the image")
        return self.dense(node, values[0], weight if get("transB", 0) else weight.T, bias)

    def matmul(self, node: Node, values: list) -> Signal:
        weight = known(values[1], "weights")
        return self.dense(node, values[0], weight.reshape(weight.shape[-2:]).T, None)

    def dense(self, node: Node, value: object, weight: np.ndarray, bias: np.ndarray | None) -> Signal:
        x = vector(value)
        if weight.ndim != 2 or weight.shape[1] != x.size[0]:
            raise Unsupported(f"its weights {dims(weight.shape)} do not fit {x.size[0]} inputs")
        if bias is not None:
            bias = np.broadcast_to(bias, (1, len(weight))).reshape(-1)
        return x.then(Dense(layer_name(node, self.origin(node.inputs[1])), weight, bias), size=(len(weight),))

    def batch_norm(self, node: Node, values: list) -> Signal:
        x = whole(resolved(values[0]))
        x = maps(x) if len(x.axes) == 4 else vector(x)
        if node.attributes.get("training_mode", 0):
            raise Unsupported("it is in training mode; export the network in evaluation mode")
        scale, shift, mean, variance = (known(value, "parameters").reshape(-1) for value in values[1:5])
        spread = variance + node.attributes.get("epsilon", 1e-5)
        return x.then(Affine.batch_norm(mean, spread, scale, shift))

    # pools

    def pooling(self, node: Node, values: list) -> Signal:
        x = maps(whole(resolved(values[0])))
        size = pair(node, "kernel_shape", 0)
        stride = pair(node, "strides", 1)
        if pair(node, "dilations", 1) != (1, 1):
            raise Unsupported("it has gaps in its windows (dilations)")
        kind = "max" if node.operator == "MaxPool" else "average"
        ceil, counted = bool(node.attributes.get("ceil_mode", 0)), bool(node.attributes.get("count_include_pad", 0))
        step = Pooling(kind, size, stride, around(node, x.size[1:], size, stride), ceil, counted)
        sizes = pooled_sizes(step, (x.size[1], x.size[2]))
        if min(sizes) < 1:
            raise Unsupported(f"nothing is left of its maps; it does not fit in {dims(x.size[1:])}")
        return x.then(step, size=(x.size[0], *sizes))

    def whole_map(self, node: Node, values: list) -> Signal:
        x = maps(whole(resolved(values[0])))
        kind = "max" if "Max" in node.operator else "average"
        return x.then(Pooling(kind, None), size=(x.size[0], 1, 1))

    def reduced(self, node: Node, values: list) -> Signal:
        x = whole(resolved(values[0]))
        places = axes_of(node, values, len(x.axes))
        taken = {x.axes[place] for place in places or ()}
        if (
            places is None
            or len(x.size) != 3
            or not {axis for axis in x.axes if axis in "hw"} <= taken <= {"h", "w", "1"}
        ):
            raise Unsupported("it reduces something else than whole maps")
        keep = node.attributes.get("keepdims", 1)
        axes = [axis for place, axis in enumerate(x.axes) if keep or place not in places]
        kind = "max" if "Max" in node.operator else "average"
        return x.then(Pooling(kind, None), size=(x.size[0], 1, 1), axes=axes)

    def pad(self, node: Node, values: list) -> Signal:
        x = whole(resolved(values[0]))
        sides, value = attribute(node, values, 1, "pads"), attribute(node, values, 2, "value")
        if str(node.attributes.get("mode", "constant")) != "constant" or sides is None:
            raise Unsupported("it pads with something else than one value")
        places = axes_of(node, values, len(x.axes), 3) or list(range(len(x.axes)))
        given = [int(side) for side in sides.reshape(-1)]
        before, behind = dict(zip(places, given[: len(places)], strict=True)), dict(
            zip(places, given[len(places) :], strict=True)
        )  # fmt: skip
        if not any(given):
            return x
        if len(x.size) != 3 or len(x.axes) != 4:
            raise Unsupported("it pads something else than maps")
        missing = [axis for axis in MAPS if axis not in x.axes]
        if len(missing) > 1 and "c" in missing:
            raise Unsupported("it pads maps of a single channel and a single row or column")
        unnamed = iter(missing)
        axes = [next(unnamed) if axis == "1" else axis for axis in x.axes]
        by_axis = {axis: (before.get(place, 0), behind.get(place, 0)) for place, axis in enumerate(axes)}
        if any(by_axis["n"]) or any(by_axis["c"]) or min(given) < 0 or max(given) > MAX_SIDE:
            raise Unsupported(f"it pads images, channels, or by {given}")
        (top, bottom), (left, right) = by_axis["h"], by_axis["w"]
        size = x.size[0], x.size[1] + top + bottom, x.size[2] + left + right
        step = Padding((top, left, bottom, right), 0.0 if value is None else float(value.reshape(-1)[0]))
        return x.then(step, size=size, axes=axes)

    # functions of each value

    def activation(self, node: Node, values: list) -> Signal:
        get = node.attributes.get
        name = {"HardSigmoid": "hard-sigmoid", "LeakyRelu": "leaky-relu", "HardSwish": "hard-swish"}.get(
            node.operator, node.operator.lower()
        )
        parameters: dict[str, float] = {}
        if name == "hard-sigmoid":
            parameters = {"alpha": float(get("alpha", 0.2)), "beta": float(get("beta", 0.5))}
        elif name in ("elu", "leaky-relu"):
            parameters = {"alpha": float(get("alpha", 1.0 if name == "elu" else 0.01))}
        elif name == "gelu" and get("approximate", "none") == "tanh":
            name = "gelu-tanh"
        elif name == "selu" and (
            abs(get("alpha", 1.67326) - 1.67326) > 1e-4 or abs(get("gamma", 1.0507) - 1.0507) > 1e-4
        ):
            raise Unsupported("it has other parameters than SELU has")
        elif name == "swish" and get("alpha", 1.0) != 1:
            raise Unsupported("its alpha is not 1")
        if not all(np.isfinite(value) and value >= 0 for key, value in parameters.items() if key == "alpha"):
            raise Unsupported(f"its alpha is {parameters['alpha']}")
        return function(values[0], Activation(name, parameters))

    def prelu(self, node: Node, values: list) -> Signal:
        slope = known(values[1], "slope")
        if slope.size == 0 or (slope != slope.flat[0]).any() or not slope.flat[0] >= 0:
            raise Unsupported("it has a slope a channel, or one below 0; one for all is supported")
        return function(values[0], Activation("leaky-relu", {"alpha": float(slope.flat[0])}))

    def clip(self, node: Node, values: list) -> Signal:
        low, high = attribute(node, values, 1, "min"), attribute(node, values, 2, "max")
        bounds = {"low": -inf if low is None else float(low.reshape(-1)[0])}
        bounds["high"] = inf if high is None else float(high.reshape(-1)[0])
        return function(values[0], Activation("clip", bounds))

    def named_formula(self, node: Node, values: list) -> Signal:
        """A function that has no name of its own; with others it may be one."""
        x = values[0]
        if x.scores:  # the logarithm of a Softmax
            return x
        before, made = x.formula, FORMULAS[node.operator]
        return replace(x, formula=made if before is None else lambda v: made(before(v)))

    def arithmetic(self, node: Node, values: list) -> Signal:
        """Of the image and a number, or one a channel; or of two functions of the same values."""
        work, (a, b) = ARITHMETIC[node.operator], values
        if isinstance(a, Signal) and isinstance(b, Signal):
            return joined(work, a, b)
        x, constant, first = (a, wide(known(b, "number")), True) if isinstance(a, Signal) else (b, wide(a), False)
        if constant.size != 1 or (constant.ndim <= len(x.axes) and node.operator in ("Add", "Sub", "Mul", "Div")):
            linear = self.linear(node.operator, x, constant * 1.0, first)
            if linear:
                return linear
        if constant.size != 1 or constant.ndim > len(x.axes):
            raise Unsupported("it takes an array that is no number, nor one a channel")
        if node.operator in ("Max", "Min"):
            bound = float(constant.reshape(-1)[0])
            return function(x, Activation("clip", {"low" if node.operator == "Max" else "high": bound}))
        number = constant.reshape(())
        here = x.formula or (lambda v: v)
        return replace(x, formula=(lambda v: work(here(v), number)) if first else (lambda v: work(number, here(v))))

    def linear(self, operator: str, x: Signal, constant: np.ndarray, first: bool) -> Signal | None:
        """x * scale + shift; None where the operator is none such."""
        one = np.ones(())
        scale, shift = {
            ("Add", True): (one, constant), ("Add", False): (one, constant),
            ("Sub", True): (one, -constant), ("Sub", False): (-one, constant),
            ("Mul", True): (constant, 0 * one), ("Mul", False): (constant, 0 * one),
            ("Div", True): (1 / constant, 0 * one),
        }.get((operator, first), (None, None))  # fmt: skip
        if scale is None or shift is None:
            return None
        if constant.size == 1:
            return function(x, Affine(scale.reshape(()), shift.reshape(())))
        x = whole(resolved(x))
        return x.then(Affine(channels_of(scale, x), channels_of(shift, x)))

    def quantized(self, node: Node, values: list) -> Signal:
        return levelled(values[0], quantizer(node, values))

    def bipolar(self, node: Node, values: list) -> Signal:
        return levelled(values[0], bipolar_quantizer(values))

    def truncated(self, node: Node, values: list) -> Signal:
        x = values[0]
        for step in truncation(node, values):
            x = levelled(x, step) if isinstance(step, Quantizer) else function(x, step)
        return x

    def to_levels(self, node: Node, values: list) -> Signal:
        scale = known(values[1], "scale") * 1.0
        zero = known(values[2], "zero point") if len(values) > 2 and values[2] is not None else np.zeros(1, np.uint8)
        bounds = np.iinfo(zero.dtype)
        x = levelled(values[0], Quantizer(scale, wide(zero) * 1.0, bounds.min, bounds.max))
        return function(x, Affine(1 / scale.reshape(()), wide(zero).reshape(()) * 1.0))

    def from_levels(self, node: Node, values: list) -> Signal:
        scale = known(values[1], "scale") * 1.0
        zero = wide(known(values[2], "zero point")) * 1.0 if len(values) > 2 and values[2] is not None else np.zeros(1)
        if scale.size != 1 or zero.size != 1:
            raise Unsupported(SCALES)
        x = values[0]
        if isinstance(x, Signal) and x.formula is None and levels_of(x.steps) == (scale.item(), zero.item()):
            return replace(x, steps=x.steps[:-1])
        return function(x, Affine(scale.reshape(()), -zero.reshape(()) * scale.reshape(())))

    # shapes

    def shape(self, node: Node, values: list) -> np.ndarray:
        sizes = values[0].dimensions(self.batch)
        return np.array(sizes[node.attributes.get("start", 0) : node.attributes.get("end")], np.int64)

    def flattened(self, node: Node, values: list) -> Signal:
        axis = int(node.attributes.get("axis", 1))
        sizes = values[0].dimensions(self.batch)
        if axis not in (1, 1 - len(sizes)):
            raise Unsupported("it makes one vector of several images")
        return self.shaped(values[0], [self.batch, prod(sizes[1:])])

    def reshape(self, node: Node, values: list) -> Signal:
        sizes = values[0].dimensions(self.batch)
        target = [int(size) for size in known(attribute(node, values, 1, "shape"), "shape").reshape(-1)]
        if not node.attributes.get("allowzero", 0):
            target = [sizes[place] if size == 0 else size for place, size in enumerate(target)]
        if target.count(-1) == 1:
            rest = -prod(target)
            target[target.index(-1)] = prod(sizes) // rest if rest else -1
        if min(target, default=0) < 1 or prod(target) != prod(sizes):
            raise Unsupported(f"it makes {target} of {list(sizes)}")
        return self.shaped(values[0], target)

    def shaped(self, x: Signal, target: list[int]) -> Signal:
        """A signal as a tensor of other dimensions."""
        sizes = x.dimensions(self.batch)
        if not target or target[0] != self.batch:
            raise Unsupported(f"it mixes images: it makes {target} of {list(sizes)}; the first dimension is images")
        rest = target[1:]
        if [size for size in sizes[1:] if size > 1] == [size for size in rest if size > 1]:
            names = iter([axis for axis, size in zip(x.axes[1:], sizes[1:], strict=True) if size > 1])
            return replace(x, axes=("n", *(next(names) if size > 1 else "1" for size in rest)))
        x = whole(resolved(x))
        if len(x.size) == 3 and max(rest) == prod(x.size):
            axes = [axis for axis in x.axes if axis in MAPS]
            order = [*(axis for axis in MAPS if axis not in axes), *axes]
            places = MAPS.index(order[0]), MAPS.index(order[1]), MAPS.index(order[2])
            flat = x.then(Flatten(places), size=(prod(x.size),), axes="nf")
            return replace(flat, axes=("n", *("f" if size > 1 else "1" for size in rest)))
        if len(x.size) == 1 and x.steps[:1] == (Flatten(),) and composed(x.steps[1:]) and len(rest) in (2, 3):
            layout = self.layout if len(rest) == 3 else "hw"  # the file's images come as vectors
            if layout == CHANNELS_FIRST and rest[0] not in (1, 3) and rest[2] in (1, 3):
                layout = CHANNELS_LAST
            by_axis = dict(zip(layout, rest, strict=True))
            self.input = by_axis.get("c", 1), by_axis["h"], by_axis["w"]
            return Signal(x.steps[1:], self.input, named(["n", *layout], self.input))
        raise Unsupported(f"it makes {rest} of {list(sizes[1:])} values of an image")

    def transposed(self, node: Node, values: list) -> Signal:
        x: Signal = values[0]
        order = node.attributes.get("perm") or list(range(len(x.axes)))[::-1]
        if sorted(order) != list(range(len(x.axes))) or order[0] != 0:
            raise Unsupported("it exchanges images with something else")
        return replace(x, axes=tuple(x.axes[place] for place in order))

    def unsqueezed(self, node: Node, values: list) -> Signal:
        x: Signal = values[0]
        places = numbers(known(attribute(node, values, 1, "axes"), "shape"))
        rank = len(x.axes) + len(places)
        places = [place % rank for place in places]
        if 0 in places or len(set(places)) < len(places):
            raise Unsupported("it puts an axis in front of the images, or two at one place")
        axes = iter(x.axes)
        return replace(x, axes=tuple("1" if place in places else next(axes) for place in range(rank)))

    def squeezed(self, node: Node, values: list) -> Signal:
        x: Signal = values[0]
        places = axes_of(node, values, len(x.axes))
        if places is None:
            places = [place for place, axis in enumerate(x.axes) if axis == "1"]
        if any(x.axes[place] != "1" for place in places):
            raise Unsupported("it takes away an axis that is not 1")
        return replace(x, axes=tuple(axis for place, axis in enumerate(x.axes) if place not in places))

    def sliced(self, node: Node, values: list) -> Signal:
        x: Signal = values[0]
        sizes = x.dimensions(self.batch)
        taken = slices(node, values, sizes)
        others = [place for place, axis in enumerate(x.axes) if axis != "c" and taken[place] != range(sizes[place])]
        if others:
            raise Unsupported("it cuts something else than channels")
        return pick(x, list(taken[x.axes.index("c")])) if "c" in x.axes else x

    def gathered(self, node: Node, values: list) -> Signal:
        x, index, axis = values[0], known(values[1], "indices"), int(node.attributes.get("axis", 0))
        if x.axes[axis] != "c" or index.ndim != 1 or not len(index):
            raise Unsupported("it takes something else than channels")
        count = x.dimensions(self.batch)[axis]
        return pick(x, [int(one) + (count if one < 0 else 0) for one in index])

    def parted(self, node: Node, values: list) -> list[Signal]:
        x, axis = values[0], int(node.attributes.get("axis", 0))
        if x.axes[axis] != "c":
            raise Unsupported("it parts something else than channels")
        count, sizes = x.dimensions(self.batch)[axis], attribute(node, values, 1, "split")
        parts = len(node.outputs)
        each = [-(-count // parts)] * parts if sizes is None else numbers(known(sizes, "shape"))
        ends = np.cumsum(each)
        return [pick(x, list(range(end - size, min(end, count)))) for size, end in zip(each, ends, strict=True)]

    def concatenated(self, node: Node, values: list) -> Signal:
        """Channels of the same maps; or convolutions of the same maps, which are one."""
        parts = [value for value in values if isinstance(value, Signal)]
        axes, axis = parts[0].axes, int(node.attributes.get("axis", 0))
        if len(parts) == 1 == len(values):
            return parts[0]
        if len(parts) != len(values) or len({len(part.axes) for part in parts}) > 1 or axis % len(axes) != 1:
            raise Unsupported("it puts together something else than channels")
        first = parts[0]
        if all(part.steps is first.steps and part.formula is None for part in parts):
            picked = [one for part in parts for one in (part.picked or range(first.size[0]))]
            return replace(pick(replace(first, picked=None), picked), axes=("n", "c", *axes[2:]))
        return side_by_side([maps(whole(resolved(part))) for part in parts])

    # what is left out

    def same(self, node: Node, values: list) -> Signal:
        return values[0]

    def dropout(self, node: Node, values: list) -> Signal:
        self.remarks.append("Dropout left out")
        return values[0]

    def cast(self, node: Node, values: list) -> Signal:
        if node.attributes.get("to") not in (1, 10, 11, 16):
            raise Unsupported("it makes whole numbers of what comes from the image")
        return values[0]

    def softmax(self, node: Node, values: list) -> Signal:
        x = whole(resolved(values[0]))
        if x.axes[int(node.attributes.get("axis", -1 if self.graph.opset >= 13 else 1))] not in ("c", "f"):
            raise Unsupported("it is not over the classes")
        self.remarks.append(f"{node.operator} at the end left out")
        return replace(x, scores=True)


# signals


def whole(x: object) -> Signal:
    """A signal of all its channels."""
    if not isinstance(x, Signal):
        raise Unsupported("an input does not come from the image")
    if x.picked is not None:
        raise Unsupported("it takes some of the channels only; a convolution alone may")
    return x


def resolved(x: object) -> Signal:
    """A signal whose formula, if any, has become steps."""
    if not isinstance(x, Signal):
        raise Unsupported("an input does not come from the image")
    return x if x.formula is None else replace(x, formula=None).then(*recognized(x.formula))


def function(x: object, step: Activation | Affine | Quantizer) -> Signal:
    """A step of each value alone, behind a signal."""
    if not isinstance(x, Signal):
        raise Unsupported("its input does not come from the image")
    if x.formula is None:
        return x.then(step)
    before, last = x.formula, composed([step])
    assert last
    return replace(x, formula=lambda v: last(before(v)))


def maps(value: object) -> Signal:
    """A signal of maps, images first, then channels, rows and columns."""
    x = resolved(value)
    fits = len(x.size) == 3 and len(x.axes) == 4
    if not fits or any(have not in (want, "1") for have, want in zip(x.axes, "nchw", strict=True)):
        raise Unsupported(f"its input is no image with channels first ({', '.join(x.axes)})")
    missing = [axis for axis in MAPS if axis not in x.axes]
    if any(x.size[MAPS.index(axis)] != 1 for axis in missing):
        raise Unsupported("its input is no image")
    return x


def vector(value: object) -> Signal:
    """A signal of one value a place."""
    x = whole(resolved(value))
    if x.axes[:1] != ("n",) or any(axis != "1" for axis in x.axes[1:-1]):
        raise Unsupported(f"its input is no vector ({', '.join(x.axes)}); flatten the maps in front of it")
    if len(x.size) == 1:
        return x
    flat = x.then(Flatten(), size=(prod(x.size),), axes="nf")
    return replace(flat, axes=(*x.axes[:-1], *named("f", flat.size)))


def joined(work: Callable[..., np.ndarray], a: Signal, b: Signal) -> Signal:
    """Two functions of the same values, combined."""
    count = next((i for i, (one, other) in enumerate(zip(a.steps, b.steps, strict=False)) if one is not other),
                 min(len(a.steps), len(b.steps)))  # fmt: skip
    first, second = composed(a.steps[count:], a.formula), composed(b.steps[count:], b.formula)
    if first is None or second is None or (a.axes, a.size, a.picked) != (b.axes, b.size, b.picked):
        raise Unsupported("two branches of the network meet here; a network here has one")
    return replace(a, steps=a.steps[:count], formula=lambda v: work(first(v), second(v)))


def channels_of(values: np.ndarray, x: Signal) -> np.ndarray:
    """A constant of the file as a number, or one a channel or place of the signal."""
    if values.size == 1:
        return values.reshape(())
    shape = [1] * max(0, len(x.axes) - values.ndim) + list(values.shape)
    places = [place for place, size in enumerate(shape) if size > 1]
    if len(shape) == len(x.axes) and len(places) == 1 and x.axes[places[0]] in ("c", "f"):
        if shape[places[0]] == x.size[0]:
            return values.reshape(-1)
    if (values == values.flat[0]).all() and len(shape) == len(x.axes):
        return values.reshape(-1)[0]
    raise Unsupported(f"its array {dims(values.shape)} is no number, nor one a channel")


def levelled(x: object, step: Quantizer) -> Signal:
    """A quantizer of what comes from the image."""
    if step.scale.size != 1 or step.zero.size != 1:
        raise Unsupported(SCALES)
    return function(x, replace(step, scale=step.scale.reshape(()), zero=step.zero.reshape(())))


def levels_of(steps: tuple[Step, ...]) -> tuple[float, float] | None:
    """Scale and zero point of a QuantizeLinear that these steps end with, whose levels nothing has changed."""
    match steps[-2:]:
        case (Quantizer() as step, Affine() as units) if units.scale == 1 / step.scale and units.shift == step.zero:
            return float(step.scale), float(step.zero)
    return None


def pick(x: Signal, channels: list[int]) -> Signal:
    """Some of the channels of a signal."""
    x = resolved(x)
    have = list(x.picked) if x.picked is not None else list(range(x.size[0]))
    if len(x.size) != 3 or not channels:
        raise Unsupported("it takes something else than channels")
    picked = tuple(have[channel] for channel in channels)
    return replace(x, picked=None if picked == tuple(range(x.size[0])) else picked)


def spread(weight: np.ndarray, picked: Sequence[int], channels: int, groups: int) -> np.ndarray:
    """The weights of a convolution of some channels as those of one of all channels."""
    made = np.zeros((len(weight), channels, *weight.shape[2:]))
    outputs, inputs = len(weight) // groups, weight.shape[1]
    for group in range(groups):
        for place in range(inputs):
            rows = slice(group * outputs, (group + 1) * outputs)
            made[rows, picked[group * inputs + place]] += weight[rows, place]
    return made


def side_by_side(parts: list[Signal]) -> Signal:
    """Convolutions of the same maps, and what follows each of them, as one."""
    first = parts[0].steps
    at = next(
        (
            at
            for at, step in enumerate(first)
            if any(len(part.steps) <= at or part.steps[at] is not step for part in parts)
        ),
        0,
    )
    convolutions = [part.steps[at] for part in parts if len(part.steps) == len(first) > at]
    alike = len(convolutions) == len(parts) and all(like(one, convolutions[0]) for one in convolutions)
    rests = [part.steps[at + 1 :] for part in parts]
    if not alike or any(not isinstance(step, Activation | Pooling) for step in rests[0]) or any(
        rest != rests[0] for rest in rests
    ):  # fmt: skip
        raise Unsupported("branches that differ in more than their weights meet here; a network here has one")
    several = [one for one in convolutions if isinstance(one, Convolution)]
    biases = [np.zeros(len(one.weight)) if one.bias is None else one.bias for one in several]
    merged = replace(several[0], weight=np.concatenate([one.weight for one in several]), bias=np.concatenate(biases))
    size = sum(part.size[0] for part in parts), *parts[0].size[1:]
    return Signal((*parts[0].steps[:at], merged, *rests[0]), size, named("nchw", size))


def like(one: Step, other: Step) -> bool:
    """Whether these are convolutions that may be one."""
    if not isinstance(one, Convolution) or not isinstance(other, Convolution) or one.groups > 1 or other.groups > 1:
        return False
    return (one.weight.shape[1:], one.stride, one.padding) == (other.weight.shape[1:], other.stride, other.padding)


# attributes


def known(value: object, what: str) -> np.ndarray:
    if not isinstance(value, np.ndarray) or not value.size:
        raise Unsupported(f"its {what} is not a constant")
    return wide(value) if value.dtype.kind == "b" else value


def pair(node: Node, name: str, default: int) -> tuple[int, int]:
    """Rows and columns of an attribute, each at least 1."""
    given = node.attributes.get(name) or [default, default]
    if len(given) != 2 or min(given) < 1 or max(given) > MAX_SIDE:
        raise Unsupported(f"its {name} is {given}")
    return int(given[0]), int(given[1])


def around(node: Node, sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> Sides:
    """Padding, which a file may leave to be worked out."""
    how = str(node.attributes.get("auto_pad", "NOTSET"))
    if how == "NOTSET":
        given = node.attributes.get("pads") or [0, 0, 0, 0]
        if len(given) != 4 or min(given) < 0 or max(given) > MAX_SIDE:
            raise Unsupported(f"its pads are {given}")
        return int(given[0]), int(given[1]), int(given[2]), int(given[3])
    if how not in ("VALID", "SAME_UPPER", "SAME_LOWER"):
        raise Unsupported(f"its auto_pad is {how[:20]!a}")
    if how == "VALID":
        return 0, 0, 0, 0
    before, behind = [], []
    for size, width, by in zip(sizes, kernel, stride, strict=True):
        room = max(0, (-(-size // by) - 1) * by + width - size)
        less, more = room // 2, room - room // 2
        before.append(less if how == "SAME_UPPER" else more)
        behind.append(more if how == "SAME_UPPER" else less)
    return before[0], before[1], behind[0], behind[1]


def dilated(weight: np.ndarray, gaps: tuple[int, int]) -> np.ndarray:
    """Kernels with gaps as larger ones with zeros."""
    if gaps == (1, 1):
        return weight
    sizes = [(size - 1) * gap + 1 for size, gap in zip(weight.shape[2:], gaps, strict=True)]
    if max(sizes) > 64:
        raise Unsupported(f"its kernels reach over {dims(sizes)} places")
    made = np.zeros((*weight.shape[:2], *sizes))
    made[:, :, :: gaps[0], :: gaps[1]] = weight
    return made


def layer_name(node: Node, weights: str) -> str:
    """What the file calls a layer: by its weights, else by its node."""
    weights = re.sub(r"^.*::", "", weights)
    if weights.endswith((".weight", ".weight_quant")):
        return weights[: weights.rindex(".weight")]
    parts = [part for part in re.split(r"[/;:]", node.label) if part]
    while len(parts) > 1 and re.fullmatch(rf"({node.operator}|Conv2D|MatMul|BiasAdd|Add)(_\d+)?|\d+", parts[-1]):
        parts.pop()
    name = parts[-1] if parts else ""
    given = rf"(node_)?{node.operator}_?\d*|node_(conv2d|linear|matmul|addmm)(_\d+)?|\d+"  # by the exporter
    return "" if re.fullmatch(given, name, re.IGNORECASE) else name


FORMULAS: dict[str, Formula] = {
    "Erf": lambda v: FUNCTIONS["erf"](v, {}),
    "Exp": np.exp,
    "Log": np.log,
    "Sqrt": np.sqrt,
    "Reciprocal": lambda v: 1 / v,
}
ARITHMETIC: dict[str, Callable[..., np.ndarray]] = {
    "Add": np.add, "Div": np.divide, "Max": np.maximum, "Min": np.minimum, "Mul": np.multiply, "Pow": np.power,
    "Sub": np.subtract,
}  # fmt: skip
HARMLESS = {"Identity", "Cast", "Log", "Reshape", "Flatten", "Squeeze"}  # behind a Softmax
Operator = Callable[[Reader, Node, list], "Signal | list[Signal] | np.ndarray"]
OPERATORS: dict[str, Operator] = {
    "AveragePool": Reader.pooling,
    "BatchNormalization": Reader.batch_norm,
    "BipolarQuant": Reader.bipolar,
    "Cast": Reader.cast,
    "Clip": Reader.clip,
    "Concat": Reader.concatenated,
    "Conv": Reader.convolution,
    "DequantizeLinear": Reader.from_levels,
    "Dropout": Reader.dropout,
    "Flatten": Reader.flattened,
    "Gather": Reader.gathered,
    "Gemm": Reader.gemm,
    "GlobalAveragePool": Reader.whole_map,
    "GlobalMaxPool": Reader.whole_map,
    "Identity": Reader.same,
    "IntQuant": Reader.quantized,
    "LogSoftmax": Reader.softmax,
    "MatMul": Reader.matmul,
    "MaxPool": Reader.pooling,
    "Neg": lambda reader, node, values: function(values[0], Affine(-np.ones(()), np.zeros(()))),
    "PRelu": Reader.prelu,
    "Pad": Reader.pad,
    "Quant": Reader.quantized,
    "QuantizeLinear": Reader.to_levels,
    "ReduceMax": Reader.reduced,
    "ReduceMean": Reader.reduced,
    "Reshape": Reader.reshape,
    "Shape": Reader.shape,
    "Slice": Reader.sliced,
    "Softmax": Reader.softmax,
    "Split": Reader.parted,
    "Squeeze": Reader.squeezed,
    "Transpose": Reader.transposed,
    "Trunc": Reader.truncated,
    "Unsqueeze": Reader.unsqueezed,
}
OPERATORS |= dict.fromkeys(ARITHMETIC, Reader.arithmetic) | dict.fromkeys(FORMULAS, Reader.named_formula)
OPERATORS |= dict.fromkeys(
    "Abs Elu Floor Gelu HardSigmoid HardSwish LeakyRelu Relu Round Selu Sigmoid Softplus Swish Tanh".split(),
    Reader.activation,
)
