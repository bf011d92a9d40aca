"""Weights of three values, -s, 0 and s, with a power of two for s: no multiplier is needed.

Li, Zhang and Liu 2016, Ternary weight networks (arXiv:1605.04711).

Unlike there, s is a power of two (the layer is scaled for it beforehand, without loss) and stays what it was at the
start, where the paper computes it anew in each step; the threshold, 0.7 of the mean magnitude, is computed anew here
too. ``reach`` stops free weights at so many s; the paper has no such limit.
"""

from functools import partial
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.options import TuningOfLayers as Options

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]


def run(job: "Compression", options: Options) -> None:
    """Make the layers ternary, and train the network."""
    from fivebyfive.model.compress.operations.projections import Ternary
    from fivebyfive.model.compress.operations.scales import project

    from ..naming import named

    project(job, named(job, options.layers), magnitude, partial(Ternary, reach=options.reach))
    job.tune(options)


def magnitude(weight: "torch.Tensor", mask: "torch.Tensor") -> float:
    """The mean magnitude of the weights that are not zero: the best s."""
    from fivebyfive.model.compress.operations.projections import ternary_threshold

    size = weight.abs() * mask
    chosen = size > ternary_threshold(weight, mask)
    return float(size[chosen].mean()) if chosen.any() else 0.0
