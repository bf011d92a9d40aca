"""Train a LeNet from nothing to an integer checkpoint."""

from dataclasses import dataclass

from .checkpoint import Checkpoint
from .datasets import Dataset
from .progress import Progress, silent
from .shape import LeNetShape

__all__ = ["Result", "TrainConfig", "train"]


@dataclass(frozen=True)
class TrainConfig:
    shape: LeNetShape = LeNetShape(20, 50, (500, 10))
    epochs: int = 20  # of all stages together (--epochs)
    seed: int = 1
    threads: int | None = None  # torch threads; None: as many as there are cores


@dataclass(frozen=True)
class Result:
    """``report`` is plain Python values, for JSON: seed, config, stages, held_out, test, wraps, seconds, versions."""

    checkpoint: Checkpoint
    report: dict


def train(
    config: TrainConfig, training: Dataset, test: Dataset | None = None, progress: Progress = silent
) -> Result:
    """Train. ``test`` is only looked at once, at the end, for the report. Raises UserError without torch."""
    raise NotImplementedError
