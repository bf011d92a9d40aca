"""`ConvPE` against the golden model: a base and 25 products a cycle."""

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from fivebyfive.hw.conv_pe import ConvPE
from fivebyfive.model.golden import accumulate
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.shape import CONV_WORD
from fivebyfive.sim.payload import pack_codes
from fivebyfive.sim.streams import StreamMonitor, StreamSource
from fivebyfive.sim.testbench import cycles, random_arrays, random_source, reset_sometime, start

SUMS = 300


def golden(base: int, window: np.ndarray, kernel: np.ndarray) -> int:
    total = accumulate(window[np.newaxis], kernel[np.newaxis], np.zeros(1, np.int8))
    return (base + int(total[0, 0])) % (1 << Q2_6.acc_bits)


async def give_bases(dut, bases: list[int], latency: int = ConvPE.base_latency) -> None:
    """The base of each sum, ``latency`` cycles after its operands, and junk at any other time."""
    waiting, rng = [0] * latency, random_source()
    left = iter(bases)
    while True:
        await RisingEdge(dut.clk)
        waiting.append(next(left) if dut.i__valid.value else -1)
        base = waiting[-latency]
        dut.base.value = base if base >= 0 else rng.getrandbits(len(dut.base))


async def check(dut, pause: float, arrays: np.random.Generator) -> None:
    values = arrays.integers(-128, 128, (SUMS, 2, CONV_WORD), np.int8)
    bases = [int(base) for base in arrays.integers(0, 1 << Q2_6.acc_bits, SUMS)]
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    task = cocotb.start_soon(give_bases(dut, bases))
    await StreamSource(dut, "i", pause=pause, rng=random_source()).send(map(pack_codes, values))
    await cycles(dut, ConvPE.latency + 2)
    task.cancel()
    assert o.words == [golden(base, *value) for base, value in zip(bases, values, strict=True)]
    assert [b - a for a, b in zip(i.cycles, o.cycles, strict=True)] == [ConvPE.latency] * SUMS


@cocotb.test()
async def a_sum_a_cycle(dut) -> None:
    await start(dut)
    await check(dut, 0, random_arrays())


@cocotb.test()
async def sums_with_gaps(dut) -> None:
    await start(dut)
    await check(dut, 0.4, random_arrays())


@cocotb.test()
async def reset_in_flight(dut) -> None:
    await start(dut)
    arrays, rng = random_arrays(), random_source()
    for _ in range(5):
        words = [pack_codes(value) for value in arrays.integers(-128, 128, (60, 2, CONV_WORD), np.int8)]
        await reset_sometime(dut, [StreamSource(dut, "i", pause=0.1, rng=rng).send(words)], 50, rng)
        await check(dut, 0.1, arrays)
