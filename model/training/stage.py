"""What a stage of training is, and a quantization, in numbers; nothing here needs PyTorch, nor a reader."""

from dataclasses import dataclass, replace
from math import cos, inf, isfinite, pi
from typing import TYPE_CHECKING

from fivebyfive.model.shape import ceil_div

if TYPE_CHECKING:
    from fivebyfive.model.readers.float_errors import Scaling
    from fivebyfive.model.readers.state_dict.options import ReadingOptions

__all__ = ["CALIBRATIONS", "QuantizeConfig", "Stage", "check_run", "finishing"]

CALIBRATIONS = ("max", "kl")


@dataclass(frozen=True)
class Stage:
    """``epochs`` of training in one manner; the last ``clean_epochs`` of them see the images unwarped, the
    others warped again in each epoch with strength ``warp`` (`fivebyfive.model.training.augment`; 0: not at all). In
    every epoch the ink changes with strength ``ink``, and a share ``flags`` of the ones begins with a flag.

    AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) with a learning rate that falls along a cosine to
    zero. A value before rounding is pushed back once its magnitude passes ``limit`` (2.0 is where the range
    ends): the square of the excess, summed over a layer, costs ``conv_penalty`` or ``fc_penalty``. ``decay_all``:
    ``weight_decay`` pulls at biases, centroids and scales too, not at weights alone, as is usual.
    """

    name: str
    epochs: int
    quantized: bool
    learning_rate: float
    clean_epochs: int = 0
    warp: float = 1.0
    ink: float = 0.0
    flags: float = 0.0
    weight_decay: float = 0.01
    limit: float = 1.6
    conv_penalty: float = 0.01
    fc_penalty: float = 0.05
    batch_images: int = 128
    decay_all: bool = True

    def steps(self, images: int) -> int:
        """Batches of the whole stage, the last of an epoch perhaps short."""
        return self.epochs * ceil_div(images, self.batch_images)

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step, counted from 0, of ``steps``."""
        return self.learning_rate * (1 + cos(pi * step / steps)) / 2


def finishing(
    epochs: int,
    learning_rate: float,
    clean_epochs: int,
    warp: float = 1.0,
    ink: float = 0.0,
    flags: float = 0.0,
    weight_decay: float = 0.01,
) -> Stage:
    """The quantized stage that a checkpoint comes out of: values are kept well inside the range."""
    return Stage(
        "quantized",
        epochs,
        quantized=True,
        learning_rate=learning_rate,
        clean_epochs=min(epochs, clean_epochs),
        warp=warp,
        ink=ink,
        flags=flags,
        weight_decay=weight_decay,
        limit=1.4,
        conv_penalty=1.0,
        fc_penalty=5.0,
    )


@dataclass(frozen=True)
class QuantizeConfig:
    """How to quantize.

    ``epochs`` of fake-quantized fine-tuning, the last ``clean_epochs`` on unwarped images; 0 only rescales
    and rounds. ``warp``: strength of the augmentation, 0 none, 1 as in training. ``mean`` and
    ``std``: the float network saw (pixel / 255 - mean) / std; None: the usual ones are tried on held-out
    images. ``calibration``: "max" or "kl", how each layer's range is found (`calibration.calibrated`). ``threads`` of
    PyTorch; None leaves it to PyTorch. Raises ValueError where a number is out of range.
    """

    epochs: int = 8
    seed: int = 1
    mean: float | None = None
    std: float | None = None
    threads: int | None = None
    clean_epochs: int = 2
    learning_rate: float = 1e-3
    warp: float = 1.0
    calibration: str = "max"

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
        if self.calibration not in CALIBRATIONS:
            raise ValueError(f"calibration must be {' or '.join(CALIBRATIONS)}, not {self.calibration}")
        check_run(self.seed, self.threads)

    def known(self, reading: "ReadingOptions") -> "ReadingOptions":
        """The same with the scaling, if that was given."""
        return reading if self.mean is None else replace(reading, mean=self.mean, std=self.std)

    @property
    def scaling(self) -> "Scaling | None":
        """Of the pixels, if it was given."""
        from fivebyfive.model.readers.float_errors import Scaling

        return None if self.mean is None or self.std is None else Scaling(self.mean, self.std)

    @property
    def stage(self) -> Stage:
        return finishing(self.epochs, self.learning_rate, self.clean_epochs, self.warp)


def check_run(seed: int, threads: int | None) -> None:
    """Raise ValueError unless both can be given to PyTorch."""
    if not 0 <= seed < 2**63:
        raise ValueError(f"the seed must be 0 to 2**63 - 1, not {seed}")
    if threads is not None and not 1 <= threads <= 256:
        raise ValueError(f"threads must be 1 to 256, not {threads}")
