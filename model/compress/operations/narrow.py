"""What all methods that take out channels have in common: how wide the network shall be, and the way there."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.errors import UserError, user_values

from .options import Tuning, option

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.training.lenet import LeNet

    from .job import Compression

__all__ = ["Narrowing", "Ranked", "Stepwise", "found_shape", "hidden_weights", "remove", "target_shape", "waypoints"]


@dataclass(frozen=True)
class Narrowing(Tuning):
    """``shape``: the widths there shall be."""

    needs_shape: ClassVar[bool] = True

    shape: str = option("", "Widths of the network that is left, such as 8-16-64-10.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shape or self.needs_shape:
            LeNetShape.parse(self.shape)


@dataclass(frozen=True)
class Ranked(Narrowing):
    """One of ``shape`` and ``keep``: the widths that are given, or those that one threshold over all layers finds."""

    needs_shape: ClassVar[bool] = False

    keep: float = option(0.0, "Instead of a shape: share of all hidden channels that stay, the best of all.", 0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.shape) == bool(self.keep):
            raise ValueError("one of shape and keep is needed")


@dataclass(frozen=True)
class Stepwise(Narrowing):
    """With ``rounds`` above 1 the network narrows in as many steps, and is trained for ``round_epochs`` after each but
    the last."""

    rounds: int = option(1, "Steps from the present widths to those.", 1, 100)
    round_epochs: int = option(2, "Of training after each step but the last.", 0, 1000)

    @property
    def all_epochs(self) -> int:
        return self.epochs + self.round_epochs * (self.rounds - 1)


def target_shape(job: "Compression", config: Narrowing) -> LeNetShape:
    """The widths there shall be. Raises UserError where these are not the network's or narrower."""
    with user_values():
        target = LeNetShape.parse(config.shape)
    now = job.net.shape
    if now.layers != target.layers or now.classes != target.classes:
        raise UserError(f"{target} has other layers or classes than {now}; narrow that, layer by layer")
    if target == now or any(new > old for new, old in zip(target.widths, now.widths, strict=True)):
        raise UserError(f"the network is {now}; {target} takes nothing out of it, ask for less")
    return target


def waypoints(now: LeNetShape, target: LeNetShape, rounds: int) -> list[LeNetShape]:
    """Shapes on the way, the last is ``target``; each step takes the same part of every layer."""
    points = []
    for number in range(1, rounds + 1):
        part = [
            round(old * (new / old) ** (number / rounds)) for old, new in zip(now.widths, target.widths, strict=True)
        ]
        points.append(now.with_widths(part))
    return points


def found_shape(now: LeNetShape, worth: dict[str, "torch.Tensor"], keep: float) -> LeNetShape:
    """The widths that are left when, of the outputs of all hidden layers together, the share ``keep`` of most ``worth``
    (layer to (outputs,)) stays, as Liu et al. 2017 and the other methods with one threshold do; of each layer one at
    least. Raises UserError where nothing goes."""
    import torch

    every = torch.cat(list(worth.values()))
    count = max(1, round(keep * len(every)))
    if count == len(every):
        raise UserError(f"a share of {keep:g} of {len(every)} channels takes none out; ask for less")
    threshold = every.topk(count).values[-1]
    widths = dict(zip(now.layers, now.widths, strict=True))
    widths |= {layer: max(1, int((value >= threshold).sum())) for layer, value in worth.items()}
    return now.with_widths(widths.values())


def hidden_weights(net: "LeNet") -> dict[str, "torch.Tensor"]:
    """What the hidden layers compute with, in floats, without gradients: layer to (outputs, ...)."""
    return {layer: net.effective(layer, quantized=False)[0].detach() for layer in net.shape.layers[:-1]}


def remove(job: "Compression", worth: dict[str, "torch.Tensor"], shape: LeNetShape) -> None:
    """Keep the outputs of most ``worth`` of each layer (layer to (outputs,)), as many as ``shape`` has."""
    from .channels import Kept, keep

    job.net = keep(job.net, Kept.best(job.net.shape, shape, worth))
