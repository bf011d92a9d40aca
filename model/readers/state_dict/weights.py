"""Tensors become layers, by their order and shapes, whatever their names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from fivebyfive.model.description import MAX_WEIGHTS
from fivebyfive.model.network import MAX_CONVS, MAX_FC_LAYERS
from fivebyfive.model.readers.steps import Affine
from fivebyfive.model.readers.tensorflow.bundle import checkpoint_index, read_checkpoint
from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import as_path

from .tensors import check_kind, float64, read_tensors

__all__ = ["PYTORCH", "TENSORFLOW", "Framework", "Weights", "read_weights"]

KINDS = {4: "conv", 2: "fc"}  # by the dimensions of a weight
PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
HAS = "convolutions (weights of 4 dimensions), fully-connected layers (2), their biases and BatchNorm can be read"


@dataclass(frozen=True)
class Framework:
    """What is not in tensors. ``epsilon``: of BatchNorm, by default; ``order``: in which a map becomes a vector, as in
    `Flatten`; ``same``: padding may be of TensorFlow's kind SAME, which has less in front of a map than behind it where
    it cannot be divided, also around pools; what is around a map does not count in averages."""

    epsilon: float
    order: tuple[int, int, int]
    same: bool


PYTORCH = Framework(1e-5, (0, 1, 2), False)
TENSORFLOW = Framework(1e-3, (1, 2, 0), True)


@dataclass(frozen=True, eq=False)
class Weights:
    """A layer's ``weight``, float64 (O, I / groups, K, L) or (O, I), ``bias``, (O,) or None, and ``norm``, the
    BatchNorm behind it, if there is one. ``framework``: whose file it is of."""

    name: str
    weight: np.ndarray
    bias: np.ndarray | None = None
    norm: Affine | None = None
    groups: int = 1
    framework: Framework = PYTORCH

    @property
    def kind(self) -> str:
        return KINDS[self.weight.ndim]

    @property
    def outputs(self) -> int:
        return len(self.weight)

    @property
    def inputs(self) -> int:
        return self.weight.shape[1] * self.groups


def read_weights(path: Path) -> tuple[Weights, ...]:
    """The layers of a state_dict, or of a checkpoint of TensorFlow, in the order in which they follow one another.
    Raises UserError, one line, for tensors that belong to no such layer, by name."""
    path = as_path(path, "model")
    index = checkpoint_index(path)
    framework, tensors = (TENSORFLOW, read_checkpoint(index)) if index else (PYTORCH, read_tensors(path))
    for name, tensor in tensors.items():
        check_kind(f"{path}: {name}", tensor)
    if (size := sum(prod(tensor.shape) for tensor in tensors.values())) > MAX_WEIGHTS:
        raise UserError(f"{path} holds {size:,} values; there is room for {MAX_WEIGHTS:,} weights")
    values: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        counter = name.rpartition(".")[2] == PARTS[-1]
        values[name] = np.zeros(tensor.shape) if counter else float64(f"{path}: {name}", tensor).numpy()
    try:
        return in_order(layers_of(without_prefix(values), framework))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def without_prefix(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Names without the modules that all of them are in, such as module. or model."""
    cut = [name.split(".")[:-2] for name in values]
    common = 0
    while cut and all(len(parts) > common and parts[common] == cut[0][common] for parts in cut):
        common += 1
    return {".".join(name.split(".")[common:]): array for name, array in values.items()}


def layers_of(values: Mapping[str, np.ndarray], framework: Framework) -> list[Weights]:
    """The layers as they come, each with the BatchNorm that follows it."""
    modules: dict[str, dict[str, np.ndarray]] = {}
    for name, array in values.items():
        module, _, part = name.rpartition(".")
        if part in PARTS:
            modules.setdefault(module, {})[part] = array
        elif array.ndim in KINDS:
            modules[name] = {"weight": array}
        elif (last := [*modules.values()][-1:]) and is_bias(array, last[0]):
            last[0]["bias"] = array
        else:
            raise unknown(name, array)
    layers: list[Weights] = []
    norms: list[tuple[str, int, Affine]] = []
    for name, parts in modules.items():
        if "running_var" in parts:
            norms.append((name, len(layers), batch_norm(name, parts, framework.epsilon)))
        else:
            layers.append(replace(layer(name, parts), framework=framework))
    for name, place, norm in norms:
        fits = [index for index, one in enumerate(layers) if one.outputs == len(norm.scale) and one.norm is None]
        index = place - 1 if place - 1 in fits else fits[0] if fits else None
        if index is None:
            raise ValueError(f"{name} is a BatchNorm of {len(norm.scale)} channels, which no layer before it has")
        layers[index] = replace(layers[index], norm=norm)
    return layers


