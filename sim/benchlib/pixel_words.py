"""An image as the words of the accelerator's input stream."""

import numpy as np

__all__ = ["words_of"]

LAST = 1 << 8  # mark of an image's last pixel


def words_of(image: np.ndarray, at_once: int = 1) -> list[int]:
    """The pixels of an image as words of the input stream, ``at_once`` in each, the last one marked; what it has too
    many is not zero."""
    pixels = [int(pixel) for pixel in image.ravel()]
    pixels += [0xA5] * (-len(pixels) % at_once)
    words = [int.from_bytes(pixels[n : n + at_once], "little") for n in range(0, len(pixels), at_once)]
    words[-1] |= LAST << 8 * (at_once - 1)
    return words
