"""`MatrixTransform` against the product of its matrices."""

from functools import cache, reduce

import cocotb
import numpy as np
from amaranth.hdl import signed

from fivebyfive.hw.products.matrix_transform import MatrixTransform
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, random_arrays, random_source, reset_sometime, start

MATRICES = 200


@cache
def component() -> MatrixTransform:
    given = parameters()
    return MatrixTransform(given["stages"], signed(given["element"]), given["bits"])


def anything(arrays: np.random.Generator, count: int = MATRICES) -> np.ndarray:
    """Matrices, the first half of random elements, the rest of the least and the largest."""
    size, most = len(component().stages[0][0]), 1 << parameters()["element"] - 1
    inner = arrays.integers(-most, most, (count // 2, size, size))
    return np.concatenate([inner, arrays.choice((-most, most - 1), (count - len(inner), size, size))])


def golden(matrix: np.ndarray) -> list[list[int]]:
    """Signed elements of the transformed matrix."""
    factor = reduce(lambda first, then: then @ first, map(np.array, component().stages))
    half = 1 << component().bits - 1
    return ((factor @ matrix @ factor.T + half) % (2 * half) - half).tolist()


async def check(dut: Dut, matrices: np.ndarray, pause: float) -> None:
    transform = component()
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    words = [pack(transform.i.payload.shape(), matrix.tolist()) for matrix in matrices]
    await StreamSource(dut, "i", pause=pause, rng=random_source()).send(words)
    await cycles(dut, transform.latency + 2)
    assert o.words == [pack(transform.o.payload.shape(), golden(matrix)) for matrix in matrices]
    assert o.cycles == [at + transform.latency for at in i.cycles]


@cocotb.test()
async def a_matrix_a_cycle(dut: Dut) -> None:
    await start(dut)
    await check(dut, anything(random_arrays()), 0)


@cocotb.test()
async def with_gaps(dut: Dut) -> None:
    await start(dut)
    await check(dut, anything(random_arrays()), 0.4)


@cocotb.test()
async def reset_in_flight(dut: Dut) -> None:
    await start(dut)
    arrays, rng = random_arrays(), random_source()
    for _ in range(5):
        words = [pack(component().i.payload.shape(), matrix.tolist()) for matrix in anything(arrays, 60)]
        await reset_sometime(dut, [StreamSource(dut, "i", pause=0.1, rng=rng).send(words)], 50, rng)
        await check(dut, anything(arrays, 20), 0.1)
