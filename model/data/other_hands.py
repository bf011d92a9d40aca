"""Digits that people write otherwise than those of MNIST: MNIST images with other strokes, made here.

The rules are the definition of the sets ``other-hands-thinned`` to ``other-hands-faint`` (`named_sets`), each of which
has the SHA-256 of what they make of the first 2,000 test images. A rule takes and gives uint8 (N, rows, columns), 0 is
background.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["ALTERATIONS", "IMAGES", "Alteration"]

IMAGES = 2000  # of MNIST's test set: the first ones
TURN_DEGREES = 20
FAINT = 0.45  # of the strength
BINOMIAL = (0.25, 0.5, 0.25)

Rule = Callable[[np.ndarray], np.ndarray]


def thinned(images: np.ndarray) -> np.ndarray:
    """The least of each 2x2 square: the pixel, its neighbours to the right, below and right below."""
    return squares(np.pad(images, ((0, 0), (0, 1), (0, 1))), 2).min(axis=(-2, -1))


def thickened(images: np.ndarray) -> np.ndarray:
    """The greatest of the 3x3 square around each pixel."""
    return squares(around(images), 3).max(axis=(-2, -1))


def blurred(images: np.ndarray) -> np.ndarray:
    """A 3x3 binomial filter (1 2 1), twice."""
    levels = images.astype(np.float64)
    for _ in range(2):
        levels = squares(around(levels), 3) @ np.array(BINOMIAL) @ np.array(BINOMIAL)
    return np.round(levels).astype(np.uint8)


def turned(images: np.ndarray) -> np.ndarray:
    """Turned by 20 degrees counter-clockwise about the middle, bilinear."""
    from PIL import Image  # here: it takes a while to load

    return np.stack(
        [np.asarray(Image.fromarray(one).rotate(TURN_DEGREES, Image.Resampling.BILINEAR)) for one in images]
    )


def faint(images: np.ndarray) -> np.ndarray:
    """At 45 % of their strength."""
    return np.round(images * FAINT).astype(np.uint8)


def around(images: np.ndarray) -> np.ndarray:
    """Images with a row or column of background on each side."""
    return np.pad(images, ((0, 0), (1, 1), (1, 1)))


def squares(images: np.ndarray, side: int) -> np.ndarray:
    """The square of pixels that begins at each place, (N, rows, columns, side, side)."""
    return np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(1, 2))


@dataclass(frozen=True)
class Alteration:
    """``rule``, and the SHA-256 of the pixels that it makes of the first IMAGES test images of MNIST."""

    rule: Rule
    digest: str


ALTERATIONS = {
    "thinned": Alteration(thinned, "5f14010f602189a2c1fc939a4e7faf1b93e1b42c4441a3a398753153f87656d5"),
    "thickened": Alteration(thickened, "75084dc8dfc691eb703dc7c0fc01c7400207063a1dc96a7efc7be0d21577cdfd"),
    "blurred": Alteration(blurred, "e7b931d09a90c2d928d32a2533224a544ef1f1693d2fe757d6749892f45003e8"),
    "turned": Alteration(turned, "f64f8ca69adc60a3c50a1ffdb54951c5803f01ac075765ed7bcdb736cf6ab37c"),
    "faint": Alteration(faint, "bdcfa6bff9196ffea0a995d06de85c40f2eb34b060fac61cf9c5d708837e1230"),
}
