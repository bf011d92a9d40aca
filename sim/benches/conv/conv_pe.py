"""`ConvPE` against the golden model: a base and the products of a window and a kernel a cycle.

With ``natural`` among the parameters it is `PackedConvPE`; bases and sums are then pairs (see `dot_product`).
"""

from functools import cache

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from fivebyfive.hw.common.types import CODE, NATURAL
from fivebyfive.hw.conv.conv_pe import ConvPE
from fivebyfive.hw.conv.packed_conv_pe import PackedConvPE
from fivebyfive.model.q26 import Q2_6
from fivebyfive.sim.benches.products import dot_product
from fivebyfive.sim.benches.products.dot_product import join, words
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, random_arrays, random_source, reset_sometime, start

SUMS = 300


@cache
def component() -> ConvPE | PackedConvPE:
    given = parameters()
    kernel = given.get("kernel", 5)
    if "natural" in given:
        return PackedConvPE(NATURAL if given["natural"] else CODE, kernel, dot_product.dsp_size())
    return ConvPE(dot_product.form(), kernel)


def operands(arrays: np.random.Generator, count: int) -> np.ndarray:
    """Windows and kernels, the shared one last (`dot_product.operands`)."""
    terms = component().kernel ** 2
    return dot_product.operands(lambda shape: arrays.integers(-128, 128, shape, np.int8), count, terms)


def golden(bases: list[int], operand: np.ndarray, shift: int = 0) -> list[int]:
    sums = dot_product.golden(operand, shift)
    return [(base + total) % (1 << Q2_6.acc_bits) for base, total in zip(bases, sums, strict=True)]


async def give_bases(dut: Dut, bases: list[int], latency: int) -> None:
    """The base of each sum, ``latency`` cycles after its operands, and junk at any other time."""
    waiting, rng = [0] * latency, random_source()
    left = iter(bases)
    while True:
        await RisingEdge(dut.clk)
        waiting.append(next(left) if dut.i__valid.value else -1)
        base = waiting[-latency]
        dut.base.value = base if base >= 0 else rng.getrandbits(len(dut.base))


async def check(dut: Dut, pause: float, arrays: np.random.Generator) -> None:
    values = operands(arrays, SUMS)
    bases = arrays.integers(0, 1 << Q2_6.acc_bits, (SUMS, values.shape[1] - 1)).tolist()
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    pe = component()
    task = cocotb.start_soon(give_bases(dut, list(map(join, bases)), pe.base_latency))
    sent = words(pe.i.payload.shape(), values)
    shift = dot_product.choose_layer(dut)
    await StreamSource(dut, "i", pause=pause, rng=random_source()).send(sent)
    await cycles(dut, pe.latency + 2)
    task.cancel()
    assert o.words == [join(golden(base, value, shift)) for base, value in zip(bases, values, strict=True)]
    assert [b - a for a, b in zip(i.cycles, o.cycles, strict=True)] == [pe.latency] * SUMS


@cocotb.test()
async def a_sum_a_cycle(dut: Dut) -> None:
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
    for _ in range(5):
        sent = words(component().i.payload.shape(), operands(arrays, 60))
        await reset_sometime(dut, [StreamSource(dut, "i", pause=0.1, rng=rng).send(sent)], 50, rng)
        await check(dut, 0.1, arrays)
