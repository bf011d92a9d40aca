"""The training loop: one stage of training, the examination after each epoch, and the rescaling between stages."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from math import cos, pi

import torch
import torch.nn.functional as F  # noqa: N812

from .augment import augment
from .lenet import LeNet, pixels_to_values
from .q26 import Q2_6

__all__ = ["Examination", "Images", "Stage", "examine", "fit", "peaks", "rescale"]

EXAMINE_BATCH = 1000


@dataclass(frozen=True)
class Images:
    """``pixels`` uint8 (N, 28, 28), ``labels`` int64 (N,)."""

    pixels: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Stage:
    """``epochs`` of training in one manner; the last ``clean_epochs`` of them see the images unwarped.

    A value before rounding is pushed back once its magnitude passes ``limit`` (2.0 is where the range ends), with
    ``conv_penalty`` or ``fc_penalty`` times the square of the excess, summed over the layer.
    """

    name: str
    epochs: int
    quantized: bool
    learning_rate: float
    clean_epochs: int = 0
    limit: float = 1.6
    conv_penalty: float = 0.01
    fc_penalty: float = 0.05
    batch_images: int = 128


@dataclass(frozen=True)
class Examination:
    """How a network does on images it does not learn from. ``wraps`` and ``peak``: layer to a count, to codes."""

    images: int
    errors: int
    loss: float
    wraps: dict[str, int]
    peak: dict[str, int]

    @property
    def rank(self) -> tuple[bool, int, float]:
        """Smaller is better: no wraps, then fewer errors, then a smaller loss."""
        return (any(self.wraps.values()), self.errors, self.loss)


@torch.no_grad()
def examine(net: LeNet, images: Images, temperature: float, quantized: bool) -> Examination:
    """Errors, mean cross-entropy of ``temperature`` times the logits, and what wraps, on images as they are."""
    errors, loss = 0, 0.0
    wraps, peak = dict.fromkeys(net.shape.layers, 0), dict.fromkeys(net.shape.layers, 0)
    for pixels, labels in zip(images.pixels.split(EXAMINE_BATCH), images.labels.split(EXAMINE_BATCH), strict=True):
        logits, before = net(pixels_to_values(pixels), quantized)  # (N, classes)
        errors += int((logits.argmax(1) != labels).sum())
        loss += float(F.cross_entropy(temperature * logits, labels, reduction="sum"))
        for layer, values in before.items():
            codes = torch.floor(values * Q2_6.one)
            wraps[layer] += int(((codes < Q2_6.min) | (codes > Q2_6.max)).sum())
            peak[layer] = max(peak[layer], int(codes.max()), -1 - int(codes.min()))
    return Examination(len(images), errors, loss / len(images), wraps, peak)


def fit(
    net: LeNet,
    stage: Stage,
    training: Images,
    held_out: Images,
    temperature: float,
    generator: torch.Generator,
    tick: Callable[[int, str], None],
) -> list[dict]:
    """Train ``net`` in place for one stage; one record an epoch.

    Of a stage that ends in clean epochs, the best of those by `Examination.rank` on ``held_out`` is kept, else the
    last epoch. ``tick(steps, text)`` is called after every batch with the number of steps since the last call.
    """
    optimizer = torch.optim.AdamW(net.parameters(), lr=stage.learning_rate)
    steps = stage.epochs * batches(training, stage)
    step, records, best = 0, [], None
    for epoch in range(1, stage.epochs + 1):
        clean = epoch > stage.epochs - stage.clean_epochs
        pixels = training.pixels if clean else augment(training.pixels, generator)
        for index in torch.randperm(len(training), generator=generator).split(stage.batch_images):
            for group in optimizer.param_groups:
                group["lr"] = stage.learning_rate * (1 + cos(pi * step / steps)) / 2
            logits, before = net(pixels_to_values(pixels[index]), stage.quantized)
            loss = F.cross_entropy(temperature * logits, training.labels[index]) + penalty(before, stage)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            net.clip()
            step += 1
            tick(1, f"{stage.name}, epoch {epoch} of {stage.epochs}")
        seen = examine(net, held_out, temperature, stage.quantized)
        records.append({"stage": stage.name, "epoch": epoch, "clean": clean, **asdict(seen)})
        if clean and (best is None or seen.rank < best[0]):
            best = seen.rank, deepcopy(net.state_dict()), epoch
    if best is not None:
        net.load_state_dict(best[1])
        records.append({"stage": stage.name, "kept_epoch": best[2]})
    return records


def batches(training: Images, stage: Stage) -> int:
    """Steps of one epoch."""
    return -(-len(training) // stage.batch_images)


def penalty(before: dict[str, torch.Tensor], stage: Stage) -> torch.Tensor:
    """What values near the end of the range cost, mean over the images of a batch."""
    total = torch.zeros(())
    for layer, values in before.items():
        weight = stage.conv_penalty if layer.startswith("conv") else stage.fc_penalty
        total = total + weight * (values.abs() - stage.limit).relu().square().sum() / len(values)
    return total


@torch.no_grad()
def peaks(net: LeNet, images: Images) -> dict[str, float]:
    """Largest magnitude before rounding of each layer, in units of 1.0, without any quantization."""
    largest = dict.fromkeys(net.shape.layers, 0.0)
    for pixels in images.pixels.split(EXAMINE_BATCH):
        for layer, values in net(pixels_to_values(pixels))[1].items():
            largest[layer] = max(largest[layer], float(values.abs().max()))
    return largest


@torch.no_grad()
def rescale(net: LeNet, factors: dict[str, float]) -> None:
    """Scale each layer's output by its factor: W by factor / factor of the layer before, b by the factor.

    ReLU and max pooling commute with a positive factor, so the float network's classes stay what they were.
    """
    previous = 1.0
    for name, layer in net.layers.items():
        layer.weight.mul_(factors[name] / previous)
        layer.bias.mul_(factors[name])
        previous = factors[name]
