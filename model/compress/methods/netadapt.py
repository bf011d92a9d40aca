"""Find the widths for a budget of cycles, bytes or block RAM: narrow the layer that costs fewest errors, and again.

Yang, Howard, Chen, Zhang, Go, Sandler, Sze and Adam 2018, NetAdapt (arXiv:1804.03230), algorithm 1. In each round every
hidden layer is narrowed by itself until the network costs as much less as the round asks for; each candidate is trained
for a short time, and the one with the fewest errors on held-out images is kept. The network that meets the budget is
trained for long. Outputs whose weights have the smallest square sum go, as there. The costs are not measured on a
device and looked up: the machine's cycles are known exactly (`fivebyfive.model.machine.cycles`).
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.narrow import hidden_weights, remove
from fivebyfive.model.compress.operations.options import Tuning, option
from fivebyfive.model.estimates.area import blocks, weight_memories
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.sizing import sized
from fivebyfive.support.errors import UserError, user_values

from ...shape import LeNetShape, ceil_div
from .taylor import cost as multiplications_and_parameters

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression
    from fivebyfive.model.training.lenet import LeNet

__all__ = ["Options", "run"]


def cycles(shape: LeNetShape, config: Config) -> float:
    """Between two results, of dense weights."""
    return plan(shape.network, config).interval


def stored(shape: LeNetShape, config: Config) -> float:
    """Bytes of weights and biases."""
    return multiplications_and_parameters(shape)[1]


def block_ram(shape: LeNetShape, config: Config) -> float:
    """RAMB36 of the weights, of dense engines; half ones are RAMB18."""
    return sum(blocks(words, bits, "xc7") for words, bits in weight_memories(shape.network, config))


USUAL_LAYERS, USUAL_IMAGES = 3, 55_000  # hidden ones, and images: for the bar of progress
COSTS: dict[str, Callable[[LeNetShape, Config], float]] = {"cycles": cycles, "bytes": stored, "block-ram": block_ram}


@dataclass(frozen=True)
class Options(Tuning):
    """``budget`` of what ``of`` says, on the machine of ``conv_pes`` and ``fc_rows``."""

    budget: float = option(0.0, "What the network may cost.", 0.0, 1e9)
    of: str = option("cycles", "What is counted: between two results; of parameters; of weights.", choices=(*COSTS,))
    conv_pes: int = option(1, "Of the machine whose cycles and block RAM count.", 1, 50)
    fc_rows: int = option(1, "Of that machine.", 1, 50)
    rounds: int = option(8, "Steps to the budget, each of as much.", 1, 1000)
    short_images: int = option(12_800, "That each candidate is trained with.", 1, 10_000_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.budget:
            raise ValueError("netadapt needs a budget")

    @property
    def all_epochs(self) -> int:
        return self.epochs + ceil_div(USUAL_LAYERS * self.rounds * self.short_images, USUAL_IMAGES)  # about

    def cost(self, shape: LeNetShape) -> float:
        """What a network costs."""
        with user_values():
            return COSTS[self.of](shape, sized(shape.network, self.conv_pes, self.fc_rows))


def run(job: "Compression", options: Options) -> None:
    """Narrow the job's network to the budget, and train it. Raises UserError where it costs no more already, or no
    network of its layers costs so little."""
    start = options.cost(job.net.shape)
    if start <= options.budget:
        raise UserError(f"the network costs {start:g} {options.of} already; {options.budget:g} takes nothing out of it")
    for number in range(1, options.rounds + 1):
        goal = start - (start - options.budget) * number / options.rounds
        if options.cost(job.net.shape) > goal:
            adapt(job, options, goal)
    job.tune(options)


def adapt(job: "Compression", options: Options, goal: float) -> None:
    """Put the best of the `candidates` in the place of the job's network."""
    from fivebyfive.model.training.loop import examine

    before, everything = job.net, job.learning
    shapes = candidates(before.shape, options, goal)
    job.learning = everything.some(options.short_images, job.generator)
    best: tuple[tuple[bool, int, float], LeNet] | None = None
    for shape in shapes:
        job.net = before
        remove(job, squares(job), shape)
        job.tune(options, options.stage(1, 0))
        rank = examine(job.net, job.held_out, job.temperature, quantized=True).rank
        if best is None or rank < best[0]:
            best = rank, job.net
    assert best
    job.net, job.learning = best[1], everything


def candidates(now: LeNetShape, options: Options, goal: float) -> list[LeNetShape]:
    """The widest networks that cost ``goal`` at most and have one hidden layer narrowed; two, or three, where no fewer
    save so much (the slower engine sets the pace, so both may have to)."""
    for count in range(1, len(now.layers)):
        found = (narrowed(now, options, goal, layers) for layers in combinations(now.layers[:-1], count))
        if shapes := [shape for shape in found if shape]:
            return shapes
    raise UserError(f"no network of {now}'s layers costs only {options.budget:g} {options.of}; ask for more")


def narrowed(now: LeNetShape, options: Options, goal: float, layers: tuple[str, ...]) -> LeNetShape | None:
    """The network with these layers as wide as ``goal`` allows: the first of them first, with the others at 1. None
    where it costs more even so."""
    widths = dict(zip(now.layers, now.widths, strict=True)) | dict.fromkeys(layers, 1)

    def cost(layer: str, width: int) -> float:
        return options.cost(now.with_widths((widths | {layer: width}).values()))

    for layer in layers:
        most = now.widths[now.layers.index(layer)]
        widths[layer] = bisect_right(range(1, most), goal, key=partial(cost, layer))
        if not widths[layer]:
            return None
    return now.with_widths(widths.values())


def squares(job: "Compression") -> dict[str, "torch.Tensor"]:
    """The sum of squares of each output's weights, hidden layer to (outputs,)."""
    return {layer: weight.square().flatten(1).sum(1) for layer, weight in hidden_weights(job.net).items()}
