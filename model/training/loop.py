"""The training loop: a stage of training, the examination after each epoch, rescaling between stages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import cos, isfinite, pi, sqrt

import torch
import torch.nn.functional as F  # noqa: N812

from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.q26 import Q2_6

from .augment import augment
from .lenet import LeNet, module_name, pixels_to_values
from .stage import Stage
from .state import CrossEntropy, Extras, TrainingState
from .tables import HIGH, Table

__all__ = ["BALANCE", "Examination", "TrainingImages", "calibrated", "examine", "fit", "rescale", "threads"]

EXAMINE_BATCH = 1000
RANGE_TARGET = 1.5  # of 2.0: how far each layer's largest value goes once it is calibrated
BALANCE = 0.5  # of a network trained elsewhere: what tables give is mostly smaller than their entries are


@dataclass(frozen=True)
class TrainingImages:
    """``pixels`` uint8 (N, 28, 28), ``labels`` int64 (N,)."""

    pixels: torch.Tensor
    labels: torch.Tensor

    @classmethod
    def of(cls, dataset: Dataset) -> "TrainingImages":
        """The same images and labels as tensors."""
        return cls(torch.from_numpy(dataset.images.copy()), torch.from_numpy(dataset.labels.astype("int64")))

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Examination:
    """How a network does on images. ``wraps``: layer to a count; ``peak``: layer to a code (`Q2_6.peak`)."""

    images: int
    errors: int
    loss: float
    wraps: dict[str, int]
    peak: dict[str, int]

    @property
    def rank(self) -> tuple[bool, int, float]:
        """Smaller is better: no wraps, then fewer errors, then a smaller loss."""
        return (any(self.wraps.values()), self.errors, self.loss)


def finite(layer: str, value: float) -> float:
    """``value``, of a layer's output. Raises FloatingPointError where it is not finite."""
    if not isfinite(value):
        raise FloatingPointError(f"the values of {layer} leave the range of float32")
    return value


@torch.no_grad()
def examine(
    net: LeNet,
    images: TrainingImages,
    temperature: float,
    quantized: bool,
    values_of: Callable[[torch.Tensor], torch.Tensor] = pixels_to_values,
) -> Examination:
    """Errors, mean cross-entropy of ``temperature`` times the logits, and what wraps; on unwarped images, which
    ``values_of`` makes values of.

    Raises FloatingPointError where values of a layer are not finite.
    """
    errors, loss = 0, 0.0
    wraps, peak = dict.fromkeys(net.network.names, 0), dict.fromkeys(net.network.names, 0)
    for pixels, labels in zip(images.pixels.split(EXAMINE_BATCH), images.labels.split(EXAMINE_BATCH), strict=True):
        logits, before = net(values_of(pixels), quantized)  # (N, classes)
        errors += int((logits.argmax(1) != labels).sum())
        loss += float(F.cross_entropy(temperature * logits, labels, reduction="sum"))
        for layer, values in before.items():
            codes = torch.floor(values * Q2_6.one)
            wraps[layer] += int(((codes < Q2_6.min) | (codes > Q2_6.max)).sum())
            highest, lowest = finite(layer, float(codes.max())), finite(layer, float(codes.min()))
            peak[layer] = max(peak[layer], int(highest), -1 - int(lowest))
    return Examination(len(images), errors, loss / len(images), wraps, peak)


def fit(
    net: LeNet,
    stage: Stage,
    training: TrainingImages,
    held_out: TrainingImages,
    temperature: float,
    generator: torch.Generator,
    tick: Callable[[int, str], None],
    extras: Extras | None = None,
) -> list[dict]:
    """Train ``net`` in place for one stage; one record an epoch.

    Of a stage that ends in clean epochs, the best of those by `Examination.rank` on ``held_out`` is kept,
    else the last epoch. ``tick(steps, text)`` is called after every batch with the number of steps since
    the last call. ``extras``: see there.
    """
    extras = extras or Extras()
    criterion = extras.criterion or CrossEntropy(temperature)
    optimizer = torch.optim.AdamW([*net.parameters(), *criterion.parameters()], lr=stage.learning_rate)
    state = TrainingState(net, optimizer, criterion, generator)
    if extras.saved:
        state.resume(extras.saved.load())
    steps, epoch_steps = stage.steps(len(training)), stage.steps(len(training)) // max(stage.epochs, 1)
    if state.epoch:
        tick(state.epoch * epoch_steps, f"{stage.name}, going on")
    for epoch in range(state.epoch + 1, stage.epochs + 1):
        clean = epoch > stage.epochs - stage.clean_epochs
        pixels = training.pixels if clean else augment(training.pixels, generator, stage.warp)
        order = torch.randperm(len(training), generator=generator).split(stage.batch_images)
        for step, index in enumerate(order, (epoch - 1) * epoch_steps):
            for group in optimizer.param_groups:
                group["lr"] = stage.learning_rate * (1 + cos(pi * step / steps)) / 2
            x, labels = pixels_to_values(pixels[index]), training.labels[index]
            logits, before = net(x, stage.quantized)
            loss = criterion(x, labels, logits, before) + penalty(before, stage)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            net.clip()
            extras.after_step(step + 1)
            tick(1, f"{stage.name}, epoch {epoch} of {stage.epochs}")
        seen = examine(net, held_out, temperature, stage.quantized)
        state.records.append({"stage": stage.name, "epoch": epoch, "clean": clean, **asdict(seen)})
        state.finish(epoch, clean, seen.rank)
        if extras.saved:
            extras.saved.save(state.state)
    return state.kept()


