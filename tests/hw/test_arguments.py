# amaranth: UnusedElaboratable=no
"""Constructor arguments out of range: the message states the rule."""

import pytest
from amaranth.hdl import signed

from fivebyfive.hw.accelerator import Accelerator
from fivebyfive.hw.common.table_lookup import TableLookup
from fivebyfive.hw.common.weight_memory import WeightMemory
from fivebyfive.hw.conv.channel_memory import ChannelMaps, ChannelMemory
from fivebyfive.hw.conv.conv_array import ConvArray
from fivebyfive.hw.conv.conv_pe import INPUT_STAGES, TRANSFORM_LATENCY, ConvPE, WinogradPE
from fivebyfive.hw.conv.line_buffer import LineBuffer, LineMap
from fivebyfive.hw.conv.map_memory import MapMemory, StoredMaps
from fivebyfive.hw.conv.pooling import PooledMap, Pooling
from fivebyfive.hw.conv.sparse_line_buffer import SparseLineBuffer
from fivebyfive.hw.products.dot_product import DotProduct
from fivebyfive.hw.products.matrix_transform import MatrixTransform
from fivebyfive.hw.products.packed_dot_product import PackedDotProduct
from fivebyfive.hw.products.xnor_dot_product import XnorDotProduct
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.zero_windows import Skip
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.sim.benchlib.random_networks import random_network


def exclusive_nors_of_other_codes() -> Accelerator:
    """A machine for activations of one bit, with the tables of others."""
    layers = Layer("c", "conv", 5, 5, then=(Pool("max", 6, 6), "table")), Layer("f", "fc", 10)
    network = Network((1, 16, 16), layers)
    config = fitted(random_network(network, 1, "one-bit"), Config())
    assert config.engines.fc.kind == "xnor"
    return Accelerator(network, config, tables=Checkpoint.random(network, 1).tables)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DotProduct(0), "a dot product needs at least one term, not 0"),
        (lambda: PackedDotProduct(0), "a dot product needs at least one term, not 0"),
        (lambda: PackedDotProduct(1, dsp_size="27x18"), "dsp_size must be 25x18 or 18x18, not '27x18'"),
        (lambda: Pooling(1, 3, [PooledMap(8, 8)]), "windows must be 1, 2 or 4, not 3"),
        (lambda: Pooling(1, 4, [PooledMap(3, 3, None)]), "4 windows at once need pools of 2x2 with stride 2"),
        (lambda: PooledMap(8, 7), "2x2 windows, 2 apart, do not cover a map of 8x7"),
        (lambda: PooledMap(2, 5, Pool("max", 3, 2)), "3x3 windows, 2 apart, do not cover a map of 2x5"),
        (
            lambda: PooledMap(8, 8, Pool("max", 2, 3)),
            "a pool is .*, with a stride of 1 to its size; not .*",
        ),
        (lambda: XnorDotProduct(0, (0,)), "a dot product needs at least one term, not 0"),
        (
            exclusive_nors_of_other_codes,
            "exclusive nors are for fully-connected layers that read -1 and 1 alone; choose signs",
        ),
        (lambda: TableLookup(1, []), "a table lookup needs at least one function"),
        (lambda: TableLookup(1, [(0,) * 255]), 'a function is None, "relu" or a tuple of 256 codes'),
        (lambda: TableLookup(1, [None, (128,) * 256]), 'a function is None, "relu" or a tuple of 256 codes'),
        (lambda: LineBuffer(8, 5, [LineMap(28, 28, 24, 24)]), "windows must be 1, 2 or 4, not 8"),
        (lambda: LineBuffer(1, 2, [LineMap(28, 28, 27, 27)]), "a kernel must have 3 to 7 rows, not 2"),
        (lambda: LineBuffer(2, 3, [LineMap(9, 9, 2, 4, stride=2)]), "a stride must be 1, or 2 with one window, not 2"),
        (
            lambda: LineBuffer(1, 3, [LineMap(9, 9, 9, 9, left=3)]),
            "padding must be less than the kernel, 3, not 0 and 3",
        ),
        (
            lambda: LineBuffer(1, 3, [LineMap(9, 9, 9, 0)]),
            r"a map must have a row, a column and a position: LineMap\(.*\)",
        ),
        (
            lambda: SparseLineBuffer(1, 3, [LineMap(9, 9, 7, 6)], [Skip(2, 2)]),
            r"cells of 2x2 positions do not fit LineMap\(.*\)",
        ),
        (
            lambda: SparseLineBuffer(2, 3, [LineMap(9, 9, 4, 6)], [Skip(2, 2)]),
            "cells have one row, or two with one window and a stride of 1, not 2",
        ),
        (
            lambda: ConvArray(2, 1, 4, 3, 8, 1, kernel=3, strides=(1, 2)),
            r"2 windows at once need strides of 1, not \(1, 2\)",
        ),
        (
            lambda: ConvArray(4, 1, 4, 4, 8, 1, winograd=True, kernel=3),
            "winograd is of 4 windows and kernels of 5x5, not of 4 and 3x3",
        ),
        (
            lambda: MatrixTransform([((1, 2),), ((1, 2),)], signed(8), 16),
            "each factor of a transform needs as many columns as the one before has rows",
        ),
        (
            lambda: MatrixTransform([((1, 2), (0, -1))], signed(8), 16),
            "each row of a transform needs a positive number",
        ),
        (lambda: StoredMaps(3, 8, 8, fill=(1, 2)), "there must be 0, 1 or 3 fill codes, not 2"),
        (
            lambda: MapMemory([StoredMaps(3, 8, 8, top=1, transfers=6)], rows_out=2),
            "1 to 5 transfers of a map can be streamed, not 6",
        ),
        (
            lambda: ChannelMaps(3, 5, 8, (3, 5), stride=2),
            r"\(3, 5\) positions, 2 apart, do not fit 5x8",
        ),
        (
            lambda: ChannelMemory([ChannelMaps(3, 4, 4, (4, 4))], 3, 25),
            "a word must have a multiple of 3 channels, which are written at once",
        ),
        (lambda: WeightMemory([], 25), "a weight memory needs at least one word"),
        (lambda: WeightMemory([1, 2, 3], 25, [1, 1]), r"banks of \[1, 1\] words do not hold 3"),
    ],
)
def test_message(make, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()


def test_parameters_stay_readable():
    maps = LineMap(28, 28, 12, 12), LineMap(12, 12, 4, 4)
    lines = LineBuffer(4, 5, maps)
    assert (lines.windows, lines.kernel, lines.maps, lines.rows, lines.columns) == (4, 5, maps, 6, 6)
    assert (lines.width, lines.rows_in) == (28, 2)
    assert DotProduct(25).latency == 7
    assert DotProduct(1).latency == 2
    assert [PackedDotProduct(terms).latency for terms in (1, 2, 10, 25)] == [3, 3, 6, 7]


def test_winograd_takes_as_long_as_a_dot_product_of_a_kernel():
    """So the array, the controller and the cycle model are the same for both."""
    assert TRANSFORM_LATENCY + WinogradPE.base_latency == DotProduct(25).latency
    assert MatrixTransform(INPUT_STAGES, signed(8), 16).latency == TRANSFORM_LATENCY


def test_latencies_follow_the_kernel():
    kernels = range(3, 8)
    assert [ConvPE(kernel=kernel).base_latency for kernel in kernels] == [6, 6, 7, 8, 8]
    arrays = [ConvArray(1, 1, kernel, kernel, 1, 1, kernel=kernel, strides=(2,)) for kernel in kernels]
    assert [array.latency for array in arrays] == [8, 8, 9, 10, 10]
