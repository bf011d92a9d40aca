"""Random images with windows of zeros, where these take no cycles."""

import numpy as np

__all__ = ["with_zeros"]

KINDS = ("as they are", "a part", "few pixels", "black", "black channels")


def with_zeros(images: np.ndarray, arrays: np.random.Generator) -> np.ndarray:
    """Images, uint8 (N, ..., rows, columns), of which some have zeros: around a part of them, around a few pixels,
    everywhere, or in some channels."""
    images = images.copy()
    for image in images:
        kind, (rows, columns) = arrays.choice(KINDS), image.shape[-2:]
        if kind == "a part":
            (top, bottom), (left, right) = (np.sort(arrays.integers(0, size + 1, 2)) for size in (rows, columns))
            there = np.zeros((rows, columns), bool)
            there[top:bottom, left:right] = True
            image *= there
        elif kind == "few pixels":
            image *= arrays.random(image.shape) < arrays.choice((0.01, 0.05))
        elif kind == "black channels" and image.ndim > 2:
            image[arrays.random(len(image)) < 0.5] = 0
        elif kind == "black":
            image[:] = 0
    return images
