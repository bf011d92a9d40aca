"""Windows of zeros, which take no cycle with `Config.skip_zeros`: the positions that a sweep computes.

A window of zeros adds nothing to a sum. Which positions are left out depends on the layer (`Skip`):

* where a group of output channels sweeps three input channels or more, positions of zeros of the channels between the
  first and the last: their partial sums stay. With the first channel sums begin, with the last one codes come out:
  these two are swept whole;
* where each group sweeps a single input channel, whole cells of the pool, of which the codes are those of the bias. The
  first such cell of a sweep is computed, and what comes of it is written for all of them.

Each row of positions has one computed position, or cell, at least: its last one, where there is no other.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fivebyfive.model.network import Network

from .stages import COLUMN_STEPS, ROW_STEPS, ConvStage, stages

if TYPE_CHECKING:
    from .config import Config

__all__ = ["Skip", "Visits", "skips", "visits"]

FEWEST_CHANNELS = 3  # of a group, for one of them to be neither the first nor the last


@dataclass(frozen=True)
class Skip:
    """What a layer leaves out: cells of ``rows`` x ``columns`` positions. ``codes``: each sweep has a single input
    channel, so codes come out of it; else only sums are kept of what is left out."""

    rows: int = 1
    columns: int = 1
    codes: bool = False


# Of each convolution the positions that are computed in each row, (channels, rows), of a sweep that leaves some out.
Visits = tuple[np.ndarray | None, ...]


def skips(network: Network, config: "Config") -> tuple[Skip | None, ...]:
    """What each convolution leaves out of its sweeps; None: nothing. ``network`` is the one that is built."""
    convs = stages(network).convs
    return tuple(skip(network, config, layer) if config.skip_zeros else None for layer in range(len(convs)))


def skip(network: Network, config: "Config", layer: int) -> Skip | None:
    convs = stages(network).convs
    stage, channels = convs[layer], list(map(len, config.sweeps(network, layer)))
    if stage.positions(config.windows)[0] == 1:  # it is over as soon as it has begun
        return None
    if max(channels) > 1:
        return Skip() if max(channels) >= FEWEST_CHANNELS else None
    if layer == len(convs) - 1:  # its codes are written one after the other, 20 of them a word
        return None
    if stage.takes_windows:
        return Skip(2 // ROW_STEPS[config.windows], 2 // COLUMN_STEPS[config.windows], codes=True)
    return Skip(codes=True) if stage.pool is None else None


def visits(network: Network, config: "Config", maps: list[np.ndarray]) -> Visits:
    """The positions of an image that are computed. ``maps``: codes (channels, rows, columns) that each convolution of
    the network that is built takes."""
    every = zip(stages(network).convs, skips(network, config), maps, strict=True)
    return tuple(None if one is None else counts(stage, one, config, codes) for stage, one, codes in every)


def counts(stage: ConvStage, one: Skip, config: "Config", codes: np.ndarray) -> np.ndarray:
    """Computed positions, int (channels, rows), in each row of a sweep of a map."""
    there = computed_cells(not_zero(stage, config, codes), one)
    return np.repeat(there.sum(axis=2) * one.columns, one.rows, axis=1)


def computed_cells(windows: np.ndarray, one: Skip) -> np.ndarray:
    """Cells (channels, rows, columns) that are computed, of positions whose ``windows`` are not all zeros."""
    channels, rows, columns = windows.shape
    cells = windows.reshape(channels, rows // one.rows, one.rows, columns // one.columns, one.columns)
    found: np.ndarray = np.logical_or.reduce(cells, axis=(2, 4))
    if one.codes:
        flat = found.reshape(channels, -1)
        zeros = np.flatnonzero(~flat.all(axis=1))
        flat[zeros, np.argmin(flat[zeros], axis=1)] = True
        found = flat.reshape(found.shape)
    found[..., -1] |= ~np.logical_or.reduce(found, axis=2)
    return found


def not_zero(stage: ConvStage, config: "Config", codes: np.ndarray) -> np.ndarray:
    """Whether any code under the windows of a position, (channels, rows, columns), is not zero. The array's kernels may
    be larger than the layer's; what lies beyond a padded map is as its padding."""
    down, across = ROW_STEPS[config.windows], COLUMN_STEPS[config.windows]
    rows, columns = stage.positions(config.windows)
    tall, wide = config.kernel + down - 1, config.kernel + across - 1
    down, across = down * stage.layer.stride, across * stage.layer.stride
    top, left, _, _ = stage.layer.padding
    fill = np.resize(stage.layer.fill if any(stage.layer.padding) else 0, len(codes))
    height, width = (rows - 1) * down + tall, (columns - 1) * across + wide
    padded = np.empty((len(codes), max(height, top + stage.rows), max(width, left + stage.columns)), bool)
    padded[:] = (fill != 0)[:, np.newaxis, np.newaxis]
    padded[:, top : top + stage.rows, left : left + stage.columns] = codes != 0
    windows = sliding_window_view(padded[:, :height, :width], (tall, wide), axis=(1, 2))
    found: np.ndarray = np.logical_or.reduce(windows[:, ::down, ::across], axis=(3, 4))
    return found
