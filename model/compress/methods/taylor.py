"""Take out the channels whose loss would change least, a few at a time.

Molchanov, Tyree, Karras, Aila and Kautz 2017, Pruning convolutional neural networks for resource efficient inference
(arXiv:1611.06440): the first term of Taylor's series of the loss for each channel, |mean of activation times
gradient|, scaled to length 1 in each layer; less what the channel costs in multiplications. With ``shape`` each layer
gets so narrow; with ``macs`` the criterion itself decides which layers pay.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fivebyfive.model.compress.operations.narrow import Stepwise, remove, target_shape, waypoints
from fivebyfive.model.compress.operations.options import option
from fivebyfive.support.errors import UserError

from ...shape import LeNetShape

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options(Stepwise):
    """One of ``shape`` and ``macs``."""

    needs_shape: ClassVar[bool] = False

    macs: int = option(0, "Instead of a shape: multiply-accumulates an image there may be.", 0, 10**9)
    parameters: int = option(0, "With macs: parameters there may be, if not 0.", 0, 10**9)
    flop_weight: float = option(0.1, "With macs: what a channel's share of all multiplications counts.", 0.0, 100.0)
    rounds: int = option(8, "Steps of narrowing, each with a new look at the gradients.", 1, 100)
    round_epochs: int = option(1, "Of training after each step but the last.", 0, 1000)
    batches: int = option(40, "Of images that each look takes.", 1, 100_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.shape) == bool(self.macs):
            raise ValueError("taylor needs one of shape and macs")


def run(job: "Compression", options: Options) -> None:
    """Narrow the job's network, and train it. Raises UserError where it is small enough already."""
    points = waypoints(job.net.shape, target_shape(job, options), options.rounds) if options.shape else []
    has, limits = cost(job.net.shape), budget(job.net.shape, options)
    if not points and all(one <= limit for one, limit in zip(has, limits, strict=True)):
        raise UserError(f"the network has {has[0]} multiply-accumulates and {has[1]} parameters; ask for less")
    for number in range(options.rounds):
        worth = saliency(job, options)
        part = 1 / (options.rounds - number)  # of what is still too much, on a scale of ratios
        shape = points[number] if points else affordable(job.net.shape, worth, options, part)
        remove(job, worth, shape)
        job.tune(options, None if number == options.rounds - 1 else options.stage(options.round_epochs, 0))


def saliency(job: "Compression", options: Options) -> dict[str, "torch.Tensor"]:
    """|activation times gradient| of each output of the hidden layers, of length 1 in a layer; layer to (outputs,)."""
    import torch

    from fivebyfive.model.training.lenet import pixels_to_values
    from fivebyfive.model.training.state import CrossEntropy

    criterion, net = CrossEntropy(job.temperature), job.net
    total = {layer: torch.zeros(net.shape.arrays[f"{layer}.bias"]) for layer in net.shape.layers[:-1]}
    order = torch.randperm(len(job.learning), generator=job.generator).split(128)
    for index in order[: options.batches]:
        x, labels = pixels_to_values(job.learning.pixels[index]), job.learning.labels[index]
        logits, before = net(x, quantized=True)
        values = [before[layer] for layer in total]
        slopes = torch.autograd.grad(criterion(x, labels, logits, before), values)
        for layer, value, slope in zip(total, values, slopes, strict=True):
            change = (value.detach() * slope).reshape(*value.shape[:2], -1)  # (N, C, H W)
            total[layer] += change.mean(2).abs().sum(0)
    return {layer: value / value.norm().clamp(min=1e-12) for layer, value in total.items()}


def budget(shape: LeNetShape, options: Options) -> tuple[int, int]:
    """Multiply-accumulates and parameters there may be."""
    return options.macs, options.parameters or cost(shape)[1]


def affordable(now: LeNetShape, worth: dict[str, "torch.Tensor"], options: Options, part: float) -> LeNetShape:
    """The widths that are left when the channels of least worth go, until ``part`` of what is too much is gone.

    Raises UserError where no network is so small.
    """
    goals = [min(has, has * (limit / has) ** part) for has, limit in zip(cost(now), budget(now, options), strict=True)]
    costly = {layer: options.flop_weight * flops(now, layer) for layer in worth}
    ranked = {layer: sorted((value - costly[layer]).tolist(), reverse=True) for layer, value in worth.items()}
    sizes = dict(zip(now.layers, now.widths, strict=True))
    while any(has > goal for has, goal in zip(cost(now.with_widths(sizes.values())), goals, strict=True)):
        left = [layer for layer in ranked if sizes[layer] > 1]
        if not left:
            raise UserError(
                f"no LeNet has only {options.macs} multiply-accumulates and {options.parameters} parameters"
            )
        least = min(left, key=lambda layer: ranked[layer][-1])
        ranked[least].pop()
        sizes[least] -= 1
    return now.with_widths(sizes.values())


def cost(shape: LeNetShape) -> tuple[int, int]:
    """Multiply-accumulates of an image, and parameters."""
    sizes = [1] * len(shape.arrays)
    for place, dimensions in enumerate(shape.arrays.values()):
        for size in dimensions:
            sizes[place] *= size
    return sum(shape.macs.values()), sum(sizes)


def flops(shape: LeNetShape, layer: str) -> float:
    """The part of all multiplications that go with one output of a layer."""
    sizes = dict(zip(shape.layers, shape.widths, strict=True))
    if sizes[layer] == 1:
        return 0.0
    all_macs = cost(shape)[0]
    return 1 - cost(shape.with_widths((sizes | {layer: sizes[layer] - 1}).values()))[0] / all_macs
