"""`Pooling` against the golden model's pooling and ReLU."""

import random
from functools import cache

import cocotb
import numpy as np

from fivebyfive.hw.conv.pooling import Pooling
from fivebyfive.model.golden import apply_steps
from fivebyfive.model.network import Pool
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, random_arrays, random_source, reset_sometime, start


@cache
def component() -> Pooling:
    given = parameters()
    return Pooling(given["outputs"], given["windows"], tuple(given["sizes"]))


def transfers(codes: np.ndarray, windows: int) -> list[int]:
    """Words of a map, int8 (O, H, W), in the order in which the array finishes its codes."""
    o, h, w = codes.shape
    tall, wide = {1: (1, 1), 2: (2, 1), 4: (2, 2)}[windows]
    blocks = codes.reshape(o, h // tall, tall, w // wide, wide)
    parts = blocks.transpose(1, 3, 0, 2, 4)  # (row, column, O, tall, wide)
    return [pack_codes(part) for row in parts for part in row]


def golden(codes: np.ndarray) -> list[int]:
    """Words of the pooled map, a cell each, row-major."""
    pooled = apply_steps(codes[np.newaxis], (Pool("max", 2, 2), "relu"))[0]  # (O, H/2, W/2)
    return [pack_codes(cell) for row in pooled.transpose(1, 2, 0) for cell in row]


def complete(index: int, size: int, windows: int) -> bool:
    """Whether transfer ``index`` of a map is the last one of a cell."""
    if windows == 4:
        return True
    row, column = divmod(index, size)
    return bool(column % 2) and (windows == 2 or bool(row % 2))


async def check(dut: Dut, maps: int, pause: float, rng: random.Random, arrays: np.random.Generator) -> None:
    """Maps of random sizes, one after the other: right codes, `latency` after the last one of their cell."""
    pooling = component()
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    source = StreamSource(dut, "i", pause=pause, rng=rng)
    for _ in range(maps):
        choice = rng.randrange(len(pooling.sizes))
        size = pooling.sizes[choice]
        codes = arrays.integers(-128, 128, (pooling.outputs, size, size), np.int8)
        i.clear()
        o.clear()
        dut.size.value = choice
        await source.send(transfers(codes, pooling.windows))
        await cycles(dut, pooling.latency + 1)
        assert o.words == golden(codes)
        ends = [at for index, at in enumerate(i.cycles) if complete(index, size, pooling.windows)]
        assert [b - a for a, b in zip(ends, o.cycles, strict=True)] == [pooling.latency] * len(ends)


@cocotb.test()
async def maps_without_gaps(dut: Dut) -> None:
    await start(dut)
    await check(dut, 6, 0, random_source(), random_arrays())


@cocotb.test()
async def maps_with_gaps(dut: Dut) -> None:
    await start(dut)
    await check(dut, 6, 0.5, random_source(), random_arrays())


@cocotb.test()
async def map_behind_map(dut: Dut) -> None:
    """Two maps of one size with nothing in between."""
    await start(dut)
    pooling, size = component(), component().sizes[0]
    o = StreamMonitor(dut, "o").start()
    maps = random_arrays().integers(-128, 128, (2, pooling.outputs, size, size), np.int8)
    await StreamSource(dut, "i").send(word for codes in maps for word in transfers(codes, pooling.windows))
    await cycles(dut, pooling.latency + 1)
    assert o.words == golden(maps[0]) + golden(maps[1])


@cocotb.test()
async def reset_in_flight(dut: Dut) -> None:
    """A reset in the middle of a map; the next map is a whole one."""
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    pooling, size = component(), component().sizes[0]
    codes = arrays.integers(-128, 128, (pooling.outputs, size, size), np.int8)
    words = transfers(codes, pooling.windows)
    for _ in range(3):
        await reset_sometime(dut, [StreamSource(dut, "i").send(words)], len(words), rng)
        await check(dut, 1, 0.2, rng, arrays)
