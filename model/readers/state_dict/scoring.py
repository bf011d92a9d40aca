"""Classes that many readings give, in float32, each step that several begin with computed once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.readers.steps import Activation, Affine, Convolution, Dense, Flatten, Padding, Pooling, Step
from fivebyfive.support.optional import require_torch

from .candidates import Candidate, Readings
from .preparation import Preparation

if TYPE_CHECKING:
    import torch

__all__ = ["BATCH", "Scorer", "calibrated", "differ", "losses"]

BATCH = 250  # images
FACTORS = 2.0 ** np.linspace(-3, 3, 49)  # of scores


@dataclass
class Node:
    """What follows a step: others, and the candidates that end here."""

    then: dict[int, tuple[Step, "Node"]] = field(default_factory=dict)
    ends: list[Candidate] = field(default_factory=list)


class Scorer:
    """Runs candidates on a data set."""

    def __init__(self, readings: Readings, dataset: Dataset) -> None:
        self.readings, self.dataset = readings, dataset
        self.tensors: dict[int, tuple[np.ndarray, Any]] = {}
        self.torch = require_torch()
        from fivebyfive.model.training.tables import FUNCTIONS

        self.functions = FUNCTIONS

    def scores(
        self, candidates: Iterable[Candidate], count: int, tick: Callable[[], None] = lambda: None
    ) -> dict[Candidate, np.ndarray]:
        """Scores of the first ``count`` images, float32 (count, classes); where one is not finite, all are 0. ``tick``
        is called for each candidate and each `BATCH` images."""
        trees: dict[Preparation, Node] = {}
        found: dict[Candidate, list[np.ndarray]] = {}
        for one in candidates:
            if one in found:
                continue
            found[one] = []
            node = trees.setdefault(one.preparation, Node())
            steps = self.readings.scaled(one.scaling), *self.readings.steps(one.geometry, one.functions)
            for step in steps:
                _, node = node.then.setdefault(id(step), (step, Node()))
            node.ends.append(one)
        with self.torch.inference_mode():
            for preparation, tree in trees.items():
                for start in range(0, min(count, len(self.dataset)), BATCH):
                    images = preparation.apply(self.dataset.images[start : min(count, start + BATCH)])
                    pixels = self.torch.from_numpy(images.astype(np.float32))
                    self.walk(tree, pixels, found, tick)
        return {one: np.concatenate(parts) for one, parts in found.items()}

    def walk(
        self, node: Node, x: "torch.Tensor", found: dict[Candidate, list[np.ndarray]], tick: Callable[[], None]
    ) -> None:
        for one in node.ends:
            scores = x.flatten(1).numpy()
            found[one].append(np.where(np.isfinite(scores).all(1, keepdims=True), scores, 0))
            tick()
        for step, following in node.then.values():
            self.walk(following, self.apply(step, x), found, tick)

    def tensor(self, array: np.ndarray) -> "torch.Tensor":
        """An array of a step as a tensor, float32, made once."""
        if id(array) not in self.tensors:
            self.tensors[id(array)] = array, self.torch.from_numpy(np.asarray(array, np.float32))
        return self.tensors[id(array)][1]

    def apply(self, step: Step, x: "torch.Tensor") -> "torch.Tensor":
        """What a step makes of (N, channels, rows, columns) or (N, width), as `execution.apply` does in float64."""
        functional = self.torch.nn.functional
        match step:
            case Convolution():
                bias = None if step.bias is None else self.tensor(step.bias)
                top, left, bottom, right = step.padding
                x = functional.pad(x, (left, right, top, bottom)) if any(step.padding) else x
                return functional.conv2d(x, self.tensor(step.weight), bias, step.stride, 0, 1, step.groups)
            case Dense():
                return functional.linear(
                    x, self.tensor(step.weight), None if step.bias is None else self.tensor(step.bias)
                )
            case Affine():
                shape = (-1, *[1] * (x.ndim - 2))
                scale, shift = (self.tensor(one).reshape(shape) for one in (step.scale, step.shift))
                return x * scale + shift
            case Activation():
                return self.functions[step.name](x, step.parameters)
            case Pooling():
                size = step.size or (x.shape[2], x.shape[3])
                pool = functional.max_pool2d if step.kind == "max" else functional.avg_pool2d
                return pool(x, size, step.stride if step.size else size)
            case Padding():
                top, left, bottom, right = step.sides
                return functional.pad(x, (left, right, top, bottom), value=step.value)
            case Flatten():
                return x.permute(0, *(1 + axis for axis in step.order)).flatten(1)


def losses(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of each image, (N,), by scores (N, classes)."""
    scores = scores.astype(np.float64)
    scores -= scores.max(1, keepdims=True)
    return np.log(np.exp(scores).sum(1)) - scores[np.arange(len(scores)), labels]


def calibrated(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The factor of scores with which their cross-entropy is least, and that of each image then, (N,). Guo et al. 2017,
    arXiv:1706.04599."""
    found = {float(factor): losses(factor * scores, labels) for factor in FACTORS}
    best = min(found, key=lambda factor: found[factor].mean())
    return best, found[best]


def differ(first: np.ndarray, second: np.ndarray) -> float:
    """McNemar's exact test (1947): how likely errors of two readings on the same images, bool (N,), lie as far apart by
    chance if both were equally good; two-sided."""
    one, other = int((first & ~second).sum()), int((second & ~first).sum())
    count = one + other
    return min(1.0, 2 * sum(comb(count, k) for k in range(min(one, other) + 1)) / 2**count)
