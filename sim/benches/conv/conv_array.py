"""`ConvArray` against the golden model's convolution: the conv bench."""

import random
from functools import cache

import cocotb
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fivebyfive.hw.conv.conv_array import ConvArray
from fivebyfive.hw.conv.line_buffer import LineBuffer, LineMap
from fivebyfive.model.golden import convolve
from fivebyfive.model.network import Layer
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.shape import CONV_WORD, KERNEL
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack, pack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, drive, random_arrays, random_source, reset_sometime, start

OUT = 8  # rows and columns of an output map


@cache
def component() -> ConvArray:
    given = parameters()
    lines = LineBuffer(given["windows"], KERNEL, [LineMap(KERNEL, KERNEL, 1, 1)])
    return ConvArray(
        given["windows"],
        given["outputs"],
        lines.rows,
        lines.columns,
        OUT * OUT // given["windows"],
        given["bias_words"],
        given.get("packed", False),
    )


def anything(array: ConvArray, inputs: int, groups: int, arrays: np.random.Generator, low: int = -128) -> tuple:
    """Maps (inputs, 12, 12), kernels (groups * O, inputs, 5, 5), biases (groups * O,); codes >= ``low``. A packed array
    takes no negative maps."""
    channels = groups * array.outputs
    shapes = ((inputs, OUT + 4, OUT + 4), (channels, inputs, KERNEL, KERNEL), (channels,))
    maps, *others = (arrays.integers(low, 128, shape, np.int8) for shape in shapes)
    return maps & 127 if array.packed else maps, *others


def positions(array: ConvArray, image: np.ndarray) -> np.ndarray:
    """Patches of a map in row-major order, int8 (positions, rows, columns)."""
    patches = sliding_window_view(image, (array.rows, array.columns))
    steps = array.rows - KERNEL + 1, array.columns - KERNEL + 1
    return patches[:: steps[0], :: steps[1]].reshape(-1, array.rows, array.columns)


async def load_biases(dut: Dut, biases: np.ndarray) -> None:
    """Bias words of 25, the last one filled up with what nobody may use."""
    for index, first in enumerate(range(0, len(biases), CONV_WORD)):
        word = np.full(CONV_WORD, 85, np.int8)
        part = biases[first : first + CONV_WORD]
        word[: len(part)] = part
        dut.bias__en.value, dut.bias__data.value = 1, pack_codes(word)
        drive(dut, "bias__index", index)
        await cycles(dut, 1)
    dut.bias__en.value = 0


async def sweep(dut: Dut, maps: np.ndarray, kernels: np.ndarray, pause: float, rng: random.Random) -> None:
    """All groups of output channels: for each input channel every position, with the first the kernels."""
    array = component()
    layout = array.i.payload.shape()
    source = StreamSource(dut, "i", pause=pause, rng=rng)
    inputs = len(maps)
    for group in range(0, len(kernels), array.outputs):
        for channel in range(inputs):
            flags = {"first": channel == 0, "last": channel == inputs - 1}
            patches = positions(array, maps[channel])
            for index, patch in enumerate(patches):
                load, end = index == 0, index == len(patches) - 1
                word = pack(layout, {"load": load, "end": end, **flags})
                chosen = kernels[group : group + array.outputs, channel]
                dut.kernels.value = pack_codes(chosen) if load else rng.getrandbits(len(dut.kernels))
                await source.send([word])
                dut.patch.value = pack_codes(patch)  # it is wanted in the cycle after its position


def golden(array: ConvArray, maps: np.ndarray, kernels: np.ndarray, biases: np.ndarray) -> list[int]:
    """Words of O x W codes in the order of positions, group after group."""
    layer = Layer("conv", "conv", len(kernels), KERNEL)
    codes = Q2_6.requantize(convolve(maps[np.newaxis], kernels, biases, layer))[0]  # (channels, 8, 8)
    tall, wide = {1: (1, 1), 2: (2, 1), 4: (2, 2)}[array.windows]
    blocks = codes.reshape(-1, array.outputs, OUT // tall, tall, OUT // wide, wide)
    blocks = blocks.transpose(0, 2, 4, 1, 3, 5)  # (group, row, column, O, tall, wide)
    return [pack_codes(block) for group in blocks for row in group for block in row]


async def check(
    dut: Dut, inputs: int, groups: int, pause: float, rng: random.Random, arrays: np.random.Generator, low: int = -128
) -> None:
    """One layer: right codes, each `latency` cycles after its position."""
    array = component()
    maps, kernels, biases = anything(array, inputs, groups, arrays, low)
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    await load_biases(dut, biases)
    await sweep(dut, maps, kernels, pause, rng)
    await cycles(dut, array.latency + 2)
    assert o.words == golden(array, maps, kernels, biases)
    last = array.i.payload.shape()["last"].offset
    marks = [at for at, word in zip(i.cycles, i.words, strict=True) if word >> last & 1]
    assert [b - a for a, b in zip(marks, o.cycles, strict=True)] == [array.latency] * len(marks)


def groups_that_fit(most: int = 3) -> int:
    """Groups of output channels whose biases fit the array, at most that many."""
    array = component()
    return min(most, CONV_WORD * array.bias_words // array.outputs)


@cocotb.test()
async def one_input_channel(dut: Dut) -> None:
    """Every bias that there is room for; so often that each of their bits has been 0 and 1."""
    await start(dut)
    rng, arrays, groups = random_source(), random_arrays(), groups_that_fit(most=CONV_WORD * component().bias_words)
    for _ in range(5):
        await check(dut, 1, groups, 0, rng, arrays)


@cocotb.test()
async def partial_sums(dut: Dut) -> None:
    """Several input channels without a gap: sums go through the memory and wrap."""
    await start(dut)
    await check(dut, 4, groups_that_fit(), 0, random_source(), random_arrays())


@cocotb.test()
async def partial_sums_with_gaps(dut: Dut) -> None:
    await start(dut)
    await check(dut, 3, 1, 0.4, random_source(), random_arrays())
    await check(dut, 2, groups_that_fit(), 0.1, random_source(), random_arrays())


@cocotb.test()
async def extremes(dut: Dut) -> None:
    """Codes of 120 to 127 only: every sum wraps many times."""
    await start(dut)
    await check(dut, 3, 1, 0, random_source(), random_arrays(), low=120)


@cocotb.test()
async def reset_in_flight(dut: Dut) -> None:
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    array = component()
    maps, kernels, biases = anything(array, 3, 1, arrays)
    for _ in range(3):
        await load_biases(dut, biases)
        await reset_sometime(dut, [sweep(dut, maps, kernels, 0.1, rng)], 3 * array.depth, rng)
        await check(dut, 2, 1, 0.1, rng, arrays)
