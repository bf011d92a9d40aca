"""Weights are zero or powers of two with a sign: a product is a shift, and no multiplier is needed.

Miyashita, Lee and Murmann 2016, Convolutional neural networks using logarithmic data representation
(arXiv:1603.01025). With ``rounds``: Zhou et al. 2017, Incremental network quantization (arXiv:1702.03044): the largest
half of the weights that are free takes powers of two and stays so, the others are trained, and so on until none is
left.

The levels are INQ's: the largest power is that below 4/3 of a layer's largest weight, the nearest in value is taken.
Unlike there, an index of ``bits`` bits holds zero beside as many powers as fit (INQ spends a bit on zero: 9 values of 4
bits instead of 15), biases are codes of Q2.6 and learn to the end, and without ``rounds`` a weight may change its power
while it is trained, by straight-through gradients, where Miyashita et al. quantize activations too.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.options import Tuning, option

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]

LARGEST = 6  # exponent of the largest power, in codes: 64 is 1.0, and 128 is not representable


@dataclass(frozen=True)
class Options(Tuning):
    """``bits`` of an index into a layer's powers; ``layers``: all where it is empty (`naming.named`)."""

    layers: str = option("", "Layers, such as fc1,fc2; all by default.")
    bits: int = option(4, "Of a weight.", 2, 4)
    rounds: int = option(0, "Of incremental quantization; 0: weights are powers from the start, and may change.", 0, 20)
    round_epochs: int = option(2, "Of training after each round but the last.", 0, 1000)

    @property
    def all_epochs(self) -> int:
        return self.epochs + self.round_epochs * max(self.rounds - 1, 0)


def run(job: "Compression", options: Options) -> None:
    """Make weights powers of two, and train the network. Raises UserError for layers that have few values already."""
    from fivebyfive.model.compress.operations.projections import Logarithmic, mask_of, only_masked

    from ..naming import named

    layers = named(job, options.layers)
    for layer in layers:
        only_masked(job.net, layer, "leave it out with layers")
        mask = mask_of(job.net, layer)
        levels = powers(job.net.layers[layer][0].detach() * mask, options.bits)
        job.net.projections[layer] = Logarithmic(mask, levels, incremental=options.rounds > 0)
    for number in range(1, options.rounds + 1):
        last = number == options.rounds
        for layer in layers:
            job.net.projections[layer].fix(job.net.layers[layer][0].detach(), 1.0 if last else 1 - 0.5**number)
        if not last:
            job.tune(options, options.stage(options.round_epochs, 0))
    job.tune(options)


def powers(weight: "torch.Tensor", bits: int) -> "torch.Tensor":
    """Zero and the powers of two of an index of so many bits, float32 in order; INQ, equations 2 to 4."""
    import torch

    from fivebyfive.model.compress.operations.projections import step_value

    largest = LARGEST
    while largest and step_value(largest) > 4 / 3 * float(weight.abs().max()):
        largest -= 1
    exponents = range(max(0, largest - (2**bits - 1) // 2 + 1), largest + 1)
    positive = torch.tensor([step_value(exponent) for exponent in exponents])
    return torch.cat([-positive.flip(0), torch.zeros(1), positive])
