"""The golden model: what every layer of the hardware must compute, in exact integers.

One image goes from pixels to logits in `forward`, layer by layer; the batch is vectorized. Products are
summed by matrix multiplication in float64, which is exact here: every partial sum is an integer far below
2**53.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .checkpoint import Checkpoint
from .q26 import Q2_6
from .shape import IMAGE, KERNEL

__all__ = ["Trace", "classify", "forward", "pixels_to_codes", "predict", "traces"]

BATCH = 250  # images a batch: conv1's unfolded windows then take about 30 MB


@dataclass(frozen=True)
class Trace:
    """Every layer of a batch of N images.

    ``outputs``: layer name to int8 codes after pooling and ReLU, (N, *LeNetShape.outputs[name]). ``wraps``:
    layer name to how many values, before pooling, left the range of Q2.6 and wrapped. ``peaks``: layer name
    to the furthest value from zero before wrapping, as a code c or as -1 - c where that is larger: up to
    127 where nothing wrapped.
    """

    outputs: dict[str, np.ndarray]
    wraps: dict[str, int]
    peaks: dict[str, int]

    @property
    def logits(self) -> np.ndarray:
        """Codes of the last layer, int8 (N, classes)."""
        return list(self.outputs.values())[-1]


def pixels_to_codes(pixels: np.ndarray) -> np.ndarray:
    """Pixels 0..255, uint8 of any shape, as codes 0..127."""
    return (pixels >> 1).astype(np.int8)


def accumulate(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Exact accumulators (..., M) of activations (..., K), weights (M, K) and biases (M,)."""
    products = x.astype(np.float64) @ weight.astype(np.float64).T
    return products.astype(np.int64) + (bias.astype(np.int64) << Q2_6.frac_bits)


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Exact accumulators (N, O, H-4, W-4) of a valid 5x5 convolution of (N, C, H, W) with (O, C, 5, 5)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (KERNEL, KERNEL), axis=(2, 3))  # (N, C, H-4, W-4, 5, 5)
    columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(*windows[:, 0].shape[:3], -1)  # (N, H-4, W-4, C*25)
    return accumulate(columns, weight.reshape(len(weight), -1), bias).transpose(0, 3, 1, 2)


def pool_relu(codes: np.ndarray) -> np.ndarray:
    """2x2 max pooling, then ReLU, of codes (N, C, H, W); (N, C, H/2, W/2)."""
    n, c, h, w = codes.shape
    return np.maximum(codes.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5)), 0)


def forward(checkpoint: Checkpoint, pixels: np.ndarray) -> Trace:
    """All layers of images, uint8 (N, 28, 28)."""
    check_pixels(pixels)
    shape = checkpoint.shape
    outputs: dict[str, np.ndarray] = {}
    wraps: dict[str, int] = {}
    peaks: dict[str, int] = {}
    x = pixels_to_codes(pixels)[:, np.newaxis]  # (N, 1, 28, 28)
    for layer in shape.layers:
        weight, bias = checkpoint.arrays[f"{layer}.weight"], checkpoint.arrays[f"{layer}.bias"]
        if layer.startswith("conv"):
            acc = convolve(x, weight, bias)
            x = pool_relu(Q2_6.requantize(acc))
        else:
            acc = accumulate(x.reshape(len(x), -1), weight, bias)
            x = Q2_6.requantize(acc)
            if layer != shape.layers[-1]:
                x = np.maximum(x, 0)
        outputs[layer], wraps[layer], peaks[layer] = x, Q2_6.wraps(acc), Q2_6.peak(acc)
    return Trace(outputs, wraps, peaks)


def traces(checkpoint: Checkpoint, pixels: np.ndarray, batch: int = BATCH) -> Iterator[Trace]:
    """`forward` of any number of images, a batch at a time."""
    for start in range(0, len(pixels), batch):
        yield forward(checkpoint, pixels[start : start + batch])


def predict(checkpoint: Checkpoint, pixels: np.ndarray) -> np.ndarray:
    """Logits, int8 (N, classes), of images, uint8 (N, 28, 28)."""
    check_pixels(pixels)
    logits = [trace.logits for trace in traces(checkpoint, pixels)]
    return np.concatenate([np.empty((0, checkpoint.shape.classes), np.int8), *logits])


def classify(logits: np.ndarray) -> np.ndarray:
    """Class of each image, int64 (N,): the index of the largest logit, the lowest index on a tie."""
    return np.argmax(logits, axis=-1)


def check_pixels(pixels: object) -> None:
    """Raise ValueError unless ``pixels`` are images, a NumPy array of uint8 (N, 28, 28)."""
    rule = f"images must be uint8 (N, {IMAGE}, {IMAGE})"
    if not isinstance(pixels, np.ndarray):
        raise ValueError(f"{rule}, a NumPy array, not {type(pixels).__name__}")
    if pixels.shape == (IMAGE, IMAGE):
        raise ValueError(f"{rule}, not one of {pixels.dtype} {pixels.shape}; give image[np.newaxis]")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[1:] != (IMAGE, IMAGE):
        raise ValueError(f"{rule}, not {pixels.dtype} {pixels.shape}")
