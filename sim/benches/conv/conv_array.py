"""`ConvArray` against the golden model's convolution: the conv bench."""

import random
from functools import cache
from math import prod

import cocotb
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fivebyfive.hw.conv.conv_array import ConvArray
from fivebyfive.model.golden import convolve
from fivebyfive.model.machine.weights import to_winograd
from fivebyfive.model.network import Layer
from fivebyfive.model.q26 import Q2_6
from fivebyfive.sim.benches.products.dot_product import dsp_size
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack, pack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, drive, random_arrays, random_source, reset_sometime, start

STEPS = {1: (1, 1), 2: (2, 1), 4: (2, 2)}  # rows and columns of windows, by their number
APART = 3  # cycles from a position of an input channel to that of the next


@cache
def component() -> ConvArray:
    given = parameters()
    windows, kernel = given["windows"], given.get("kernel", 5)
    tall, wide = STEPS[windows]
    return ConvArray(
        windows,
        given["outputs"],
        kernel + tall - 1,
        kernel + wide - 1,
        prod(map_size()) // windows,
        given["bias_words"],
        given.get("packed", False),
        given.get("winograd", False),
        kernel=kernel,
        sparse=given.get("sparse", False),
        dsp_size=dsp_size(),
    )


def map_size() -> tuple[int, int]:
    """Rows and columns of an output map."""
    rows, columns = parameters().get("size", (8, 8))
    return rows, columns


def anything(array: ConvArray, inputs: int, groups: int, arrays: np.random.Generator, low: int = -128) -> tuple:
    """Maps (inputs, rows, columns), kernels (groups * O, inputs, K, K), biases (groups * O,); codes >= ``low``. A
    packed array of several windows takes no negative maps."""
    channels, kernel = groups * array.outputs, array.kernel
    rows, columns = (size + kernel - 1 for size in map_size())
    shapes = ((inputs, rows, columns), (channels, inputs, kernel, kernel), (channels,))
    maps, *others = (arrays.integers(low, 128, shape, np.int8) for shape in shapes)
    if array.sparse:
        maps[arrays.random(maps.shape) < arrays.choice((0.5, 0.97, 1), (inputs, 1, 1))] = 0
    return maps & 127 if array.packed and array.windows > 1 else maps, *others


def words_of(array: ConvArray, kernels: np.ndarray) -> int:
    """Kernels as the array takes them."""
    return pack_codes(to_winograd(kernels.reshape(-1, array.kernel**2)) if array.winograd else kernels)


def positions(array: ConvArray, image: np.ndarray) -> np.ndarray:
    """Patches of a map in row-major order, int8 (positions, rows, columns)."""
    patches = sliding_window_view(image, (array.rows, array.columns))
    tall, wide = STEPS[array.windows]
    return patches[::tall, ::wide].reshape(-1, array.rows, array.columns)


async def load_biases(dut: Dut, biases: np.ndarray) -> None:
    """Bias words, the last one filled up with what nobody may use."""
    size = component().word.length
    for index, first in enumerate(range(0, len(biases), size)):
        word = np.full(size, 85, np.int8)
        part = biases[first : first + size]
        word[: len(part)] = part
        dut.bias__en.value, dut.bias__data.value = 1, pack_codes(word)
        drive(dut, "bias__index", index)
        await cycles(dut, 1)
    dut.bias__en.value = 0


async def sweep(dut: Dut, maps: np.ndarray, kernels: np.ndarray, pause: float, rng: random.Random) -> None:
    """All groups of output channels: for each input channel every position, with the first the kernels. Positions of
    zeros may be left out between the first and the last input channel; not all of them."""
    array = component()
    layout = array.i.payload.shape()
    source = StreamSource(dut, "i", pause=pause, rng=rng)
    inputs = len(maps)
    for group in range(0, len(kernels), array.outputs):
        for channel in range(inputs):
            flags = {"first": channel == 0, "last": channel == inputs - 1}
            patches = positions(array, maps[channel])
            computed = list(range(len(patches)))
            if array.sparse and 0 < channel < inputs - 1:
                computed = [n for n in computed if patches[n].any()] or [rng.choice(computed)]
            chosen = words_of(array, kernels[group : group + array.outputs, channel])
            for number, index in enumerate(computed):
                load, end = index == computed[0], index == computed[-1]
                place = {"index": index} if array.sparse else {}
                word = pack(layout, {"load": load, "end": end, **flags, **place})
                dut.kernels.value = chosen if number <= array.kernel_delay else rng.getrandbits(len(dut.kernels))
                await source.send([word])
                dut.patch.value = pack_codes(patches[index])  # it is wanted in the cycle after its position
            if len(computed) < APART or array.sparse:
                await cycles(dut, APART - min(len(computed), APART - 1))


def golden(array: ConvArray, maps: np.ndarray, kernels: np.ndarray, biases: np.ndarray) -> list[int]:
    """Words of O x W codes in the order of positions, group after group."""
    layer = Layer("conv", "conv", len(kernels), array.kernel)
    codes = Q2_6.requantize(convolve(maps[np.newaxis], kernels, biases, layer))[0]  # (channels, rows, columns)
    (rows, columns), (tall, wide) = map_size(), STEPS[array.windows]
    blocks = codes.reshape(-1, array.outputs, rows // tall, tall, columns // wide, wide)
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
    return min(most, array.word.length * array.bias_words // array.outputs)


@cocotb.test()
async def one_input_channel(dut: Dut) -> None:
    """Every bias that there is room for; so often that each of their bits has been 0 and 1."""
    await start(dut)
    rng, arrays, groups = random_source(), random_arrays(), groups_that_fit(most=1000)
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
