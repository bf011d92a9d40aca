"""`MapMemory` against numpy arrays of the same maps."""

import random
from functools import cache

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from fivebyfive.hw.conv.map_memory import MapMemory, StoredMaps
from fivebyfive.model.shape import ceil_div
from fivebyfive.sim.benchlib.given import Dut, parameters, ports
from fivebyfive.sim.benchlib.payload import pack_codes, unpack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource, WithPorts
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
    until,
)


@cache
def component() -> MapMemory:
    given = parameters()
    sizes = {name: value for name, value in given.items() if name != "values"}
    maps = [StoredMaps(**one) for one in given["maps"]]
    return MapMemory(**sizes | {"maps": maps, "stored": stored_as_given()})


def draw(stored: StoredMaps, arrays: np.random.Generator) -> np.ndarray:
    """Maps, int8 (channels, rows, columns); where columns may be left out many of a group of channels are the same."""
    memory = component()
    maps = random_codes(arrays, (stored.channels, stored.rows, stored.columns))
    if memory.sparse:
        for first in range(0, stored.channels, memory.parallel):
            some = arrays.random(maps.shape[1:]) < arrays.choice((0, 0.5, 0.9, 1))
            group = maps[first : first + memory.parallel]
            group[:, some] = random_codes(arrays, (len(group), 1))
    return maps


def words_in(maps: np.ndarray, rng: random.Random) -> list[int]:
    """Codes in the order of the array: groups of channels, each in row-major order; junk beyond the last channel."""
    parallel = component().parallel
    groups = ceil_div(len(maps), parallel)
    padded = np.full((groups * parallel, maps[0].size), 77, np.int8)
    padded[: len(maps)] = maps.reshape(len(maps), -1)
    words = padded.reshape(groups, parallel, -1).transpose(0, 2, 1)  # (group, position, channel)
    if component().sparse:
        return [word for group in words for word in with_columns_left_out(group, maps.shape[2], rng)]
    return [pack_codes(word) for group in words for word in group]


def with_columns_left_out(group: np.ndarray, columns: int, rng: random.Random) -> list[int]:
    """Words of a group, int8 (position, channel), with their place; some of the codes that it has most are left out."""
    _, which, counts = np.unique(group, axis=0, return_inverse=True, return_counts=True)
    zero, bits = which.ravel() == np.argmax(counts), 8 * group.shape[1]
    out = zero & (np.cumsum(zero) > 1) & np.array([rng.random() < 0.8 for _ in zero])
    out = out.reshape(-1, columns)
    out[:, rng.randrange(columns)] &= ~out.all(axis=1)
    words = []
    for row, left_out in enumerate(out):
        there = np.flatnonzero(~left_out)
        for column in there.tolist():
            at = row * columns + column
            place = column << 2 | int(column == there[-1]) << 1 | int(zero[at])
            words.append(pack_codes(group[at]) | place << bits)
    return words


