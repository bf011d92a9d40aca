"""The training loop: a stage of training, and the examination after each epoch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import isfinite

import torch
import torch.nn.functional as F  # noqa: N812

from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.q26 import Q2_6

from .augment import augment, flagged, inked
from .lenet import LeNet, pixels_to_values
from .stage import Stage
from .state import CrossEntropy, Extras, TrainingState

__all__ = ["EXAMINE_BATCH", "Examination", "TrainingImages", "examine", "finite", "fit", "threads"]

EXAMINE_BATCH = 1000


@dataclass(frozen=True)
class TrainingImages:
    """``pixels`` uint8 (N, rows, columns) or (N, channels, rows, columns), ``labels`` int64 (N,), ``ones`` bool (N,):
    images of the digit 1, none where the classes are not known to be digits."""

    pixels: torch.Tensor
    labels: torch.Tensor
    ones: torch.Tensor

    @classmethod
    def of(cls, dataset: Dataset) -> "TrainingImages":
        """The same images and labels as tensors."""
        labels = torch.from_numpy(dataset.labels.astype("int64"))
        return cls(torch.from_numpy(dataset.images.copy()), labels, (labels == 1) & dataset.digits)

    def __len__(self) -> int:
        return len(self.labels)

    def some(self, count: int, generator: torch.Generator) -> "TrainingImages":
        """At most ``count`` of them, drawn at random."""
        index = torch.randperm(len(self), generator=generator)[:count]
        return TrainingImages(self.pixels[index], self.labels[index], self.ones[index])


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
    parameters = [*net.parameters(), *criterion.parameters()]
    decaying = [one for one in parameters if one.dim() > 1 or stage.decay_all]
    optimizer = torch.optim.AdamW(decaying, lr=stage.learning_rate, weight_decay=stage.weight_decay)
    if len(decaying) < len(parameters):
        optimizer.add_param_group({"params": [one for one in parameters if one.dim() <= 1], "weight_decay": 0.0})
    state = TrainingState(net, optimizer, criterion, generator)
    if extras.saved:
        state.resume(extras.saved.load())
    steps, epoch_steps = stage.steps(len(training)), stage.steps(len(training)) // max(stage.epochs, 1)
    if state.epoch:
        tick(state.epoch * epoch_steps, f"{stage.name}, going on")
    for epoch in range(state.epoch + 1, stage.epochs + 1):
        clean = epoch > stage.epochs - stage.clean_epochs
        drawn = flagged(training.pixels, training.ones, generator, stage.flags)
        warped = drawn if clean else augment(drawn, generator, stage.warp)
        pixels = inked(warped, generator, stage.ink)
        order = torch.randperm(len(training), generator=generator).split(stage.batch_images)
        for step, index in enumerate(order, (epoch - 1) * epoch_steps):
            for group in optimizer.param_groups:
                group["lr"] = stage.rate(step, steps)
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


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let PyTorch use ``count`` threads within the block; None leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
