"""Somebody's own float LeNet, a state_dict of PyTorch, becomes an integer checkpoint.

Five steps: read the tensors (never anything else), fold the scale of the input pixels into the first layer, rescale
every layer so that it uses the range of Q2.6 without leaving it, fine-tune with the hardware's rounding in
the forward pass, and round. The report tells errors and wraps of the float network, of naive rounding, of
rounding after rescaling, and of the result. Importing this module does not import PyTorch; running
`quantize` does.
"""

import time
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from math import inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.readers.float_errors import USUAL_INPUTS
from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.errors import UserError
from fivebyfive.support.optional import require_torch
from fivebyfive.support.progress import Progress, silent

from .report import figures, finished
from .stage import Stage
from .state_dict import read_state
from .train import Result, check_run, counter, divide, finishing, plain

if TYPE_CHECKING:
    import torch

    from .lenet import LeNet
    from .loop import TrainingImages
    from .resume import States

__all__ = ["QuantizeConfig", "quantize"]


@dataclass(frozen=True)
class QuantizeConfig:
    """How to quantize.

    ``epochs`` of fake-quantized fine-tuning, the last ``clean_epochs`` on unwarped images; 0 only rescales
    and rounds. ``warp``: strength of the augmentation, 0 none, 1 as in training. ``mean`` and
    ``std``: the float network saw (pixel / 255 - mean) / std; None: the usual ones are tried on held-out
    images. ``threads`` of PyTorch; None leaves it to PyTorch. Raises ValueError where a number is out of
    range.
    """

    epochs: int = 8
    seed: int = 1
    mean: float | None = None
    std: float | None = None
    threads: int | None = None
    clean_epochs: int = 2
    learning_rate: float = 1e-3
    warp: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.epochs <= 10_000:
            raise ValueError(f"epochs must be 0 to 10000, not {self.epochs}")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together: give both, or neither to have the usual ones tried")
        if self.mean is not None and not isfinite(self.mean):
            raise ValueError(f"mean must be finite, not {self.mean}")
        if self.std is not None and not 0 < self.std < inf:
            raise ValueError(f"std must be above 0 and finite, not {self.std}")
        if not 0 <= self.warp < inf:
            raise ValueError(f"warp must be 0 or above and finite, not {self.warp}")
        check_run(self.seed, self.threads)

    @property
    def stage(self) -> Stage:
        return finishing(self.epochs, self.learning_rate, self.clean_epochs, self.warp)


def quantize(
    path: Path | str,
    config: QuantizeConfig,
    training: Dataset,
    test: Dataset | None = None,
    progress: Progress = silent,
    states: "States | None" = None,
) -> Result:
    """Quantize the state_dict in ``path`` (.pt, .pth or .safetensors), of any `LeNetShape`.

    The result's report is as `train`'s, and has ``input`` {mean, std}, ``float`` {held_out, test} with
    {images, errors}, and ``rounded`` and ``rescaled`` {held_out, test} with {images, errors, wraps, peak}:
    the float network naively rounded to Q2.6, and rounded after rescaling. Choices are made on held-out
    training images; ``test`` is only reported. ``states`` are as in `train`. Raises UserError for a file that is
    not the state_dict of a LeNet, without PyTorch, where the data do not fit, or where a layer leaves float32.
    """
    require_torch()
    shape, state = read_state(Path(path))
    try:
        return quantized(Path(path).name, shape, state, config, training, test, progress, states)
    except FloatingPointError as error:
        hint = "its weights are too large, or --mean and --std are not what it saw"
        raise UserError(f"{path}: {error}; {hint}") from error


def quantized(
    source: str, shape: LeNetShape, state: "dict[str, torch.Tensor]", config: QuantizeConfig, training: Dataset,
    test: Dataset | None, progress: Progress, states: "States | None",
) -> Result:  # fmt: skip
    """`quantize` of the tensors of a file called ``source``. Raises FloatingPointError where a layer leaves float32."""
    torch = require_torch()
    from .lenet import LeNet, to_checkpoint
    from .loop import TrainingImages, calibrated, fit, threads
    from .resume import States
    from .state import Extras

    started = time.monotonic()
    learning, held_out = divide(shape.network, training, test)
    tick = counter(progress, [config.stage.steps(len(learning))])
    net = LeNet(shape)
    net.load_state_dict(state)
    states = states or States()
    states.begin((config, digest_of(net)), training)
    sets = {"held_out": held_out, "test": test}
    with threads(config.threads):
        generator = torch.Generator().manual_seed(config.seed)
        data = TrainingImages.of(learning), TrainingImages.of(held_out)
        mean, std = fold_input(net, config, data[1])
        before = {"float": {name: float_figures(net, dataset) for name, dataset in sets.items()}}
        rounded = to_checkpoint(clipped(net))
        temperature = calibrated(net, data[0], 1.0)
        net.clip()
        rescaled = to_checkpoint(net)
        for name, checkpoint in (("rounded", rounded), ("rescaled", rescaled)):
            before[name] = {key: figures(checkpoint, dataset, progress) for key, dataset in sets.items()}
        epochs = fit(net, config.stage, *data, temperature, generator, tick, Extras(saved=states.next()))
    checkpoint = to_checkpoint(net)
    report: dict[str, Any] = {
        "command": "quantize",
        "seed": config.seed,
        "config": plain(config),
        "data": training.name,
    }
    report |= {"model": source, "input": {"mean": mean, "std": std}} | before
    report |= {"epochs": epochs, "resumed": states.epochs}
    return Result(checkpoint, report | finished(checkpoint, held_out, test, started, progress))


def fold_input(net: "LeNet", config: QuantizeConfig, held_out: "TrainingImages") -> tuple[float, float]:
    """Make the first layer take the hardware's input, pixel / 128; returns the float network's mean and std."""
    if config.mean is not None and config.std is not None:
        chosen = config.mean, config.std
    else:
        chosen = min(((one.mean, one.std) for one in USUAL_INPUTS), key=lambda scale: errors_with(net, scale, held_out))
    fold(net, chosen)
    return chosen


def errors_with(net: "LeNet", scale: tuple[float, float], images: "TrainingImages") -> int:
    """Errors of a copy of the float network when its pixels are scaled so; all of them where it leaves float32."""
    from .loop import examine

    copy = deepcopy(net)
    fold(copy, scale)
    try:
        return examine(copy, images, 1.0, quantized=False).errors
    except FloatingPointError:
        return len(images)


def clipped(net: "LeNet") -> "LeNet":
    """A copy within the range of Q2.6, where rounding is exact."""
    copy = deepcopy(net)
    copy.clip()
    return copy


def fold(net: "LeNet", scale: tuple[float, float]) -> None:
    """The first layer of (p / 255 - mean) / std, as that of p / 128; exact, as no pixel is padded."""
    mean, std = scale
    weight, bias = net.layers[net.shape.layers[0]]
    bias.data -= mean / std * weight.data.flatten(1).sum(1)
    weight.data *= 128 / 255 / std


def digest_of(net: "LeNet") -> str:
    """SHA-256 of a float network's shape and values."""
    digest = sha256(str(net.shape).encode())
    for tensor in net.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def float_figures(net: "LeNet", dataset: Dataset | None) -> dict | None:
    """{images, errors} of the float network on a data set; None without one."""
    from .loop import TrainingImages, examine

    if dataset is None:
        return None
    seen = examine(net, TrainingImages.of(dataset), 1.0, quantized=False)
    return {"images": seen.images, "errors": seen.errors}
