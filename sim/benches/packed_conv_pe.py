"""`PackedConvPE` against the golden model: two bases and twice 25 products a cycle."""

import cocotb
import numpy as np

from fivebyfive.hw.packed_conv_pe import PackedConvPE
from fivebyfive.hw.types import CODE, NATURAL
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.shape import CONV_WORD
from fivebyfive.sim.payload import pack
from fivebyfive.sim.streams import StreamMonitor, StreamSource
from fivebyfive.sim.testbench import cycles, random_arrays, random_source, reset_sometime, start

from . import parameters
from .conv_pe import give_bases, golden

SUMS = 200


def draw(arrays: np.random.Generator, count: int) -> np.ndarray:
    """Pairs and what they share, int8 (count, 3, 25)."""
    values = arrays.integers(-128, 128, (count, 3, CONV_WORD), np.int8)
    if parameters()["natural"]:
        values[:, :2] &= 127
    return values


def words(values: np.ndarray) -> list[int]:
    layout = PackedConvPE(NATURAL if parameters()["natural"] else CODE).i.payload.shape()
    return [pack(layout, {"pair": value[:2].tolist(), "shared": value[2].tolist()}) for value in values]


async def check(dut, pause: float, arrays: np.random.Generator) -> None:
    values = draw(arrays, SUMS)
    bases = arrays.integers(0, 1 << Q2_6.acc_bits, (SUMS, 2)).tolist()
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    task = cocotb.start_soon(give_bases(dut, [join(*pair) for pair in bases], PackedConvPE.base_latency))
    await StreamSource(dut, "i", pause=pause, rng=random_source()).send(words(values))
    await cycles(dut, PackedConvPE.latency + 2)
    task.cancel()
    assert o.words == [
        join(*(golden(base, value[n], value[2]) for n, base in enumerate(pair)))
        for pair, value in zip(bases, values, strict=True)
    ]
    assert [b - a for a, b in zip(i.cycles, o.cycles, strict=True)] == [PackedConvPE.latency] * SUMS


def join(low: int, high: int) -> int:
    """Two sums as a word."""
    return low | high << Q2_6.acc_bits


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
        sent = words(draw(arrays, 60))
        await reset_sometime(dut, [StreamSource(dut, "i", pause=0.1, rng=rng).send(sent)], 50, rng)
        await check(dut, 0.1, arrays)
