"""Train a network of the present widths, or of others, from random weights: what narrowing has to beat.

Liu, Sun, Zhou, Huang and Darrell 2019, Rethinking the value of network pruning (arXiv:1810.05270): for widths that were
given beforehand, training from nothing does as well as pruning, if it gets as much time. So this belongs beside every
narrowed network. Learning rates, epochs and images are those of `fivebyfive train` unless said otherwise; weights that
were pruned, shared, ternary or binary are free again.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.options import Tuning, option
from fivebyfive.model.training.stage import Stage
from fivebyfive.model.training.train import TEMPERATURE
from fivebyfive.support.errors import UserError, user_values

from ...shape import LeNetShape

if TYPE_CHECKING:
    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["FromNothing", "Options", "begin", "run"]


@dataclass(frozen=True)
class FromNothing(Tuning):
    """``shape``: of a new network."""

    shape: str = option("", "Widths of a new network, such as 8-16-64-10; by default those of the present one.")
    float_epochs: int = option(6, "Of a new network, in floats, before those with the hardware's rounding.", 1, 10_000)
    float_learning_rate: float = option(2e-3, "Of those.", 0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shape:
            LeNetShape.parse(self.shape)

    @property
    def float_stage(self) -> Stage:
        """Training in floats."""
        stage = Stage(
            "float", self.float_epochs, False, self.float_learning_rate, warp=self.warp, ink=self.ink, flags=self.flags
        )
        return self.decaying(stage)


@dataclass(frozen=True)
class Options(FromNothing):
    """Nothing of its own."""

    @property
    def all_epochs(self) -> int:
        return self.epochs + self.float_epochs


def run(job: "Compression", options: Options) -> None:
    """Train a new network in the place of the job's."""
    from fivebyfive.model.training.calibration import calibrated

    begin(job, options.shape)
    job.tune(options, options.float_stage)
    job.temperature = calibrated(job.net, job.learning, job.temperature)
    job.net.clip()
    job.tune(options)


def begin(job: "Compression", shape: str) -> None:
    """Put a network of random weights in the place of the job's: of the widths in ``shape``, or as it is. Raises
    UserError for a network with tables, whose functions a checkpoint does not name."""
    from fivebyfive.model.training.lenet import LeNet

    if not shape and any(layer.has_table for layer in job.net.network.layers):
        raise UserError("nothing trains a network with tables anew; use fivebyfive train --network FILE.json")
    with user_values():
        job.net = LeNet(LeNetShape.parse(shape) if shape else job.net.network, job.generator)
    job.temperature = TEMPERATURE
