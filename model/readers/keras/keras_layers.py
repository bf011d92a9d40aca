"""Each layer of Keras as steps: what its configuration and its arrays mean.

A layer never runs here, and no name in a file leads to code: a class or a function that is not listed is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite, prod
from typing import Any

import numpy as np

from fivebyfive.model.readers.chain import MAX_SIDE, Chain, Shape, as_float, brief, checked_values
from fivebyfive.model.readers.steps import (
    Activation,
    Affine,
    Convolution,
    Dense,
    Flatten,
    Padding,
    Pooling,
    Unsupported,
)

__all__ = ["FORMATTED", "LAYERS", "Layer", "is_foreign", "plain"]

EPSILON = 1e-7  # of keras.backend.epsilon(): the least standard deviation of Normalization
AS_IS = ("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization")
FORMATTED = (
    "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D",
    "GlobalMaxPooling2D", "ZeroPadding2D",
)  # fmt: skip
SAME_AS = {  # names that the activation functions have had
    "swish": "swish", "silu": "swish", "hard_swish": "hard-swish", "hard_silu": "hard-swish",
}  # fmt: skip
PLAIN = ("relu", "tanh", "sigmoid", "selu", "softplus")


@dataclass(frozen=True)
class Layer:
    """One layer of a file: ``kind`` its class, ``config`` what the file says of it, ``arrays`` by their roles
    ("kernel", "bias", ...) or in order ("0", "1", ...). What is asked of it is checked."""

    name: str
    kind: str
    config: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    types: Mapping[str, str] = field(default_factory=dict)
    keras: int = 3  # the major version that wrote it

    def refused(self, why: str) -> Unsupported:
        return Unsupported(f"layer {brief(self.name)} ({brief(self.kind)}) {why}")

    def number(self, key: str, default: float) -> float:
        value = plain(self.config.get(key, default))
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(as_float(value)):
            raise self.refused(f"has {key} {brief(value)}, not a number")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.config.get(key, default)
        if not isinstance(value, bool):
            raise self.refused(f"has {key} {brief(value)}, not true or false")
        return value

    def count(self, key: str, default: int | None = None) -> int:
        value = self.config.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_SIDE**2:
            raise self.refused(f"has {key} {brief(value)}, not a positive number")
        return value

    def pair(self, key: str, default: object = None) -> tuple[int, int]:
        value = plain(self.config.get(key, default))
        two = [value, value] if isinstance(value, int) else value
        if not isinstance(two, list) or len(two) != 2 or not all(type(n) is int and 0 < n <= MAX_SIDE for n in two):
            raise self.refused(f"has {key} {brief(value)}, not one or two positive numbers")
        return two[0], two[1]

    def choice(self, key: str, default: str, *values: str) -> str:
        value = self.config.get(key, default)
        if value not in values:
            raise self.refused(f"has {key} {brief(value)}; {' or '.join(values)} can be read")
        return str(value)

    def values(self, key: str, default: object) -> np.ndarray:
        """Numbers, one or several."""
        value = plain(self.config.get(key, default))
        try:
            found = np.array(value, np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise self.refused(f"has {key} {brief(value)}, not numbers") from error
        if not np.isfinite(found).all():
            raise self.refused(f"has {key} {brief(value)}, which is not finite")
        return found

    def array(self, place: int, *roles: str, shape: Shape) -> np.ndarray:
        """The array of one of these roles, or at that place, in float64."""
        for role in (*roles, str(place)):
            if role in self.arrays:
                break
            if role in self.types:
                raise self.refused(f"has weights of type {brief(self.types[role])}, not floats; save it in float32")
        else:
            raise self.refused(f"has no {roles[0]} in the file; save the whole model")
        found = self.arrays[role].astype(np.float64)
        if found.shape != shape:
            raise self.refused(f"has {roles[0]} of shape {list(found.shape)}, and the network needs {list(shape)}")
        if wrong := checked_values(found):
            raise self.refused(wrong)
        return found


def is_foreign(entry: Mapping[str, Any], *more: str) -> bool:
    """Whether a class or a function is not Keras's own, whatever its name: Keras 2 says neither in an .h5 file."""
    module, registered = entry.get("module"), entry.get("registered_name")
    owns = ("keras", "tf_keras", *more)
    return (module is not None and str(module).split(".")[0] not in owns) or ">" in str(registered)