def transfers(stored: StoredMaps, maps: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """What comes out: int16 (transfers, rows_out, columns), where a don't-care is 999; and the fill codes."""
    rows_out, before = component().rows_out, stored.top % component().rows_out
    after = -(before + stored.rows) % rows_out
    padded = np.pad(maps.astype(np.int16), ((0, 0), (before, after), (0, 0)), constant_values=999)
    each = padded.reshape(len(maps), -1, rows_out, stored.columns)[:, : stored.transfers]
    channels = list(stored.order) or [*range(len(maps))] * stored.repeats
    fill = np.resize(stored.fill or [0], len(maps))
    codes = [int(code) for code in np.repeat(fill[channels], each.shape[1])]
    return each[channels].reshape(-1, rows_out, stored.columns), codes


def check(words: list[int], expected: np.ndarray) -> None:
    """A transfer has the right codes wherever they count: the low columns, and halves with a row."""
    assert len(words) == len(expected)
    memory = component()
    got = np.stack([unpack_codes(word, memory.rows_out, memory.columns) for word in words])
    got = got[:, :, : expected.shape[2]].astype(np.int16)
    np.testing.assert_array_equal(np.where(expected == 999, 999, got), expected)


async def write(dut: Dut, which: int, maps: np.ndarray, pause: float, rng: random.Random, dropped: bool = True) -> None:
    """Fill a set, perhaps after codes that are ``dropped``, and go back to its first code."""
    dut.w_set.value = which
    source, words = StreamSource(dut, "i", pause=pause, rng=rng), words_in(maps, rng)
    if component().sparse:
        source.payload = WithPorts(dut, zero=1, row_end=1, column=8)
    if dropped and rng.random() < 0.5:
        await source.send(words[::-1][: rng.randint(1, len(words))])
        await rewind(dut)
    await source.send(words)
    if rng.random() < 0.5:  # the last code was that of the set anyway
        await rewind(dut)


async def rewind(dut: Dut) -> None:
    dut.rewind.value = 1
    await cycles(dut, 1)
    dut.rewind.value = 0


async def read(
    dut: Dut, which: int, stored: StoredMaps, maps: np.ndarray, pause: float, rng: random.Random
) -> tuple[int, list[int]]:
    """Stream a set out and compare; the cycle of ``start`` and those of the transfers."""
    codes: list[int] = []
    monitor = StreamMonitor(dut, "o").start()
    watch = cocotb.start_soon(watch_fill(dut, codes))
    dut.r_set.value = which
    dut.start.value = 1
    begun = cocotb.start_soon(note_start(dut))
    expected, fill = transfers(stored, maps)
    sink = cocotb.start_soon(StreamSink(dut, "o", pause=pause, rng=rng).receive(len(expected)))
    begin = await begun
    await limited(sink, 20 * len(expected) + 1000, "rows")
    check(monitor.words, expected)
    await cycles(dut, 3)
    watch.cancel()
    assert codes == (fill if "fill" in ports() else [])
    assert "fill" in ports() or not any(fill)
    assert not dut.busy.value
    assert not dut.o__valid.value
    return begin, monitor.cycles


async def note_start(dut: Dut) -> int:
    """The cycle of the edge that takes ``start``."""
    await RisingEdge(dut.clk)
    dut.start.value = 0
    return cycle()


async def watch_fill(dut: Dut, codes: list[int]) -> None:
    """The fill code beside each transfer."""
    while "fill" in ports():
        await RisingEdge(dut.clk)
        if dut.o__valid.value and dut.o__ready.value:
            codes.append(dut.fill.value.to_signed())


async def select(dut: Dut, rng: random.Random) -> StoredMaps:
    """Any set of maps, a cycle before the first code."""
    which = rng.randrange(len(component().maps))
    drive(dut, "which", which)
    await cycles(dut, 1)
    return component().maps[which]


async def turns(
    dut: Dut, count: int, pauses: tuple[float, float], rng: random.Random, arrays: np.random.Generator
) -> None:
    """One set of maps after the other; with two sets the next is written while the present one is read."""
    memory = component()
    stored = await select(dut, rng)
    maps = draw(stored, arrays)
    await write(dut, 0, maps, pauses[0], rng)
    for turn in range(count):
        now, then = (turn % 2, 1 - turn % 2) if memory.sets == 2 else (0, 0)
        if memory.sets == 2:
            following = draw(stored, arrays)
            writing = cocotb.start_soon(write(dut, then, following, pauses[0], rng))
            await read(dut, now, stored, maps, pauses[1], rng)
            await writing
        else:
            await read(dut, now, stored, maps, pauses[1], rng)
            stored = await select(dut, rng)
            following = draw(stored, arrays)
            await write(dut, then, following, pauses[0], rng)
        maps = following


@cocotb.test()
async def a_transfer_a_cycle(dut: Dut) -> None:
    """The first `latency` cycles after ``start``, then one each cycle; of each set of maps behind a reset."""
    await start(dut)
    rng, memory = random_source(), component()
    for which, stored in enumerate(memory.maps):
        await reset(dut)
        drive(dut, "which", which)
        await cycles(dut, 1)
        maps = draw(stored, random_arrays())
        await write(dut, 0, maps, 0, rng, dropped=False)
        begin, given = await read(dut, 0, stored, maps, 0, rng)
        assert given[0] - begin == memory.latency
        assert given == list(range(given[0], given[0] + len(given)))


@cocotb.test()
async def rows_behind_waiting_ones(dut: Dut) -> None:
    """Up to three transfers wait when the maps are streamed once more: these follow them without a gap."""
    await start(dut)
    rng, memory, monitor = random_source(), component(), StreamMonitor(dut, "o").start()
    for which, stored in enumerate(memory.maps):
        drive(dut, "which", which)
        await cycles(dut, 1)
        maps = draw(stored, random_arrays())
        await write(dut, 0, maps, 0, rng)
        expected, _ = transfers(stored, maps)
        for waiting in range(1, min(3, len(expected)) + 1):
            dut.start.value = 1
            await note_start(dut)
            await StreamSink(dut, "o").receive(len(expected) - waiting)
            await cycles(dut, 2)  # busy rises after the start, if nothing was received
            await until(dut, dut.busy, 0, 10)
            dut.start.value = 1
            await note_start(dut)
            await cycles(dut, memory.latency)
            await StreamSink(dut, "o").receive(waiting + len(expected))
            await cycles(dut, 1)
            check(monitor.words, np.concatenate([expected, expected]))
            later = monitor.cycles[-waiting - len(expected) :]
            assert later == list(range(later[0], later[0] + len(later)))
            monitor.clear()


@cocotb.test()
async def sets_in_turn(dut: Dut) -> None:
    await start(dut)
    await turns(dut, 4, (0, 0), random_source(), random_arrays())


@cocotb.test()
async def gaps_and_back_pressure(dut: Dut) -> None:
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    for _ in range(len(component().maps)):
        await turns(dut, 2, (0.3, 0.5), rng, arrays)


@cocotb.test()
async def resets(dut: Dut) -> None:
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    memory = component()
    for _ in range(4):
        stored = await select(dut, rng)
        maps = draw(stored, arrays)
        await write(dut, 0, maps, 0, rng)
        work = [write(dut, memory.sets - 1, maps, 0.1, rng), read(dut, 0, stored, maps, 0.3, rng)]
        await reset_sometime(dut, work[: memory.sets], 2 * maps[0].size, rng)
        await turns(dut, 1, (0.1, 0.1), rng, arrays)
