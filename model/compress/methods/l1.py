"""Take out the channels whose kernels are small: the sum of magnitudes.

Li, Kadav, Durdanovic, Samet and Graf 2017, Pruning filters for efficient ConvNets (arXiv:1608.08710). Hidden neurons
of the fully-connected layers are treated alike. The paper gives each layer its width, as ``shape`` does; with ``keep``
one threshold on the mean magnitude of a kernel's weights, in units of its layer's, finds the widths.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.narrow import (
    Ranked,
    Stepwise,
    found_shape,
    hidden_weights,
    remove,
    target_shape,
    waypoints,
)

from ...shape import LeNetShape

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options(Ranked, Stepwise):
    """Nothing of its own."""


def run(job: "Compression", options: Options) -> None:
    """Narrow the job's network, and train it."""
    for shape in (points := waypoints(job.net.shape, target(job, options), options.rounds)):
        remove(job, sizes(job), shape)
        job.tune(options, None if shape is points[-1] else options.stage(options.round_epochs, 0))


def sizes(job: "Compression") -> dict[str, "torch.Tensor"]:
    """The sum of magnitudes of each output's weights, hidden layer to (outputs,)."""
    return {layer: weight.abs().flatten(1).sum(1) for layer, weight in hidden_weights(job.net).items()}


def target(job: "Compression", options: Options) -> LeNetShape:
    """The widths there shall be, given or found."""
    if options.shape:
        return target_shape(job, options)
    return found_shape(job.net.shape, {layer: size / size.mean() for layer, size in sizes(job).items()}, options.keep)
