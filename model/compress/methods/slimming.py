"""Let training itself choose channels: batch normalization whose scales are pulled to zero.

Liu, Li, Shen, Huang, Yan and Zhang 2017, Learning efficient convolutional networks through network slimming
(arXiv:1708.06519). The normalization (Ioffe and Szegedy 2015, arXiv:1502.03167) is there while channels are chosen, in
floats; then it is folded into weights and biases, exactly, and the network is rescaled and trained with the hardware's
rounding. The hidden neurons of the fully-connected layers have such scales too.

As in the paper, ``keep`` sets one threshold on the scales of all layers, which finds the widths; ``shape`` gives them
instead. The paper pulls with the subgradient of the sum of scales under SGD. Under AdamW such a gradient would be
divided by its own size, and pull at all scales alike whatever ``sparsity`` is; so each step of learning rate r ends
with a step of size r ``sparsity`` of the scales towards zero, and not past it (Beck and Teboulle 2009, ISTA).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.narrow import Ranked, found_shape, remove, target_shape
from fivebyfive.model.compress.operations.options import option
from fivebyfive.model.training.stage import Stage

if TYPE_CHECKING:
    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]

NO_PENALTY = 0.0  # no care for the range: the rescaling afterwards takes it


@dataclass(frozen=True)
class Options(Ranked):
    """``sparsity``: what the sum of all scales costs."""

    sparsity: float = option(0.1, "How hard scales are pulled to zero, times the learning rate.", 0.0, 100.0)
    float_epochs: int = option(6, "In floats, with the normalization, while channels are chosen.", 1, 10_000)
    float_learning_rate: float = option(2e-3, "Of those.", 0.0, 1.0)

    @property
    def all_epochs(self) -> int:
        return super().all_epochs + self.float_epochs


def run(job: "Compression", options: Options) -> None:
    """Narrow the job's network, and train it."""
    from fivebyfive.model.compress.operations.normalized import Normalized
    from fivebyfive.model.training.calibration import calibrated

    target = target_shape(job, options) if options.shape else None
    job.net = net = Normalized(job.net)
    stage = Stage(
        "slimming", options.float_epochs, False, options.float_learning_rate, warp=options.warp, ink=options.ink,
        flags=options.flags, conv_penalty=NO_PENALTY, fc_penalty=NO_PENALTY,
    )  # fmt: skip
    steps = stage.steps(len(job.learning))
    job.tune(options, options.decaying(stage), lambda step: net.shrink(options.sparsity * stage.rate(step - 1, steps)))
    worth = {layer: scale.detach().abs() for layer, scale in net.scales.items()}
    target = target or found_shape(net.shape, worth, options.keep)
    job.net = net.folded()
    remove(job, worth, target)
    job.temperature = calibrated(job.net, job.learning, job.temperature)
    job.net.clip()
    job.tune(options)
