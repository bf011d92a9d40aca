"""`ChannelMemory` against numpy arrays of the same maps."""

import random
from functools import cache

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from fivebyfive.hw.conv.channel_memory import ChannelMaps, ChannelMemory
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack_codes, unpack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource
from fivebyfive.sim.benchlib.testbench import (
    cycle,
    cycles,
    drive,
    limited,
    random_arrays,
    random_codes,
    random_source,
    reset,
    reset_sometime,
    start,
    stored_as_given,
)


@cache
def component() -> ChannelMemory:
    given = parameters()
    maps = [ChannelMaps(**one | {"positions": tuple(one["positions"])}) for one in given["maps"]]
    return ChannelMemory(maps, given["parallel"], given["channels"], stored_as_given())


def draw(stored: ChannelMaps, arrays: np.random.Generator) -> np.ndarray:
    """Maps, int8 (channels, rows, columns)."""
    return random_codes(arrays, (stored.channels, stored.rows, stored.columns))


def padded(maps: np.ndarray, multiple: int) -> np.ndarray:
    """As many maps as are a multiple of a number, int8 (count, codes); those beyond the last are 77."""
    found = np.full((-(-len(maps) // multiple) * multiple, maps[0].size), 77, np.int8)
    found[: len(maps)] = maps.reshape(len(maps), -1)
    return found


def words_in(maps: np.ndarray) -> list[int]:
    """Codes in the order of the array: groups of channels, each in row-major order; junk beyond the last channel."""
    groups = padded(maps, component().parallel).reshape(-1, component().parallel, maps[0].size)
    return [pack_codes(word) for group in groups.transpose(0, 2, 1) for word in group]


def words_out(stored: ChannelMaps, maps: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """What comes out: int8 (words, channels); and how many channels of each word count."""
    (rows, columns), step, at_once = stored.positions, stored.stride, component().channels
    read = maps[:, : (rows - 1) * step + 1 : step, : (columns - 1) * step + 1 : step]
    sets = padded(read, at_once).reshape(-1, at_once, rows * columns).transpose(0, 2, 1)
    order = list(stored.order) or [*range(len(sets))] * stored.repeats
    counts = [min(at_once, len(maps) - number * at_once) for number in order for _ in range(rows * columns)]
    return sets[order].reshape(-1, at_once), counts


async def note_words(dut: Dut, words: list[int]) -> None:
    """The word in the cycle after each transfer."""
    before = False
    while True:
        await RisingEdge(dut.clk)
        if before:
            words.append(int(dut.word.value))
        before = bool(dut.o__valid.value and dut.o__ready.value)


async def read(
    dut: Dut, stored: ChannelMaps, maps: np.ndarray, pause: float, rng: random.Random
) -> tuple[int, list[int]]:
    """Stream a set out and compare; the cycle of ``start`` and those of the transfers."""
    words: list[int] = []
    monitor, noted = StreamMonitor(dut, "o").start(), cocotb.start_soon(note_words(dut, words))
    dut.start.value = 1
    begun = cocotb.start_soon(note_start(dut))
    expected, counts = words_out(stored, maps)
    sink = cocotb.start_soon(StreamSink(dut, "o", pause=pause, rng=rng).receive(len(expected)))
    try:
        begin = await begun
        await limited(sink, 20 * len(expected) + 1000, "positions")
        await cycles(dut, 2)
    finally:  # also in a reset
        sink.cancel()
        noted.cancel()
    assert not dut.o__valid.value
    size = stored.positions[0] * stored.positions[1]
    assert monitor.words == [int(n % size == size - 1) for n in range(len(expected))]
    for word, codes, count in zip(words, expected, counts, strict=True):
        assert unpack_codes(word, 1, len(codes))[0][:count].tolist() == codes[:count].tolist()
    return begin, monitor.cycles


async def note_start(dut: Dut) -> int:
    """The cycle of the edge that takes ``start``."""
    await RisingEdge(dut.clk)
    dut.start.value = 0
    return cycle()


async def turn(
    dut: Dut, which: int, pauses: tuple[float, float], rng: random.Random, arrays: np.random.Generator
) -> tuple[int, list[int]]:
    """A set of maps is written, then read; ``which`` changes a cycle before the first code."""
    drive(dut, "which", which)
    await cycles(dut, 1)
    stored = component().maps[which]
    maps = draw(stored, arrays)
    await StreamSource(dut, "i", pause=pauses[0], rng=rng).send(words_in(maps))
    await cycles(dut, 1)
    return await read(dut, stored, maps, pauses[1], rng)


@cocotb.test()
async def a_position_a_cycle(dut: Dut) -> None:
    """The first one a cycle after ``start``, then one each cycle; of each set of maps behind a reset."""
    await start(dut)
    for which in range(len(component().maps)):
        await reset(dut)
        begin, given = await turn(dut, which, (0, 0), random_source(), random_arrays())
        assert given == list(range(begin + 1, begin + 1 + len(given)))


@cocotb.test()
async def sets_in_turn(dut: Dut) -> None:
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    for _ in range(4):
        await turn(dut, rng.randrange(len(component().maps)), (0, 0), rng, arrays)


@cocotb.test()
async def gaps_and_back_pressure(dut: Dut) -> None:
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    for which in [*range(len(component().maps))] * 2:
        await turn(dut, which, (0.3, 0.5), rng, arrays)


@cocotb.test()
async def resets(dut: Dut) -> None:
    """While codes are written, and while positions are read."""
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    for _ in range(6):
        which = rng.randrange(len(component().maps))
        stored = component().maps[which]
        count = stored.channels * stored.rows * stored.columns
        await reset_sometime(dut, [turn(dut, which, (0.1, 0.3), rng, arrays)], 2 * count + 8, rng)
        await turn(dut, rng.randrange(len(component().maps)), (0.1, 0.1), rng, arrays)
