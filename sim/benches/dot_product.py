"""`DotProduct` against the golden model's sums."""

import cocotb
import numpy as np

from fivebyfive.hw.dot_product import DotProduct
from fivebyfive.model.golden import accumulate
from fivebyfive.model.q26 import Q2_6
from fivebyfive.sim.payload import pack_codes
from fivebyfive.sim.streams import StreamMonitor, StreamSource
from fivebyfive.sim.testbench import cycles, random_arrays, random_source, reset_sometime, start

from . import parameters

SUMS = 200


def operands(draw) -> np.ndarray:
    """Operands x and w of SUMS sums, int8 (SUMS, 2, terms)."""
    return draw((SUMS, 2, parameters()["terms"]))


def golden(operand: np.ndarray) -> int:
    """The sum of products of operands (2, terms), modulo 2**14."""
    total = accumulate(operand[:1], operand[1:], np.zeros(1, np.int8))
    return int(total[0, 0]) % (1 << Q2_6.acc_bits)


async def check(dut, values: np.ndarray, pause: float) -> None:
    """Every sum is right, and comes `latency` cycles after its operands."""
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    latency = DotProduct(parameters()["terms"]).latency
    await StreamSource(dut, "i", pause=pause, rng=random_source()).send(map(pack_codes, values))
    await cycles(dut, latency + 2)
    assert o.words == [golden(value) for value in values]
    assert [end - begin for begin, end in zip(i.cycles, o.cycles, strict=True)] == [latency] * len(values)


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
async def extremes(dut) -> None:
    """Only -128 and 127: the largest products of both signs."""
    await start(dut)
    rng = random_arrays()
    await check(dut, operands(lambda shape: rng.choice(np.array([-128, 127], np.int8), shape)), pause=0)


@cocotb.test()
async def reset_in_flight(dut) -> None:
    """Sums under way at a reset vanish; those after it are right."""
    await start(dut)
    rng = random_source()
    await reset_sometime(dut, [StreamSource(dut, "i").send(map(pack_codes, anything()))], 50, rng)
    await check(dut, anything(), pause=0.2)
