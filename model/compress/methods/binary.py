"""Weights of two values, -s and s, with a power of two for s: a product is an add or a subtract.

Courbariaux, Bengio and David 2015, BinaryConnect (arXiv:1511.00363); a scale for each layer as in Rastegari et al.
2016, XNOR-Net (arXiv:1603.05279).

Unlike there, s is a power of two (the layer is scaled for it beforehand, without loss) and stays what it was at the
start; activations keep 8 bits; and a free weight may go as far as Q2.6 reaches, 32 to 64 times s, where BinaryConnect
stops it at s: ``reach = 1`` does so too.
"""

from functools import partial
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.options import TuningOfLayers as Options
from fivebyfive.support.errors import UserError

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]


def run(job: "Compression", options: Options) -> None:
    """Make the layers binary, and train the network. Raises UserError for a layer that is pruned."""
    from fivebyfive.model.compress.operations.projections import Binary, mask_of
    from fivebyfive.model.compress.operations.scales import project

    from ..naming import named

    layers = named(job, options.layers)
    for layer in layers:
        if not mask_of(job.net, layer).all():
            raise UserError(f"{layer} is pruned, but binary weights cannot be zero; make it ternary")
    project(job, layers, magnitude, partial(Binary, reach=options.reach))
    job.tune(options)


def magnitude(weight: "torch.Tensor", mask: "torch.Tensor") -> float:
    """The mean magnitude: the best s."""
    return float(weight.abs().mean())
