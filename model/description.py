"""The JSON of a network: what a checkpoint holds as its array ``network``, and what ``--network FILE.json`` reads.

It is hostile input: every key is known, every number is in range, and a complaint is one short line.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from .network import KINDS, MAX_CONVS, MAX_FC_LAYERS, MAX_NAME, Layer, Network, Pool, Shape, Step, check_name
from .shape import LeNetShape

__all__ = ["check_weights", "decoded", "describe", "describe_layer", "network_of", "parse", "read_network", "written"]

MAX_CHARACTERS = 256 << 10  # twelve layers take some thousand, 256 labels of escaped characters 190,000
MAX_WEIGHTS = 4 << 20  # bytes of all arrays
POOLS = ("max", "average")
DIMENSIONS = {"conv": 4, "fc": 2}  # of a weight array
KEYS = {
    "conv": ("name", "kind", "outputs", "kernel", "stride", "padding", "fill", "groups", "then"),
    "fc": ("name", "kind", "outputs", "then"),
}


def describe(network: Network) -> str:
    """The JSON of a network, in one line; keys that hold their defaults are left out."""
    layers = [describe_layer(layer) for layer in network.layers]
    return json.dumps({"input": list(network.input), "layers": layers} | network.labels_member)


def written(network: Network) -> str:
    """A network as manifests and jobs have it: 20-50-500-10 where it has the brief's form, else its JSON; without
    labels, which no machine knows."""
    shape = LeNetShape.of_network(network)
    return describe(replace(network, labels=())) if shape is None else str(shape)


def read_network(text: str) -> Network:
    """The inverse of `written`. Raises ValueError, with one line, for anything else."""
    return parse(text) if text.lstrip()[:1] == "{" else LeNetShape.parse(text).network


def parse(text: str, shapes: Mapping[str, Shape] | None = None) -> Network:
    """The network of a JSON text. ``shapes`` of its arrays say the outputs and kernels that the text leaves out.

    Raises ValueError, with one line, for anything else.
    """
    return network_of(decoded(text), shapes)


def decoded(text: str) -> object:
    """The values of a JSON text, of a bounded size. Raises ValueError, with one line, where it is none."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"a network's description has at most {MAX_CHARACTERS:,} characters, not {len(text):,}")
    try:
        return json.loads(text, object_pairs_hook=unique)
    except RecursionError:
        raise ValueError("a network's description is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"a network's description must be JSON: {error}") from None


def network_of(description: object, shapes: Mapping[str, Shape] | None = None) -> Network:
    """`parse` of what is decoded."""
    members = keyed(description, "a network", ("input", "layers", "labels"), ("input", "layers"))
    layers = sequence(members["layers"], "layers")
    if len(layers) > MAX_CONVS + MAX_FC_LAYERS:
        raise ValueError(f"there may be {MAX_CONVS + MAX_FC_LAYERS} layers, not {len(layers)}")
    size = [integer(value, "input") for value in sequence(members["input"], "input")]
    if len(size) != 3:
        raise ValueError("input must be [channels, rows, columns]")
    read = tuple(read_layer(layer, number, shapes or {}) for number, layer in enumerate(layers, 1))
    network = Network((size[0], size[1], size[2]), read, read_labels(members))
    check_weights(network)
    return network


def check_weights(network: Network) -> None:
    """Raise ValueError, one line, where a network's arrays are larger than a checkpoint's may be."""
    if (weights := sum(map(prod, network.arrays.values()))) > MAX_WEIGHTS:
        raise ValueError(f"the weights take {weights:,} bytes; there is room for {MAX_WEIGHTS:,}")


def read_labels(members: Mapping[str, object]) -> tuple[str, ...]:
    """A text for each class; none where there are no labels."""
    if "labels" not in members:
        return ()
    labels = sequence(members["labels"], "labels")
    if not labels or not all(isinstance(label, str) for label in labels):
        raise ValueError("labels must be a list of texts, one a class")
    return tuple(labels)


def read_layer(description: object, number: int, shapes: Mapping[str, Shape]) -> Layer:
    """A layer of a description, the ``number``-th; what it leaves out is read off the ``shapes`` of its arrays."""
    kind = description.get("kind") if isinstance(description, dict) else None
    if kind not in KINDS:
        raise ValueError(f"layer {number}: kind must be conv or fc")
    members = keyed(description, f"layer {number}", KEYS[kind], ("name", "kind"))
    name = members.pop("name")
    if not isinstance(name, str):
        raise ValueError(f"layer {number}: name must be a text")
    check_name(name)
    weight = shapes.get(f"{name}.weight", ())
    known = len(weight) == DIMENSIONS[kind]
    given = {"name": name, "kind": kind, "then": steps(members.pop("then", []), name)}
    given |= {"outputs": size_of(members, "outputs", name, weight[0] if known else None)}
    if kind == "conv":
        given |= {"kernel": size_of(members, "kernel", name, weight[-1] if known else None)}
        given |= {key: integer(members[key], f"{name}: {key}") for key in ("stride", "groups") if key in members}
        given |= {"padding": four(members.get("padding", 0), f"{name}: padding")}
        given |= {"fill": codes(members.get("fill", 0), f"{name}: fill")}
    return Layer(**given)


def size_of(members: dict, key: str, name: str, of_array: int | None) -> int:
    """Outputs or kernel: as the description says, or as the array has it; both must agree."""
    if key not in members:
        if of_array is None:
            raise ValueError(f"{name}: {key} is missing")
        return of_array
    value = integer(members[key], f"{name}: {key}")
    if of_array is not None and value != of_array:
        raise ValueError(f"{name}: {key} is {value}, but its weights have {of_array}")
    return value


def steps(values: object, name: str) -> tuple[Step, ...]:
    """What happens to the codes of layer ``name``."""
    read: list[Step] = []
    for value in sequence(values, f"{name}: then"):
        if value in ("relu", "table"):
            read.append(value)
            continue
        kind = next((kind for kind in POOLS if isinstance(value, dict) and kind in value), None)
        if kind is None:
            pools = " and ".join(f'{{"{kind}": k}}' for kind in POOLS)
            raise ValueError(f'{name}: then has "relu", "table", {pools}')
        members = keyed(value, f"{name}: a pool", (kind, "stride"), (kind,))
        size = integer(members[kind], f"{name}: size of a pool")
        read.append(Pool(kind, size, integer(members.get("stride", size), f"{name}: stride of a pool")))
    return tuple(read)


def four(value: object, what: str) -> tuple[int, int, int, int]:
    """Padding: one number for all sides, or [top, left, bottom, right]."""
    numbers = [value] * 4 if isinstance(value, int) else sequence(value, what)
    if len(numbers) != 4:
        raise ValueError(f"{what} must be one number or [top, left, bottom, right]")
    top, left, bottom, right = (integer(number, what) for number in numbers)
    return top, left, bottom, right


def codes(value: object, what: str) -> tuple[int, ...]:
    """Fill: one code, or a list of one a channel; alike ones are one."""
    numbers = [value] if isinstance(value, int) else sequence(value, what)
    read = tuple(integer(number, what) for number in numbers)
    if not read:
        raise ValueError(f"{what} must be a code, or a list of one an input channel")
    return read


def integer(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{what} must be a whole number")
    return value


def sequence(value: object, what: str) -> list:
    if not isinstance(value, list):
        raise ValueError(f"{what} must be a list")
    return value


def keyed(value: object, what: str, known: Sequence[str], needed: Sequence[str]) -> dict:
    """An object of the description with no other keys than ``known`` and all that are ``needed``."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be an object with {', '.join(known)}")
    for key in value:
        if key not in known:
            raise ValueError(f"{what} has an unknown key {ascii(key)[:MAX_NAME]}; there is {', '.join(known)}")
    for key in needed:
        if key not in value:
            raise ValueError(f"{what} lacks {key}")
    return dict(value)


def unique(pairs: list[tuple[str, object]]) -> dict:
    """An object whose keys all differ: of two alike, JSON readers take one or the other."""
    read = dict(pairs)
    if len(read) < len(pairs):
        raise ValueError("a network's description has a key twice")
    return read


def describe_layer(layer: Layer) -> dict:
    """The description of a layer, without what is as by default."""
    read: dict = {"name": layer.name, "kind": layer.kind, "outputs": layer.outputs}
    if layer.kind == "conv":
        read["kernel"] = layer.kernel
        if layer.stride > 1:
            read["stride"] = layer.stride
        if any(layer.padding):
            alike = len(set(layer.padding)) == 1
            read["padding"] = layer.padding[0] if alike else list(layer.padding)
        if any(layer.fill):
            read["fill"] = layer.fill[0] if len(layer.fill) == 1 else list(layer.fill)
        if layer.groups > 1:
            read["groups"] = layer.groups
    if layer.then:
        read["then"] = [step if isinstance(step, str) else describe_pool(step) for step in layer.then]
    return read


def describe_pool(pool: Pool) -> dict:
    return {pool.kind: pool.size} | ({"stride": pool.stride} if pool.stride != pool.size else {})