def penalty(before: dict[str, torch.Tensor], stage: Stage) -> torch.Tensor:
    """What values near the end of the range cost, mean over the images of a batch."""
    total = torch.zeros(())
    for values in before.values():
        weight = stage.conv_penalty if values.dim() == 4 else stage.fc_penalty
        total = total + weight * (values.abs() - stage.limit).relu().square().sum() / len(values)
    return total


def calibrated(net: LeNet, images: TrainingImages, temperature: float, balance: float = 0.0) -> float:
    """Scale every layer of a float network so that its largest value on ``images`` is `RANGE_TARGET`, and the next
    layer's fill fits in the range, in place. ``balance``: see `rescale`.

    Returns the temperature under which the new logits say what the old ones said under ``temperature``.
    """
    largest = peaks(net, images)
    for layer, fill in fills_behind(net).items():
        if module_name(layer) not in net.tables:
            largest[layer] = max(largest[layer], fill * RANGE_TARGET / HIGH)
    factors = {layer: RANGE_TARGET / max(peak, 1e-6) for layer, peak in largest.items()}
    return temperature / rescale(net, factors, balance)


def fills_behind(net: LeNet) -> dict[str, float]:
    """For each layer the largest magnitude in the padding of the layer behind it, 0 where that has no fill."""
    names = net.network.names
    fills = {name: float(fill.abs().max()) for name, fill in net.fills.items()}
    return {name: fills.get(behind, 0.0) for name, behind in zip(names, [*names[1:], ""], strict=True)}


@torch.no_grad()
def peaks(net: LeNet, images: TrainingImages) -> dict[str, float]:
    """Largest magnitude before rounding of each layer, in units of 1.0, without any quantization. Raises
    FloatingPointError where one is not finite."""
    largest = dict.fromkeys(net.network.names, 0.0)
    for pixels in images.pixels.split(EXAMINE_BATCH):
        for layer, values in net(pixels_to_values(pixels))[1].items():
            largest[layer] = max(largest[layer], finite(layer, float(values.abs().max())))
    return largest


@torch.no_grad()
def rescale(net: LeNet, factors: dict[str, float], balance: float = 0.0) -> float:
    """Scale each layer's values by its factor: W by factor / factor of the layer before, b by the factor. Returns the
    factor of what the network gives.

    ReLU and pooling commute with a positive factor, so the float network's classes stay what they were (Nagel et al.
    2019, arXiv:1906.04721, use the same freedom); a table takes the factor of its layer into itself. What it gives
    fills the range, or is divided by ``balance`` times what `balanced` says where that is more.
    """
    previous, fills = 1.0, fills_behind(net)
    names, behind = net.network.names, dict(pairwise(net.network.names))
    for name in names:
        weight, bias = net.layers[name]
        if name in net.fills:
            net.fills[name] *= previous
        factor = factors[name]
        weight.mul_(factor / previous)
        bias.mul_(factor)
        previous = factor
        if module_name(name) in net.tables:
            table = net.tables[module_name(name)]
            after = table.after
            table.fit(table.before / factor, fills[name] * after)
            if following := behind.get(name):
                weight = net.layers[following][0] * factors[following] / after  # for the function's own unit
                table.after = max(table.after, balance * balanced(table, weight))
            previous = after / table.after
    return previous


def balanced(table: Table, weight: torch.Tensor) -> float:
    """The ``after`` of a table with which rounding what it gives costs as much as rounding the next layer's ``weight``;
    at most that with which the largest weight has a code.

    In sums of W x, errors of half a code in x and in W are alike, relative to the sum, where the root mean squares of
    both are: that of f / after and that of W after. Those of f are taken over the table.
    """
    sizes = [float(values.square().mean().sqrt()) for values in (table.entries(), weight)]
    return min(sqrt(sizes[0] / max(sizes[1], 1e-9)), HIGH / max(float(weight.abs().max()), 1e-9))


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let PyTorch use ``count`` threads within the block; None leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
