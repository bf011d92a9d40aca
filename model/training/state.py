"""What a training may be given beyond its stage, and how far it is: what can be kept and gone on from."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812

from .lenet import LeNet

__all__ = ["CrossEntropy", "Extras", "Saved", "TrainingState"]


class CrossEntropy(torch.nn.Module):
    """Cross-entropy of ``temperature`` times the logits; a scalar.

    Every criterion is a module that is called like this one, with what went into the network (N, 1, 28, 28), the
    labels (N,) and what `LeNet.forward` gave. Parameters of its own are trained beside the network's.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(
        self, x: torch.Tensor, labels: torch.Tensor, logits: torch.Tensor, before: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        return F.cross_entropy(self.temperature * logits, labels)


class Saved(Protocol):
    """Where a training keeps how far it is. What is kept is tensors and plain values."""

    def save(self, state: dict) -> None: ...

    def load(self) -> dict | None: ...


@dataclass(frozen=True)
class Extras:
    """What a training may have that is not plain: another ``criterion``, ``after_step`` (called with the number of
    steps done), and a place where it is ``saved`` after every epoch and goes on from."""

    criterion: torch.nn.Module | None = None
    after_step: Callable[[int], None] = lambda step: None
    saved: Saved | None = None


class TrainingState:
    """How far a training is, and the best epoch so far."""

    def __init__(
        self, net: LeNet, optimizer: torch.optim.Optimizer, criterion: torch.nn.Module, generator: torch.Generator
    ) -> None:
        self.net, self.optimizer, self.criterion, self.generator = net, optimizer, criterion, generator
        self.epoch = 0
        self.records: list[dict] = []
        self.best: dict | None = None

    def finish(self, epoch: int, clean: bool, rank: tuple) -> None:
        """An epoch is over."""
        self.epoch = epoch
        if clean and (self.best is None or list(rank) < self.best["rank"]):
            self.best = {"rank": list(rank), "net": deepcopy(self.net.state_dict()), "epoch": epoch}

    def kept(self) -> list[dict]:
        """The records; the network is the best one from here on."""
        if self.best is not None:
            self.net.load_state_dict(self.best["net"])
            self.records.append({"stage": self.records[-1]["stage"], "kept_epoch": self.best["epoch"]})
        return self.records

    @property
    def state(self) -> dict:
        """Tensors and plain values; `resume` takes them."""
        own = {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}
        own |= {"criterion": self.criterion.state_dict(), "generator": self.generator.get_state()}
        return own | {"epoch": self.epoch, "records": self.records, "best": self.best}

    def resume(self, state: dict | None) -> None:
        """Go on from a `state`; from the beginning without one."""
        if state is None:
            return
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.criterion.load_state_dict(state["criterion"])
        self.generator.set_state(state["generator"])
        self.epoch, self.records, self.best = state["epoch"], state["records"], state["best"]
