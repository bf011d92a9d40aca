"""Train a small network to answer, and to look, as a larger one does.

Soft answers: Hinton, Vinyals and Dean 2015 (arXiv:1503.02531). Attention transfer with a learned transfer layer:
after Zagoruyko and Komodakis 2017 (arXiv:1612.03928). Hints: Romero et al. 2015, FitNets (arXiv:1412.6550), who train
by hints first and by answers then: ``hint_epochs`` does so; with 0 both are learned at once, in one loss.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.options import option
from fivebyfive.support.errors import UserError

from .scratch import FromNothing, begin

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression
    from fivebyfive.model.training.lenet import LeNet

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options(FromNothing):
    """The pupil is a new network of ``shape``, trained in floats first; without one, the network as it is."""

    teacher: str = option("start", "The checkpoint to learn from; 'start' for what is compressed.")
    shape: str = option("", "Widths of a new network, such as 8-16-64-10; the present one is trained by default.")
    looks: float = option(0.0, "Weight of attention transfer.", 0.0, 1e6)
    hints: float = option(0.0, "Weight of hints from conv2's maps.", 0.0, 1e6)
    hint_epochs: int = option(
        0, "Of a new network, by hints alone, before the others (FitNets' first stage).", 0, 10_000
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.teacher:
            raise ValueError("distill needs a teacher")
        if self.hint_epochs and not self.shape:
            raise ValueError("hint_epochs begin a new network; it needs a shape")

    @property
    def all_epochs(self) -> int:
        return self.epochs + (self.float_epochs + self.hint_epochs if self.shape else 0)


def run(job: "Compression", options: Options) -> None:
    """Train the job's network, or a new one in its place."""
    from fivebyfive.model.training.calibration import calibrated

    teacher, temperature = job.teacher(options.teacher)
    if options.shape:
        begin(job, options.shape)
        job.teacher(options.teacher)  # knows as many classes?
        if options.hint_epochs:
            alone = replace(options, soft=0.0, looks=0.0, hints=options.hints or 1.0)
            first = replace(options.float_stage, name="hints", epochs=options.hint_epochs)
            job.tune(options, first, criterion=criterion(job, alone, teacher, temperature, hard=0.0))
        job.tune(options, options.float_stage, criterion=criterion(job, options, teacher, temperature))
        job.temperature = calibrated(job.net, job.learning, job.temperature)
        job.net.clip()
    job.tune(options, criterion=criterion(job, options, teacher, temperature))


def has_convolutions(net: "LeNet") -> bool:
    return any(layer.kind == "conv" for layer in net.network.layers)


def criterion(
    job: "Compression", options: Options, teacher: "LeNet", temperature: float, hard: float = 1.0
) -> "torch.nn.Module":
    """What the pupil learns from, ``hard`` times the labels' part. Raises UserError where maps are compared and a
    network has none."""
    from fivebyfive.model.compress.operations.losses import Distilled

    if (options.looks or options.hints) and not (has_convolutions(job.net) and has_convolutions(teacher)):
        raise UserError("looks and hints compare maps of convolutions, which both networks must have; leave them out")

    both, amounts = (job.temperature, temperature), (options.soft, options.softness, options.looks, options.hints)
    return Distilled(job.net, teacher, both, *amounts, job.generator, hard)
