"""`WinogradPE` against the golden model's convolution: the four windows of a tile and a kernel a cycle."""

from functools import cache

import cocotb
import numpy as np

from fivebyfive.hw.conv.conv_pe import WinogradPE
from fivebyfive.model.golden import convolve
from fivebyfive.model.network import Layer
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.winograd import INPUT, KERNEL_SIZE, TILE, transformed
from fivebyfive.sim.benches.conv.conv_pe import give_bases
from fivebyfive.sim.benches.products.dot_product import EXTREMES, join
from fivebyfive.sim.benchlib.given import Dut
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, random_arrays, random_source, reset_sometime, start

SUMS = 300
LAYER = Layer("conv", "conv", 1, KERNEL_SIZE)


@cache
def component() -> WinogradPE:
    return WinogradPE()


def operands(arrays: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Tiles (count, 6, 6) and kernels (count, 5, 5), int8: of any codes, then of the least and the largest."""
    shapes = (count, TILE, TILE), (count, KERNEL_SIZE, KERNEL_SIZE)
    tiles, kernels = (arrays.integers(-128, 128, shape, np.int8) for shape in shapes)
    for values in (tiles, kernels):
        values[count // 2 :] = arrays.choice(EXTREMES, values[count // 2 :].shape)
    return tiles, kernels


def words(tiles: np.ndarray, kernels: np.ndarray) -> list[int]:
    """Tiles and kernels as words of the stream."""
    inputs = (INPUT @ tiles.astype(int) @ INPUT.T).astype("<i2"), transformed(kernels).astype("<i2")
    return [int.from_bytes(x.tobytes() + w.tobytes(), "little") for x, w in zip(*inputs, strict=True)]


def golden(bases: list[int], tile: np.ndarray, kernel: np.ndarray) -> int:
    sums = convolve(tile[np.newaxis, np.newaxis], kernel[np.newaxis, np.newaxis], np.zeros(1, np.int8), LAYER).ravel()
    return join((base + total) % (1 << Q2_6.acc_bits) for base, total in zip(bases, sums.tolist(), strict=True))


async def check(dut: Dut, pause: float, arrays: np.random.Generator) -> None:
    tiles, kernels = operands(arrays, SUMS)
    bases = arrays.integers(0, 1 << Q2_6.acc_bits, (SUMS, 4)).tolist()
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    pe = component()
    task = cocotb.start_soon(give_bases(dut, list(map(join, bases)), pe.base_latency))
    await StreamSource(dut, "i", pause=pause, rng=random_source()).send(words(tiles, kernels))
    await cycles(dut, pe.latency + 2)
    task.cancel()
    assert o.words == [golden(*one) for one in zip(bases, tiles, kernels, strict=True)]
    assert [b - a for a, b in zip(i.cycles, o.cycles, strict=True)] == [pe.latency] * SUMS


@cocotb.test()
async def four_sums_a_cycle(dut: Dut) -> None:
    await start(dut)
    await check(dut, 0, random_arrays())


@cocotb.test()
async def sums_with_gaps(dut: Dut) -> None:
    await start(dut)
    await check(dut, 0.4, random_arrays())


@cocotb.test()
async def reset_in_flight(dut: Dut) -> None:
    await start(dut)
    arrays, rng = random_arrays(), random_source()
    for _ in range(3):
        sent = words(*operands(arrays, 60))
        await reset_sometime(dut, [StreamSource(dut, "i", pause=0.1, rng=rng).send(sent)], 50, rng)
        await check(dut, 0.1, arrays)
