"""Take out the channels whose kernels are small: the sum of magnitudes.

Li, Kadav, Durdanovic, Samet and Graf 2017, Pruning filters for efficient ConvNets (arXiv:1608.08710). Hidden neurons
of the fully-connected layers are treated alike.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.narrow import Stepwise, remove, target_shape, waypoints

if TYPE_CHECKING:
    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options(Stepwise):
    """Nothing of its own."""


def run(job: "Compression", options: Options) -> None:
    """Narrow the job's network, and train it."""
    for shape in (points := waypoints(job.net.shape, target_shape(job, options), options.rounds)):
        weights = {layer: job.net.effective(layer, False)[0].detach() for layer in job.net.shape.layers[:-1]}
        remove(job, {layer: weight.abs().flatten(1).sum(1) for layer, weight in weights.items()}, shape)
        job.tune(options, None if shape is points[-1] else options.stage(options.round_epochs, 0))
