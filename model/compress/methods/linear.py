"""Weights share values that lie evenly between a layer's smallest and largest: quantization to few bits.

Jacob et al. 2018 (arXiv:1712.05877), with its training by straight-through gradients; each value is rounded to Q2.6.
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
    """``count`` values from the smallest to the largest of weights (N,)."""
    import torch

    return torch.linspace(*weights.aminmax(), count)
