"""`LineBuffer` and `SparseLineBuffer` against numpy's windows of the same maps, padded."""

import random
from functools import cache

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from numpy.lib.stride_tricks import sliding_window_view

from fivebyfive.hw.conv.line_buffer import LineBuffer, LineMap
from fivebyfive.hw.conv.sparse_line_buffer import SparseLineBuffer
from fivebyfive.model.machine.zero_windows import Skip, computed_cells
from fivebyfive.sim.benchlib.given import Dut, parameters, ports
from fivebyfive.sim.benchlib.payload import pack, pack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource, WithPorts
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
ZEROS = (0, 0.8, 0.9, 0.95, 0.98, 1)  # share of the codes of a map, where windows of zeros are left out


@cache
def component() -> LineBuffer | SparseLineBuffer:
    given = parameters()
    sizes = given["windows"], given["kernel"], [LineMap(**one) for one in given["maps"]]
    if "skips" not in given:
        return LineBuffer(*sizes)
    return SparseLineBuffer(*sizes, [skip and Skip(**skip) for skip in given["skips"]])


def source(dut: Dut, pause: float = 0, rng: random.Random | None = None) -> StreamSource:
    driver = StreamSource(dut, "i", pause=pause, rng=rng)
    driver.payload = WithPorts(dut, fill=8)
    return driver


class Maps:
    """Random maps of one kind, codes int8 (N, rows, columns) and fills int8 (N,), and what is to come of them. Of
    those with ``every`` all positions are computed."""

    def __init__(self, choice: int, count: int, arrays: np.random.Generator):
        lines = component()
        self.choice, self.kind, self.arrays = choice, lines.maps[choice], arrays
        self.codes = arrays.integers(-128, 128, (count, self.kind.rows, self.kind.columns), np.int8)
        self.fills = arrays.integers(-128, 128, count, np.int8)
        self.skip = lines.skips[choice] if isinstance(lines, SparseLineBuffer) else None
        self.every = np.ones(count, bool)
        if self.skip:
            bits = (1 << arrays.integers(0, 8, self.codes.shape)).astype(np.uint8).view(np.int8)
            self.codes = np.where(arrays.random((count, 1, 1)) < 0.5, self.codes, bits)  # a single bit is no zero
            self.codes[arrays.random(self.codes.shape) < arrays.choice(ZEROS, (count, 1, 1))] = 0
            self.fills[arrays.random(count) < 0.7] = 0
            self.every = arrays.random(count) < (0 if self.skip.codes else 0.3)
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

    def patches(self) -> np.ndarray:
        """Codes (N, rows, columns, patch rows, patch columns) of each position."""
        lines, kind = component(), self.kind
        size = kind.out_rows * self.down + kind.rows + 14, kind.out_columns * self.across + kind.columns + 14
        padded = np.full((len(self.codes), *size), self.fills[:, np.newaxis, np.newaxis], np.int8)
        padded[:, kind.top : kind.top + kind.rows, kind.left : kind.left + kind.columns] = self.codes
        patches = sliding_window_view(padded, (lines.rows, lines.columns), (1, 2))[:, :: self.down, :: self.across]
        return patches[:, : kind.out_rows, : kind.out_columns]

    def computed(self) -> tuple[np.ndarray, np.ndarray]:
        """Which positions (N, rows, columns) are computed, and which of them have windows of zeros only, as all of
        their cell."""
        windows: np.ndarray = np.logical_or.reduce(self.patches(), axis=(3, 4))
        if self.skip is None:
            return np.ones_like(windows), np.zeros_like(windows)
        rows, columns = self.skip.rows, self.skip.columns
        cells = np.kron(computed_cells(windows, self.skip), np.ones((1, rows, columns), bool)).astype(bool)
        zero = ~np.kron(
            windows.reshape(len(windows), self.kind.out_rows // rows, rows, -1, columns).any(axis=(2, 4)),
            np.ones((1, rows, columns), bool),
        ).astype(bool)
        every = self.every[:, np.newaxis, np.newaxis]
        return cells | every, zero & ~every & self.skip.codes

    def golden(self) -> list[tuple[int, int]]:
        """Patch and payload of each position."""
        lines, found = component(), []
        patches, (computed, zero) = self.patches(), self.computed()
        for number, map_ in enumerate(computed):
            places = np.argwhere(map_)
            for at, (row, column) in enumerate(places):
                last = at == len(places) - 1
                word = int(last)
                if isinstance(lines, SparseLineBuffer):
                    fields = {"last": word, "row_end": int(last or places[at + 1][0] > row), "column": int(column)}
                    index = int(row) * self.kind.out_columns + int(column)
                    word = pack(lines.layout, fields | {"index": index, "zero": int(zero[number, row, column])})
                found.append((pack_codes(patches[number, row, column]), word))
        return found


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
    whole = cocotb.start_soon(drive_every(dut, maps))
    cocotb.start_soon(source(dut, pauses[0], rng).send(maps.words()))
    await limited(StreamSink(dut, "o", pause=pauses[1], rng=rng).receive(len(expected)), 200_000, "positions")
    await cycles(dut, 3)
    whole.cancel()
    assert list(zip(patches, o.words, strict=True)) == expected
    return i.cycles, o.cycles


async def drive_every(dut: Dut, maps: Maps) -> None:
    """``every`` of one map after the other, from its first position on."""
    if "every" not in ports():
        return
    for every in maps.every:
        dut.every.value = int(every)
        while True:
            await RisingEdge(dut.clk)
            if dut.o__valid.value and dut.o__ready.value and int(dut.o__payload.value) & 1:
                break


@cocotb.test()
async def nothing_ever_waits(dut: Dut) -> None:
    """A transfer a cycle in: the first window after `latency`, then a position a cycle.

    Only where the rows of the next output row, of the next map, too, need more time than the positions of the present
    one is there a gap.
    """
    await start(dut)
    lines = component()
    count = 4 * MAPS if isinstance(lines, SparseLineBuffer) else MAPS  # what is left out differs from map to map
    for choice in range(len(lines.maps)):
        maps = Maps(choice, count, random_arrays())
        kind, real = maps.kind, maps.real()
        assert list(kind.real_transfers(lines.windows, lines.kernel)) == real
        taken, given = await check(dut, maps, (0, 0), random_source())
        assert len(taken) == count * len(real)
        before = [transfer for transfer in real if transfer < maps.whole]
        made = maps.whole - 1 - before[-1]  # below the map
        expected = [taken[len(before) - 1] + made + lines.latency]
        counts = maps.computed()[0].sum(axis=2).ravel().tolist()  # positions of each row
        for number in range(1, count * kind.out_rows):
            rows = maps.step if number % kind.out_rows else maps.whole
            expected.append(expected[-1] + max(counts[number - 1], rows + 1))
        assert given == [begin + n for begin, count in zip(expected, counts, strict=True) for n in range(count)]


@cocotb.test()
async def gaps_and_back_pressure(dut: Dut) -> None:
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    choices = list(range(len(component().maps))) * 6
    for choice in choices[: max(6, 2 * len(component().maps))]:
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
        if "every" in ports():
            dut.every.value = int(maps.every[0])
        work = [source(dut).send(maps.words()), drain(dut, rng)]
        await reset_sometime(dut, work, maps.kind.out_rows * maps.kind.out_columns + maps.whole, rng)
        await check(dut, Maps(rng.randrange(len(lines.maps)), 2, arrays), (0.2, 0.2), rng)


async def drain(dut: Dut, rng: random.Random) -> None:
    """Take whatever comes."""
    sink = StreamSink(dut, "o", pause=0.3, rng=rng)
    while True:
        await sink.receive(1)
