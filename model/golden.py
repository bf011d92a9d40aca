"""The golden model: what every layer of the hardware must compute, in exact integers.

One image goes from pixels to logits in `forward`, layer by layer; the batch is vectorized. Products are
summed by matrix multiplication in float64, which is exact here: every partial sum is an integer far below
2**53.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .checkpoint import Checkpoint
from .network import Layer, Network, Pool, Shape, Step
from .q26 import Q2_6
from .shape import IMAGE

__all__ = ["Trace", "apply_steps", "classify", "convolve", "forward", "pixels_to_codes", "predict", "traces"]

BATCH = 250  # images a batch: conv1's unfolded windows then take about 30 MB


@dataclass(frozen=True)
class Trace:
    """Every layer of a batch of N images.

    ``outputs``: layer name to int8 codes as the next layer sees them, (N, *Network.outputs[name]). ``wraps``:
    layer name to how many values, of those that a pool uses, left the range of Q2.6 and wrapped. ``peaks``: layer name
    to the furthest value from zero before wrapping, as a code c or as -1 - c where that is larger: up to
    127 where nothing wrapped.
    """

    outputs: dict[str, np.ndarray]
    wraps: dict[str, int]
    peaks: dict[str, int]

    @property
    def logits(self) -> np.ndarray:
        """Codes of the last layer, int8 (N, classes)."""
        last = list(self.outputs.values())[-1]
        return last.reshape(len(last), -1)  # the maps of a last convolution are 1x1


def pixels_to_codes(pixels: np.ndarray) -> np.ndarray:
    """Pixels 0..255, uint8 of any shape, as codes 0..127."""
    return (pixels >> 1).astype(np.int8)


def accumulate(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Exact accumulators (..., M) of activations (..., K), weights (M, K) and biases (M,)."""
    products = x.astype(np.float64) @ weight.astype(np.float64).T
    return products.astype(np.int64) + (bias.astype(np.int64) << Q2_6.frac_bits)


def padded(x: np.ndarray, layer: Layer) -> np.ndarray:
    """Codes (N, C, H, W) inside the layer's padding, which holds its ``fill``."""
    if not any(layer.padding):
        return x
    top, left, bottom, right = layer.padding
    n, c, h, w = x.shape
    around = np.empty((n, c, top + h + bottom, left + w + right), np.int8)
    around[:] = np.broadcast_to(np.array(layer.fill, np.int8), (c,))[:, np.newaxis, np.newaxis]
    around[:, :, top : top + h, left : left + w] = x
    return around


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, layer: Layer) -> np.ndarray:
    """Exact accumulators (N, O, R, C) of a convolution of (N, I, H, W) with (O, I / groups, K, K)."""
    size = layer.kernel, layer.kernel
    windows = np.lib.stride_tricks.sliding_window_view(padded(x, layer), size, axis=(2, 3))  # (N, I, R, C, K, K)
    windows = windows[:, :, :: layer.stride, :: layer.stride]
    parts = (np.split(values, layer.groups, axis) for values, axis in ((windows, 1), (weight, 0), (bias, 0)))
    sums = []
    for inputs, kernels, biases in zip(*parts, strict=True):
        unfolded = inputs.transpose(0, 2, 3, 1, 4, 5).reshape(*inputs[:, 0].shape[:3], -1)  # (N, R, C, I K^2 / groups)
        sums.append(accumulate(unfolded, kernels.reshape(len(kernels), -1), biases))
    return np.concatenate(sums, axis=-1).transpose(0, 3, 1, 2)


def pool(codes: np.ndarray, step: Pool) -> np.ndarray:
    """Codes (N, C, H, W) pooled; windows that do not fit whole are left out."""
    windows = np.lib.stride_tricks.sliding_window_view(codes, (step.size, step.size), axis=(2, 3))
    windows = windows[:, :, :: step.stride, :: step.stride]
    if step.kind == "max":
        return windows.max(axis=(4, 5))
    return (windows.sum(axis=(4, 5), dtype=np.int64) // step.size**2).astype(np.int8)


def apply_steps(codes: np.ndarray, steps: Iterable[Step], table: np.ndarray | None = None) -> np.ndarray:
    """What the next layer sees of a layer's codes, int8 (N, C, H, W) or (N, M): the ``then`` of a `Layer`."""
    for step in steps:
        if isinstance(step, Pool):
            codes = pool(codes, step)
        elif step == "relu":
            codes = np.maximum(codes, 0)
        else:
            assert table is not None
            codes = table[codes.astype(np.int16) + 128]
    return codes


def forward(checkpoint: Checkpoint, pixels: np.ndarray) -> Trace:
    """All layers of images, uint8 (N, *network.input); of one channel also (N, rows, columns)."""
    network, arrays = checkpoint.network, checkpoint.arrays
    check_pixels(pixels, network)
    outputs: dict[str, np.ndarray] = {}
    wraps: dict[str, int] = {}
    peaks: dict[str, int] = {}
    x = pixels_to_codes(pixels).reshape(-1, *network.input)
    for place in network:
        layer, name = place.layer, place.layer.name
        weight, bias = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
        if layer.kind == "conv":
            rows, columns = place.used
            acc = convolve(x, weight, bias, layer)[:, :, :rows, :columns]
        else:
            acc = accumulate(x.reshape(len(x), -1), weight, bias)
        x = apply_steps(Q2_6.requantize(acc), layer.then, arrays.get(f"{name}.table"))
        outputs[name], wraps[name], peaks[name] = x, Q2_6.wraps(acc), Q2_6.peak(acc)
    return Trace(outputs, wraps, peaks)


def traces(checkpoint: Checkpoint, pixels: np.ndarray, batch: int = BATCH) -> Iterator[Trace]:
    """`forward` of any number of images, a batch at a time."""
    for start in range(0, len(pixels), batch):
        yield forward(checkpoint, pixels[start : start + batch])


def predict(checkpoint: Checkpoint, pixels: np.ndarray) -> np.ndarray:
    """Logits, int8 (N, classes), of images, uint8, as `forward` takes them."""
    check_pixels(pixels, checkpoint.network)
    logits = [trace.logits for trace in traces(checkpoint, pixels)]
    return np.concatenate([np.empty((0, checkpoint.network.classes), np.int8), *logits])


def classify(logits: np.ndarray) -> np.ndarray:
    """Class of each image, int64 (N,): the index of the largest logit, the lowest index on a tie."""
    return np.argmax(logits, axis=-1)


def check_pixels(pixels: object, network: Network | None = None) -> None:
    """Raise ValueError unless ``pixels`` are images of a network's input. Without a network: of 28 rows and columns."""
    check_images(pixels, network.input if network else (1, IMAGE, IMAGE))


def check_images(pixels: object, size: Shape) -> None:
    """Raise ValueError unless ``pixels`` are images of ``size``, (channels, rows, columns): a NumPy array of uint8
    (N, rows, columns) of one channel, or (N, channels, rows, columns)."""
    channels, *rest = size
    forms = [(*size,)] if channels > 1 else [(*rest,), (1, *rest)]
    rule = f"images must be uint8 (N, {', '.join(map(str, forms[0]))})"
    if not isinstance(pixels, np.ndarray):
        raise ValueError(f"{rule}, a NumPy array, not {type(pixels).__name__}")
    if pixels.dtype == np.uint8 and pixels.ndim and pixels.shape[1:] in forms:
        return
    if pixels.shape in forms:
        raise ValueError(f"{rule}, not one of {pixels.dtype} {pixels.shape}; give image[np.newaxis]")
    raise ValueError(f"{rule}, not {pixels.dtype} {pixels.shape}")
