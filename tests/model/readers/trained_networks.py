"""Small networks of many readings, trained in seconds and saved as state_dicts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.readers.execution import run
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.model.readers.state_dict.preparation import Preparation

FUNCTIONS = {
    "relu": torch.relu, "none": lambda x: x, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "leaky-relu": functional.leaky_relu, "gelu": functional.gelu,
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What a network computes, and of which images: ``convs`` (outputs, kernel, padding, window of the pool or 0), all
    with the function ``conv``; ``dense`` widths with ``fc`` between them. ``around``: padding of the pools."""

    convs: tuple[tuple[int, int, int, int], ...] = ((6, 5, 0, 2), (16, 5, 0, 2))
    dense: tuple[int, ...] = (84, 10)
    pool: str = "max"
    conv: str = "relu"
    fc: str = "relu"
    size: tuple[int, int, int] = (1, 28, 28)
    resized: bool = False
    inverted: bool = False
    mean: float = 0.1307
    std: float = 0.3081
    norm: bool = False
    around: int = 0

    @property
    def preparation(self) -> Preparation:
        return Preparation(self.size, resized=self.resized, inverted=self.inverted)


def pooled(size: int, window: int, around: int) -> int:
    return (size + 2 * around - window) // window + 1 if window else size


class Trained(nn.Module):
    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        channels, (_, rows, columns) = plan.size[0], plan.size
        self.features, self.norms, self.classifier = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for outputs, kernel, padding, window in plan.convs:
            self.features.append(nn.Conv2d(channels, outputs, kernel, padding=padding))
            self.norms.append(nn.BatchNorm2d(outputs) if plan.norm else nn.Identity())
            rows, columns, channels = (
                *(pooled(one + 2 * padding - kernel + 1, window, plan.around) for one in (rows, columns)), outputs,
            )  # fmt: skip
        width = channels * rows * columns
        for outputs in plan.dense:
            self.classifier.append(nn.Linear(width, outputs))
            width = outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        plan = self.plan
        pool = functional.max_pool2d if plan.pool == "max" else functional.avg_pool2d
        for conv, norm, (*_, window) in zip(self.features, self.norms, plan.convs, strict=True):
            x = FUNCTIONS[plan.conv](norm(conv(x)))
            x = pool(x, window, padding=plan.around) if window else x
        x = x.flatten(1)
        for layer in self.classifier[:-1]:
            x = FUNCTIONS[plan.fc](layer(x))
        return self.classifier[-1](x)


def train(plan: Plan, dataset: Dataset, steps: int, seed: int = 0, rate: float = 2e-3) -> Trained:
    """A network after ``steps`` of 64 images each."""
    torch.manual_seed(seed)
    net = Trained(plan)
    train_on(net, dataset, steps, seed, rate)
    return net


def train_on(net: Trained, dataset: Dataset, steps: int, seed: int, rate: float) -> None:
    net.train()
    plan = net.plan
    optimizer = torch.optim.Adam(net.parameters(), rate)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = rng.integers(0, len(dataset), 64)
        loss = functional.cross_entropy(
            net(inputs(plan, dataset.images[chosen])), torch.from_numpy(dataset.labels[chosen].astype(np.int64))
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()


def errors(net: Trained, dataset: Dataset) -> int:
    wrong = 0
    with torch.no_grad():
        for start in range(0, len(dataset), 250):
            scores = net(inputs(net.plan, dataset.images[start : start + 250])).numpy()
            wrong += int((scores.argmax(1) != dataset.labels[start : start + 250]).sum())
    return wrong


def inputs(plan: Plan, images: np.ndarray) -> torch.Tensor:
    pixels = torch.from_numpy(plan.preparation.apply(images).astype(np.float32))
    return (pixels / 255 - plan.mean) / plan.std


def save(net: Trained, path: Path) -> Path:
    torch.save(net.state_dict(), path)
    return path


def equal(net: Trained, network: FloatNetwork) -> bool:
    """Whether a reading computes what the network does: of values in the middle of zeros, wherever the border is made,
    within 1e-4 of the largest score."""
    rng = np.random.default_rng(5)
    sizes = net.plan.size, network.network.input
    inner = [min(one[axis] for one in sizes) for axis in (1, 2)]
    values = rng.normal(size=(20, sizes[0][0], *inner))
    borders = [[(size - have) // 2 for size, have in zip(one[1:], inner, strict=True)] for one in sizes]
    mine, its = (np.pad(values, ((0, 0), (0, 0), (rows, rows), (columns, columns))) for rows, columns in borders)
    with torch.no_grad():
        wanted = net.double()(torch.from_numpy(mine)).numpy()
    net.float()
    return bool(np.abs(run(network, its) - wanted).max() <= 1e-4 * max(1.0, np.abs(wanted).max()))
