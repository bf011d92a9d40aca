"""What steps compute, in PyTorch with float64: images (N, C, H, W) in, scores out."""

import math

import numpy as np
import torch
from torch.nn import functional

from fivebyfive.model.readers.steps import Activation, Affine, Convolution, Dense, Flatten, Padding, Pooling, Steps

Tensor = torch.Tensor


def tensor(values: np.ndarray | None) -> Tensor | None:
    return None if values is None else torch.tensor(np.array(values, np.float64))


def by_channel(values: np.ndarray, like: Tensor) -> Tensor:
    found = tensor(values)
    return found if found.ndim == 0 or like.ndim == 2 else found.reshape(1, -1, 1, 1)


def padded(x: Tensor, sides: tuple[int, int, int, int], value: float) -> Tensor:
    top, left, bottom, right = sides
    return functional.pad(x, (left, right, top, bottom), value=value)


def pooled(step: Pooling, x: Tensor) -> Tensor:
    if step.size is None:
        return x.amax((2, 3), keepdim=True) if step.kind == "max" else x.mean((2, 3), keepdim=True)
    if step.kind == "max":
        x = padded(x, step.padding, -math.inf)
        return functional.max_pool2d(x, step.size, step.stride, ceil_mode=step.ceil)
    if step.ceil:
        assert len(set(step.padding)) == 1
        return functional.avg_pool2d(x, step.size, step.stride, step.padding[0], True, step.counts_padding)
    whole = functional.avg_pool2d(padded(x, step.padding, 0), step.size, step.stride)
    counted = padded(torch.ones_like(x), step.padding, float(step.counts_padding))
    return whole / functional.avg_pool2d(counted, step.size, step.stride)


def activated(step: Activation, x: Tensor) -> Tensor:
    given = step.parameters
    return {
        "relu": lambda: x.relu(),
        "tanh": lambda: x.tanh(),
        "sigmoid": lambda: x.sigmoid(),
        "gelu": lambda: functional.gelu(x),
        "gelu-tanh": lambda: functional.gelu(x, approximate="tanh"),
        "leaky-relu": lambda: functional.leaky_relu(x, given["alpha"]),
        "elu": lambda: functional.elu(x, given["alpha"]),
        "selu": lambda: functional.selu(x),
        "softplus": lambda: functional.softplus(x),
        "swish": lambda: functional.silu(x),
        "hard-swish": lambda: functional.hardswish(x),
        "hard-sigmoid": lambda: (given["alpha"] * x + given["beta"]).clip(0, 1),
        "clip": lambda: x.clip(given.get("low"), given.get("high")),
        "abs": lambda: x.abs(),
        "floor": lambda: x.floor(),
    }[step.name]()


def run(steps: Steps, images: np.ndarray) -> np.ndarray:
    x = torch.tensor(np.array(images, np.float64))
    for step in steps.steps:
        match step:
            case Convolution():
                x = padded(x, step.padding, 0)
                x = functional.conv2d(x, tensor(step.weight), tensor(step.bias), step.stride, groups=step.groups)
            case Dense():
                x = functional.linear(x, tensor(step.weight), tensor(step.bias))
            case Affine():
                x = x * by_channel(step.scale, x) + by_channel(step.shift, x)
            case Activation():
                x = activated(step, x)
            case Pooling():
                x = pooled(step, x)
            case Padding():
                x = padded(x, step.sides, step.value)
            case Flatten():
                x = x.permute(0, *(axis + 1 for axis in step.order)).flatten(1)
    return x.numpy()
