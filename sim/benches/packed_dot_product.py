"""`PackedDotProduct` against the golden model's sums: both of them, for operands of either sign."""

import cocotb
import numpy as np

from fivebyfive.hw.packed_dot_product import PackedDotProduct
from fivebyfive.hw.types import CODE, NATURAL
from fivebyfive.sim.payload import pack
from fivebyfive.sim.streams import StreamMonitor, StreamSource
from fivebyfive.sim.testbench import cycles, random_arrays, random_source, reset_sometime, start

from . import parameters
from .dot_product import golden

SUMS = 200
CORNERS = np.array([-128, -127, -1, 0, 1, 127], np.int8)


def component() -> PackedDotProduct:
    given = parameters()
    return PackedDotProduct(given["terms"], NATURAL if given["natural"] else CODE)


def operands(draw) -> np.ndarray:
    """A pair and the shared operand of SUMS sums, int8 (SUMS, 3, terms); the pair is not negative where it may not."""
    values = draw((SUMS, 3, parameters()["terms"]))
    if parameters()["natural"]:
        values[:, :2] &= 127
    return values


def words(values: np.ndarray) -> list[int]:
    layout = component().i.payload.shape()
    return [pack(layout, {"pair": value[:2].tolist(), "shared": value[2].tolist()}) for value in values]


async def check(dut, values: np.ndarray, pause: float) -> None:
    """Both sums are right, and come `latency` cycles after their operands."""
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    dot = component()
    await StreamSource(dut, "i", pause=pause, rng=random_source()).send(words(values))
    await cycles(dut, dot.latency + 2)
    layout = dot.o.payload.shape()
    assert o.words == [pack(layout, [golden(value[[n, 2]]) for n in range(2)]) for value in values]
    assert [end - begin for begin, end in zip(i.cycles, o.cycles, strict=True)] == [dot.latency] * len(values)


def anything() -> np.ndarray:
    rng = random_arrays()
    return operands(lambda shape: rng.integers(-128, 128, shape, np.int8))


@cocotb.test()
async def a_sum_a_cycle(dut) -> None:
    await start(dut)
    await check(dut, anything(), pause=0)


@cocotb.test()
async def sums_with_gaps(dut) -> None:
    await start(dut)
    await check(dut, anything(), pause=0.4)


@cocotb.test()
async def corners(dut) -> None:
    """-128, 127 and what lies around zero: the largest products of both signs, and none beside a negative one."""
    await start(dut)
    rng = random_arrays()
    await check(dut, operands(lambda shape: rng.choice(CORNERS, shape)), pause=0)
    await check(dut, operands(lambda shape: np.full(shape, -128, np.int8)), pause=0)


@cocotb.test()
async def reset_in_flight(dut) -> None:
    """Sums under way at a reset vanish; those after it are right."""
    await start(dut)
    rng = random_source()
    await reset_sometime(dut, [StreamSource(dut, "i").send(words(anything()))], 50, rng)
    await check(dut, anything(), pause=0.2)
