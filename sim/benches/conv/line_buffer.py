"""`LineBuffer` against numpy's windows of the same maps, padded."""

import random
from functools import cache
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from numpy.lib.stride_tricks import sliding_window_view

from fivebyfive.hw.conv.line_buffer import LineBuffer, LineMap
from fivebyfive.sim.benchlib.given import Dut, parameters, ports
from fivebyfive.sim.benchlib.payload import pack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource
from fivebyfive.sim.benchlib.testbench import (
    cycles,
    drive,
    limited,
    random_arrays,
    random_source,
    reset_sometime,
    start,
)

MAPS = 4


@cache
def component() -> LineBuffer:
    given = parameters()
    return LineBuffer(given["windows"], given["kernel"], [LineMap(**one) for one in given["maps"]])


class RowsAndFill:
    """The payload of ``i`` with ``fill``, if there is one, above it."""

    def __init__(self, dut: Dut):
        self.rows, self.fill = dut.i__payload, dut.fill if "fill" in ports() else None

    def __len__(self) -> int:
        return len(self.rows) + 8

    @property
    def value(self) -> Any:
        return self.rows.value

    @value.setter
    def value(self, word: int) -> None:
        self.rows.value = word & (1 << len(self.rows)) - 1
        if self.fill is not None:
            self.fill.value = word >> len(self.rows)


def source(dut: Dut, pause: float = 0, rng: random.Random | None = None) -> StreamSource:
    driver = StreamSource(dut, "i", pause=pause, rng=rng)
    driver.payload = RowsAndFill(dut)
    return driver


class Maps:
    """Random maps of one kind, codes int8 (N, rows, columns) and fills int8 (N,), and what is to come of them."""

    def __init__(self, choice: int, count: int, arrays: np.random.Generator):
        lines = component()
        self.choice, self.kind, self.arrays = choice, lines.maps[choice], arrays
        self.codes = arrays.integers(-128, 128, (count, self.kind.rows, self.kind.columns), np.int8)
        self.fills = arrays.integers(-128, 128, count, np.int8)
        # Padded rows and columns from position to position; transfers to a map's first output row, to each other one.
        self.down = (lines.rows - lines.kernel + 1) * self.kind.stride
        self.across = (lines.columns - lines.kernel + 1) * self.kind.stride
        self.whole, self.step = -(-lines.rows // lines.rows_in), self.down // lines.rows_in

    def real(self) -> list[int]:
        """Transfers that have a row of the map."""
        lines, top = component(), self.kind.top
        count = self.whole + (self.kind.out_rows - 1) * self.step
        inside = range(top, top + self.kind.rows)
        starts = [lines.rows_in * transfer for transfer in range(count)]
        return [t for t, row in enumerate(starts) if any(row + n in inside for n in range(lines.rows_in))]

    def words(self) -> list[int]:
        """Words for ``i`` with the fill above them; what is not of a map is undefined."""
        lines, words = component(), []
        for codes, fill in zip(self.codes, self.fills, strict=True):
            for transfer in self.real():
                rows = self.arrays.integers(-128, 128, (lines.rows_in, lines.width), np.int8)
                for number in range(lines.rows_in):
                    row = transfer * lines.rows_in + number - self.kind.top
                    if 0 <= row < self.kind.rows:
                        rows[number, : self.kind.columns] = codes[row]
                words.append(pack_codes(np.append(rows, fill)))
        return words

    def golden(self) -> list[tuple[int, int]]:
        """Patch and last mark of each position."""
        lines, kind = component(), self.kind
        size = kind.out_rows * self.down + kind.rows + 14, kind.out_columns * self.across + kind.columns + 14
        padded = np.full((len(self.codes), *size), self.fills[:, np.newaxis, np.newaxis], np.int8)
        padded[:, kind.top : kind.top + kind.rows, kind.left : kind.left + kind.columns] = self.codes
        patches = sliding_window_view(padded, (lines.rows, lines.columns), (1, 2))[:, :: self.down, :: self.across]
        patches = patches[:, : kind.out_rows, : kind.out_columns]
        positions = kind.out_rows * kind.out_columns
        ordered = enumerate(patches.reshape(-1, lines.rows, lines.columns), 1)
        return [(pack_codes(patch), n % positions == 0) for n, patch in ordered]


async def note_patches(dut: Dut, patches: list[int]) -> None:
    """The patch of each cycle that follows the transfer of a position."""
    taken = False
    while True:
        await RisingEdge(dut.clk)
        if taken:
            patches.append(int(dut.patch.value))
        taken = bool(dut.o__valid.value and dut.o__ready.value) and not dut.rst.value


async def check(dut: Dut, maps: Maps, pauses: tuple[float, float], rng: random.Random) -> tuple[list, list]:
    """Maps behind one another; cycles of the transfers in and out."""
    expected = maps.golden()
    patches: list[int] = []
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    cocotb.start_soon(note_patches(dut, patches))
    drive(dut, "size", maps.choice)
    cocotb.start_soon(source(dut, pauses[0], rng).send(maps.words()))
    await limited(StreamSink(dut, "o", pause=pauses[1], rng=rng).receive(len(expected)), 200_000, "positions")
    await cycles(dut, 3)
    assert list(zip(patches, o.words, strict=True)) == expected
    return i.cycles, o.cycles


@cocotb.test()
async def nothing_ever_waits(dut: Dut) -> None:
    """A transfer a cycle in: the first window after `latency`, then a position a cycle.

    Only where the rows of the next output row, of the next map, too, need more time than the positions of the present
    one is there a gap.
    """
    await start(dut)
    lines = component()
    for choice in range(len(lines.maps)):
        maps = Maps(choice, MAPS, random_arrays())
        kind, real = maps.kind, maps.real()
        assert list(kind.real_transfers(lines.windows, lines.kernel)) == real
        taken, given = await check(dut, maps, (0, 0), random_source())
        assert len(taken) == MAPS * len(real)
        before = [transfer for transfer in real if transfer < maps.whole]
        made = maps.whole - 1 - before[-1]  # below the map
        expected = [taken[len(before) - 1] + made + lines.latency]
        for number in range(1, MAPS * kind.out_rows):
            rows = maps.step if number % kind.out_rows else maps.whole
            expected.append(expected[-1] + max(kind.out_columns, rows + 1))
        assert given == [begin + n for begin in expected for n in range(kind.out_columns)]


@cocotb.test()
async def gaps_and_back_pressure(dut: Dut) -> None:
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    for _ in range(6):
        choice = rng.randrange(len(component().maps))
        pauses = rng.choice([(0.9, 0), (0, 0.7), (0.5, 0.5), (0.95, 0.3)])
        await check(dut, Maps(choice, rng.randint(1, 3), arrays), pauses, rng)


@cocotb.test()
async def reset_in_flight(dut: Dut) -> None:
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    lines = component()
    for _ in range(4):
        maps = Maps(rng.randrange(len(lines.maps)), 2, arrays)
        drive(dut, "size", maps.choice)
        work = [source(dut).send(maps.words()), drain(dut, rng)]
        await reset_sometime(dut, work, maps.kind.out_rows * maps.kind.out_columns + maps.whole, rng)
        await check(dut, Maps(rng.randrange(len(lines.maps)), 2, arrays), (0.2, 0.2), rng)


async def drain(dut: Dut, rng: random.Random) -> None:
    """Take whatever comes."""
    sink = StreamSink(dut, "o", pause=0.3, rng=rng)
    while True:
        await sink.receive(1)
