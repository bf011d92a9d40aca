"""Float steps and float networks on images, in float64: what tests compare with the source framework, and what
`fivebyfive inspect` counts errors with."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import cache, singledispatch

import numpy as np

from fivebyfive.model.network import Place, Pool

from .float_network import FloatNetwork
from .steps import Activation, Affine, Convolution, Dense, Flatten, Padding, Pooling, Quantizer, Step, Steps

__all__ = ["FUNCTIONS", "ROUNDINGS", "apply", "layer_values", "nondecreasing", "pooled_sizes", "run"]

UNFOLDED = 1 << 22  # values of unfolded windows at once: 32 MiB
FAR, GRID = 6.0, 256  # erf is 1 within 3e-17 behind FAR; grid points a unit of its interpolation
Function = Callable[[np.ndarray, Mapping[str, float]], np.ndarray]


@singledispatch
def run(network: object, images: np.ndarray) -> np.ndarray:
    """Scores, float64 (N, classes), of ``images``, float64 (N, channels, rows, columns), as the file's network takes
    them: `Steps` one after the other, or a `FloatNetwork`."""
    raise TypeError(f"run takes Steps or a FloatNetwork, not {type(network).__name__}")


@run.register
def _(steps: Steps, images: np.ndarray) -> np.ndarray:
    x = np.asarray(images, np.float64)
    for step in steps.steps:
        x = apply(step, x)
    return x.reshape(len(x), -1)


@run.register
def _(network: FloatNetwork, images: np.ndarray) -> np.ndarray:
    ((place, values),) = deque(layer_values(network, images), maxlen=1)
    return behind(network, place, values).reshape(len(images), -1)


def layer_values(network: FloatNetwork, images: np.ndarray) -> Iterator[tuple[Place, np.ndarray]]:
    """What each layer makes of ``images`` before its functions and pool, (N, *`Place.map`), which are those of `run`:
    what becomes a code in the hardware."""
    x = np.asarray(images, np.float64) * by_channel(network.scale) + by_channel(network.shift)
    for place in network.network:
        layer, name = place.layer, place.layer.name
        weight, bias = network.arrays[f"{name}.weight"], network.arrays[f"{name}.bias"]
        if layer.kind == "conv":
            x = padded(x, layer.padding, network.fills.get(name, np.zeros(1)))
            x = convolved(x, weight, (layer.stride, layer.stride), layer.groups) + by_channel(bias)
        else:
            x = x.reshape(len(x), -1) @ weight.T + bias
        yield place, x
        x = behind(network, place, x)


def behind(network: FloatNetwork, place: Place, x: np.ndarray) -> np.ndarray:
    """What the functions and the pool of a layer make of its values."""
    for step in place.layer.then:
        if isinstance(step, Pool):
            x = apply(Pooling(step.kind, (step.size, step.size), (step.stride, step.stride)), x)
        else:
            for function in (Activation("relu"),) if step == "relu" else network.functions[place.layer.name]:
                x = apply(function, x)
    return x


@singledispatch
def apply(step: Step, x: np.ndarray) -> np.ndarray:
    """What a step makes of a batch, (N, channels, rows, columns) or (N, width)."""
    raise TypeError(f"no step: {type(step).__name__}")


@apply.register
def _(step: Convolution, x: np.ndarray) -> np.ndarray:
    sums = convolved(padded(x, step.padding, np.zeros(1)), step.weight, step.stride, step.groups)
    return sums if step.bias is None else sums + by_channel(step.bias)


@apply.register
def _(step: Dense, x: np.ndarray) -> np.ndarray:
    sums = x @ step.weight.T
    return sums if step.bias is None else sums + step.bias


@apply.register
def _(step: Affine, x: np.ndarray) -> np.ndarray:
    scale, shift = np.asarray(step.scale, np.float64), np.asarray(step.shift, np.float64)
    return x * by_channel(scale) + by_channel(shift) if x.ndim == 4 else x * scale + shift


@apply.register
def _(step: Activation, x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return FUNCTIONS[step.name](x, step.parameters)


@apply.register
def _(step: Quantizer, x: np.ndarray) -> np.ndarray:
    levels = np.clip(ROUNDINGS[step.rounding](x / step.scale + step.zero), step.low, step.high)
    return (levels - step.zero) * step.scale


@apply.register
def _(step: Padding, x: np.ndarray) -> np.ndarray:
    return padded(x, step.sides, np.array([step.value]))


@apply.register
def _(step: Flatten, x: np.ndarray) -> np.ndarray:
    return x.transpose(0, *(1 + axis for axis in step.order)).reshape(len(x), -1)


@apply.register
def _(step: Pooling, x: np.ndarray) -> np.ndarray:
    size = step.size or (x.shape[2], x.shape[3])
    stride = step.stride if step.size else (1, 1)
    counts = pooled_sizes(step, (x.shape[2], x.shape[3]))
    # Windows of ceil may reach beyond the padding: places there are never counted.
    top, left, *_ = step.padding
    reach = [(count - 1) * by + width for count, by, width in zip(counts, stride, size, strict=True)]
    beyond = [max(0, far - near - have) for far, near, have in zip(reach, (top, left), x.shape[2:], strict=True)]
    sides = top, left, beyond[0], beyond[1]
    empty = -np.inf if step.kind == "max" else 0.0
    around = padded(x, sides, np.array([empty]))
    if step.kind == "max":
        return over_windows(np.maximum, around, size, stride, counts)
    counted = padded(np.ones((1, 1, *x.shape[2:])), step.padding, np.array([float(step.counts_padding)]))
    more = [max(0, far - have) for far, have in zip(reach, counted.shape[2:], strict=True)]
    places = padded(counted, (0, 0, more[0], more[1]), np.zeros(1))
    return over_windows(np.add, around, size, stride, counts) / over_windows(np.add, places, size, stride, counts)


def over_windows(
    work: np.ufunc, x: np.ndarray, size: tuple[int, int], stride: tuple[int, int], counts: tuple[int, int]
) -> np.ndarray:
    """Maps (N, C, *counts) of what ``work`` makes of each window."""
    ends = [(count - 1) * by + 1 for count, by in zip(counts, stride, strict=True)]
    parts = (
        x[:, :, row : row + ends[0] : stride[0], column : column + ends[1] : stride[1]]
        for row in range(size[0])
        for column in range(size[1])
    )
    made = next(parts).copy()
    for part in parts:
        work(made, part, out=made)
    return made


def pooled_sizes(step: Pooling, shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a pooled map."""
    if step.size is None:
        return 1, 1
    sizes = []
    for axis in (0, 1):
        have, size, by = shape[axis], step.size[axis], step.stride[axis]
        before, behind = step.padding[axis], step.padding[axis + 2]
        room = have + before + behind - size
        count = (-(-room // by) if step.ceil else room // by) + 1
        if step.ceil and (count - 1) * by >= have + before:  # a window must begin in the map or the padding before it
            count -= 1
        sizes.append(count)
    return sizes[0], sizes[1]


def by_channel(values: np.ndarray) -> np.ndarray:
    """A number for all, or (C,), for maps (N, C, H, W)."""
    return np.asarray(values, np.float64).reshape(-1, 1, 1)


def padded(x: np.ndarray, sides: tuple[int, int, int, int], fill: np.ndarray) -> np.ndarray:
    """Maps inside ``sides`` of ``fill``, one value or one a channel."""
    if not any(sides):
        return x
    top, left, bottom, right = sides
    n, c, h, w = x.shape
    around = np.empty((n, c, top + h + bottom, left + w + right))
    around[:] = by_channel(fill)
    around[:, :, top : top + h, left : left + w] = x
    return around


def windows(x: np.ndarray, size: tuple[int, int], stride: tuple[int, int]) -> np.ndarray:
    """(N, C, R, C, K, L): the windows of maps."""
    return np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]


def convolved(x: np.ndarray, weight: np.ndarray, stride: tuple[int, int], groups: int) -> np.ndarray:
    """Sums (N, O, R, C) of a convolution of (N, I, H, W) with (O, I / groups, K, L)."""
    views = windows(x, (weight.shape[2], weight.shape[3]), stride)
    n, _, rows, columns = views.shape[:4]
    sums = np.empty((n, len(weight), rows, columns))
    inputs, outputs = weight.shape[1], len(weight) // groups
    at_once = max(1, UNFOLDED // (rows * columns * weight[0].size))
    for group in range(groups):
        kernels = weight[group * outputs : (group + 1) * outputs].reshape(outputs, -1)
        for start in range(0, n, at_once):
            part = views[start : start + at_once, group * inputs : (group + 1) * inputs]
            unfolded = part.transpose(1, 4, 5, 0, 2, 3).reshape(kernels.shape[1], -1)
            made = (kernels @ unfolded).reshape(outputs, len(part), rows, columns)
            sums[start : start + at_once, group * outputs : (group + 1) * outputs] = made.transpose(1, 0, 2, 3)
    return sums


@cache
def erf_grid() -> tuple[np.ndarray, np.ndarray]:
    points = np.arange(-FAR, FAR + 2 / GRID, 1 / GRID)
    return np.array([math.erf(point) for point in points]), 2 / math.sqrt(math.pi) * np.exp(-(points**2)) / GRID


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, within 1e-11: cubic interpolation of the exact one."""
    values, slopes = erf_grid()
    place = (np.clip(x, -FAR, FAR) + FAR) * GRID
    index = np.nan_to_num(place).astype(np.int64)
    t = place - index
    left, right, rise, fall = values[index], values[index + 1], slopes[index], slopes[index + 1]
    return left + t * (rise + t * (3 * (right - left) - 2 * rise - fall + t * (2 * (left - right) + rise + fall)))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


def hard_sigmoid(x: np.ndarray, alpha: float = 1 / 6, beta: float = 0.5) -> np.ndarray:
    return np.clip(alpha * x + beta, 0, 1)


def elu(x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
FUNCTIONS: dict[str, Function] = {
    "relu": lambda x, p: np.maximum(x, 0),
    "leaky-relu": lambda x, p: np.where(x > 0, x, p.get("alpha", 0.01) * x),
    "tanh": lambda x, p: np.tanh(x),
    "sigmoid": lambda x, p: sigmoid(x),
    "gelu": lambda x, p: 0.5 * x * (1 + erf(x / math.sqrt(2))),
    "gelu-tanh": lambda x, p: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "elu": lambda x, p: elu(x, p.get("alpha", 1.0)),
    "selu": lambda x, p: SELU_SCALE * elu(x, SELU_ALPHA),
    "softplus": lambda x, p: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "hard-sigmoid": lambda x, p: hard_sigmoid(x, p.get("alpha", 1 / 6), p.get("beta", 0.5)),
    "hard-swish": lambda x, p: x * hard_sigmoid(x),
    "swish": lambda x, p: x * sigmoid(x),
    "clip": lambda x, p: np.clip(x, p.get("low", -np.inf), p.get("high", np.inf)),
    "abs": lambda x, p: np.abs(x),
    "floor": lambda x, p: np.floor(x),
    "round": lambda x, p: np.rint(x),  # halves to even
    "erf": lambda x, p: erf(x),
    "affine": lambda x, p: p.get("scale", 1.0) * x + p.get("shift", 0.0),
}
ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # of a Quantizer
    "round": np.rint,
    "floor": np.floor,
    "ceil": np.ceil,
    "up": lambda x: np.copysign(np.ceil(np.abs(x)), x),
    "down": np.trunc,
    "half-up": lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x),
    "half-down": lambda x: np.copysign(np.ceil(np.abs(x) - 0.5), x),
    "sign": lambda x: np.where(x >= 0, 1.0, -1.0),
}
RISING = frozenset("relu leaky-relu tanh sigmoid elu selu softplus hard-sigmoid clip floor round affine".split())


def nondecreasing(function: Activation) -> bool:
    """Whether a function keeps order, so that max pooling may come before or behind it."""
    slopes = (function.parameters.get(key, 1.0) for key in ("alpha", "scale"))
    return function.name in RISING and all(slope >= 0 for slope in slopes)
