"""Steps as they are found, one after the other, with the shape that they give."""

from dataclasses import dataclass, field
from math import isqrt, prod

import numpy as np

from fivebyfive.model.readers.steps import Flatten, Step
from fivebyfive.support.errors import shown

__all__ = ["MAX_SIDE", "Chain", "Shape", "as_float", "brief", "checked_values"]

MAX_SIDE = 1 << 14  # of an input; kernels, strides and padding are no larger either
MAX_MAGNITUDE = 1e12  # of a weight; no training that went well comes near
Shape = tuple[int, ...]


@dataclass
class Chain:
    """The steps so far, and the shape that they give in the file's order: (rows, columns, channels) of maps where
    channels are last, (rows, columns) of a picture without channels, (width,) of a vector."""

    shape: Shape
    channels_last: bool
    steps: list[Step] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    ended: str = ""  # the softmax at the end, once there was one
    input: tuple[int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        match self.shape:
            case (width,):  # a vector of pixels: Reshape or a dense layer follows
                side = isqrt(width)
                self.input = (1, side, side) if side * side == width else (1, 1, width)
            case (rows, columns):
                self.input = (1, rows, columns)
            case _:
                self.input = self.inner()
        self.picture = self.input if len(self.shape) < 3 else None  # no step has been made of it yet

    def inner(self) -> tuple[int, int, int]:
        """(channels, rows, columns) of maps."""
        first, second, third = self.shape
        return (third, first, second) if self.channels_last else (first, second, third)

    def set_maps(self, channels: int, rows: int, columns: int) -> None:
        self.shape = (rows, columns, channels) if self.channels_last else (channels, rows, columns)

    def add(self, *steps: Step) -> None:
        self.steps += steps

    def end(self, name: str) -> None:
        """Leave out a softmax, which does not change which class is largest; nothing is computed behind it."""
        self.ended = name
        self.remarks.append("Softmax at the end left out")

    def computes_since(self, count: int) -> bool:
        """Whether there is more than Flatten behind the first ``count`` steps."""
        return any(type(step) is not Flatten for step in self.steps[count:])

    def left_out(self, what: str) -> None:
        """Remark it, once."""
        if f"{what} left out" not in self.remarks:
            self.remarks.append(f"{what} left out")

    def flattened(self) -> None:
        """A vector of pixels as it comes in is the picture flattened."""
        if self.picture is not None:
            _, rows, columns = self.picture
            if len(self.shape) == 1:
                self.remarks.append(f"Input of {rows * columns} values taken as {rows}x{columns} pixels, row by row")
            self.add(Flatten())
            self.picture = None

    @property
    def channel_axis(self) -> int:
        return 0 if len(self.shape) == 3 and not self.channels_last else len(self.shape) - 1

    @property
    def channels(self) -> int:
        return self.shape[self.channel_axis]

    def flatten(self, moves_first: bool = False) -> None:
        """Make a vector in the file's order, the first axis moved behind the others or not."""
        if len(self.shape) == 3:
            axes = (1, 2, 0) if self.channels_last else (0, 1, 2)
            first, second, third = axes[1:] + axes[:1] if moves_first else axes
            self.add(Flatten((first, second, third)))
        elif len(self.shape) == 2:
            self.flattened()
        self.shape = (prod(self.shape),)

    def reshape(self, shape: Shape) -> bool:
        """Give the same values another shape; False where no step does that."""
        if shape == self.shape:
            return True
        if len(shape) == 1:
            self.flatten()
        elif self.picture is None or max(shape) > MAX_SIDE:
            return False
        elif len(shape) == 2:
            self.picture = self.input = (1, *shape)
            self.shape = shape
        elif len(shape) == 3 and (len(self.shape) == 1 or 1 in shape):
            self.shape = shape
            self.input = self.inner()
            self.picture = None
            if self.input[0] > 1 and self.channels_last:
                self.remarks.append("Input taken as maps, though the file has its values in another order")
        else:
            return False
        return True


def brief(value: object) -> str:
    """Something of the file, for a message."""
    text = shown(value)
    return text if len(text) <= 60 else text[:57] + "..."


def as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def checked_values(values: np.ndarray) -> str:
    """What is wrong with weights, or ""."""
    if not np.isfinite(values).all():
        return "holds values that are not finite; the training went wrong"
    if values.size and (largest := float(np.abs(values).max())) > MAX_MAGNITUDE:
        return f"holds a value of {largest:g}; the training went wrong"
    return ""
