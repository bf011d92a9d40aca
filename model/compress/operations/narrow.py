"""What all methods that take out channels have in common: how wide the network shall be, and the way there."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.errors import UserError, user_values

from .options import Tuning, option

if TYPE_CHECKING:
    import torch

    from .job import Compression

__all__ = ["Narrowing", "Stepwise", "remove", "target_shape", "waypoints"]


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


def remove(job: "Compression", worth: dict[str, "torch.Tensor"], shape: LeNetShape) -> None:
    """Keep the outputs of most ``worth`` of each layer (layer to (outputs,)), as many as ``shape`` has."""
    from .channels import Kept, keep

    job.net = keep(job.net, Kept.best(job.net.shape, shape, worth))
