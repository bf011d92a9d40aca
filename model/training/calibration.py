"""Scales between layers: each layer's values fit in the range of Q2.6, and the network computes what it did."""

from itertools import pairwise
from math import sqrt

import torch

from .lenet import LeNet, module_name, pixels_to_values
from .loop import EXAMINE_BATCH, TrainingImages, finite
from .tables import HIGH, Table

__all__ = ["BALANCE", "METHODS", "RANGE_TARGET", "calibrated", "kl_threshold", "peaks", "rescale"]

RANGE_TARGET = 1.5  # of 2.0: how far each layer's largest value goes once it is calibrated
BINS = 2048  # of a histogram
CODES = 128  # of a sign
STEP = 8  # bins from one threshold that is tried to the next
TINY = 1e-9  # where no code is, of the values clamped to the last bin
BALANCE = 0.5  # of a network trained elsewhere: what tables give is mostly smaller than their entries are


def calibrated(
    net: LeNet, images: TrainingImages, temperature: float, balance: float = 0.0, method: str = "max"
) -> float:
    """Scale every layer of a float network so that its values on ``images`` lie in the range, in place: with ``method``
    "max" the largest is `RANGE_TARGET`, with "kl" the threshold that `kl_threshold` finds is where the range ends, and
    what lies beyond wraps until training has moved it. The next layer's fill fits in the range, too. ``balance``: see
    `rescale`.

    Returns the temperature under which the new logits say what the old ones said under ``temperature``.
    """
    largest = METHODS[method](net, images)
    for layer, fill in fills_behind(net).items():
        if module_name(layer) not in net.tables:
            largest[layer] = max(largest[layer], fill * RANGE_TARGET / HIGH)
    factors = {layer: RANGE_TARGET / max(peak, 1e-6) for layer, peak in largest.items()}
    return temperature / rescale(net, factors, balance)


def fills_behind(net: LeNet) -> dict[str, float]:
    """For each layer the largest magnitude in the padding of the layer behind it, 0 where that has no fill."""
    names = net.network.names
    fills = {name: float(fill.abs().max()) for name, fill in net.fills.items()}
    return {name: fills.get(behind, 0.0) for name, behind in zip(names, [*names[1:], ""], strict=True)}


@torch.no_grad()
def peaks(net: LeNet, images: TrainingImages) -> dict[str, float]:
    """Largest magnitude before rounding of each layer, in units of 1.0, without any quantization. Raises
    FloatingPointError where one is not finite."""
    largest = dict.fromkeys(net.network.names, 0.0)
    for pixels in images.pixels.split(EXAMINE_BATCH):
        for layer, values in net(pixels_to_values(pixels))[1].items():
            largest[layer] = max(largest[layer], finite(layer, float(values.abs().max())))
    return largest


@torch.no_grad()
def kl_peaks(net: LeNet, images: TrainingImages) -> dict[str, float]:
    """What stands for the largest magnitude of each layer, so that `RANGE_TARGET` makes its `kl_threshold` the end of
    the range."""
    ends = peaks(net, images)
    counts = {layer: torch.zeros(BINS) for layer in ends}
    for pixels in images.pixels.split(EXAMINE_BATCH):
        for layer, values in net(pixels_to_values(pixels))[1].items():
            counts[layer] += torch.histc(values.abs(), BINS, 0.0, max(ends[layer], 1e-6))
    return {layer: kl_threshold(counts[layer]) / BINS * end * RANGE_TARGET / HIGH for layer, end in ends.items()}


def kl_threshold(counts: torch.Tensor) -> int:
    """How many bins of a histogram of magnitudes the codes should reach over: those for which the Kullback-Leibler
    divergence between the values, what lies beyond clamped to the last bin, and their codes is smallest.

    As TensorRT calibrates (Migacz, 8-bit inference with TensorRT, GTC 2017).
    """
    divergences = {}
    for size in range(CODES, len(counts) + 1, STEP):
        inside = counts[:size].double()
        wanted = inside.clone()
        wanted[-1] += counts[size:].double().sum()
        code = torch.arange(size) * CODES // size  # of each bin
        sums = torch.zeros(CODES, dtype=torch.float64).index_add(0, code, inside)
        filled = torch.zeros(CODES, dtype=torch.float64).index_add(0, code, (inside > 0).double())
        coded = torch.where(inside > 0, (sums / filled.clamp(min=1))[code], 0.0)
        p, q = wanted / wanted.sum(), coded / coded.sum()
        seen = p > 0
        divergences[size] = float((p[seen] * (p[seen] / q[seen].clamp(min=TINY)).log()).sum())
    return min(divergences, key=lambda size: divergences[size])


METHODS = {"max": peaks, "kl": kl_peaks}


@torch.no_grad()
def rescale(net: LeNet, factors: dict[str, float], balance: float = 0.0) -> float:
    """Scale each layer's values by its factor: W by factor / factor of the layer before, b by the factor. Returns the
    factor of what the network gives.

    ReLU and pooling commute with a positive factor, so the float network's classes stay what they were (Nagel et al.
    2019, arXiv:1906.04721, use the same freedom); a table takes the factor of its layer into itself. What it gives
    fills the range, or is divided by ``balance`` times what `balanced` says where that is more.
    """
    previous, fills = 1.0, fills_behind(net)
    names, behind = net.network.names, dict(pairwise(net.network.names))
    for name in names:
        weight, bias = net.layers[name]
        if name in net.fills:
            net.fills[name] *= previous
        factor = factors[name]
        weight.mul_(factor / previous)
        bias.mul_(factor)
        previous = factor
        if module_name(name) in net.tables:
            table = net.tables[module_name(name)]
            after = table.after
            table.fit(table.before / factor, fills[name] * after)
            if following := behind.get(name):
                weight = net.layers[following][0] * factors[following] / after  # for the function's own unit
                table.after = max(table.after, balance * balanced(table, weight))
            previous = after / table.after
    return previous


def balanced(table: Table, weight: torch.Tensor) -> float:
    """The ``after`` of a table with which rounding what it gives costs as much as rounding the next layer's ``weight``;
    at most that with which the largest weight has a code.

    In sums of W x, errors of half a code in x and in W are alike, relative to the sum, where the root mean squares of
    both are: that of f / after and that of W after. Those of f are taken over the table.
    """
    sizes = [float(values.square().mean().sqrt()) for values in (table.entries(), weight)]
    return min(sqrt(sizes[0] / max(sizes[1], 1e-9)), HIGH / max(float(weight.abs().max()), 1e-9))
