"""Steps become layers: what is linear is folded into weights and biases, the rest is the ``then`` of a layer."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, prod

import numpy as np

from fivebyfive.model.description import check_weights
from fivebyfive.model.network import MAX_KERNEL, MAX_NAME, MAX_OUTPUTS, Layer, Network, Pool, dims
from fivebyfive.model.network import Step as LayerStep

from .execution import nondecreasing, pooled_sizes
from .float_network import FloatNetwork
from .steps import (
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

__all__ = ["fold"]

NONE = (0, 0, 0, 0)
LOWEST = {"relu": 0.0, "abs": 0.0, "sigmoid": 0.0, "hard-sigmoid": 0.0, "softplus": 0.0, "tanh": -1.0}


def fold(steps: Steps) -> FloatNetwork:
    """The layers that compute what ``steps`` do. Raises `Unsupported`, one line, where there are none that do.

    BatchNorm and other factors are folded into the layer before them or, behind a function, into the next one, whose
    padding then holds another value; in front of the first layer they are the network's ``scale`` and ``shift``. What
    the last layer has no room for, such as a second pool, stands behind a layer of its own, which changes no value.
    """
    if steps.input is None:
        raise Unsupported("the file does not say the size of the network's input")
    folding = Folding(steps.input)
    with np.errstate(all="ignore"):  # what is not finite in the end is refused
        for step in steps.steps:
            folding.take(step)
        return folding.finish(steps)


@dataclass
class Made:
    """A layer in the making: ``then`` as it comes, pools and functions."""

    name: str
    kind: str
    weight: np.ndarray
    bias: np.ndarray
    stride: int = 1
    padding: Sides = NONE
    fill: np.ndarray = field(default_factory=lambda: np.zeros(1))
    groups: int = 1
    then: list[Activation | Pool] = field(default_factory=list)

    @property
    def linear(self) -> bool:
        """Whether only average pooling follows, or max pooling: factors above 0 may be folded into the weights."""
        return all(isinstance(step, Pool) for step in self.then)


class Folding:
    """Takes steps one by one. What the next step sees is x * ``scale`` + ``shift`` inside ``sides`` of ``fill``, where
    x is what the last layer gives, (C, rows, columns) or (width,) in the order of the network; ``order`` says where in
    x each place of the file's vector is. ``scale``, ``shift`` and ``fill`` are one a channel or place of the file's."""

    def __init__(self, size: tuple[int, int, int]) -> None:
        self.shape: tuple[int, ...] = size
        self.layers: list[Made] = []
        self.remarks: list[str] = []
        self.order = np.arange(0)
        self.scale, self.shift = np.ones(size[0]), np.zeros(size[0])
        self.sides, self.fill = NONE, np.zeros(size[0])
        self.input_scale: np.ndarray = np.ones(size[0])
        self.input_shift: np.ndarray = np.zeros(size[0])

    def take(self, step: Step) -> None:
        if isinstance(step, Affine):
            self.affine(step)
        elif isinstance(step, Convolution):
            self.convolution(step)
        elif isinstance(step, Dense):
            self.dense(step)
        elif isinstance(step, Activation):
            self.activation(step)
        elif isinstance(step, Quantizer):
            self.quantizer(step)
        elif isinstance(step, Pooling):
            self.pooling(step)
        elif isinstance(step, Padding):
            self.pad(step.sides, step.value)
        else:
            self.flatten(step)

    # linear layers

    def convolution(self, step: Convolution) -> None:
        what = f"the convolution {printable(step.name)}"
        if len(self.shape) != 3:
            raise Unsupported(f"{what} stands behind fully-connected layers; it must stand before them")
        weight, channels = step.weight, self.shape[0]
        if weight.ndim != 4 or channels % step.groups or len(weight) % step.groups:
            raise Unsupported(f"{what} does not fit the {channels} channels in front of it")
        if weight.shape[1] * step.groups != channels:
            raise Unsupported(f"{what} takes {weight.shape[1] * step.groups} channels; there are {channels}")
        self.pad(step.padding, 0.0)
        wide = [size + self.sides[axis] + self.sides[axis + 2] for axis, size in enumerate(self.shape[1:])]
        counts = [(have - size) // by + 1 for have, size, by in zip(wide, weight.shape[2:], step.stride, strict=True)]
        if min(counts) < 1:
            raise Unsupported(f"{what}: nothing is left of its maps; its kernel does not fit in {dims(wide)}")
        stride = one_stride(wide, weight.shape[2:], step.stride, 1, what)
        bias = np.zeros(len(weight)) if step.bias is None else step.bias
        made = Made(step.name, "conv", weight, bias, stride, self.sides, self.fill, step.groups)
        if self.layers or not self.into_input():
            self.into_next(made, what)
        self.square(made, what)
        self.add(made, (len(weight), *counts))

    def square(self, made: Made, what: str) -> None:
        """Put a kernel that is not square, or not larger than its padding, in the middle of zeros of one that is."""
        sizes = made.weight.shape[2], made.weight.shape[3]
        around = [(made.padding[axis], made.padding[axis + 2]) for axis in (0, 1)]
        least = [
            size + max(0, before + 1 - size + max(0, behind + 1 - size), behind + 1 - size)
            for size, (before, behind) in zip(sizes, around, strict=True)
        ]
        kernel = max(*least, *sizes)
        if sizes == (kernel, kernel):
            return
        if kernel > MAX_KERNEL:
            raise Unsupported(
                f"{what}: a kernel of {dims(sizes)} with padding of {made.padding} needs one of {kernel}x{kernel}; "
                f"there may be {MAX_KERNEL}"
            )
        first = []
        for size, (before, behind) in zip(sizes, around, strict=True):
            lowest, highest = max(0, behind + 1 - size), min(kernel - size, kernel - 1 - before)
            first.append(min(max((kernel - size) // 2, lowest), highest))
        weight = np.zeros((*made.weight.shape[:2], kernel, kernel))
        weight[:, :, first[0] : first[0] + sizes[0], first[1] : first[1] + sizes[1]] = made.weight
        ends = [around[axis][1] + kernel - sizes[axis] - first[axis] for axis in (0, 1)]
        made.weight = weight
        made.padding = around[0][0] + first[0], around[1][0] + first[1], ends[0], ends[1]
        self.remarks.append(f"{what}: its kernel of {dims(sizes)} lies in one of {kernel}x{kernel}, with zeros")

    def dense(self, step: Dense) -> None:
        what = f"the fully-connected layer {printable(step.name)}"
        if len(self.shape) != 1:
            raise Unsupported(f"{what} takes maps of {dims(self.shape)} that nothing made a vector of")
        width = self.shape[0]
        if step.weight.ndim != 2 or step.weight.shape[1] != width:
            raise Unsupported(f"{what} has {dims(step.weight.shape)} weights; there are {width} inputs")
        bias = np.zeros(len(step.weight)) if step.bias is None else step.bias
        made = Made(step.name, "fc", step.weight, bias)
        if self.layers or not self.into_input():
            self.into_next(made, what)
        if len(self.order):
            weight = np.empty_like(made.weight)
            weight[:, self.order] = made.weight
            made.weight, self.order = weight, np.arange(0)
        self.add(made, (len(step.weight),))

    def into_input(self) -> bool:
        """Keep the factors in front of the first layer as those of the input, if they are one a channel."""
        scale, shift = (self.channelwise(one, len(self.input_scale)) for one in (self.scale, self.shift))
        if scale is None or shift is None:
            return False
        self.input_scale, self.input_shift = scale, shift
        return True

    def into_next(self, made: Made, what: str) -> None:
        """Fold the factors in front of a layer into it."""
        weight = made.weight
        per_group = [np.repeat(one.reshape(made.groups, -1), len(weight) // made.groups, 0) for one in
                     (self.scale, self.shift)]  # fmt: skip
        scale, shift = (one.reshape(*one.shape, *[1] * (weight.ndim - 2)) for one in per_group)
        made.bias = made.bias + (weight * shift).reshape(len(weight), -1).sum(1)
        made.weight = weight * scale
        if any(made.padding):
            dead = self.scale == 0
            if (self.fill != self.shift)[dead].any():
                raise Unsupported(f"{what}: a factor of 0 in front of its padding")
            made.fill = np.where(dead, 0.0, (self.fill - self.shift) / np.where(dead, 1.0, self.scale))

    def add(self, made: Made, shape: tuple[int, ...]) -> None:
        self.layers.append(made)
        self.shape = shape
        self.scale, self.shift = np.ones(shape[0]), np.zeros(shape[0])
        self.sides, self.fill = NONE, np.zeros(shape[0])

    # what stands between them

    def affine(self, step: Affine) -> None:
        width = self.shape[0]
        parts = [np.asarray(one, np.float64).reshape(-1) for one in (step.scale, step.shift)]
        if any(len(one) not in (1, width) for one in parts):
            raise Unsupported(f"a factor of {max(map(len, parts))} values stands behind {width} channels")
        scale, shift = (np.broadcast_to(one, (width,)) for one in parts)
        if not self.into_last(scale, shift):
            self.scale, self.shift, self.fill = (
                self.scale * scale,
                self.shift * scale + shift,
                self.fill * scale + shift,
            )

    def into_last(self, scale: np.ndarray, shift: np.ndarray) -> bool:
        """Fold a factor into the last layer, if nothing stands between them that it cannot pass."""
        if not self.layers or not self.layers[-1].linear or not self.idle or any(self.sides):
            return False
        last = self.layers[-1]
        by_output = [self.channelwise(one, len(last.weight)) for one in (scale, shift)]
        if by_output[0] is None or by_output[1] is None:
            return False
        pools = [step for step in last.then if isinstance(step, Pool)]
        if any(pool.kind == "max" for pool in pools) and (by_output[0] < 0).any():
            return False
        last.weight = last.weight * by_output[0].reshape(-1, *[1] * (last.weight.ndim - 1))
        last.bias = last.bias * by_output[0] + by_output[1]
        return True

    @property
    def idle(self) -> bool:
        """Whether no factor waits for the next layer."""
        return bool((self.scale == 1).all() and (self.shift == 0).all())

    def channelwise(self, values: np.ndarray, channels: int) -> np.ndarray | None:
        """Values of the file's places as one a channel of the maps they were made of; None where they differ there."""
        if not len(self.order):
            return np.array(values) if len(values) == channels else None
        flat = np.empty(len(values))
        flat[self.order] = values
        placed = flat.reshape(channels, -1)
        return placed[:, 0].copy() if (placed == placed[:, :1]).all() else None

    def settle(self, what: str) -> None:
        """A factor that waits stays between two functions where it is one number for all; else a layer takes it."""
        if self.idle:
            return
        if not self.layers or len(set(self.scale.tolist())) > 1 or len(set(self.shift.tolist())) > 1:
            self.make_room(what)
            return
        factor = Activation("affine", {"scale": float(self.scale[0]), "shift": float(self.shift[0])})
        self.scale, self.shift = np.ones(len(self.scale)), np.zeros(len(self.shift))
        self.append(factor, what)

    def append(self, step: Activation | Pool, what: str) -> None:
        """A function or a pool behind the last layer, or behind one of its own."""
        if not self.layers or any(self.sides) or not fits([*self.layers[-1].then, step]):
            self.make_room(what)
        self.layers[-1].then.append(step)

    def make_room(self, what: str) -> None:
        """A layer that changes no value but takes in the factors and the padding that wait: a 1x1 convolution of each
        channel or, of a vector, weights of 1 on the diagonal."""
        where = f"behind {printable(self.layers[-1].name)}" if self.layers else "before the first layer"
        name, width = f"{self.layers[-1].name}_then" if self.layers else "first", self.shape[0]
        if len(self.shape) == 3:
            self.convolution(Convolution(name, np.ones((width, 1, 1, 1)), groups=width))
        elif width <= MAX_OUTPUTS:
            self.dense(Dense(name, np.eye(width)))
        else:
            raise Unsupported(f"{what} stands {where}, which would take a layer of {width:,} outputs of its own")
        self.remarks.append(f"{what} stands {where}: a layer of its own, with weights of 1, comes before it")

    def activation(self, step: Activation) -> None:
        step = simplified(step)
        if step.name == "clip" and step.parameters == {"low": -inf, "high": inf}:
            return
        what = f"the function {step.name}"
        self.settle(what)
        self.append(step, what)

    def quantizer(self, step: Quantizer) -> None:
        for part in spelt_out(step):
            self.take(part)

    def pooling(self, step: Pooling) -> None:
        what = f"{step.kind} pooling" + (f" of {dims(step.size)}" if step.size else "")
        if len(self.shape) != 3:
            raise Unsupported(f"{what} stands behind a fully-connected layer")
        if any(self.sides):
            self.make_room(what)
        rows, columns = self.shape[1], self.shape[2]
        size, stride = step.size or (rows, columns), step.stride if step.size else (1, 1)
        if size == (1, 1) and stride == (1, 1) and not any(step.padding):
            return
        behind = f"{what} behind {printable(self.layers[-1].name)}" if self.layers else what
        counts = pooled_sizes(step, (rows, columns))
        reach = [(count - 1) * by + width for count, by, width in zip(counts, stride, size, strict=True)]
        top, left, *_ = step.padding
        outside = top, left, max(0, reach[0] - top - rows), max(0, reach[1] - left - columns)
        if any(outside):
            value = self.lowest if step.kind == "max" else 0.0 if step.counts_padding and not step.ceil else None
            if value is None:
                raise Unsupported(f"{behind} takes in windows that lie partly outside the map of {rows}x{columns}")
            self.pad(outside, value)
            self.make_room(what)
            rows, columns = self.shape[1], self.shape[2]
        if min(counts) < 1:
            raise Unsupported(f"{behind}: nothing is left of its maps; it does not fit in {rows}x{columns}")
        if size[0] != size[1]:
            raise Unsupported(f"{behind} is not square")
        by = one_stride((rows, columns), size, stride, size[0], behind)
        if step.kind == "max" and (self.scale < 0).any():
            self.settle(what)
        self.append(Pool(step.kind, size[0], by), what)
        self.shape = (self.shape[0], *counts)

    @property
    def lowest(self) -> float | None:
        """A value that nothing is below of what the last layer gives; None where none is known."""
        then = self.layers[-1].then if self.layers and self.idle else []
        last = next((step for step in reversed(then) if isinstance(step, Activation)), Activation("affine"))
        bound = last.parameters.get("low", -inf) if last.name == "clip" else LOWEST.get(last.name, -inf)
        return bound if isfinite(bound) else None

    def pad(self, sides: Sides, value: float) -> None:
        if not any(sides):
            return
        if len(self.shape) != 3:
            raise Unsupported("padding stands behind fully-connected layers")
        if min(sides) < 0:
            raise Unsupported(f"padding of {sides} cuts maps; give the network images of the right size")
        if any(self.sides) and (self.fill != value).any():
            self.make_room("padding with another value")
        top, left, bottom, right = (one + more for one, more in zip(self.sides, sides, strict=True))
        self.sides, self.fill = (top, left, bottom, right), np.full(self.shape[0], float(value))

    def flatten(self, step: Flatten) -> None:
        if len(self.shape) != 3:
            return
        if any(self.sides):
            self.make_room("a fully-connected layer behind padding")
        places = np.arange(prod(self.shape)).reshape(self.shape).transpose(step.order).ravel()
        each = prod(self.shape[1:])
        self.scale, self.shift, self.fill = (one[places // each] for one in (self.scale, self.shift, self.fill))
        self.order = places
        self.shape = (len(places),)

    # the end

    def finish(self, steps: Steps) -> FloatNetwork:
        if not self.layers:
            raise Unsupported("the network has no convolution and no fully-connected layer")
        if any(self.sides):
            raise Unsupported("the network ends with padding")
        self.settle("the network's end")
        names = named(self.layers)
        layers: list[Layer] = []
        arrays: dict[str, np.ndarray] = {}
        functions: dict[str, tuple[Activation, ...]] = {}
        fills: dict[str, np.ndarray] = {}
        for name, made in zip(names, self.layers, strict=True):
            then, function = gathered(made)
            if function:
                functions[name] = function
            arrays |= {f"{name}.weight": made.weight, f"{name}.bias": made.bias}
            if any(made.padding) and made.fill.any():
                fills[name] = np.broadcast_to(made.fill, (made.weight.shape[1] * made.groups,))
            kernel = made.weight.shape[2] if made.kind == "conv" else 1
            layers.append(
                Layer(name, made.kind, len(made.weight), kernel, made.stride, made.padding, (0,), made.groups, then)
            )
        everything = arrays | {"the padding": np.concatenate([np.zeros(1), *fills.values()])}
        everything |= {"the scaling of the input": 1 / self.input_scale, "its shift": self.input_shift}
        for name, array in everything.items():
            if not np.isfinite(array).all():
                raise Unsupported(f"{name} holds values that are not finite; the training went wrong")
        assert steps.input is not None
        try:
            network = Network(steps.input, tuple(layers), steps.labels)
            check_weights(network)
        except ValueError as error:
            raise Unsupported(str(error)) from error
        remarks = steps.remarks + tuple(self.remarks)
        return FloatNetwork(network, arrays, functions, fills, self.input_scale, self.input_shift, remarks)


def one_stride(sizes: Sequence[int], windows: Sequence[int], strides: Sequence[int], alone: int, what: str) -> int:
    """The stride of rows and of columns; of a single window it may be any: ``alone``."""
    counts = [(size - window) // by + 1 for size, window, by in zip(sizes, windows, strides, strict=True)]
    for stride in {by for by, count in zip(strides, counts, strict=True) if count > 1} or {alone}:
        if all(
            (size - window) // stride + 1 == count for size, window, count in zip(sizes, windows, counts, strict=True)
        ):
            return stride
    raise Unsupported(f"{what} has a stride of {dims(strides)}; rows and columns must have the same one")


def spelt_out(step: Quantizer) -> list[Step]:
    """The same in functions that a table may hold."""
    scale, zero = step.scale, step.zero
    if step.rounding == "sign":
        above = Activation("clip", {"low": 0.0, "high": 1.0})
        return [Activation("floor"), Affine(np.ones(()), np.ones(())), above, Affine(2 * scale, -scale)]
    if step.rounding not in ("round", "floor"):
        raise Unsupported(f"a quantizer rounds by {step.rounding}; round and floor are supported")
    bounds = Activation("clip", {"low": step.low, "high": step.high})
    return [Affine(1 / scale, zero), Activation(step.rounding), bounds, Affine(scale, -zero * scale)]


def simplified(step: Activation) -> Activation:
    """ReLU under another name is ReLU."""
    if step.name == "clip":
        step = Activation("clip", {"low": step.parameters.get("low", -inf), "high": step.parameters.get("high", inf)})
    relu = step.name == "clip" and step.parameters == {"low": 0.0, "high": inf}
    return Activation("relu") if relu or (step.name == "leaky-relu" and step.parameters.get("alpha") == 0) else step


def gathered(made: Made) -> tuple[tuple[LayerStep, ...], tuple[Activation, ...]]:
    """A layer's ``then``, with "table" for all functions of one side of its pool, and what the table stands for."""
    before, pools, after = around_pool(made.then)
    if needs_table(before) and needs_table(after):
        before, after = before + after, []
    then = [*step_of(before), *pools, *step_of(after)]
    return tuple(then), tuple(before if needs_table(before) else after if needs_table(after) else ())


def around_pool(then: Sequence[Activation | Pool]) -> tuple[list[Activation], list[Pool], list[Activation]]:
    """The functions before the first pool, all pools, and the functions behind it."""
    place = next((index for index, step in enumerate(then) if isinstance(step, Pool)), len(then))
    before, after = ([step for step in part if isinstance(step, Activation)] for part in (then[:place], then[place:]))
    return before, [step for step in then if isinstance(step, Pool)], after


def fits(then: Sequence[Activation | Pool]) -> bool:
    """Whether a layer can have it: one pool, and one table, before a maximum or behind it."""
    before, pools, after = around_pool(then)
    tables = needs_table(before) and needs_table(after)
    return len(pools) <= 1 and not (tables and (pools[0].kind != "max" or not all(map(nondecreasing, after))))


def needs_table(functions: Sequence[Activation]) -> bool:
    return any(function.name != "relu" for function in functions)


def step_of(functions: Sequence[Activation]) -> tuple[LayerStep, ...]:
    return ("table",) if needs_table(functions) else ("relu",) if functions else ()


def named(layers: Iterable[Made]) -> list[str]:
    """A valid name for each, and each another: the file's, as far as it may be one."""
    names, counts = [], {"conv": 0, "fc": 0}
    for made in layers:
        counts[made.kind] += 1
        name = re.sub(r"[^A-Za-z0-9_.]+", "_", made.name[: 2 * MAX_NAME]).strip("_.")[: MAX_NAME - 8]
        if not name[:1].isalpha():
            name = f"{made.kind}_{name}" if name else f"{made.kind}{counts[made.kind]}"
        names.append(name)
    return unlike(names)


def unlike(names: Iterable[str]) -> list[str]:
    """Names, each with a number behind it where one before is the same."""
    taken: list[str] = []
    for name in names:
        number, other = 1, name
        while other in taken:
            number += 1
            other = f"{name}_{number}"
        taken.append(other)
    return taken


def printable(name: str) -> str:
    """A name of the file's in a message."""
    return ascii(name)[1:-1][:MAX_NAME] or "without a name"
