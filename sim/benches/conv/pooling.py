"""`Pooling` against the golden model's pools."""

import random
from functools import cache

import cocotb
import numpy as np

from fivebyfive.hw.conv.pooling import PooledMap, Pooling
from fivebyfive.model.golden import apply_steps
from fivebyfive.model.network import Pool, Step
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource, WithPorts
from fivebyfive.sim.benchlib.testbench import (
    cycles,
    drive,
    random_arrays,
    random_source,
    reset_sometime,
    start,
)

MAPS, MOST_CODES = 6, 6000  # maps of a test, and codes a channel after which no other map begins


@cache
def component() -> Pooling:
    given = parameters()
    maps = [PooledMap(rows, columns, pool and Pool(*pool), relu) for rows, columns, pool, relu in given["maps"]]
    return Pooling(given["outputs"], given["windows"], maps, given.get("sparse", False))


def source_of(dut: Dut, pause: float = 0, rng: random.Random | None = None) -> StreamSource:
    driver = StreamSource(dut, "i", pause=pause, rng=rng)
    driver.payload = WithPorts(dut, row_end=1)
    return driver


def transfers(codes: np.ndarray) -> list[int]:
    """Words of a map, int8 (O, H, W), in the order in which the array finishes its codes."""
    o, h, w = codes.shape
    tall, wide = {1: (1, 1), 2: (2, 1), 4: (2, 2)}[component().windows]
    blocks = codes.reshape(o, h // tall, tall, w // wide, wide)
    parts = blocks.transpose(1, 3, 0, 2, 4)  # (row, column, O, tall, wide)
    return [pack_codes(part) for row in parts for part in row]


def golden(codes: np.ndarray, one: PooledMap) -> list[int]:
    """Words of the pooled map, a window each, row-major."""
    steps: tuple[Step, ...] = (one.reduction, "relu") if one.relu else (one.reduction,)
    (results,) = apply_steps(codes[np.newaxis], steps)  # (O, rows, columns)
    return [pack_codes(result) for result in results.reshape(len(codes), -1).T]


def ends(one: PooledMap) -> list[int]:
    """Which transfers of a map are the last ones of a window."""
    windows = component().windows
    if windows == 4:
        return list(range(one.rows * one.columns // 4))
    size, stride = (one.pool.size, one.pool.stride) if one.pool else (1, 1)
    tall = min(windows, 2)
    rows = range(size - 1, one.rows, stride)
    return [row // tall * one.columns + column for row in rows for column in range(size - 1, one.columns, stride)]


def sent(codes: np.ndarray, one: PooledMap, rng: random.Random) -> tuple[list[int], list[int], list[int]]:
    """Words in and out of a map, int8 (O, H, W), and which of those in are the last ones of a window. Of a map of cells
    or single codes some windows may be left out."""
    words, results, last = transfers(codes), golden(codes, one), ends(one)
    if not component().sparse:
        return words, results, last
    tall, wide = {1: (1, 1), 2: (2, 1), 4: (2, 2)}[component().windows]
    pool, width = one.reduction, codes.shape[0] * component().windows * 8
    rows, columns = one.rows // tall, one.columns // wide  # of transfers
    shape = (one.rows - pool.size) // pool.stride + 1, (one.columns - pool.size) // pool.stride + 1
    there = np.array([rng.random() < 0.5 for _ in range(shape[0] * shape[1])]).reshape(shape)
    if pool.size > 2 or pool.size != pool.stride:
        there[:] = True
    there[:, rng.randrange(shape[1])] |= ~there.any(axis=1)
    if pool.size > 2 or pool.size != pool.stride:
        kept = np.ones((rows, columns), bool)
    else:
        kept = there[np.arange(rows)[:, np.newaxis] * tall // pool.size, np.arange(columns) * wide // pool.size]
    row_ends = kept & (np.cumsum(kept[:, ::-1], axis=1)[:, ::-1] == 1)
    count = np.cumsum(kept.ravel()) - 1
    given = [word | int(end) << width for word, end in zip(words, row_ends.ravel().tolist(), strict=True)]
    shown = there.ravel().tolist()
    return (
        [word for word, keep in zip(given, kept.ravel(), strict=True) if keep],
        [result for result, keep in zip(results, shown, strict=True) if keep],
        [int(count[end]) for end, keep in zip(last, shown, strict=True) if keep],
    )


def random_map(one: PooledMap, arrays: np.random.Generator) -> np.ndarray:
    """Codes of a map, int8 (O, H, W): any, small ones, none above zero, or extremes only."""
    shape = component().outputs, one.rows, one.columns
    low, high = [(-128, 128), (-3, 4), (-128, 1), (126, 128), (-128, -126)][arrays.integers(5)]
    return arrays.integers(low, high, shape, np.int8)


async def check(dut: Dut, maps: int, pause: float, rng: random.Random, arrays: np.random.Generator) -> None:
    """Random maps, one right behind the other: right codes, `latency` after the last one of their window."""
    pooling = component()
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    source = source_of(dut, pause, rng)
    expected: list[int] = []
    last: list[int] = []
    before = 0
    for _ in range(maps):
        if before > MOST_CODES:
            break
        choice = rng.randrange(len(pooling.maps))
        one = pooling.maps[choice]
        codes = random_map(one, arrays)
        drive(dut, "size", choice)
        words, results, ended = sent(codes, one, rng)
        await source.send(words)
        expected += results
        last += [before + end for end in ended]
        before += len(words)
    await cycles(dut, pooling.latency + 1)
    assert o.words == expected
    assert o.cycles == [i.cycles[end] + pooling.latency for end in last]


@cocotb.test()
async def maps_without_gaps(dut: Dut) -> None:
    await start(dut)
    await check(dut, MAPS * (1 + component().sparse), 0, random_source(), random_arrays())


@cocotb.test()
async def maps_with_gaps(dut: Dut) -> None:
    await start(dut)
    await check(dut, MAPS * (1 + component().sparse), 0.5, random_source(), random_arrays())


@cocotb.test()
async def every_map(dut: Dut) -> None:
    """Each map behind itself and behind another one, with nothing in between."""
    await start(dut)
    pooling, arrays = component(), random_arrays()
    source, o, rng = source_of(dut), StreamMonitor(dut, "o").start(), random_source()
    expected: list[int] = []
    for choice, one in enumerate(pooling.maps):
        for _ in range(2):
            codes = random_map(one, arrays)
            drive(dut, "size", choice)
            words, results, _ = sent(codes, one, rng)
            await source.send(words)
            expected += results
    await cycles(dut, pooling.latency + 1)
    assert o.words == expected


@cocotb.test()
async def reset_in_flight(dut: Dut) -> None:
    """A reset in the middle of a map; the next map is a whole one."""
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    pooling = component()
    for _ in range(3):
        choice = rng.randrange(len(pooling.maps))
        words, _, _ = sent(random_map(pooling.maps[choice], arrays), pooling.maps[choice], rng)
        drive(dut, "size", choice)
        await reset_sometime(dut, [source_of(dut).send(words)], len(words), rng)
        await check(dut, 1, 0.2, rng, arrays)