def plain(value: object) -> object:
    """Lists and numbers without the wrappers that Keras's JSON has for tuples and NumPy's arrays."""
    for _ in range(4):
        match value:
            case {"class_name": "__tuple__", "items": inner}:
                value = inner
            case {"class_name": "__numpy__" | "__tensor__", "config": {"value": inner}}:
                value = inner
            case {"type": "ndarray", "value": inner}:  # of Keras 2
                value = inner
            case _:
                break
    return [plain(one) if isinstance(one, dict) else one for one in value] if isinstance(value, list) else value


def maps(layer: Layer, chain: Chain) -> tuple[int, int, int]:
    """(channels, rows, columns) of what a layer gets."""
    if len(chain.shape) != 3:
        raise layer.refused(f"needs maps, and gets values of shape {list(chain.shape)}")
    return chain.inner()


def same_padding(sides: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of padding "same": the output has a stride's part of the size, rounded up, and what
    is odd goes to the bottom and to the right."""
    whole = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(sides, kernel, stride, strict=True)]
    return whole[0] // 2, whole[1] // 2, whole[0] - whole[0] // 2, whole[1] - whole[1] // 2


def window(layer: Layer, chain: Chain, size: tuple[int, int], stride: tuple[int, int], channels: int) -> tuple[
    int, int, int, int
]:  # fmt: skip
    """The padding of a window that moves over maps, whose output has so many channels."""
    _, rows, columns = maps(layer, chain)
    same = layer.choice("padding", "valid", "valid", "same") == "same"
    top, left, bottom, right = padding = same_padding((rows, columns), size, stride) if same else (0, 0, 0, 0)
    high, wide = rows + top + bottom - size[0], columns + left + right - size[1]
    if high < 0 or wide < 0:
        raise layer.refused(f"has a window of {size[0]}x{size[1]}, larger than its map of {rows}x{columns}")
    chain.set_maps(channels, high // stride[0] + 1, wide // stride[1] + 1)
    return padding


def biased(layer: Layer, place: int, width: int) -> np.ndarray | None:
    return layer.array(place, "bias", shape=(width,)) if layer.flag("use_bias", True) else None


def undilated(layer: Layer) -> None:
    if layer.pair("dilation_rate", 1) != (1, 1):
        raise layer.refused("has dilated kernels, which no layer of the machine has")


def convolution(layer: Layer, chain: Chain) -> None:
    undilated(layer)
    channels, _, _ = maps(layer, chain)
    outputs, size, stride = layer.count("filters"), layer.pair("kernel_size"), layer.pair("strides", 1)
    groups = layer.count("groups", 1)
    if channels % groups or outputs % groups:
        raise layer.refused(f"has {groups} groups, and {channels} maps become {outputs}")
    kernel = layer.array(0, "kernel", shape=(*size, channels // groups, outputs))
    padding = window(layer, chain, size, stride, outputs)
    weight = kernel.transpose(3, 2, 0, 1)
    chain.add(Convolution(layer.name, weight, biased(layer, 1, outputs), stride, padding, groups))
    activation(layer, chain)


def depthwise(layer: Layer, chain: Chain, bias: bool = True) -> None:
    undilated(layer)
    channels, _, _ = maps(layer, chain)
    size, stride, multiplier = layer.pair("kernel_size"), layer.pair("strides", 1), layer.count("depth_multiplier", 1)
    kernel = layer.array(0, "depthwise_kernel", "kernel", shape=(*size, channels, multiplier))
    outputs = channels * multiplier
    padding = window(layer, chain, size, stride, outputs)
    weight = kernel.transpose(2, 3, 0, 1).reshape(outputs, 1, *size)
    chain.add(Convolution(layer.name, weight, biased(layer, 1, outputs) if bias else None, stride, padding, channels))
    if bias:
        activation(layer, chain)


def separable(layer: Layer, chain: Chain) -> None:
    depthwise(layer, chain, bias=False)
    inputs, outputs = chain.channels, layer.count("filters")
    kernel = layer.array(1, "pointwise_kernel", shape=(1, 1, inputs, outputs))
    _, rows, columns = maps(layer, chain)
    chain.set_maps(outputs, rows, columns)
    chain.add(Convolution(f"{layer.name} pointwise", kernel.transpose(3, 2, 0, 1), biased(layer, 2, outputs)))
    activation(layer, chain)


def dense(layer: Layer, chain: Chain) -> None:
    units = layer.count("units")
    inputs = chain.shape[-1]
    if len(chain.shape) == 2 or (len(chain.shape) == 3 and not chain.channels_last):
        raise layer.refused(f"gets values of shape {list(chain.shape)}, not a vector; flatten them first")
    weight = layer.array(0, "kernel", shape=(inputs, units)).T
    bias = biased(layer, 1, units)
    if len(chain.shape) == 3:  # over the channels of each place
        chain.add(Convolution(layer.name, weight[:, :, None, None], bias))
    else:
        chain.flattened()
        chain.add(Dense(layer.name, weight, bias))
    chain.shape = (*chain.shape[:-1], units)
    activation(layer, chain)


def pooling(layer: Layer, chain: Chain) -> None:
    kind = "max" if layer.kind == "MaxPooling2D" else "average"
    size = layer.pair("pool_size", 2)
    strides = layer.config.get("strides")
    stride = size if strides is None else layer.pair("strides")
    padding = window(layer, chain, size, stride, chain.channels)
    chain.add(Pooling(kind, size, stride, padding, counts_padding=False))


def global_pooling(layer: Layer, chain: Chain) -> None:
    channels, _, _ = maps(layer, chain)
    chain.add(Pooling("max" if layer.kind == "GlobalMaxPooling2D" else "average", None))
    if layer.flag("keepdims", False):
        chain.set_maps(channels, 1, 1)
    else:
        chain.add(Flatten())
        chain.shape = (channels,)


def zero_padding(layer: Layer, chain: Chain) -> None:
    channels, rows, columns = maps(layer, chain)
    value = plain(layer.config.get("padding", 1))
    both = [value, value] if isinstance(value, int) else value
    pairs = [[one, one] if isinstance(one, int) else one for one in both] if isinstance(both, list) else []
    sides = [n for pair in pairs if isinstance(pair, list) and len(pair) == 2 for n in pair]
    if len(pairs) != 2 or len(sides) != 4 or not all(type(n) is int and 0 <= n <= MAX_SIDE for n in sides):
        raise layer.refused(f"has padding {brief(value)}, not one, two or four numbers")
    top, bottom, left, right = sides
    if any(sides):
        chain.add(Padding((top, left, bottom, right)))
    chain.set_maps(channels, rows + top + bottom, columns + left + right)


def flatten(layer: Layer, chain: Chain) -> None:
    first = layer.choice("data_format", "channels_last", "channels_last", "channels_first") == "channels_first"
    if len(chain.shape) == 2 and first and chain.shape[0] > 1:
        raise layer.refused("flattens a picture column by column")
    chain.flatten(moves_first=first)


def reshape(layer: Layer, chain: Chain) -> None:
    target = plain(layer.config.get("target_shape"))
    if (
        not isinstance(target, list)
        or len(target) > 8
        or not all(type(n) is int and -1 <= n <= MAX_SIDE**2 for n in target)
    ):
        raise layer.refused(f"has target_shape {brief(target)}, not numbers")
    if target.count(-1) == 1 and (rest := -prod(target)) > 0:
        target = [prod(chain.shape) // rest if n == -1 else n for n in target]
    shape = tuple(target)
    if min(shape, default=0) < 1 or prod(shape) != prod(chain.shape) or not chain.reshape(shape):
        raise layer.refused(f"makes {brief(target)} of {list(chain.shape)}; only an input can be reshaped so")


def normalization_axis(layer: Layer, chain: Chain, value: object) -> bool:
    """Whether statistics are by channel, not one for all values."""
    axes = [value] if isinstance(value, int) else plain(value)
    if axes is None or axes == []:
        return False
    if isinstance(axes, list) and len(axes) == 1 and type(axes[0]) is int:
        rank = len(chain.shape) + 1
        if (axes[0] + rank if axes[0] < 0 else axes[0]) == chain.channel_axis + 1:
            return True
    raise layer.refused(f"normalizes over axis {brief(value)}, not by channel")


def batch_normalization(layer: Layer, chain: Chain) -> None:
    if not normalization_axis(layer, chain, layer.config.get("axis", -1)) or len(chain.shape) == 2:
        raise layer.refused("does not normalize by channel")
    shape = (chain.channels,)
    place = iter(range(4))
    gamma = layer.array(next(place), "gamma", shape=shape) if layer.flag("scale", True) else np.ones(shape)
    beta = layer.array(next(place), "beta", shape=shape) if layer.flag("center", True) else np.zeros(shape)
    mean = layer.array(next(place), "moving_mean", shape=shape)
    variance = layer.array(next(place), "moving_variance", shape=shape)
    spread = variance + layer.number("epsilon", 1e-3)
    if spread.min() <= 0:
        raise layer.refused("has a variance that is not positive")
    if len(chain.shape) == 1:
        chain.flattened()
    chain.add(Affine.batch_norm(mean, spread, gamma, beta))


def normalization(layer: Layer, chain: Chain) -> None:
    by_channel = normalization_axis(layer, chain, layer.config.get("axis", -1))
    shape = (chain.channels,) if by_channel else ()
    if layer.config.get("mean") is not None:
        mean, variance = layer.values("mean", 0), layer.values("variance", 1)
        if mean.size == variance.size == 1:
            mean, variance = mean.reshape(()), variance.reshape(())
        elif mean.size == variance.size == prod(shape):
            mean, variance = mean.reshape(shape), variance.reshape(shape)
        else:
            raise layer.refused(f"has {mean.size} means and {variance.size} variances for {prod(shape)} channels")
    else:
        mean = layer.array(0, "mean", shape=shape)
        variance = layer.array(1, "variance", shape=shape)
    if (variance < 0).any():
        raise layer.refused("has a negative variance")
    if len(chain.shape) < 3 and mean.size > 1:
        if len(set(mean.tolist())) > 1 or len(set(variance.tolist())) > 1:
            raise layer.refused("normalizes every pixel in its own way")
        mean, variance = mean[0], variance[0]
    spread = np.maximum(np.sqrt(variance), EPSILON)
    if layer.flag("invert", False):
        chain.add(Affine(np.asarray(spread), np.asarray(mean)))
    else:
        chain.add(Affine(np.asarray(1 / spread), np.asarray(-mean / spread)))


def rescaling(layer: Layer, chain: Chain) -> None:
    both = [layer.values("scale", 1.0), layer.values("offset", 0.0)]
    for number, value in enumerate(both):
        if value.size == 1 or len(set(value.reshape(-1).tolist())) == 1:
            both[number] = value.reshape(-1)[0]
        elif len(chain.shape) != 3 or not chain.channels_last or value.shape != (chain.channels,):
            raise layer.refused(f"scales by numbers of shape {list(value.shape)}, not by channel")
    chain.add(Affine(np.asarray(both[0]), np.asarray(both[1])))


def activation(layer: Layer, chain: Chain) -> None:
    """The function in a layer's configuration, by its name or as a layer of its own."""
    value = layer.config.get("activation", "linear")
    match value:
        case None:
            function = "linear"
        case str():
            function = value
        case {"class_name": "function", "config": str(function)}:
            if is_foreign(value, "tensorflow", "builtins"):
                raise layer.refused(f"has a function of its own, {brief(function)}")
        case {"class_name": str(kind), "config": dict(config)} if kind in ACTIVATIONS and not is_foreign(value):
            ACTIVATIONS[kind](Layer(layer.name, kind, config, {}, keras=layer.keras), chain)
            return
        case _:
            raise layer.refused(f"has the activation {brief(value)}, which no layer of the machine has")
    by_name(layer, chain, function)


def by_name(layer: Layer, chain: Chain, function: str) -> None:
    if function == "linear":
        return
    if function in ("softmax", "log_softmax"):
        softmax(layer, chain)
    elif function in PLAIN:
        chain.add(Activation(function))
    elif function in SAME_AS:
        chain.add(Activation(SAME_AS[function]))
    elif function == "gelu":
        chain.add(Activation("gelu"))
    elif function == "elu":
        chain.add(Activation("elu", {"alpha": 1.0}))
    elif function == "leaky_relu":
        chain.add(Activation("leaky-relu", {"alpha": 0.2}))
    elif function == "relu6":
        chain.add(Activation("clip", {"low": 0.0, "high": 6.0}))
    elif function == "hard_tanh":
        chain.add(Activation("clip", {"low": -1.0, "high": 1.0}))
    elif function == "hard_sigmoid":
        alpha = 1 / 6 if layer.keras >= 3 else 0.2  # Keras 3 has PyTorch's
        chain.add(Activation("hard-sigmoid", {"alpha": alpha, "beta": 0.5}))
    else:
        raise layer.refused(f"has the activation {brief(function)}, which no layer of the machine has")


def softmax(layer: Layer, chain: Chain) -> None:
    """Left out at the end, where it does not change which class is largest."""
    axis = plain(layer.config.get("axis", -1)) if layer.kind == "Softmax" else -1
    rank = len(chain.shape) + 1
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if type(axis) is not int or not -rank <= axis < rank or axis in (0, -rank):
        raise layer.refused(f"has axis {brief(axis)}")
    if chain.shape[(axis % rank) - 1] != prod(chain.shape):
        raise layer.refused("is a softmax of maps, not of classes")
    chain.end(layer.name)


def relu(layer: Layer, chain: Chain) -> None:
    slope = layer.number("negative_slope", 0.0) if layer.config.get("negative_slope") is not None else 0.0
    highest = layer.number("max_value", 0.0) if layer.config.get("max_value") is not None else None
    if layer.config.get("threshold") is not None and layer.number("threshold", 0.0) != 0:
        raise layer.refused("has a threshold, which no layer of the machine has")
    if highest is not None and (slope or highest < 0):
        raise layer.refused("has both max_value and negative_slope" if slope else "has a negative max_value")
    if highest is not None:
        chain.add(Activation("clip", {"low": 0.0, "high": highest}))
    else:
        chain.add(Activation("leaky-relu", {"alpha": slope}) if slope else Activation("relu"))


def leaky_relu(layer: Layer, chain: Chain) -> None:
    slope = "negative_slope" if "negative_slope" in layer.config else "alpha"
    chain.add(Activation("leaky-relu", {"alpha": layer.number(slope, 0.3)}))


def elu(layer: Layer, chain: Chain) -> None:
    chain.add(Activation("elu", {"alpha": layer.number("alpha", 1.0)}))


def unchanged(layer: Layer, chain: Chain) -> None:
    """What does something in training only, or nothing."""
    if layer.kind in AS_IS:
        chain.left_out(layer.kind)


ACTIVATIONS: dict[str, Callable[[Layer, Chain], None]] = {
    "Activation": activation,
    "ReLU": relu,
    "LeakyReLU": leaky_relu,
    "ELU": elu,
    "Softmax": softmax,
}
LAYERS: dict[str, Callable[[Layer, Chain], None]] = {
    **ACTIVATIONS,
    **dict.fromkeys((*AS_IS, "InputLayer", "Identity"), unchanged),
    "Conv2D": convolution,
    "DepthwiseConv2D": depthwise,
    "SeparableConv2D": separable,
    "Dense": dense,
    "MaxPooling2D": pooling,
    "AveragePooling2D": pooling,
    "GlobalAveragePooling2D": global_pooling,
    "GlobalMaxPooling2D": global_pooling,
    "ZeroPadding2D": zero_padding,
    "Flatten": flatten,
    "Reshape": reshape,
    "BatchNormalization": batch_normalization,
    "Normalization": normalization,
    "Rescaling": rescaling,
}
