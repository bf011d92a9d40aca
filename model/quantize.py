"""Somebody's own float LeNet (a state_dict) becomes an integer checkpoint."""

from dataclasses import dataclass
from pathlib import Path

from .datasets import Dataset
from .progress import Progress, silent
from .train import Result

__all__ = ["QuantizeConfig", "quantize"]


@dataclass(frozen=True)
class QuantizeConfig:
    epochs: int = 6  # of fake-quantized fine-tuning (--epochs); 0: only rescale and round
    seed: int = 1
    mean: float | None = None  # the float network saw (pixel / 255 - mean) / std; None: found by trying the usual ones
    std: float | None = None
    threads: int | None = None


def quantize(
    path: Path | str,
    config: QuantizeConfig,
    training: Dataset,
    test: Dataset | None = None,
    progress: Progress = silent,
) -> Result:
    """Quantize the state_dict at ``path`` (.pt, .pth, .safetensors). Never unpickles anything but tensors.

    ``report`` has "float", "rounded" and "quantized", each {"held_out": {errors, wraps}, "test": {errors, wraps}}.
    Raises UserError.
    """
    raise NotImplementedError
