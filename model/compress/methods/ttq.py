"""Weights of three values, -n, 0 and p, of which n and p are trained: 2 bits a weight.

Zhu, Han, Mao and Dally 2017, Trained ternary quantization (arXiv:1612.01064): a weight is zero within ``threshold``
times its layer's largest, the two scales learn by the sum of their weights' gradients, and a weight's own gradient is
scaled as it is.

Unlike there, scales are rounded to Q2.6, start at the mean magnitude of their weights, and every layer is ternary by
default, where the paper leaves the first and the last as they are: ``layers`` can do so too.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.options import Tuning, option

if TYPE_CHECKING:
    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options(Tuning):
    """``layers``: all where it is empty (`naming.named`). ``threshold``: of the layer's largest magnitude."""

    layers: str = option("", "Layers, such as fc1,fc2; all by default.")
    threshold: float = option(0.05, "Share of a layer's largest weight up to which weights are zero.", 0.0, 1.0)


def run(job: "Compression", options: Options) -> None:
    """Make the layers ternary, and train the network. Raises UserError for layers that have few values already."""
    from fivebyfive.model.compress.operations.projections import TrainedTernary, mask_of, only_masked

    from ..naming import named

    for layer in named(job, options.layers):
        only_masked(job.net, layer, "leave it out with layers")
        weight = job.net.layers[layer][0].detach()
        job.net.projections[layer] = TrainedTernary(mask_of(job.net, layer), weight, options.threshold)
    job.tune(options)
