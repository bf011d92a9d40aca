"""How images of a data set become those that a network took: padded or resized, inverted, transposed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fivebyfive.model.data.datasets import fit_images
from fivebyfive.model.network import dims

__all__ = ["Preparation", "preparations"]


@dataclass(frozen=True)
class Preparation:
    """``size``: (channels, rows, columns) that the network takes. Images of another size are resized (bilinear, as
    torchvision's Resize does) or lie in the middle of pixels of ``border``."""

    size: tuple[int, int, int]
    resized: bool = False
    border: int = 0
    inverted: bool = False
    transposed: bool = False

    @property
    def plain(self) -> bool:
        """Whether images are taken as they are, in the middle of black where they are smaller, as by all commands."""
        return not (self.resized or self.border or self.inverted or self.transposed)

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Images uint8 (N, H, W) or (N, C, H, W) as uint8 (N, channels, rows, columns), grey ones the same in each
        channel. Raises UserError where they have other channels."""
        if self.transposed:
            images = images.swapaxes(-1, -2)
        if self.resized:
            for axis, wanted in ((-1, self.size[2]), (-2, self.size[1])):
                weights = bilinear(images.shape[axis], wanted)
                moved = np.moveaxis(images.astype(np.float64), axis, -1) @ weights.T
                images = np.moveaxis(np.floor(moved + 0.5), -1, axis).astype(np.uint8)
        border = np.uint8(self.border)  # fit_images pads with 0
        images = fit_images(images - border, self.size) + border
        if self.inverted:
            images = 255 - images
        return images.reshape(-1, *self.size)

    def text(self, size: tuple[int, int]) -> str:
        """What is done with images of ``size``, "" for nothing."""
        done = []
        if self.resized:
            done.append("resized")
        elif size != self.size[1:]:
            around = {0: "black"}.get(self.border, f"pixels of {self.border}")
            done.append(f"in the middle of {around}")
        done += ["transposed"] * self.transposed + ["inverted"] * self.inverted
        return f"{dims(size)} {', '.join(done)}" if done else ""


def preparations(size: tuple[int, int, int], images: tuple[int, int], border: int = 0) -> Iterator[Preparation]:
    """The ways to make ``images`` (rows, columns) fit, likely ones first. ``border``: a pixel that may be around them,
    beside black."""
    if min(have - want for have, want in zip(size[1:], images, strict=True)) >= 0:
        yield Preparation(size)
        if border and size[1:] != images:
            yield Preparation(size, border=border)
    if size[1:] != images:
        yield Preparation(size, resized=True)


def bilinear(have: int, want: int) -> np.ndarray:
    """Weights (want, have) of a triangle filter, as Pillow has them; wider where images become smaller."""
    scale = have / want
    centers = (np.arange(want) + 0.5) * scale
    apart = np.abs(np.arange(have) + 0.5 - centers[:, np.newaxis]) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - apart)
    return weights / weights.sum(1, keepdims=True)
