"""Train a small network to answer, and to look, as a larger one does.

Soft answers: Hinton, Vinyals and Dean 2015 (arXiv:1503.02531). Attention transfer with a learned transfer layer:
after Zagoruyko and Komodakis 2017 (arXiv:1612.03928). Hints: Romero et al. 2015, FitNets (arXiv:1412.6550).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.options import Tuning, option
from fivebyfive.model.training.stage import Stage
from fivebyfive.model.training.train import TEMPERATURE
from fivebyfive.support.errors import UserError, user_values

from ...shape import LeNetShape

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression
    from fivebyfive.model.training.lenet import LeNet

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options(Tuning):
    """The pupil is a new network of ``shape``, trained in floats first; without one, the network as it is."""

    teacher: str = option("start", "The checkpoint to learn from; 'start' for what is compressed.")
    shape: str = option("", "Widths of a new network, such as 8-16-64-10; the present one is trained by default.")
    float_epochs: int = option(6, "Of a new network, in floats, before those with the hardware's rounding.", 1, 10_000)
    float_learning_rate: float = option(2e-3, "Of those.", 0.0, 1.0)
    looks: float = option(0.0, "Weight of attention transfer.", 0.0, 1e6)
    hints: float = option(0.0, "Weight of hints from conv2's maps.", 0.0, 1e6)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shape:
            LeNetShape.parse(self.shape)
        if not self.teacher:
            raise ValueError("distill needs a teacher")

    @property
    def all_epochs(self) -> int:
        return self.epochs + (self.float_epochs if self.shape else 0)


def run(job: "Compression", options: Options) -> None:
    """Train the job's network, or a new one in its place."""
    from fivebyfive.model.training.calibration import calibrated
    from fivebyfive.model.training.lenet import LeNet

    teacher, temperature = job.teacher(options.teacher)
    if options.shape:
        with user_values():
            job.net = LeNet(LeNetShape.parse(options.shape), job.generator)
        job.teacher(options.teacher)  # knows as many classes?
        job.temperature = TEMPERATURE
        stage = Stage("float", options.float_epochs, False, options.float_learning_rate, warp=options.warp)
        job.tune(options, stage, criterion=criterion(job, options, teacher, temperature))
        job.temperature = calibrated(job.net, job.learning, job.temperature)
        job.net.clip()
    job.tune(options, criterion=criterion(job, options, teacher, temperature))


def has_convolutions(net: "LeNet") -> bool:
    return any(layer.kind == "conv" for layer in net.network.layers)


def criterion(job: "Compression", options: Options, teacher: "LeNet", temperature: float) -> "torch.nn.Module":
    """What the pupil learns from. Raises UserError where maps are compared and a network has none."""
    from fivebyfive.model.compress.operations.losses import Distilled

    if (options.looks or options.hints) and not (has_convolutions(job.net) and has_convolutions(teacher)):
        raise UserError("looks and hints compare maps of convolutions, which both networks must have; leave them out")

    both, amounts = (job.temperature, temperature), (options.soft, options.softness, options.looks, options.hints)
    return Distilled(job.net, teacher, both, *amounts, job.generator)
