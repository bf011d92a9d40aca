"""`MapMemory` against numpy arrays of the same maps."""

import random
from functools import cache

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from fivebyfive.hw.conv.map_memory import MapMemory
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource
from fivebyfive.sim.benchlib.testbench import (
    cycle,
    cycles,
    limited,
    random_arrays,
    random_source,
    reset_sometime,
    start,
)


@cache
def component() -> MapMemory:
    return MapMemory(**parameters())


def draw(memory: MapMemory, arrays: np.random.Generator) -> np.ndarray:
    """Maps, int8 (channels, size, size)."""
    return arrays.integers(-128, 128, (memory.channels, memory.size, memory.size), np.int8)


def words_in(memory: MapMemory, maps: np.ndarray) -> list[int]:
    """Codes in the order of the array: groups of channels, each in row-major order; junk beyond the last channel."""
    padded = np.full((memory.groups * memory.parallel, memory.size**2), 77, np.int8)
    padded[: len(maps)] = maps.reshape(len(maps), -1)
    groups = padded.reshape(memory.groups, memory.parallel, -1).transpose(0, 2, 1)  # (group, position, channel)
    return [pack_codes(word) for group in groups for word in group]


def words_out(memory: MapMemory, maps: np.ndarray) -> list[int]:
    """Transfers of rows, channel after channel, all of it ``repeats`` times; or the channels of ``order``."""
    if memory.order:
        maps = maps[list(memory.order)]
    once = [pack_codes(rows) for rows in maps.reshape(-1, memory.rows_out, memory.size)]
    return once * memory.repeats


async def write(dut: Dut, which: int, maps: np.ndarray, pause: float, rng: random.Random) -> None:
    """Fill a set and go back to its first code."""
    dut.w_set.value = which
    await StreamSource(dut, "i", pause=pause, rng=rng).send(words_in(component(), maps))
    dut.rewind.value = 1
    await cycles(dut, 1)
    dut.rewind.value = 0


async def read(dut: Dut, which: int, maps: np.ndarray, pause: float, rng: random.Random) -> tuple[int, list[int]]:
    """Stream a set out and compare; the cycle of ``start`` and those of the transfers."""
    monitor = StreamMonitor(dut, "o").start()
    dut.r_set.value = which
    dut.start.value = 1
    begun = cocotb.start_soon(note_start(dut))
    expected = words_out(component(), maps)
    sink = cocotb.start_soon(StreamSink(dut, "o", pause=pause, rng=rng).receive(len(expected)))
    begin = await begun
    await limited(sink, 20 * len(expected) + 1000, "rows")
    assert monitor.words == expected
    await cycles(dut, 3)
    assert not dut.busy.value
    assert not dut.o__valid.value
    return begin, monitor.cycles


async def note_start(dut: Dut) -> int:
    """The cycle of the edge that takes ``start``."""
    await RisingEdge(dut.clk)
    dut.start.value = 0
    return cycle()


async def turns(
    dut: Dut, count: int, pauses: tuple[float, float], rng: random.Random, arrays: np.random.Generator
) -> None:
    """One set of maps after the other; with two sets the next is written while the present one is read."""
    memory = component()
    maps = draw(memory, arrays)
    await write(dut, 0, maps, pauses[0], rng)
    for turn in range(count):
        now, then = (turn % 2, 1 - turn % 2) if memory.sets == 2 else (0, 0)
        following = draw(memory, arrays)
        if memory.sets == 2:
            writing = cocotb.start_soon(write(dut, then, following, pauses[0], rng))
            await read(dut, now, maps, pauses[1], rng)
            await writing
        else:
            await read(dut, now, maps, pauses[1], rng)
            await write(dut, then, following, pauses[0], rng)
        maps = following


@cocotb.test()
async def a_transfer_a_cycle(dut: Dut) -> None:
    """The first `latency` cycles after ``start``, then one each cycle."""
    await start(dut)
    memory, maps = component(), draw(component(), random_arrays())
    await write(dut, 0, maps, 0, random_source())
    begin, given = await read(dut, 0, maps, 0, random_source())
    assert given[0] - begin == memory.latency
    assert given == list(range(given[0], given[0] + len(given)))


@cocotb.test()
async def sets_in_turn(dut: Dut) -> None:
    await start(dut)
    await turns(dut, 4, (0, 0), random_source(), random_arrays())


@cocotb.test()
async def gaps_and_back_pressure(dut: Dut) -> None:
    await start(dut)
    await turns(dut, 3, (0.3, 0.5), random_source(), random_arrays())


@cocotb.test()
async def resets(dut: Dut) -> None:
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    memory = component()
    for _ in range(4):
        maps = draw(memory, arrays)
        await write(dut, 0, maps, 0, rng)
        work = [write(dut, memory.sets - 1, maps, 0.1, rng), read(dut, 0, maps, 0.3, rng)]
        await reset_sometime(dut, work[: memory.sets], 2 * memory.size**2, rng)
        await turns(dut, 1, (0.1, 0.1), rng, arrays)