def is_bias(array: np.ndarray, parts: Mapping[str, np.ndarray]) -> bool:
    """Whether an array may be the bias of a layer that has none yet."""
    return parts.keys() == {"weight"} and array.shape == parts["weight"].shape[:1]


def layer(name: str, parts: Mapping[str, np.ndarray]) -> Weights:
    weight, bias = parts.get("weight"), parts.get("bias")
    known = weight is not None and weight.ndim in KINDS and parts.keys() <= {"weight", "bias"}
    if weight is None or not known or (bias is not None and bias.shape != weight.shape[:1]):
        part, array = next(iter(parts.items())) if not known or bias is None else ("bias", bias)
        raise unknown(f"{name}.{part}" if name else part, array)
    return Weights(name, weight, bias)


def unknown(name: str, array: np.ndarray) -> ValueError:
    return ValueError(f"{name}, of shape {array.shape}, does not belong to a layer that is known; {HAS}")


def batch_norm(name: str, parts: Mapping[str, np.ndarray], epsilon: float) -> Affine:
    """A BatchNorm as it computes when it is not trained."""
    var = parts["running_var"]
    mean, weight, bias = (
        parts.get(key, np.full(var.shape, default)) for key, default in
        (("running_mean", 0.0), ("weight", 1.0), ("bias", 0.0))
    )  # fmt: skip
    if var.ndim != 1 or not var.shape == mean.shape == weight.shape == bias.shape:
        raise ValueError(f"{name} has the statistics of a BatchNorm, but their shapes differ")
    if var.min() < 0:
        raise ValueError(f"{name}.running_var has values below 0; the training went wrong")
    return Affine.batch_norm(mean, var + epsilon, weight, bias)


def in_order(layers: Sequence[Weights]) -> tuple[Weights, ...]:
    """Convolutions, then fully-connected layers, as they come; otherwise in the one order in which each takes what the
    one before gives. Groups of convolutions follow from that."""
    convs, dense = ([one for one in layers if one.kind == kind] for kind in ("conv", "fc"))
    if not layers:
        raise ValueError(f"there is no layer; {HAS}")
    if len(convs) > MAX_CONVS or len(dense) > MAX_FC_LAYERS:
        raise ValueError(
            f"there are {len(convs)} convolutions and {len(dense)} fully-connected layers; there may be {MAX_CONVS} "
            f"and {MAX_FC_LAYERS}"
        )
    return (*chained(convs), *chained(dense))


def chained(layers: Sequence[Weights]) -> tuple[Weights, ...]:
    found = joined(layers)
    if found is None:
        orders = [
            order for first in layers for order in orders_from((first,), [one for one in layers if one is not first])
        ]
        if len(orders) != 1:
            names = ", ".join(f"{one.name} {one.weight.shape}" for one in layers)
            raise ValueError(f"the layers {names} do not follow one another: each must take what the one before gives")
        found = orders[0]
    return found


def orders_from(so_far: tuple[Weights, ...], rest: Sequence[Weights]) -> Iterable[tuple[Weights, ...]]:
    """The orders that begin with ``so_far``, two at most."""
    if not rest:
        return [so_far]
    found: list[tuple[Weights, ...]] = []
    for one in rest:
        if joined((so_far[-1], one)) and len(found) < 2:
            following = joined((*so_far, one))
            assert following is not None
            found += orders_from(following, [other for other in rest if other is not one])
    return found[:2]


def joined(layers: Sequence[Weights]) -> tuple[Weights, ...] | None:
    """The layers with their groups, or None where one does not take what the one before gives."""
    made = list(layers[:1])
    for one in layers[1:]:
        groups, rest = divmod(made[-1].outputs, one.weight.shape[1])
        if rest or one.outputs % groups or (groups > 1 and one.kind == "fc"):
            return None
        made.append(replace(one, groups=groups))
    return tuple(made)
