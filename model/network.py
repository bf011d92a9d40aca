"""A network is a list of layers: what each computes, and every size that follows from it.

A `Network` has an input of (channels, rows, columns) and layers: convolutions first, then fully-connected ones. What
happens to a layer's codes before the next one sees them (ReLU, a table, a pool) is part of the layer, in its order. A
checkpoint that is not of the brief's form stores its network as JSON::

    {"input": [1, 32, 32],
     "layers": [{"name": "c1", "kind": "conv", "padding": 2, "then": ["relu", {"max": 2}]},
                {"name": "f6", "kind": "fc", "then": ["relu"]}, {"name": "output", "kind": "fc"}]}

`description` reads and writes it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

__all__ = ["Layer", "Network", "Place", "Pool", "Shape", "Step", "dims"]

MAX_INPUT_CHANNELS = 16
INPUT_SIZES = range(4, 129)  # rows, columns
MAX_CONVS, MAX_FC_LAYERS = 8, 4
MAX_KERNEL = 7
MAX_CHANNELS = 256
MAX_OUTPUTS = 4096  # of a fully-connected layer
MAX_FLATTENED = 16_384  # inputs of a fully-connected layer
MAX_CLASSES = 256
MAX_POOL = 8  # unless it takes the whole map
MAX_STEPS = 8  # of a layer's ``then``
MAX_NAME = 60  # characters, of a label too
TABLE_SIZE = 256
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
KINDS = ("conv", "fc")
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Pool:
    """``kind``: "max" or "average" (floor of sum / size^2) over windows of ``size`` x ``size`` codes, ``stride`` apart.

    Windows that do not fit whole are left out.
    """

    kind: str
    size: int
    stride: int


Step = str | Pool  # "relu", "table" or a pool


@dataclass(frozen=True)
class Layer:
    """A convolution or a fully-connected layer, and what happens to its codes.

    ``kind``: "conv" or "fc". ``outputs``: channels or outputs. Of convolutions only: ``kernel``, rows and columns, 1 to
    7; ``stride``, 1 or 2; ``padding``, (top, left, bottom, right), each below ``kernel``; ``fill``, the code in the
    padding, one for all channels or one a channel; ``groups``. ``then``: "relu", "table" and a `Pool`, in their order.
    """

    name: str
    kind: str
    outputs: int
    kernel: int = 1
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    fill: tuple[int, ...] = (0,)
    groups: int = 1
    then: tuple[Step, ...] = ()

    @property
    def pool(self) -> Pool | None:
        return next((step for step in self.then if isinstance(step, Pool)), None)

    @property
    def has_table(self) -> bool:
        return "table" in self.then


@dataclass(frozen=True)
class Place:
    """A layer in its network: ``inputs`` and ``outputs`` are shapes of one image, (channels, rows, columns) or
    (width,); ``map`` is that of a convolution before its pool, of a fully-connected layer its outputs."""

    layer: Layer
    inputs: Shape
    map: Shape
    outputs: Shape

    @property
    def arrays(self) -> dict[str, Shape]:
        """Names and shapes of the layer's arrays."""
        layer = self.layer
        weight: Shape
        if layer.kind == "conv":
            weight = (layer.outputs, self.inputs[0] // layer.groups, layer.kernel, layer.kernel)
        else:
            weight = (layer.outputs, prod(self.inputs))
        shapes: dict[str, Shape] = {f"{layer.name}.weight": weight, f"{layer.name}.bias": (layer.outputs,)}
        if layer.has_table:
            shapes[f"{layer.name}.table"] = (TABLE_SIZE,)
        return shapes

    @property
    def used(self) -> Shape:
        """Rows and columns of the map that a pool uses, all of them without one."""
        pool = self.layer.pool
        if pool is None:
            return self.map[1:]
        return tuple((size - 1) * pool.stride + pool.size for size in self.outputs[1:])

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image: products with padding count, positions that no pool uses do not."""
        layer = self.layer
        if layer.kind == "fc":
            return layer.outputs * prod(self.inputs)
        return prod(self.used) * layer.outputs * (self.inputs[0] // layer.groups) * layer.kernel**2


@dataclass(frozen=True)
class Network:
    """``input``: (channels, rows, columns) of an image. ``layers``: convolutions, then fully-connected layers.
    ``labels``: texts, one a class, or none; they say nothing of what is computed: networks that differ in them alone
    are equal. Iterated, it gives a `Place` for each.

    Raises ValueError, with one line, for what the limits of this module do not allow and for maps that become empty.
    """

    input: tuple[int, int, int]
    layers: tuple[Layer, ...]
    labels: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        check_input(self.input)
        check_list(self.layers)
        if len(self.places[-1].outputs) > 1 and self.places[-1].outputs[1:] != (1, 1):
            last, shape = self.layers[-1].name, "x".join(map(str, self.places[-1].outputs[1:]))
            raise ValueError(
                f"{last} is the last layer: its maps must be 1x1, not {shape}; pool them or add an fc layer"
            )
        if self.classes > MAX_CLASSES:
            raise ValueError(f"there must be 1 to {MAX_CLASSES} classes, not {self.classes}")
        if self.labels:
            check_labels(self.labels, self.classes)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Found once: it is asked for wherever what follows from a network is kept."""
        return hash((self.input, self.layers))

    def __reduce__(self) -> tuple:
        """Hashes of names differ between processes, so that one is not pickled."""
        return Network, (self.input, self.layers, self.labels)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """The layers, each with the shapes of what goes in and comes out."""
        places, shape = [], tuple(self.input)
        for layer in self.layers:
            place = placed(layer, shape)
            places.append(place)
            shape = place.outputs
        return tuple(places)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the layers, in order."""
        return tuple(layer.name for layer in self.layers)

    @property
    def classes(self) -> int:
        return self.layers[-1].outputs

    @property
    def labels_member(self) -> dict[str, list[str]]:
        """{"labels": the labels}, as JSON has them beside other members; empty without any."""
        return {"labels": list(self.labels)} if self.labels else {}

    @property
    def pixels(self) -> int:
        """Pixels of an image, all channels together."""
        return prod(self.input)

    @property
    def arrays(self) -> dict[str, Shape]:
        """Names and shapes of a checkpoint's arrays, in the order of the layers."""
        return {name: shape for place in self.places for name, shape in place.arrays.items()}

    @property
    def outputs(self) -> dict[str, Shape]:
        """Shape of each layer's output for one image, as the next layer sees it."""
        return {place.layer.name: place.outputs for place in self.places}

    @property
    def macs(self) -> dict[str, int]:
        """Multiply-accumulates of one image, by layer."""
        return {place.layer.name: place.macs for place in self.places}

    @property
    def summary(self) -> str:
        """The input and what each layer gives, such as 1x32x32, c1 6x14x14, f6 84, output 10."""
        return ", ".join([dims(self.input), *(f"{place.layer.name} {dims(place.outputs)}" for place in self)])

    def __iter__(self) -> Iterator[Place]:
        return iter(self.places)


def placed(layer: Layer, inputs: Shape) -> Place:
    """``layer`` behind what gives ``inputs``. Raises ValueError where it does not fit there."""
    if layer.kind == "fc":
        if prod(inputs) > MAX_FLATTENED:
            raise ValueError(f"{layer.name} has {prod(inputs):,} inputs; there may be {MAX_FLATTENED:,}")
        return Place(layer, inputs, (layer.outputs,), (layer.outputs,))
    channels = inputs[0]
    if channels % layer.groups:
        raise ValueError(f"{layer.name}: {layer.groups} groups do not divide its {channels} input channels")
    if len(layer.fill) not in (1, channels):
        raise ValueError(f"{layer.name}: fill must be one code, or one for each of {channels} channels")
    top, left, bottom, right = layer.padding
    sizes = [
        (size + around - layer.kernel) // layer.stride + 1
        for size, around in zip(inputs[1:], (top + bottom, left + right), strict=True)
    ]
    if min(sizes) < 1:
        raise ValueError(
            f"{layer.name}: nothing is left of its maps; a kernel of {layer.kernel} does not fit in {dims(inputs[1:])}"
        )
    full, pool = (layer.outputs, *sizes), layer.pool
    if pool is None:
        return Place(layer, inputs, full, full)
    if pool.size > MAX_POOL and sizes != [pool.size, pool.size]:
        raise ValueError(f"{layer.name}: a pool has a size of 1 to {MAX_POOL}, or takes the whole map of {dims(sizes)}")
    pooled = [(size - pool.size) // pool.stride + 1 for size in sizes]
    if min(pooled) < 1:
        raise ValueError(
            f"{layer.name}: nothing is left of its maps; a pool of {pool.size} does not fit in {dims(sizes)}"
        )
    return Place(layer, inputs, full, (layer.outputs, *pooled))


def check_input(size: Shape) -> None:
    channels, *sizes = size
    if not 1 <= channels <= MAX_INPUT_CHANNELS:
        raise ValueError(f"the input must have 1 to {MAX_INPUT_CHANNELS} channels, not {channels}")
    if any(size not in INPUT_SIZES for size in sizes):
        first, last = INPUT_SIZES[0], INPUT_SIZES[-1]
        raise ValueError(f"the input must have {first} to {last} rows and columns, not {sizes[0]} and {sizes[1]}")


def check_list(layers: tuple[Layer, ...]) -> None:
    """Names, numbers and order of the layers."""
    kinds = [layer.kind for layer in layers]
    if not layers:
        raise ValueError("a network must have at least one layer")
    if kinds != sorted(kinds):  # conv before fc
        raise ValueError("all convolutions must come before all fc layers")
    for kind, limit in zip(KINDS, (MAX_CONVS, MAX_FC_LAYERS), strict=True):
        if kinds.count(kind) > limit:
            raise ValueError(f"there may be {limit} {kind} layers, not {kinds.count(kind)}")
    names = [layer.name for layer in layers]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two layers are named {name}")
    for layer in layers:
        check_layer(layer)


def check_layer(layer: Layer) -> None:
    """What a layer must keep to wherever it stands."""
    check_name(layer.name)
    limit = MAX_CHANNELS if layer.kind == "conv" else MAX_OUTPUTS
    within(layer.outputs, 1, limit, f"{layer.name}: outputs")
    steps = layer.then
    if len(steps) > MAX_STEPS:
        raise ValueError(f"{layer.name}: then has at most {MAX_STEPS} steps, not {len(steps)}")
    if sum(step == "table" for step in steps) > 1:
        raise ValueError(f"{layer.name}: then has at most one table")
    pools = [step for step in steps if isinstance(step, Pool)]
    if len(pools) > 1 or (pools and layer.kind == "fc"):
        raise ValueError(f"{layer.name}: then has at most one pool, and none in an fc layer")
    for pool in pools:
        within(pool.size, 1, max(INPUT_SIZES), f"{layer.name}: size of a pool")
        within(pool.stride, 1, pool.size, f"{layer.name}: stride of a pool of {pool.size}")
    within(layer.kernel, 1, MAX_KERNEL, f"{layer.name}: kernel")
    within(layer.stride, 1, 2, f"{layer.name}: stride")
    for padding in layer.padding:
        within(padding, 0, layer.kernel - 1, f"{layer.name}: padding")
    for code in layer.fill:
        within(code, -128, 127, f"{layer.name}: fill")
    within(layer.groups, 1, MAX_CHANNELS, f"{layer.name}: groups")
    if layer.outputs % layer.groups:
        raise ValueError(f"{layer.name}: {layer.groups} groups do not divide its {layer.outputs} outputs")


def check_name(name: str) -> None:
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise ValueError(
            f"a layer's name has letters, digits, _ and ., begins with a letter or _, and has at most {MAX_NAME} "
            f"characters; not {ascii(name)[:MAX_NAME]}"
        )


def check_labels(labels: tuple[str, ...], classes: int) -> None:
    if len(labels) != classes:
        raise ValueError(f"labels must have a text for each of {classes} classes, not {len(labels)}")
    for label in labels:
        if not 1 <= len(label) <= MAX_NAME:
            raise ValueError(f"a label has 1 to {MAX_NAME} characters, not {len(label)}")


def within(value: int, low: int, high: int, what: str) -> None:
    if not low <= value <= high:
        raise ValueError(f"{what} must be {low} to {high}, not {value}")


def dims(sizes: Iterable[int]) -> str:
    """Such as 24x24."""
    return "x".join(map(str, sizes))
