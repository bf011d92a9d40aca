"""One compression in the works: the network as it is, the images, and how it is trained between the methods' cuts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812

from fivebyfive.model.checkpoint import load_checkpoint
from fivebyfive.model.training.lenet import LeNet, from_checkpoint, pixels_to_values
from fivebyfive.model.training.loop import EXAMINE_BATCH, TrainingImages, fit
from fivebyfive.model.training.resume import States
from fivebyfive.model.training.stage import Stage
from fivebyfive.model.training.state import Extras
from fivebyfive.support.errors import UserError

from .losses import Distilled
from .options import Tuning
from .projections import Masked

__all__ = ["START", "Compression", "loaded", "temperature_of"]

START = "start"  # the name of the teacher that is what the work started from
TEMPERATURES = tuple(2.0 ** (step / 4) for step in range(4, 29))  # 2 to 128
PRUNED = 0.5  # a layer with as many zeros keeps them


@dataclass
class Compression:
    """``net`` is replaced or changed by each method. ``temperature``: what its logits are multiplied with in the loss.
    ``start``: what the work began with. ``folder``: where paths of teachers begin. ``tick(steps, text)`` counts
    batches. ``records``: an entry for each epoch."""

    net: LeNet
    learning: TrainingImages
    held_out: TrainingImages
    generator: torch.Generator
    temperature: float
    states: States
    tick: Callable[[int, str], None]
    folder: Path = Path()
    start: LeNet | None = None
    records: list[dict] = field(default_factory=list)

    def tune(
        self,
        tuning: Tuning,
        stage: Stage | None = None,
        after_step: Callable[[int], None] = lambda step: None,
        criterion: torch.nn.Module | None = None,
    ) -> None:
        """Train for a stage, quantized and of ``tuning``'s epochs unless said otherwise."""
        stage = stage or tuning.stage()
        if criterion is None and tuning.teacher:
            teacher, temperature = self.teacher(tuning.teacher)
            both = self.temperature, temperature
            criterion = Distilled(self.net, teacher, both, tuning.soft, tuning.softness)
        extras = Extras(criterion, after_step, self.states.next())
        data = self.learning, self.held_out
        self.records += fit(self.net, stage, *data, self.temperature, self.generator, self.tick, extras)

    def teacher(self, name: str) -> tuple[LeNet, float]:
        """The network of a checkpoint, or the one that the work started from, and its temperature."""
        if name == START:
            net = self.start or self.net
        else:
            net = from_checkpoint(load_checkpoint(self.folder / name))
        if net.network.classes != self.net.network.classes:
            raise UserError(f"teacher {name} has {net.network.classes} classes, the network {self.net.network.classes}")
        return net, temperature_of(net, self.held_out)


def loaded(net: LeNet) -> LeNet:
    """A network as it comes from a checkpoint; layers that are pruned stay so."""
    for layer, (weight, _) in net.layers.items():
        mask = weight.detach() != 0
        if mask.float().mean() <= PRUNED:
            net.projections[layer] = Masked(mask)
    return net


@torch.no_grad()
def temperature_of(net: LeNet, images: TrainingImages) -> float:
    """The temperature under which a quantized network's classes are as sure as they are right on images it has not
    learned from (Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599)."""
    batches = images.pixels.split(EXAMINE_BATCH)
    logits = torch.cat([net(pixels_to_values(pixels), quantized=True)[0] for pixels in batches])  # (N, classes)
    return min(TEMPERATURES, key=lambda value: float(F.cross_entropy(value * logits, images.labels)))
