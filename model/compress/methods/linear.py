"""Weights share values that lie evenly between a layer's smallest and largest: quantization to few bits.

Jacob et al. 2018 (arXiv:1712.05877), with its training by straight-through gradients. Zero is exactly one of the
values, as there. Unlike there, each value is rounded to Q2.6, the range is that at the start and not followed while
training, and activations have the 8 bits of Q2.6 whatever the range of their layer, with floor for rounding.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fivebyfive.model.compress.operations.options import ByLayer, Tuning, option

from .kmeans import share

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options(Tuning):
    """``bits`` of an index into a layer's values; where the layer is pruned, one of them is zero."""

    integers_by_layer: ClassVar[tuple[str, ...]] = ("bits",)

    bits: ByLayer = option(ByLayer(4), "Of an index, for all layers or such as conv1=5,fc1=3.", 1, 8)


def run(job: "Compression", options: Options) -> None:
    """Share the weights of the job's network, and train it."""
    for layer, bits in options.bits.chosen(job.net.network.names).items():
        share(job, layer, int(bits), even, reassign=True)
        job.net.projections[layer].centroids.requires_grad_(False)
    job.tune(options)


def even(weights: "torch.Tensor", count: int) -> "torch.Tensor":
    """``count`` values with even steps from about the smallest to about the largest of weights (N,), of which one is
    exactly zero (Jacob et al., equation 1: the zero point is a whole number of steps)."""
    import torch

    low, high = weights.min().clamp(max=0), weights.max().clamp(min=0)
    step = (high - low).clamp(min=1e-12) / max(count - 1, 1)
    return (torch.arange(count) - (-low / step).round()) * step
