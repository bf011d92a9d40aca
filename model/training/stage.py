"""What a stage of training is, in numbers; nothing here needs PyTorch."""

from dataclasses import dataclass
from math import cos, pi

from fivebyfive.model.shape import ceil_div

__all__ = ["Stage"]


@dataclass(frozen=True)
class Stage:
    """``epochs`` of training in one manner; the last ``clean_epochs`` of them see the images unwarped, the
    others warped again in each epoch with strength ``warp`` (`fivebyfive.model.training.augment`; 0: not at all). In
    every epoch the ink changes with strength ``ink``.

    AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) with a learning rate that falls along a cosine to
    zero. A value before rounding is pushed back once its magnitude passes ``limit`` (2.0 is where the range
    ends): the square of the excess, summed over a layer, costs ``conv_penalty`` or ``fc_penalty``. ``decay_all``:
    weight decay (0.01) pulls at biases, centroids and scales too, not at weights alone, as is usual.
    """

    name: str
    epochs: int
    quantized: bool
    learning_rate: float
    clean_epochs: int = 0
    warp: float = 1.0
    ink: float = 0.0
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
