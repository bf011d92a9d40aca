"""`LineBuffer` against numpy's windows of the same maps."""

import random
from functools import cache

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from numpy.lib.stride_tricks import sliding_window_view

from fivebyfive.hw.conv.line_buffer import LineBuffer
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, limited, random_arrays, random_source, reset_sometime, start

MAPS = 4


@cache
def component() -> LineBuffer:
    given = parameters()
    return LineBuffer(given["windows"], tuple(given["sizes"]))


def rows(lines: LineBuffer, codes: np.ndarray) -> list[int]:
    """Words of the rows of maps, int8 (N, size, size); a narrow map is followed by undefined columns."""
    n, size, _ = codes.shape
    wide = np.full((n, size, lines.width), -86, np.int8)
    wide[:, :, :size] = codes
    return [pack_codes(part) for part in wide.reshape(-1, lines.rows_in, lines.width)]


def golden(lines: LineBuffer, codes: np.ndarray) -> list[tuple[int, int]]:
    """Patch and last mark of each position of maps, int8 (N, size, size)."""
    positions: list[tuple[int, int]] = []
    for code_map in codes:
        patches = sliding_window_view(code_map, (lines.rows, lines.columns))
        patches = patches[:: lines.row_step, :: lines.column_step]
        patches = patches.reshape(-1, lines.rows, lines.columns)
        positions += [(pack_codes(patch), n == len(patches) - 1) for n, patch in enumerate(patches)]
    return positions


async def note_patches(dut: Dut, patches: list[int]) -> None:
    """The patch of each cycle that follows the transfer of a position."""
    taken = False
    while True:
        await RisingEdge(dut.clk)
        if taken:
            patches.append(int(dut.patch.value))
        taken = bool(dut.o__valid.value and dut.o__ready.value) and not dut.rst.value


async def check(
    dut: Dut, choice: int, maps: int, pauses: tuple[float, float], rng: random.Random, arrays: np.random.Generator
) -> tuple[list, list]:
    """Maps of one size behind one another; cycles of the transfers in and out."""
    lines = component()
    size = lines.sizes[choice]
    codes = arrays.integers(-128, 128, (maps, size, size), np.int8)
    expected = golden(lines, codes)
    patches: list[int] = []
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    cocotb.start_soon(note_patches(dut, patches))
    dut.size.value = choice
    cocotb.start_soon(StreamSource(dut, "i", pause=pauses[0], rng=rng).send(rows(lines, codes)))
    await limited(StreamSink(dut, "o", pause=pauses[1], rng=rng).receive(len(expected)), 200_000, "positions")
    await cycles(dut, 3)
    assert list(zip(patches, o.words, strict=True)) == expected
    return i.cycles, o.cycles


@cocotb.test()
async def nothing_ever_waits(dut: Dut) -> None:
    """A row a cycle in: the first window after `latency`, then a position a cycle.

    That holds from map to map, too, where the rows of a new map fit into the time of the last output row.
    """
    await start(dut)
    lines = component()
    for choice in range(len(lines.sizes)):
        taken, given = await check(dut, choice, MAPS, (0, 0), random_source(), random_arrays())
        first_complete = taken[lines.rows // lines.rows_in - 1]
        assert given[0] - first_complete == lines.latency
        columns = (lines.sizes[choice] - lines.columns) // lines.column_step + 1
        run = len(given) if columns >= lines.rows // lines.rows_in else len(given) // MAPS
        for begin in range(0, len(given), run):
            assert given[begin + run - 1] - given[begin] == run - 1, "a gap between positions"


@cocotb.test()
async def gaps_and_back_pressure(dut: Dut) -> None:
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    for _ in range(6):
        choice = rng.randrange(len(component().sizes))
        pauses = rng.choice([(0.9, 0), (0, 0.7), (0.5, 0.5), (0.95, 0.3)])
        await check(dut, choice, rng.randint(1, 3), pauses, rng, arrays)


@cocotb.test()
async def reset_in_flight(dut: Dut) -> None:
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    lines = component()
    for _ in range(4):
        choice = rng.randrange(len(lines.sizes))
        size = lines.sizes[choice]
        codes = arrays.integers(-128, 128, (2, size, size), np.int8)
        dut.size.value = choice
        work = [StreamSource(dut, "i").send(rows(lines, codes)), drain(dut, rng)]
        await reset_sometime(dut, work, size * size, rng)
        await check(dut, rng.randrange(len(lines.sizes)), 2, (0.2, 0.2), rng, arrays)


async def drain(dut: Dut, rng: random.Random) -> None:
    """Take whatever comes."""
    sink = StreamSink(dut, "o", pause=0.3, rng=rng)
    while True:
        await sink.receive(1)
