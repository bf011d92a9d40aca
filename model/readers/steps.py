"""A float network as its file tells it: the steps that one image takes, from pixels to scores.

A reader turns a file into `Steps`; `fold` (in `folding`) turns steps into the layers of a `Network`. Tensors are
(channels, rows, columns) until a `Flatten` and (width,) behind it, whatever order the file has them in.
"""

from dataclasses import dataclass, field

import numpy as np

__all__ = [
    "Activation", "Affine", "Convolution", "Dense", "Flatten", "Padding", "Pooling", "Quantizer", "Step", "Steps",
    "Unsupported",
]  # fmt: skip

Sides = tuple[int, int, int, int]  # top, left, bottom, right


class Unsupported(ValueError):  # noqa: N818 (what the file holds, no fault of it)
    """The file holds something that no layer can be made of; the message is one line that names it."""


@dataclass(frozen=True)
class Convolution:
    """``weight``: float64 (O, I / groups, K, L); ``bias``: (O,) or None. ``padding`` holds zeros."""

    name: str
    weight: np.ndarray
    bias: np.ndarray | None = None
    stride: tuple[int, int] = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    groups: int = 1


@dataclass(frozen=True)
class Dense:
    """``weight``: float64 (O, I); ``bias``: (O,) or None."""

    name: str
    weight: np.ndarray
    bias: np.ndarray | None = None


@dataclass(frozen=True)
class Affine:
    """x * ``scale`` + ``shift``, a number for all or (C,): BatchNorm, the scaling of pixels, a bias of its own."""

    scale: np.ndarray
    shift: np.ndarray

    @classmethod
    def batch_norm(
        cls, mean: np.ndarray, spread: np.ndarray, scale: np.ndarray | float = 1.0, shift: np.ndarray | float = 0.0
    ) -> "Affine":
        """(x - ``mean``) / sqrt(``spread``) * ``scale`` + ``shift``, each (C,); ``spread``: variance and epsilon, above
        0. Ioffe and Szegedy 2015, arXiv:1502.03167."""
        factor = scale / np.sqrt(spread)
        return cls(factor, shift - mean * factor)


@dataclass(frozen=True)
class Activation:
    """A function of each value. ``name``: relu, leaky-relu (alpha), tanh, sigmoid, gelu, gelu-tanh, elu (alpha), selu,
    softplus, hard-sigmoid (alpha, beta: clip(alpha x + beta, 0, 1)), hard-swish, swish, clip (low, high), abs, floor,
    round (halves to even), affine (scale, shift)."""

    name: str
    parameters: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Quantizer:
    """(level - ``zero``) * ``scale`` of the level that x / ``scale`` + ``zero`` is rounded to, at least ``low`` and at
    most ``high``. ``scale`` and ``zero``: a number for all or, of weights, shaped for them. ``rounding``: round (halves
    to even), floor, ceil, up (away from 0), down, half-up, half-down, sign (1 from 0 on, else -1). QONNX's IntQuant,
    arXiv:2206.07527."""

    scale: np.ndarray
    zero: np.ndarray
    low: float
    high: float
    rounding: str = "round"


@dataclass(frozen=True)
class Pooling:
    """``kind``: max or average. ``size`` None: the whole map. ``counts_padding``: an average divides by all places."""

    kind: str
    size: tuple[int, int] | None
    stride: tuple[int, int] = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    ceil: bool = False
    counts_padding: bool = True


@dataclass(frozen=True)
class Padding:
    """Values around each map."""

    sides: Sides
    value: float = 0.0


@dataclass(frozen=True)
class Flatten:
    """Maps as one vector. ``order``: the axes of (channels, rows, columns) from the slowest on: (0, 1, 2), or (1, 2, 0)
    where channels are last."""

    order: tuple[int, int, int] = (0, 1, 2)


Step = Convolution | Dense | Affine | Activation | Quantizer | Pooling | Padding | Flatten


@dataclass(frozen=True)
class Steps:
    """``input``: (channels, rows, columns), or None where the file does not say it. ``steps`` in order. ``remarks``:
    what was left out or changed, one line each, such as "Softmax at the end left out". ``labels``: of the classes."""

    input: tuple[int, int, int] | None
    steps: tuple[Step, ...]
    remarks: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
