"""Arrays of pixels on a coarser grid and back."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from fivebyfive.model.shape import ceil_div

__all__ = ["border", "box_sum", "enlarged", "pooled", "spread_out"]


def border(array: np.ndarray) -> np.ndarray:
    """The outermost values of an array (H, W, ...), one after the other."""
    return np.concatenate([array[0], array[-1], array[1:-1, 0], array[1:-1, -1]])


def step(shape: tuple[int, ...], cells: int) -> int:
    """Pixels to a cell, for a grid whose longer side has at most that many cells."""
    return ceil_div(max(shape[:2]), cells)


def pooled(array: np.ndarray, cells: int, how: Callable) -> np.ndarray:
    """An array (H, W) on a grid whose longer side has at most ``cells``: what ``how`` (np.mean, ...) makes of each."""
    pixels = step(array.shape, cells)
    if pixels == 1:
        return array
    padded = np.pad(array, [(0, -side % pixels) for side in array.shape], mode="edge")
    height, width = (side // pixels for side in padded.shape)
    rows = how(padded.reshape(height, pixels, -1), axis=1)  # first the axis along which memory is long
    return how(rows.reshape(height, width, pixels), axis=2)


def spread_out(grid: np.ndarray, cells: int, shape: tuple[int, int]) -> np.ndarray:
    """A grid of `pooled` with that many cells, in the size ``shape`` again: each cell's value at all its pixels."""
    pixels = step(shape, cells)
    return grid.repeat(pixels, axis=0).repeat(pixels, axis=1)[: shape[0], : shape[1]]


def enlarged(grid: np.ndarray, cells: int, shape: tuple[int, int]) -> np.ndarray:
    """The same with values in between, float32."""
    pixels = step(shape, cells)
    if pixels == 1:
        return grid.astype(np.float32)
    size = [side * pixels for side in reversed(grid.shape)]
    image = Image.fromarray(grid.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image)[: shape[0], : shape[1]]


def box_sum(array: np.ndarray, radius: int) -> np.ndarray:
    """The sum over the square of 2 * radius + 1 cells around each place, nothing outside."""
    side = 2 * radius + 1
    total = np.pad(array, ((radius + 1, radius), (radius + 1, radius))).cumsum(0).cumsum(1)
    return total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
