"""Train a LeNet from nothing to an integer checkpoint whose every value fits Q2.6.

Three steps: training in floats on warped digits, rescaling so that every layer uses the range without
leaving it, and training with the hardware's rounding in the forward pass, its last epochs on the digits as
they are. Images held out of the training set choose the epoch that is kept; the test set is looked at once,
at the end. docs/training.md tells why each step is there.

Importing this module does not import PyTorch; running `train` does.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.data.datasets import Dataset, fit_images
from fivebyfive.model.network import Network
from fivebyfive.model.shape import LeNetShape, summary
from fivebyfive.support.errors import UserError
from fivebyfive.support.optional import require_torch
from fivebyfive.support.progress import Progress, silent

from .hold_out import DRAWN, HoldOut
from .networks import Trainable
from .report import finished
from .stage import Stage, check_run, finishing

if TYPE_CHECKING:
    from .resume import States

__all__ = ["LENET", "MAX_INK", "MAX_WARP", "Result", "TrainConfig", "train"]

LENET = LeNetShape(20, 50, (500, 10))
MAX_WARP = MAX_INK = 4.0  # strengths
TEMPERATURE = 8.0  # logits stay below 2; times 8 they are sure enough for the cross-entropy


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    ``epochs`` of all stages together: three eighths in floats, the rest quantized, of which the last
    ``clean_epochs`` see unwarped images. ``weight_decay``: AdamW's, in both stages. ``warp``: strength of the warps
    (`augment.augment`), ``ink``: of the changes of strokes and ink (`augment.inked`), 0 for none. ``flags``: share of
    the ones that begin with a flag (`augment.flagged`), 0 to 1. ``hold_out``: which images choose the epoch that
    is kept. ``threads`` of PyTorch; None leaves it to PyTorch.
    The same seed, threads, data, kind of processor and PyTorch give the same checkpoint. Raises ValueError where a
    number is out of range.
    """

    shape: LeNetShape | Trainable = LENET
    epochs: int = 32
    seed: int = 2  # of the checkpoint that ships
    threads: int | None = 1  # more is faster, but another network
    clean_epochs: int = 3
    float_learning_rate: float = 2e-3
    quantized_learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warp: float = 1.0
    ink: float = 0.0
    flags: float = 0.0
    hold_out: HoldOut = DRAWN

    def __post_init__(self) -> None:
        if not 2 <= self.epochs <= 10_000:
            raise ValueError(f"epochs must be 2 to 10000 (some in floats, some quantized), not {self.epochs}")
        for name, strength, most in (
            ("warp", self.warp, MAX_WARP),
            ("ink", self.ink, MAX_INK),
            ("flags", self.flags, 1),
        ):
            if not 0 <= strength <= most:
                raise ValueError(f"{name} must be 0 to {most:g}, not {strength:g}")
        check_run(self.seed, self.threads)

    @property
    def recipe(self) -> Trainable:
        """The network to train."""
        return Trainable(self.shape.network) if isinstance(self.shape, LeNetShape) else self.shape

    @property
    def stages(self) -> tuple[Stage, Stage]:
        """The float stage and the quantized one."""
        first = max(1, self.epochs * 3 // 8)
        return (
            Stage(
                "float",
                first,
                False,
                self.float_learning_rate,
                warp=self.warp,
                ink=self.ink,
                flags=self.flags,
                weight_decay=self.weight_decay,
            ),
            finishing(
                self.epochs - first,
                self.quantized_learning_rate,
                self.clean_epochs,
                self.warp,
                self.ink,
                self.flags,
                self.weight_decay,
            ),
        )


@dataclass(frozen=True)
class Result:
    """A checkpoint and how it came about.

    ``report`` is plain Python values, for JSON: ``command``, ``seed``, ``config``, ``data``, ``hold_out``, ``epochs``
    (one record an epoch: stage, epoch, clean, and errors, loss, wraps and peak on the held-out images),
    ``shape``, ``digest``, ``held_out`` and ``test`` ({images, errors, wraps, peak} of the finished
    checkpoint in the golden model; test is None without a test set), ``resumed`` (epochs that an interrupted
    run before had done), ``seconds``, ``versions``.
    """

    checkpoint: Checkpoint
    report: dict


def train(
    config: TrainConfig,
    training: Dataset,
    test: Dataset | None = None,
    progress: Progress = silent,
    states: "States | None" = None,
) -> Result:
    """Train a network from nothing. ``progress`` counts batches of all stages, then the images of the
    evaluation. ``states`` keep how far it is after each epoch, so that the same call goes on from there; the caller
    removes them once the result is stored.

    ``test`` is only looked at once, at the end, for the report; nothing is chosen by it. Raises UserError
    without PyTorch, or where the data do not fit the shape.
    """
    torch = require_torch()
    from .calibration import calibrated
    from .lenet import to_checkpoint
    from .loop import TrainingImages, fit, threads
    from .resume import States
    from .state import Extras

    started = time.monotonic()
    learning, held_out = divide(config.recipe.network, training, test, config.hold_out)
    states = states or States()
    states.begin(config, learning, held_out)
    tick = counter(progress, [stage.steps(len(learning)) for stage in config.stages])
    with threads(config.threads):
        generator = torch.Generator().manual_seed(config.seed)
        net = config.recipe.start(generator)
        data = TrainingImages.of(learning), TrainingImages.of(held_out)
        float_stage, quantized_stage = config.stages
        epochs = fit(net, float_stage, *data, TEMPERATURE, generator, tick, Extras(saved=states.next()))
        temperature = calibrated(net, data[0], TEMPERATURE)
        epochs += fit(net, quantized_stage, *data, temperature, generator, tick, Extras(saved=states.next()))
    checkpoint = to_checkpoint(net)
    report = {"command": "train", "seed": config.seed, "config": plain(config), "data": training.name}
    report |= {"hold_out": str(config.hold_out), "epochs": epochs, "resumed": states.epochs} | finished(
        checkpoint, held_out, test, started, progress
    )
    return Result(checkpoint, report)


def divide(
    network: Network, training: Dataset, test: Dataset | None, hold_out: HoldOut = DRAWN, folder: Path = Path()
) -> tuple[Dataset, Dataset]:
    """The images to learn from and those held out: 5,000, or a fifth of a small set. ``folder``: where paths of files
    of writers begin. Raises UserError."""
    for dataset in (training, test):
        if dataset is not None and dataset.classes > network.classes:
            raise UserError(
                f"{dataset.name} has labels up to {dataset.classes - 1}, but the network {summary(network)} has "
                f"{network.classes} classes; choose one with {dataset.classes}"
            )
        if dataset is not None:
            fit_images(dataset.images[:1], network.input)
    if len(training) < 10:
        raise UserError(f"{training.name} has only {len(training)} images; training needs at least 10")
    return hold_out.divide(training, folder)


def counter(progress: Progress, steps: list[int]) -> Callable[[int, str], None]:
    """Turns "this many more steps" into "this many of all"."""
    done, total = 0, sum(steps)

    def tick(more: int, text: str) -> None:
        nonlocal done
        done += more
        progress(done, total, text)

    return tick


def plain(config: object) -> dict:
    """A configuration as plain values; the shape as its text."""
    values = {name: getattr(config, name) for name in config.__dataclass_fields__}  # type: ignore[attr-defined]
    texts = LeNetShape | Trainable | HoldOut
    return {name: str(value) if isinstance(value, texts) else value for name, value in values.items()}
