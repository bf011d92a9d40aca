"""Weights and hidden activations of one bit: a product is an exclusive nor, a sum a count of bits.

Hubara, Courbariaux, Soudry, El-Yaniv and Bengio 2016, Binarized neural networks (arXiv:1602.02830): signs of weights
and of normalized sums, gradients straight through within 1 of zero, free weights kept within 1. One scale a layer, as
in Rastegari, Ordonez, Redmon and Farhadi 2016, XNOR-Net (arXiv:1603.05279); no weight decay.

The normalization is folded into the biases, which are thresholds then: a sum of signs is compared with a whole number.
Unlike there, thresholds are multiples of 64 / s sums, where s is the layer's power of two; normalization has no scale,
which no sign would see, and comes behind the max pool; the first layer takes pixels of seven bits, and the last one
has weights of one bit too. Ding, Chin, Liu and Marculescu 2019, Regularizing activation distribution
(arXiv:1904.02823), add a loss for channels whose sign is nearly always the same. With normalization that is a matter of
the threshold alone: a step of learning rate r ends with a step of size r ``distribution`` of all thresholds towards
their channel's mean.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.options import Tuning, option

if TYPE_CHECKING:
    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]

TEMPERATURE = 8.0  # a sum of the last layer counts a quarter of a code: 32 of them are one in the loss


@dataclass(frozen=True)
class Options(Tuning):
    """``distribution``: how hard thresholds are pulled to the mean of their channel."""

    epochs: int = option(30, "Of training, over all images.", 0, 10_000)
    clean_epochs: int = option(4, "The last ones, on images as they are.", 0, 10_000)
    learning_rate: float = option(2e-3, "At the start; it falls along a cosine.", 0.0, 1.0)
    distribution: float = option(0.0, "How hard signs are made to be even, times the learning rate.", 0.0, 100.0)


def run(job: "Compression", options: Options) -> None:
    """Make the network one of one bit, and train it. Raises UserError for a layer with an average pool."""
    from fivebyfive.model.compress.operations.binarized import Binarized

    job.net = net = Binarized(job.net)
    job.temperature = TEMPERATURE
    stage = replace(options.stage(), weight_decay=0.0, conv_penalty=0.0, fc_penalty=0.0)
    steps = stage.steps(len(job.learning))
    job.tune(options, stage, lambda step: net.balance(options.distribution * stage.rate(step - 1, steps)))
