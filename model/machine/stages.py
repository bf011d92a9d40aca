"""What the machine computes of a network, stage by stage: convolutions in the conv engine, the rest in the FC engine.

The layers are the network's, but for two changes that alter no code. A convolution whose kernel covers its whole map
(LeCun's C5) is a fully-connected layer: its weights lie in the same order. ReLU in front of max pooling comes behind
it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from fivebyfive.model.network import Layer, Network, Place, Pool
from fivebyfive.model.shape import KERNEL, ceil_div

__all__ = ["ConvStage", "FcStage", "Stages", "function_codes", "stages"]

# Of W windows computed at once: those one above the other, those side by side, and the rows that a transfer has.
ROW_STEPS = {1: 1, 2: 2, 4: 2}
COLUMN_STEPS = {1: 1, 2: 1, 4: 2}
ROWS_IN = {1: 1, 2: 1, 4: 2}
SMALLEST_KERNEL = 3  # rows and columns of the array's kernels, at least
Steps = tuple[str, ...]  # "relu", "table"


@dataclass(frozen=True)
class ConvStage:
    """A convolution in the conv engine.

    ``channels``, ``rows``, ``columns``: of its input. ``used``: rows and columns of the map that a pool uses, all of
    them without one. ``before`` and ``after``: what happens to codes in front of and behind ``pool``. ``outputs``:
    (channels, rows, columns) of the result. ``name``, ``kernel``, ``stride``, ``padding``, ``fill`` and ``groups`` are
    those of the `Layer`.
    """

    layer: Layer
    channels: int
    rows: int
    columns: int
    used: tuple[int, int]
    before: Steps
    pool: Pool | None
    after: Steps
    outputs: tuple[int, int, int]

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def width(self) -> int:
        """Output channels."""
        return self.layer.outputs

    @property
    def cells(self) -> int:
        """Codes of an output channel."""
        return self.outputs[1] * self.outputs[2]

    @property
    def takes_windows(self) -> bool:
        """Whether the windows of a pool cell can be computed at once: the pool is 2x2, and nothing is skipped."""
        return self.layer.stride == 1 and self.pool is not None and (self.pool.size, self.pool.stride) == (2, 2)

    def positions(self, windows: int) -> tuple[int, int]:
        """Rows and columns of positions in a sweep, ``windows`` at each."""
        rows, columns = self.used
        return ceil_div(rows, ROW_STEPS[windows]), ceil_div(columns, COLUMN_STEPS[windows])

    def transfers(self, kernel: int, windows: int) -> tuple[int, int]:
        """Transfers of rows that the line buffer needs for the first row of positions of a map, and for each further
        one."""
        step, at_once = ROW_STEPS[windows], ROWS_IN[windows]
        return ceil_div(kernel + step - 1, at_once), step * self.layer.stride // at_once

    def group_channels(self, outputs: range) -> tuple[int, ...]:
        """Input channels that any of these output channels reads, ascending."""
        groups = self.layer.groups
        inputs, each = self.channels // groups, self.width // groups
        return tuple(range(outputs[0] // each * inputs, (outputs[-1] // each + 1) * inputs))

    def last_position(self, cell: int, windows: int) -> tuple[int, int]:
        """Row and column of the position that completes a cell of the result."""
        row, column = divmod(cell, self.outputs[2])
        size, step = (self.pool.size, self.pool.stride) if self.pool else (1, 1)
        if windows > 1:
            return row, column if windows == 4 else 2 * column + 1
        return row * step + size - 1, column * step + size - 1

    def cell_column(self, column: int, windows: int) -> int:
        """Column of the cells that positions in this column complete, if they complete one."""
        if windows == 4:
            return column
        size, step = (self.pool.size, self.pool.stride) if self.pool else (1, 1)
        return max(0, column + 1 - size) // step


@dataclass(frozen=True)
class FcStage:
    """A layer in the FC engine: ``inputs`` and ``outputs``, and what happens to its codes (``after``)."""

    layer: Layer
    inputs: int
    outputs: int
    after: Steps

    @property
    def name(self) -> str:
        return self.layer.name


@dataclass(frozen=True)
class Stages:
    """All stages of a network, in order; the conv engine has ``convs``, the FC engine ``fc``. One may be empty."""

    convs: tuple[ConvStage, ...]
    fc: tuple[FcStage, ...]

    @property
    def kernel(self) -> int:
        """Rows and columns of the conv array's kernels, K; smaller ones lie in it with zeros."""
        return max([SMALLEST_KERNEL, *(stage.layer.kernel for stage in self.convs)]) if self.convs else KERNEL

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the layers that have a table."""
        every: tuple[ConvStage | FcStage, ...] = (*self.convs, *self.fc)
        return tuple(stage.name for stage in every if stage.layer.has_table)


@lru_cache(maxsize=64)
def stages(network: Network) -> Stages:
    """The stages of a network."""
    places = list(network)
    convs = [place for place in places if place.layer.kind == "conv" and not is_dense(place)]
    # Once a map is a single code a channel, only kernels of 1x1 can follow.
    last = places.index(convs[-1]) + 1 if convs else 0
    return Stages(tuple(conv_stage(place) for place in places[:last]), tuple(map(fc_stage, places[last:])))


def is_dense(place: Place) -> bool:
    """Whether a layer is computed as a fully-connected one: its single window covers its whole input."""
    layer = place.layer
    if layer.kind == "fc":
        return True
    return layer.groups == 1 and not any(layer.padding) and place.inputs[1:] == (layer.kernel, layer.kernel)


def conv_stage(place: Place) -> ConvStage:
    layer = place.layer
    channels, rows, columns = place.inputs
    steps = [step for step in layer.then if not isinstance(step, Pool)]
    count = layer.then.index(layer.pool) if layer.pool else 0
    before, after = steps[:count], steps[count:]
    if layer.pool and layer.pool.kind == "max" and set(before) == {"relu"}:
        before, after = [], before + after
    used_rows, used_columns = place.used
    out_channels, out_rows, out_columns = place.outputs
    return ConvStage(
        layer, channels, rows, columns, (used_rows, used_columns), tuple(before), layer.pool, tuple(after),
        (out_channels, out_rows, out_columns),
    )  # fmt: skip


def fc_stage(place: Place) -> FcStage:
    # A pool of the single code of each channel changes nothing.
    steps = tuple(step for step in place.layer.then if not isinstance(step, Pool))
    return FcStage(place.layer, prod(place.inputs), place.layer.outputs, steps)


def function_codes(
    stage: ConvStage | FcStage, steps: Steps, tables: Mapping[str, np.ndarray]
) -> tuple[int, ...] | str | None:
    """What ``steps`` of a stage do to a code: None for nothing, "relu", or the results for the codes -128 to 127."""
    if "table" not in steps:
        return "relu" if steps else None
    table = tables[f"{stage.name}.table"]
    codes = np.arange(-128, 128)
    for step in steps:
        codes = np.maximum(codes, 0) if step == "relu" else table[codes + 128].astype(int)
    return tuple(map(int, codes))
