"""Prune weights of small magnitude, alone or in groups.

Han, Pool, Tran and Dally 2015, Learning both weights and connections (arXiv:1506.02626): a threshold of sensitivity
times the layer's deviation, then retraining, once or in rounds. Zhu and Gupta 2017, To prune, or not to prune
(arXiv:1710.01878): pruning goes on during training. ``regrow``: Guo, Yao and Chen 2016, Dynamic network surgery
(arXiv:1608.04493), with one threshold where they have two. Groups as in `masks`; Cao et al. 2019, Efficient and
effective sparse LSTM on FPGA with bank-balanced sparsity, for the lanes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fivebyfive.model.compress.operations.options import ByLayer, Tuning, option
from fivebyfive.support.errors import UserError

from ..schedules import SCHEDULES, cubic, geometric

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]

NONE = ByLayer()


@dataclass(frozen=True)
class Options(Tuning):
    """One of ``keep``, ``sensitivity`` and ``each`` says how much stays."""

    integers_by_layer: ClassVar[tuple[str, ...]] = ("each",)

    keep: ByLayer = option(NONE, "Share of the weights that stay, such as conv2=0.1,fc1=0.02.", 1e-6, 1.0)
    sensitivity: ByLayer = option(NONE, "Instead: prune below this many standard deviations of a layer.", 0.0, 100.0)
    each: ByLayer = option(NONE, "Instead: weights in each of 20 lanes of an output, such as fc1=1.", 1, 205)
    granularity: str = option(
        "fine", "Of keep and sensitivity: what goes together.", choices=("fine", "vector", "kernel", "filter")
    )
    schedule: str = option("one-shot", "When: at once, in rounds, or while it trains.", choices=SCHEDULES)
    rounds: int = option(5, "Of the iterative schedule.", 1, 100)
    round_epochs: int = option(2, "Of training after each round but the last.", 0, 1000)
    ramp: float = option(0.6, "Of the gradual schedule: share of the training that prunes.", 0.01, 1.0)
    interval: int = option(50, "Of the gradual schedule: steps between two cuts.", 1, 1_000_000)
    regrow: bool = option(False, "Weights that are gone go on learning, and may come back with the next cut.")
    uneven: bool = option(False, "Of each: its mean over outputs; an output may have more or fewer.")
    outputs: int = option(1, "Of each: channels the machine computes at once, which order fc1's inputs.", 1, 59)

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum(not value.empty for value in (self.keep, self.sensitivity, self.each)) != 1:
            raise ValueError("magnitude needs one of keep, sensitivity and each")
        if self.schedule == "gradual":
            self.check_ramp()

    def check_ramp(self) -> None:
        """Raise ValueError where pruning would still go on at the end of an epoch that may be the one that is kept."""
        first = max(1, self.epochs - max(1, self.clean_epochs) + 1)
        if not self.epochs:
            raise ValueError("a gradual schedule needs epochs to prune in")
        if self.ramp * self.epochs > first:
            raise ValueError(
                f"with {self.epochs} epochs, {self.clean_epochs} of them clean, ramp must be at most "
                f"{first / self.epochs:.2f}: an epoch that may be kept must be past all pruning"
            )

    @property
    def all_epochs(self) -> int:
        return self.epochs + (self.round_epochs * (self.rounds - 1) if self.schedule == "iterative" else 0)


def run(job: "Compression", options: Options) -> None:
    """Prune the job's network and train it."""
    targets = install(job, options)
    if options.schedule == "gradual":
        job.tune(options, after_step=gradually(job, options, targets))
        return
    rounds = options.rounds if options.schedule == "iterative" else 1
    for number in range(1, rounds + 1):
        cut(job, options, targets, number / rounds, geometric)
        last = number == rounds
        job.tune(options, options.stage() if last else options.stage(options.round_epochs, 0))


def install(job: "Compression", options: Options) -> dict[str, tuple[float, float]]:
    """Masks for the layers that are pruned. Returns the share of each that is there and that shall stay, or 0 and the
    sensitivity. Raises UserError where there is nothing to prune."""
    from fivebyfive.model.compress.operations.projections import Masked, mask_of, only_masked

    given = next(value for value in (options.keep, options.sensitivity, options.each) if not value.empty)
    targets = {}
    for layer, value in given.chosen(job.net.network.names).items():
        old = mask_of(job.net, layer)
        only_masked(job.net, layer, "prune before that")
        targets[layer] = share = shares(job, options, layer, old, value)
        if options.sensitivity.empty and share[1] >= share[0]:
            raise UserError(
                f"{layer} keeps {share[0]:.3g} of its weights already; {share[1]:.3g} prunes nothing, ask for less"
            )
        job.net.projections[layer] = Masked(old, options.regrow)
    return targets


def shares(job: "Compression", options: Options, layer: str, mask: "torch.Tensor", value: float) -> tuple[float, float]:
    """The share of a layer's weights that is there, and that shall stay: of all, or of its lanes. Raises UserError
    where the layer has no lanes."""
    from fivebyfive.model.compress.operations.masks import banks

    if options.each.empty:
        return float(mask.double().mean()), value
    if mask.dim() != 2:
        raise UserError(f"lanes are of fully-connected layers; {layer} has none: use granularity kernel")
    places = banks(job.net.network, layer, options.outputs)
    numbers = mask[:, places].masked_fill(places < 0, 0).sum(1)  # (O, 20)
    return float(numbers.mean() if options.uneven else numbers.max()) / len(places), value / len(places)


def gradually(job: "Compression", options: Options, targets: dict[str, tuple[float, float]]) -> Callable[[int], None]:
    """What cuts a little more at each of several steps, and nothing after the ramp."""
    steps = options.stage().steps(len(job.learning))
    end = max(1, round(options.ramp * steps))

    def after_step(step: int) -> None:
        if step == end or (step < end and step % options.interval == 0):
            cut(job, options, targets, step / end, cubic)

    return after_step


def cut(
    job: "Compression",
    options: Options,
    targets: dict[str, tuple[float, float]],
    progress: float,
    schedule: Callable[[float, float, float], float],
) -> None:
    """Renew the masks for ``progress`` (0 to 1) of the pruning."""
    from fivebyfive.model.compress.operations.masks import above, balanced, banks, largest

    for layer, (start, target) in targets.items():
        projection = job.net.projections[layer]
        weight = job.net.layers[layer][0].detach()
        if not options.regrow:
            weight = weight * projection.mask
        if not options.sensitivity.empty:
            mask = above(weight, target * progress, options.granularity)
        elif not options.keep.empty:
            mask = largest(weight, schedule(start, target, progress), options.granularity)
        else:
            places = banks(job.net.network, layer, options.outputs)
            each = round(schedule(start, target, progress) * len(places))
            mask = balanced(weight, max(1, each), places, options.uneven)
        projection.mask.copy_(mask)
