"""Scores that many readings give, in float32, each step that several begin with computed once for all of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.readers.execution import nondecreasing
from fivebyfive.model.readers.float_errors import Scaling
from fivebyfive.model.readers.steps import Activation, Affine, Convolution, Dense, Flatten, Padding, Pooling, Step
from fivebyfive.support.optional import require_torch

from .candidates import Candidate, Readings
from .preparation import Preparation

if TYPE_CHECKING:
    import torch

__all__ = ["Scorer", "calibrated", "cross_entropies", "differ", "further", "losses"]

BATCH = 250  # images at once, those of all the ways in which they are prepared counted
DEVIATIONS = 3.0  # of the mean difference of cross-entropies: clearly more
FACTORS = 2.0 ** np.linspace(-3, 3, 49)  # of scores
Way = tuple[Preparation, Scaling]


@dataclass
class Node:
    """What follows a step: others, and the candidates that end here, one a way to prepare images."""

    then: dict[int, tuple[Step, "Node"]] = field(default_factory=dict)
    ends: list[Sequence[Candidate]] = field(default_factory=list)


class Scorer:
    """Runs candidates on a data set. Scores of the first images are kept where more are asked for later: what is known
    is not computed again."""

    def __init__(self, readings: Readings, dataset: Dataset) -> None:
        self.readings, self.dataset = readings, dataset
        self.tensors: dict[int, tuple[np.ndarray, Any]] = {}
        self.known: dict[Candidate, np.ndarray] = {}
        self.torch = require_torch()
        from fivebyfive.model.training.tables import FUNCTIONS

        self.functions = FUNCTIONS

    def scores(
        self, candidates: Iterable[Candidate], count: int, tick: Callable[[int], None] = lambda _: None
    ) -> dict[Candidate, np.ndarray]:
        """Scores of the first ``count`` images, float32 (count, classes); where one is not finite, all are 0. ``tick``
        is called with numbers of images whose scores one candidate has got."""
        found = dict.fromkeys(candidates)
        by_known: dict[int, list[Candidate]] = {}
        for one in found:
            by_known.setdefault(len(self.known[one]) if one in self.known else 0, []).append(one)
        for start, ones in by_known.items():
            more = self.part(ones, start, count, tick) if start < min(count, len(self.dataset)) else {}
            for one in ones:
                parts = [each[one] for each in (self.known, more) if one in each]
                self.known[one] = np.concatenate(parts) if len(parts) > 1 else parts[0]
        return {one: self.known[one][:count] for one in found}

    def part(
        self, candidates: Sequence[Candidate], start: int, stop: int, tick: Callable[[int], None] = lambda _: None
    ) -> dict[Candidate, np.ndarray]:
        """Scores of the images from ``start`` to ``stop``, as `scores` gives them; they are not kept."""
        found: dict[Candidate, list[np.ndarray]] = {one: [] for one in candidates}
        stop = min(stop, len(self.dataset))
        with self.torch.inference_mode():
            for ways, tree in self.trees(candidates).items():
                images_at_once = max(1, BATCH // len(ways))
                for begin in range(start, stop, images_at_once):
                    images = self.dataset.images[begin : min(stop, begin + images_at_once)]
                    self.walk(tree, self.pixels(ways, images), found, tick)
        return {one: np.concatenate(parts) for one, parts in found.items()}

    def trees(self, candidates: Iterable[Candidate]) -> dict[tuple[Way, ...], Node]:
        """The steps of candidates: those whose images are prepared in the same ways, of one size, are one tree."""
        readings: dict[tuple, dict[Way, Candidate]] = {}
        for one in candidates:
            key = one.preparation.size, one.geometry, one.functions
            readings.setdefault(key, {})[one.preparation, one.scaling] = one
        trees: dict[tuple[Way, ...], Node] = {}
        for (_, geometry, functions), ways in readings.items():
            node = trees.setdefault(tuple(ways), Node())
            for step in pools_first(self.readings.steps(geometry, functions)):
                _, node = node.then.setdefault(id(step), (step, Node()))
            node.ends.append([*ways.values()])
        return trees

    def pixels(self, ways: Iterable[Way], images: np.ndarray) -> "torch.Tensor":
        """Images in all ways, one way behind the other."""
        prepared = {
            way: self.torch.from_numpy(way.apply(images).astype(np.float32))
            for way in dict.fromkeys(way for way, _ in ways)
        }
        return self.torch.cat([self.apply(self.readings.scaled(scaling), prepared[way]) for way, scaling in ways])

    def walk(
        self, node: Node, x: "torch.Tensor", found: dict[Candidate, list[np.ndarray]], tick: Callable[[int], None]
    ) -> None:
        for ends in node.ends:
            scores = x.flatten(1).numpy()
            scores = np.where(np.isfinite(scores).all(1, keepdims=True), scores, 0)
            for one, its in zip(ends, scores.reshape(len(ends), -1, scores.shape[1]), strict=True):
                found[one].append(its)
            tick(len(scores))
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
                return self.pooled(step, x)
            case Padding():
                top, left, bottom, right = step.sides
                return functional.pad(x, (left, right, top, bottom), value=step.value)
            case Flatten():
                return x.permute(0, *(1 + axis for axis in step.order)).flatten(1)

    def pooled(self, step: Pooling, x: "torch.Tensor") -> "torch.Tensor":
        """As PyTorch's pools, whose kernels take several times as long: to the bit but for the mean of
        whole maps."""
        if step.size is None:
            return x.amax((2, 3), keepdim=True) if step.kind == "max" else x.mean((2, 3), keepdim=True)
        if any(step.padding):
            return self.pooled_inside(step, x)
        size, stride = step.size, step.stride
        ends = [(have - width) // by * by + 1 for have, width, by in zip(x.shape[2:], size, stride, strict=True)]
        rows = [x[:, :, place : place + ends[0] : stride[0]] for place in range(size[0])]
        if step.kind == "max":
            rows = [reduce(self.torch.maximum, rows)]
        parts = [row[..., place : place + ends[1] : stride[1]] for row in rows for place in range(size[1])]
        if step.kind == "max":
            return reduce(self.torch.maximum, parts)
        return reduce(self.torch.add, parts) / (size[0] * size[1])

    def pooled_inside(self, step: Pooling, x: "torch.Tensor") -> "torch.Tensor":
        """A pool whose windows reach over the edge of maps."""
        top, left, bottom, right = step.padding
        plain, sides = replace(step, padding=(0, 0, 0, 0)), (left, right, top, bottom)
        pad = self.torch.nn.functional.pad
        if step.kind == "max":
            return self.pooled(plain, pad(x, sides, value=-self.torch.inf))
        inside = pad(self.torch.ones_like(x[:1, :1]), sides, value=float(step.counts_padding))
        return self.pooled(plain, pad(x, sides)) / self.pooled(plain, inside)


def pools_first(steps: Sequence[Step]) -> Sequence[Step]:
    """The same function with a pool of maxima in front of a function that keeps order: readings with other functions
    share it, and functions are of fewer values."""
    made = list(steps)
    for place in range(len(made) - 1):
        function, pool = made[place : place + 2]
        if (
            isinstance(pool, Pooling)
            and pool.kind == "max"
            and isinstance(function, Activation)
            and nondecreasing(function)
        ):
            made[place : place + 2] = pool, function
    return made


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


def cross_entropies(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each image, (N,): of scores as they are, and with their best factor."""
    return losses(scores, labels), calibrated(scores, labels)[1]


def further(best: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...], more: float) -> bool:
    """Whether both cross-entropies of another reading are above those of the best one by several deviations, and their
    geometric mean by a factor of ``more``."""
    differences = [its - mine for mine, its in zip(best, other, strict=True)]
    clearly = all(one.mean() > DEVIATIONS * one.std() / len(one) ** 0.5 for one in differences)
    ratio = np.prod([its.mean() / mine.mean() for mine, its in zip(best, other, strict=True)])
    return clearly and bool(ratio >= more ** len(best))


def differ(first: np.ndarray, second: np.ndarray) -> float:
    """McNemar's exact test (1947): how likely errors of two readings on the same images, bool (N,), lie as far apart by
    chance if both were equally good; two-sided."""
    one, other = int((first & ~second).sum()), int((second & ~first).sum())
    count = one + other
    return min(1.0, 2 * sum(comb(count, k) for k in range(min(one, other) + 1)) / 2**count)
